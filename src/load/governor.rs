//! Holds requests to the highest rate allowed for a run. Pure: nanoseconds in and out, no clock.

use std::time::Duration;

use super::config::{FlowKind, LoadConfig};
use super::meter::SECOND;

/// A worker may send at most this much of its rate ahead, in nanoseconds. Random arrivals come in
/// bursts, and a burst does not raise the rate.
const BURST: u64 = SECOND;

/// The generic cell rate algorithm (ITU-T I.371, annex A): each request moves the time at which the
/// next one conforms by one increment.
#[derive(Debug)]
pub(super) struct Governor {
    /// Nanoseconds from one request to the next.
    increment: u64,
    /// When the next request conforms without any burst.
    expected: u64,
}

impl Governor {
    /// The governor of one worker out of `of`. `None` if the schedule cannot exceed the highest
    /// rate anyway: one open flow whose journeys are one request each.
    pub(super) fn of(config: &LoadConfig, of: usize) -> Option<Self> {
        let is_scheduled = match &config.flows[..] {
            [flow] => {
                matches!(flow.kind, FlowKind::Open(_))
                    && flow.journeys.iter().all(|index| config.journeys[*index].is_single())
            }
            _ => false,
        };
        (!is_scheduled).then(|| Self::new(config.max_rate / of as f64))
    }

    fn new(rate: f64) -> Self {
        Self { increment: (SECOND as f64 / rate.max(1e-6)) as u64, expected: 0 }
    }

    /// Reserves a slot for one request at `now`. Returns how long it has to wait. `None` for no
    /// wait.
    pub(super) fn reserve(&mut self, now: u64) -> Option<Duration> {
        let conforms = self.expected.saturating_sub(BURST);
        self.expected = self.expected.max(now).saturating_add(self.increment);
        (conforms > now).then(|| Duration::from_nanos(conforms - now))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_is_held_to_the_rate_and_a_burst_is_let_through() {
        let mut governor = Governor::new(100.0);
        // All requests at once: within 10 s the rate and one second's burst are sent.
        let waits: Vec<u64> = (0..5000)
            .map(|_| governor.reserve(0).map_or(0, |wait| wait.as_nanos() as u64))
            .collect();
        let within = waits.iter().filter(|wait| **wait <= 10 * SECOND).count();
        assert!(within.abs_diff(1100) <= 2, "{within}");
        let mut governor = Governor::new(100.0);
        for second in 0..100 {
            // A hundred in the first instant of each second: bursts, but not a higher rate.
            assert!((0..100).all(|_| governor.reserve(second * SECOND).is_none()), "{second}");
        }
    }
}
