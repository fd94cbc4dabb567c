//! A token bucket: admits a steady rate with short bursts, and rejects everything else.

use std::sync::{Mutex, PoisonError};
use std::time::Instant;

/// Size of a burst after a quiet time, in seconds of the steady rate.
const BURST_SECONDS: f64 = 0.1;

/// Admits requests at a fixed rate.
pub(super) struct TokenBucket {
    rate: f64,
    refusal_cost: f64,
    contents: Mutex<Contents>,
}

/// The tokens in the bucket.
struct Contents {
    tokens: f64,
    at: Instant,
}

impl TokenBucket {
    /// A full bucket that admits `rate` requests per second.
    pub fn new(rate: f64) -> Self {
        let contents = Contents { tokens: rate * BURST_SECONDS, at: Instant::now() };
        Self { rate, refusal_cost: 0.0, contents: Mutex::new(contents) }
    }

    /// The same, where each rejection costs as much as this many admitted requests.
    pub fn with_refusal_cost(self, refusal_cost: f64) -> Self {
        Self { refusal_cost, ..self }
    }

    /// Whether a request that arrives at `now` is admitted.
    pub fn admits(&self, now: Instant) -> bool {
        let mut contents = self.contents.lock().unwrap_or_else(PoisonError::into_inner);
        let gained = now.saturating_duration_since(contents.at).as_secs_f64() * self.rate;
        contents.at = now.max(contents.at);
        contents.tokens = (contents.tokens + gained).min(self.rate * BURST_SECONDS);
        let admitted = contents.tokens >= 1.0;
        contents.tokens -= if admitted { 1.0 } else { self.refusal_cost };
        // Debt has the same limit as credit, so it is forgotten as quickly.
        contents.tokens = contents.tokens.max(-self.rate * BURST_SECONDS);
        admitted
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn refusals_that_cost_work_leave_less_for_the_rest() {
        let admitted = |offered_per_second: u32| {
            let bucket = TokenBucket::new(90.0).with_refusal_cost(1.0 / 3.0);
            let start = Instant::now();
            (0..10 * offered_per_second)
                .filter(|&i| bucket.admits(start + Duration::from_secs(1) * i / offered_per_second))
                .count()
        };
        // Admitted requests plus a third of the rest make 90 per second.
        for (offered_per_second, expected) in [(80, 800.0), (120, 750.0), (180, 450.0)] {
            let admitted = admitted(offered_per_second) as f64;
            assert!((expected - admitted).abs() <= 20.0, "{offered_per_second}/s: {admitted}");
        }
        assert!(admitted(400) < 50, "all of its work is refusing");
    }

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
