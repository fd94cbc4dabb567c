//! What carries lines between the coordinator and one node.

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

/// Carries lines to and from one node. It drops no line, and keeps their order.
pub trait Carrier: Send {
    /// Sends a line with its end. Does not wait for the node.
    ///
    /// # Errors
    /// Why it cannot be sent, in words: the node is gone, or takes nothing any more.
    fn send(&mut self, line: Vec<u8>) -> Result<(), String>;

    /// The next arrival, if one comes within `wait`. After [`Delivery::Closed`] there is none.
    fn receive(&mut self, wait: Duration) -> Option<Arrival>;

    /// What it printed that is no line of the protocol, the latest part, in one line; empty if
    /// nothing. Without secrets, for a message.
    fn said(&self) -> String;

    /// Tells the node that nothing more will come, waits at most `patience` for its end, and then
    /// ends it. Returns how it ended, in words.
    fn close(&mut self, patience: Duration) -> String;
}
