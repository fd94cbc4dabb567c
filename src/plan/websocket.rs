//! WebSocket sessions that are held beside the load.

use std::time::Duration;

use serde::Serialize;

use super::{Backoff, Body, Disconnect, Request};

/// Sessions of one kind. What becomes of them is measured apart from the load, like canaries.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct WebSocket {
    /// What asks for the upgrade: name, path and headers. Values are drawn anew for each opening.
    pub request: Request,
    /// How many are held open.
    pub sessions: usize,
    /// How many are opened a second at first. What was lost comes back by [`Backoff`] alone.
    pub open_rate: f64,
    /// What each session sends; nothing where `None`.
    pub message: Option<Message>,
    /// Lets go of sessions at one moment, to see them come back.
    pub drop: Option<Disconnect>,
    /// How a session that was lost, or could not be opened, comes back.
    pub backoff: Backoff,
}

impl WebSocket {
    /// Kinds of sessions in one plan at most: each has a thread of its own.
    pub const MOST: usize = 8;
    /// Sessions of one kind at most: each keeps a socket and some 20 kB.
    pub const MOST_SESSIONS: usize = 50_000;
    /// Sessions opened a second where the plan does not say.
    pub const USUAL_OPEN_RATE: f64 = 50.0;
    /// Time between two messages of a session where the plan does not say.
    pub const USUAL_INTERVAL: Duration = Duration::from_secs(10);
}

/// What a session sends again and again.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Message {
    /// The text; values in it are drawn anew for each.
    pub text: Body,
    /// From one to the next of a session.
    pub interval: Duration,
    /// Whether each is answered: the next message that comes is the answer, and none within the
    /// target's timeout ends the session.
    pub expect: bool,
}
