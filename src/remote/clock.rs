//! Where the clock of a node stands on that of the coordinator, with its error.
//!
//! Four stamps (NTP, RFC 5905 section 8): the coordinator sends a ping at t1, the node receives it at t2
//! and answers at t3, and the answer arrives at t4. Whatever the two ways took, the node's clock was
//! ahead by at least t3 − t4 and at most t2 − t1. So each exchange gives an interval, and no assumption
//! about symmetric delays is needed. A clock that drifts leaves the interval at its rate of drift:
//! an older exchange counts with a wider interval. The clock stands where all exchanges of the last
//! minute allow it; the offset is the middle of what they leave, the error half of its width. An
//! exchange that contradicts the others means that the clock has stepped: a machine that was suspended.
//!
//! Both clocks are monotonic ones. Nobody can set them, so a wall clock that is hours off or set
//! during a run plays no part.

use std::collections::VecDeque;

/// How fast two clocks drift apart at most: quartz oscillators are specified with 20 to 50 ppm each
/// over their range of temperature, and this is twice the worst. An exchange every five seconds
/// adds half a millisecond.
const MOST_DRIFT: f64 = 100e-6;
/// Exchanges older than this are forgotten, in nanoseconds.
const REMEMBERED: i64 = 60_000_000_000;
/// Exchanges to keep at most: a burst, and one every second.
const MOST_EXCHANGES: usize = 128;

/// The four stamps of one exchange, in nanoseconds: the outer two on the coordinator's clock, the
/// inner two on the node's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exchange {
    /// The ping was sent (t1).
    pub sent: i64,
    /// It arrived at the node (t2).
    pub received: i64,
    /// The answer was sent (t3).
    pub replied: i64,
    /// It arrived (t4).
    pub returned: i64,
}

impl Exchange {
    /// Time on the way, both ways together, in nanoseconds.
    pub fn round_trip(&self) -> i64 {
        let away = self.returned.saturating_sub(self.sent);
        away.saturating_sub(self.replied.saturating_sub(self.received))
    }

    /// The least and the most that the node's clock was ahead.
    fn bounds(&self) -> (f64, f64) {
        let least = self.replied.saturating_sub(self.returned);
        let most = self.received.saturating_sub(self.sent);
        (least as f64, most as f64)
    }

    /// Whether the stamps can be of one exchange.
    fn is_possible(&self) -> bool {
        self.returned >= self.sent && self.replied >= self.received && self.round_trip() >= 0
    }
}

/// Where a node's clock stands.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ClockEstimate {
    /// How far it is ahead of the coordinator's, in nanoseconds.
    pub offset: f64,
    /// The offset is off by at most this many nanoseconds, either way.
    pub error: f64,
}

/// A clock that has jumped: nothing says when between two exchanges.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ClockStep {
    /// By how many nanoseconds, forward or back.
    pub by: f64,
    /// The last time on the coordinator's clock at which it still stood where it was.
    pub since: i64,
}

/// The clock of one node.
#[derive(Clone, Debug, Default)]
pub struct NodeClock {
    exchanges: VecDeque<Exchange>,
}

impl NodeClock {
    /// Takes in an exchange. Returns the step, if the clock has jumped since the one before: it then
    /// stands where this exchange says.
    pub fn add(&mut self, exchange: Exchange) -> Option<ClockStep> {
        if !exchange.is_possible() {
            return None;
        }
        let at = exchange.returned;
        while self.exchanges.front().is_some_and(|old| at.saturating_sub(old.returned) > REMEMBERED)
            || self.exchanges.len() >= MOST_EXCHANGES
        {
            self.exchanges.pop_front();
        }
        let last = self.exchanges.back().map(|exchange| exchange.returned);
        let before = self.bounds(at);
        self.exchanges.push_back(exchange);
        let ((least, most), since) = before.zip(last)?;
        let (from, to) = exchange.bounds();
        if from <= most && least <= to {
            return None;
        }
        self.exchanges.clear();
        self.exchanges.push_back(exchange);
        Some(ClockStep { by: (from + to) / 2.0 - (least + most) / 2.0, since })
    }

    /// Where the clock stands at `at` on the coordinator's clock; `None` before the first exchange.
    pub fn estimate(&self, at: i64) -> Option<ClockEstimate> {
        let (least, most) = self.bounds(at)?;
        let (offset, error) = ((least + most) / 2.0, (most - least) / 2.0);
        Some(ClockEstimate { offset, error: error.max(0.0) })
    }

    /// How many exchanges are remembered.
    pub fn exchanges(&self) -> usize {
        self.exchanges.len()
    }

    /// What all exchanges allow at `at`, each as much wider as the clocks may have drifted since.
    fn bounds(&self, at: i64) -> Option<(f64, f64)> {
        let all = self.exchanges.iter().map(|exchange| {
            let age = at.saturating_sub(exchange.returned).unsigned_abs() as f64;
            let (least, most) = exchange.bounds();
            (least - age * MOST_DRIFT, most + age * MOST_DRIFT)
        });
        all.reduce(|a, b| (a.0.max(b.0), a.1.min(b.1)))
    }
}

#[cfg(test)]
mod tests {
    use rand::rngs::StdRng;
    use rand::{RngExt, SeedableRng};

    use super::*;

    const SECOND: f64 = 1e9;
    /// Exchanges at the beginning, and the time between two later ones.
    const BURST: usize = 8;
    const EVERY: f64 = 5.0 * SECOND;

    /// A node's clock and the way to it.
    struct Simulated {
        /// How far ahead at the beginning, in nanoseconds.
        ahead: f64,
        drift: f64,
        random: StdRng,
        /// Mean time of each way beyond the shortest, and the shortest, in nanoseconds.
        there: (f64, f64),
        back: (f64, f64),
    }

    impl Simulated {
        fn ahead(&self, at: f64) -> f64 {
            self.ahead + self.drift * at
        }

        fn way(&mut self, (mean, least): (f64, f64)) -> f64 {
            least - mean * (1.0 - self.random.random::<f64>()).ln()
        }

        /// One exchange that begins at `at`.
        fn exchange(&mut self, at: f64) -> Exchange {
            let arrives = at + self.way(self.there);
            let leaves = arrives + 20e3;
            let returned = leaves + self.way(self.back);
            Exchange {
                sent: at as i64,
                received: (arrives + self.ahead(arrives)) as i64,
                replied: (leaves + self.ahead(leaves)) as i64,
                returned: returned as i64,
            }
        }
    }

    /// The share of seconds in which the true offset lies within the bar, and the widest bar.
    fn within(mut node: Simulated, seconds: u32) -> (f64, f64) {
        let mut clock = NodeClock::default();
        let mut next = 0.0;
        let (mut good, mut widest) = (0, 0.0f64);
        for _ in 0..BURST {
            assert_eq!(clock.add(node.exchange(next)), None);
            next += 0.02 * SECOND;
        }
        for second in 1..=seconds {
            let now = f64::from(second) * SECOND;
            while next + EVERY < now {
                next += EVERY;
                assert_eq!(clock.add(node.exchange(next)), None, "a drift is no step");
            }
            let estimate = clock.estimate(now as i64).unwrap();
            widest = widest.max(estimate.error);
            // The stamps are whole nanoseconds.
            let off = (estimate.offset - node.ahead(now)).abs();
            good += u32::from(off <= estimate.error + 2.0);
        }
        (f64::from(good) / f64::from(seconds), widest)
    }

    #[test]
    fn a_clock_that_is_hours_off_and_drifts_is_known_within_its_own_bar() {
        for hours in [-3.0, -1.0, 0.0, 0.5, 3.0] {
            for drift in [-50e-6, 0.0, 50e-6] {
                // A local network, a way that is ten times as long one way, and a bad one.
                for (there, back) in [
                    ((50e3, 100e3), (50e3, 100e3)),
                    ((10e3, 50e3), (2e6, 20e6)),
                    ((30e6, 40e6), (5e6, 10e6)),
                ] {
                    let node = Simulated {
                        ahead: hours * 3600.0 * SECOND,
                        drift,
                        random: StdRng::seed_from_u64(7),
                        there,
                        back,
                    };
                    let (good, widest) = within(node, 600);
                    assert!(good >= 0.95, "{hours} h, {drift}: {good}");
                    let shortest = (there.1 + back.1) / 2.0;
                    let bound = shortest + (there.0 + back.0) * 2.0 + 2.0 * EVERY * MOST_DRIFT;
                    assert!(widest <= bound, "{hours} h, {drift}: {widest} > {bound}");
                }
            }
        }
    }

    fn exchange(sent: f64, ahead: f64, way: f64) -> Exchange {
        let received = sent + way + ahead;
        let nanos = |secs: f64| (secs * SECOND) as i64;
        Exchange {
            sent: nanos(sent),
            received: nanos(received),
            replied: nanos(received),
            returned: nanos(sent + 2.0 * way),
        }
    }

    #[test]
    fn a_step_is_told_with_its_size_and_the_clock_stands_there_at_once() {
        let mut clock = NodeClock::default();
        for second in 0..4 {
            assert_eq!(clock.add(exchange(f64::from(second), 100.0, 0.001)), None);
        }
        let step = clock.add(exchange(4.0, 40.0, 0.001)).unwrap();
        assert!((step.by + 60.0 * SECOND).abs() < 1e6, "{step:?}");
        assert_eq!(step.since, (3.002 * SECOND) as i64);
        let now = clock.estimate((4.002 * SECOND) as i64).unwrap();
        assert!((now.offset - 40.0 * SECOND).abs() <= now.error, "{now:?}");
        assert_eq!(clock.exchanges(), 1);
    }

    #[test]
    fn a_slow_exchange_is_no_step_and_takes_nothing_from_a_quick_one() {
        let mut clock = NodeClock::default();
        clock.add(exchange(0.0, -7.0, 0.0001));
        assert_eq!(clock.add(exchange(1.0, -7.0, 2.0)), None);
        let estimate = clock.estimate(5_000_000_000).unwrap();
        assert!(estimate.error < 1e6, "{estimate:?}");
    }

    #[test]
    fn impossible_stamps_are_left_out_and_without_any_nothing_is_known() {
        let mut clock = NodeClock::default();
        assert_eq!(clock.estimate(0), None);
        // It answered before it was asked, or took longer to answer than the whole exchange.
        clock.add(Exchange { sent: 10, received: 5, replied: 4, returned: 20 });
        clock.add(Exchange { sent: 10, received: 0, replied: 50, returned: 20 });
        clock.add(Exchange { sent: 10, received: 0, replied: 0, returned: 5 });
        let extreme =
            Exchange { sent: i64::MIN, received: i64::MAX, replied: i64::MAX, returned: 0 };
        clock.add(extreme);
        assert!(clock.exchanges() <= 1);
    }

    #[test]
    fn old_exchanges_are_forgotten() {
        let mut clock = NodeClock::default();
        for second in 0..500 {
            clock.add(exchange(f64::from(second), 1.0, 0.001));
        }
        assert!((60..=62).contains(&clock.exchanges()), "{}", clock.exchanges());
    }
}
