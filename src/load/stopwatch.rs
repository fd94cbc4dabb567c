//! Where the time of a connection and of a response goes.

use std::time::{Duration, Instant};

/// How long it took to make a connection.
#[derive(Clone, Copy, Debug)]
pub(super) struct Made {
    /// Name resolution, if it was done for this connection.
    pub(super) dns_time: Option<Duration>,
    /// Everything else, TLS included.
    pub(super) connect_time: Duration,
    /// The TLS handshake.
    pub(super) tls_time: Option<Duration>,
}

/// Where the time of a response went.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Spent {
    /// Until the request was sent.
    pub(super) send: Duration,
    /// From then to the first byte of the response.
    pub(super) wait: Duration,
    /// From then to its end.
    pub(super) receive: Duration,
    /// When it ended, if the kernel reports it.
    pub(super) ended: Option<Instant>,
}

/// Measures a request. For most requests this takes two readings of the clock.
pub(super) struct Stopwatch {
    begun: Instant,
    sent: Option<Instant>,
    first: Option<Instant>,
    /// When its last piece came, if the kernel reports it.
    stamp: Option<Instant>,
    /// Whether the response came in more than one piece.
    is_cut: bool,
}

impl Stopwatch {
    /// Measures from `begun` on.
    pub(super) fn since(begun: Instant) -> Self {
        Self { begun, sent: None, first: None, stamp: None, is_cut: false }
    }

    /// The request has been sent, now or earlier.
    pub(super) fn sent(&mut self) {
        self.sent.get_or_insert_with(Instant::now);
    }

    /// A piece of the response has come, now or at the time from the kernel.
    pub(super) fn read(&mut self, stamp: Option<Instant>) {
        self.is_cut = self.first.is_some();
        self.stamp = stamp;
        self.first.get_or_insert_with(|| stamp.unwrap_or_else(Instant::now));
    }

    /// No more of the response is available yet.
    pub(super) fn waits(&mut self) {
        self.is_cut |= self.first.is_some();
    }

    /// Whether any of the response has come.
    pub(super) fn has_read(&self) -> bool {
        self.first.is_some()
    }

    /// The response is complete.
    pub(super) fn spent(&self) -> Spent {
        let first = self.first.unwrap_or_else(Instant::now);
        let sent = self.sent.unwrap_or(first).min(first);
        Spent {
            send: sent.saturating_duration_since(self.begun),
            wait: first.saturating_duration_since(sent),
            receive: match (self.is_cut, self.stamp) {
                (false, _) => Duration::ZERO,
                (true, None) => first.elapsed(),
                (true, Some(last)) => last.saturating_duration_since(first),
            },
            ended: self.stamp,
        }
    }
}
