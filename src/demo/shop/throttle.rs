//! A token bucket: admits a steady rate and short bursts, and nothing else.

use std::sync::{Mutex, PoisonError};
use std::time::Instant;

/// Seconds' worth of requests that may come at once after a quiet time.
const BURST_SECONDS: f64 = 0.1;

/// Admits requests at a fixed rate.
pub(super) struct TokenBucket {
    rate: f64,
    level: Mutex<Level>,
}

struct Level {
    tokens: f64,
    at: Instant,
}

impl TokenBucket {
    /// A full bucket that admits `rate` requests per second.
    pub fn new(rate: f64) -> Self {
        let level = Level { tokens: rate * BURST_SECONDS, at: Instant::now() };
        Self { rate, level: Mutex::new(level) }
    }

    /// Whether a request that comes `now` is admitted.
    pub fn admits(&self, now: Instant) -> bool {
        let mut level = self.level.lock().unwrap_or_else(PoisonError::into_inner);
        let gained = now.saturating_duration_since(level.at).as_secs_f64() * self.rate;
        level.at = now.max(level.at);
        level.tokens = (level.tokens + gained).min(self.rate * BURST_SECONDS);
        let admitted = level.tokens >= 1.0;
        if admitted {
            level.tokens -= 1.0;
        }
        admitted
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn the_admitted_rate_is_the_rate_whatever_is_offered() {
        for offered_per_second in [50_u32, 120, 200, 1_000] {
            let bucket = TokenBucket::new(120.0);
            let start = Instant::now();
            let admitted = (0..10 * offered_per_second)
                .filter(|&i| bucket.admits(start + Duration::from_secs(1) * i / offered_per_second))
                .count();
            let expected = (10 * offered_per_second).min(1_200);
            assert!(
                (f64::from(expected) - admitted as f64).abs() <= 13.0,
                "{offered_per_second}/s: {admitted} admitted in 10 s"
            );
        }
    }
}
