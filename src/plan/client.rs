//! How clients retry, and how they keep, drop and reopen connections.

use std::time::Duration;

use serde::Serialize;

/// How a client retries a failed request. Real clients do, and their retries add load to a target
/// that already fails.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Retries {
    /// Retries after the first attempt at most, above zero.
    pub most: u32,
    /// The wait before each retry: random, up to a limit that doubles (full jitter).
    pub backoff: Backoff,
    /// Retry budget: retries per first attempt at most, as clients use it against retry
    /// amplification. 1 or more means no budget.
    pub budget: f64,
}

impl Retries {
    /// The budget, unless the plan sets one: no limit besides `most`.
    pub const USUAL_BUDGET: f64 = f64::INFINITY;
}

/// When a client closes a connection that it could still use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Reuse {
    /// After this many requests.
    pub requests: Option<u64>,
    /// After this long without a request.
    pub idle: Option<Duration>,
}

/// A reconnect storm: many connections are lost at once, and their clients reconnect.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct ReconnectStorm {
    /// Which connections are lost, and when.
    pub drop: Disconnect,
    /// How their clients reconnect.
    pub backoff: Backoff,
}

/// A loss of many connections at once, as if a proxy restarted.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Disconnect {
    /// Share of the connections, from 0 to 1. They are closed without notice.
    pub share: f64,
    /// When, after the beginning of the first stage.
    pub at: Duration,
    /// Time between two drops, above zero; `None` drops once.
    pub every: Option<Duration>,
}

impl Disconnect {
    /// Shortest time between two drops. Shorter ones could not be told from faults of the target.
    pub const MOST_OFTEN: Duration = Duration::from_secs(1);

    /// Time of the next drop later than `elapsed`; both count from the beginning of the first
    /// stage.
    pub fn next(&self, elapsed: Duration) -> Option<Duration> {
        if elapsed < self.at {
            return Some(self.at);
        }
        let every = self.every?;
        let times = (elapsed - self.at).as_nanos() / every.as_nanos() + 1;
        Some(self.at.saturating_add(every.saturating_mul(u32::try_from(times).ok()?)))
    }
}

/// How long a client waits before it tries again. The limit doubles with each failed attempt in a
/// row; a reconnecting client waits a random time between half of the limit and all of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Backoff {
    /// Limit before the first attempt.
    pub from: Duration,
    /// Highest limit.
    pub to: Duration,
}

impl Backoff {
    /// The backoff, unless the plan sets one: 100 ms to 5 s.
    pub fn usual() -> Self {
        Self { from: Duration::from_millis(100), to: Duration::from_secs(5) }
    }

    /// The longest wait before attempt `attempt`, counted from zero.
    pub fn limit(&self, attempt: u32) -> Duration {
        self.from.saturating_mul(1u32.checked_shl(attempt).unwrap_or(u32::MAX)).min(self.to)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_storm_comes_once_or_again_and_again() {
        let secs = Duration::from_secs;
        let once = Disconnect { share: 0.5, at: secs(10), every: None };
        assert_eq!(once.next(Duration::ZERO), Some(secs(10)));
        assert_eq!(once.next(secs(10)), None, "what has come is not to come");
        let often = Disconnect { every: Some(secs(3)), ..once };
        let next = |elapsed| often.next(secs(elapsed)).unwrap().as_secs();
        assert_eq!([9, 10, 12, 13, 20].map(next), [10, 13, 13, 16, 22]);
    }
}
