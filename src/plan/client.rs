//! How clients behave towards a target that fails, and towards the connections they have.

use std::time::Duration;

use serde::Serialize;

/// How a client asks again. Real clients do, and what they ask again is load on a target that is
/// failing already.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Retries {
    /// Attempts after the first one, above zero.
    pub most: u32,
    /// The wait before each of them: at random up to a limit that doubles (full jitter).
    pub backoff: Backoff,
    /// Retries at most for each request that is not one; no bound where 1 or more of them are
    /// allowed for each (a retry budget, as clients have it against amplification).
    pub budget: f64,
}

impl Retries {
    /// So many retries for each request where the plan does not say: no bound but `most`.
    pub const USUAL_BUDGET: f64 = f64::INFINITY;
}

/// When a client closes a connection that it could go on with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Reuse {
    /// After so many requests on one.
    pub requests: Option<u64>,
    /// Where it was not in use for so long.
    pub idle: Option<Duration>,
}

/// A reconnect storm: connections that are lost at once, and come back.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Storm {
    /// Which are lost, and when.
    pub drop: Disconnect,
    /// How their clients come back.
    pub backoff: Backoff,
}

/// A loss of many connections at once, as when a proxy restarts.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Disconnect {
    /// Share of the connections, from 0 to 1. They are cut off with no farewell.
    pub share: f64,
    /// When, since the first stage began.
    pub at: Duration,
    /// From one time to the next, above zero; it happens once where `None`.
    pub every: Option<Duration>,
}

impl Disconnect {
    /// More often than this it would not be told apart from what the target does.
    pub const MOST_OFTEN: Duration = Duration::from_secs(1);

    /// When it happens next, `elapsed` after the first stage began: since then too.
    pub fn next(&self, elapsed: Duration) -> Option<Duration> {
        if elapsed < self.at {
            return Some(self.at);
        }
        let every = self.every?;
        let times = (elapsed - self.at).as_nanos() / every.as_nanos() + 1;
        Some(self.at.saturating_add(every.saturating_mul(u32::try_from(times).ok()?)))
    }
}

/// How long a client waits before it connects again: the time doubles with each attempt that
/// fails in a row, and each waits for half of it up to all of it, at random.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Backoff {
    /// Before the first attempt.
    pub from: Duration,
    /// At the most.
    pub to: Duration,
}

impl Backoff {
    /// Where the plan does not say.
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
