//! What carries lines between the coordinator and one node.

use std::io::{Read, Write};
use std::time::{Duration, Instant};

/// Something that came from a node.
#[derive(Debug)]
pub struct Arrival {
    /// When it came: a ping is answered with this.
    pub at: Instant,
    /// What.
    pub delivery: Delivery,
}

/// What came.
#[derive(Debug)]
pub enum Delivery {
    /// A line, without its end.
    Line(Vec<u8>),
    /// A line longer than [`MAX_LINE`](super::MAX_LINE), which was left out.
    TooLong,
    /// Nothing more will come.
    Closed,
}

/// Whether a line may be kept on its way. Only a bus keeps any.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keeping {
    /// It means something only now, or holds what only the node may know: nothing keeps it.
    Now,
    /// The node must have it, however long it is away.
    Stored,
}

/// Carries lines to and from one node. It drops no line, and keeps their order.
pub trait Carrier: Send {
    /// Sends a line with its end. Does not wait for the node.
    ///
    /// # Errors
    /// Why it cannot be sent, in words: the node is gone, or takes nothing any more.
    fn send(&mut self, line: Vec<u8>, keeping: Keeping) -> Result<(), String>;

    /// The next arrival, if one comes within `wait`. After [`Delivery::Closed`] there is none.
    fn receive(&mut self, wait: Duration) -> Option<Arrival>;

    /// What it printed that is no line of the protocol, the latest part, in one line; empty if
    /// nothing. Without secrets, for a message.
    fn said(&self) -> String;

    /// Tells the node that nothing more will come, waits at most `patience` for its end, and then
    /// ends it. Returns how it ended, in words.
    fn close(&mut self, patience: Duration) -> String;
}

/// A node's end of a carrier: two streams of lines.
pub struct NodeCarrier {
    /// What the coordinator says.
    pub input: Box<dyn Read + Send>,
    /// What the node says. Nothing else may be written to it.
    pub output: Box<dyn Write + Send>,
    /// How long the coordinator may take until it says what to do.
    pub opened_within: Duration,
}

/// Before `open`, a person may be typing a password at the other end.
const OPENED_WITHIN: Duration = Duration::from_secs(60);

impl NodeCarrier {
    /// Carries lines over the standard input and output of a process that its coordinator started.
    pub fn stdio(input: impl Read + Send + 'static, output: impl Write + Send + 'static) -> Self {
        Self { input: Box::new(input), output: Box::new(output), opened_within: OPENED_WITHIN }
    }
}
