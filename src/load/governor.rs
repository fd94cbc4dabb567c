//! Holds requests to the highest rate that a run may have. Pure: nanoseconds in and out, no clock.

use std::time::Duration;

use super::config::{FlowKind, LoadConfig};
use super::meter::SECOND;

/// So much of its rate a worker may have sent ahead, in nanoseconds: arrivals at random come in
/// bursts, and a burst is no higher rate.
const BURST: u64 = SECOND;

/// The generic cell rate algorithm (ITU-T I.371, annex A): each request moves the time from which
/// the next one conforms on by its share.
#[derive(Debug)]
pub(super) struct Governor {
    /// Nanoseconds from one request to the next.
    increment: u64,
    /// From when on a request conforms without any burst.
    expected: u64,
}

impl Governor {
    /// That of one worker out of `of`; `None` where the schedule cannot exceed the highest rate
    /// anyway: one open flow whose journeys are one request each.
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

    /// Takes the place of one request at `now`. How long it has to wait; `None` for not at all.
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
        // Everything at once: what is sent within 10 s is the rate and one second's burst.
        let waits: Vec<u64> = (0..5000)
            .map(|_| governor.reserve(0).map_or(0, |wait| wait.as_nanos() as u64))
            .collect();
        let within = waits.iter().filter(|wait| **wait <= 10 * SECOND).count();
        assert!(within.abs_diff(1100) <= 2, "{within}");
        let mut governor = Governor::new(100.0);
        for second in 0..100 {
            // A hundred in the first instant of each second: bursts, but no higher rate.
            assert!((0..100).all(|_| governor.reserve(second * SECOND).is_none()), "{second}");
        }
    }
}
