//! WebSocket sessions that stay open while the load runs.

use std::time::Duration;

use serde::Serialize;

use super::{Backoff, Body, Disconnect, Request};

/// The sessions of one `[[websocket]]`. Like canaries, they are measured separately from the load.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct WebSocket {
    /// The upgrade request: name, path and headers. Each opening draws new values.
    pub request: Request,
    /// How many to keep open.
    pub sessions: usize,
    /// Sessions to open per second at the start. Lost sessions reconnect by [`Backoff`] alone.
    pub open_rate: f64,
    /// What each session sends; `None` for nothing.
    pub message: Option<Message>,
    /// Drops many sessions at once, to watch clients reconnect.
    pub drop: Option<Disconnect>,
    /// How a session reconnects after a loss or a failed opening.
    pub backoff: Backoff,
}

impl WebSocket {
    /// `[[websocket]]` tables in one plan at most. Each has its own thread.
    pub const MOST: usize = 8;
    /// Sessions of one table at most. Each keeps a socket and about 20 kB.
    pub const MOST_SESSIONS: usize = 50_000;
    /// Sessions to open per second, unless the plan says otherwise.
    pub const USUAL_OPEN_RATE: f64 = 50.0;
    /// Time between two messages of a session, unless the plan says otherwise.
    pub const USUAL_INTERVAL: Duration = Duration::from_secs(10);
}

/// The message that a session sends repeatedly.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Message {
    /// The text. Each message draws new values.
    pub text: Body,
    /// Time between two messages of a session.
    pub interval: Duration,
    /// Whether the target answers each message. The next message that arrives is the answer;
    /// without one within the target's timeout, the session ends.
    pub expect: bool,
}
