//! Whether and when a client retries. Pure: draws in, waits out, no clock.

use std::time::Duration;

use rand::RngExt;
use rand::rngs::SmallRng;

use crate::plan::Retries;
use crate::timeline::ResponseClass;

/// A client may save up at most this many retries. It starts with the share of this many requests,
/// because at the start there are none to count.
const SAVED: f64 = 10.0;

/// The retries of one worker's clients.
#[derive(Debug)]
pub(super) struct Retrying {
    policy: Retries,
    /// Retries that may be made now. Each request adds its share (like Finagle's retry budget).
    saved: f64,
}

impl Retrying {
    pub(super) fn new(policy: Retries) -> Self {
        Self { policy, saved: SAVED.min(policy.budget * SAVED) }
    }

    /// Counts a request that is not a retry.
    pub(super) fn request(&mut self) {
        self.saved = (self.saved + self.policy.budget).min(SAVED.max(self.policy.budget));
    }

    /// How long to wait before attempt `attempt` (1 is the first retry) at a request that ended in
    /// `class`. `None` if it is not retried.
    pub(super) fn wait(
        &mut self,
        attempt: u32,
        class: ResponseClass,
        random: &mut SmallRng,
    ) -> Option<Duration> {
        if attempt > self.policy.most || !is_worth_it(class) || self.saved < 1.0 {
            return None;
        }
        self.saved -= 1.0;
        Some(self.policy.backoff.limit(attempt - 1).mul_f64(random.random::<f64>()))
    }
}

/// Whether the same request may succeed in a moment: the target could not take it, but did not say
/// that the request is wrong.
fn is_worth_it(class: ResponseClass) -> bool {
    match class {
        ResponseClass::Status(status) => [429, 502, 503, 504].contains(&status),
        ResponseClass::Connect | ResponseClass::Timeout | ResponseClass::Reset => true,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;

    use super::*;
    use crate::plan::Backoff;

    const BUSY: ResponseClass = ResponseClass::Status(503);

    fn retrying(most: u32, budget: f64) -> Retrying {
        let backoff = Backoff { from: Duration::from_millis(100), to: Duration::from_millis(300) };
        Retrying::new(Retries { most, backoff, budget })
    }

    #[test]
    fn waits_grow_up_to_their_limit_and_end() {
        let mut random = SmallRng::seed_from_u64(1);
        let mut client = retrying(3, f64::INFINITY);
        for (attempt, limit) in [(1, 100), (2, 200), (3, 300)] {
            let wait = client.wait(attempt, BUSY, &mut random).unwrap();
            assert!(wait <= Duration::from_millis(limit), "{attempt}: {wait:?}");
        }
        assert_eq!(client.wait(4, BUSY, &mut random), None);
        for class in [ResponseClass::Status(404), ResponseClass::Status(500), ResponseClass::Check]
        {
            assert_eq!(client.wait(1, class, &mut random), None, "{class}");
        }
    }

    #[test]
    fn a_budget_bounds_the_amplification() {
        let mut random = SmallRng::seed_from_u64(1);
        let mut client = retrying(3, 0.1);
        let mut retries = 0;
        for _ in 0..1000 {
            client.request();
            retries += u32::from(client.wait(1, BUSY, &mut random).is_some());
        }
        assert!((99..=102).contains(&retries), "{retries}");
    }
}
