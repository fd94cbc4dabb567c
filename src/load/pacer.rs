//! When requests are meant to start. Pure: nanoseconds in, nanoseconds out, no clock.
//!
//! Each intended start is computed from the time when its stage begins, never from the arrival
//! before it, so that errors do not add up. Arrival `i` of a stage is where the integral of its
//! rate reaches `i + 1/2`. At a constant rate arrivals are evenly spaced. On a straight ramp each
//! is the root of a quadratic.
//!
//! Random (Poisson) arrivals are where the integral reaches the sum of `i + 1` exponential draws of
//! mean 1. This is a Poisson process of that rate, constant or not (Çinlar 1975, time rescaling).
//! Each worker draws its own arrivals, because Poisson processes with shares of a rate add up to
//! one with the whole rate.

use std::collections::VecDeque;

use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};

use crate::plan::Arrivals;
use crate::timeline::{Stage, StageRole};

/// No arrival: later than any clock.
pub(super) const NEVER: u64 = u64::MAX;

/// The arrivals of one stage.
#[derive(Clone, Debug)]
struct Pacer {
    begin: u64,
    lines: Vec<Line>,
    /// Arrivals in the whole stage, as a real number.
    arrivals: f64,
    /// Whether all of them are at its beginning.
    is_burst: bool,
}

/// A part of a stage in which the rate is one straight line.
#[derive(Clone, Copy, Debug)]
struct Line {
    /// Seconds from the start of the stage.
    start: f64,
    secs: f64,
    from: f64,
    to: f64,
    /// Arrivals before it, as a real number.
    before: f64,
}

impl Line {
    fn arrivals(&self) -> f64 {
        (self.from + self.to) / 2.0 * self.secs
    }

    /// Seconds from the start of the line until `count` arrivals: the root of
    /// `from t + (to - from) / (2 secs) t^2 = count`, in the form that stays exact for a slope
    /// near zero.
    fn secs_until(&self, count: f64) -> f64 {
        let slope = (self.to - self.from) / self.secs;
        let root = (self.from * self.from + 2.0 * slope * count).max(0.0).sqrt();
        2.0 * count / (self.from + root)
    }
}

impl Pacer {
    fn new(stage: &Stage, max_rate: f64) -> Self {
        let is_burst = stage.role == StageRole::Probe;
        // A burst is cut to what one second may have.
        let (most, max_rate) = match is_burst {
            true => (max_rate, f64::INFINITY),
            false => (f64::INFINITY, max_rate),
        };
        let secs = stage.window.secs();
        let (from, to) = (tame(stage.rate_from), tame(stage.rate_to));
        let mut lines = Vec::new();
        let mut add = |start: f64, end: f64, from: f64, to: f64| {
            if end > start && from + to > 0.0 {
                let before = lines.last().map_or(0.0, |line: &Line| line.before + line.arrivals());
                lines.push(Line { start, secs: end - start, from, to, before });
            }
        };
        if (from > max_rate) == (to > max_rate) {
            add(0.0, secs, from.min(max_rate), to.min(max_rate));
        } else {
            let crossing = secs * (max_rate - from) / (to - from);
            add(0.0, crossing, from.min(max_rate), max_rate);
            add(crossing, secs, max_rate, to.min(max_rate));
        }
        let arrivals = lines.last().map_or(0.0, |line| line.before + line.arrivals());
        let arrivals = arrivals.min(most);
        Self { begin: stage.window.begin.nanos(), lines, arrivals, is_burst }
    }

    /// The clock time, in nanoseconds, at which the integral of the rate reaches `count`.
    fn intended(&self, count: f64) -> u64 {
        if count >= self.arrivals {
            return NEVER;
        }
        if self.is_burst {
            return self.begin;
        }
        let line = match self.lines.as_slice() {
            [line] => line,
            lines => &lines[lines.partition_point(|line| line.before <= count).saturating_sub(1)],
        };
        let secs = line.start + line.secs_until(count - line.before);
        self.begin.saturating_add((secs * 1e9).round() as u64)
    }

    fn peak_rate(&self) -> f64 {
        self.lines.iter().map(|line| line.from.max(line.to)).fold(0.0, f64::max)
    }
}

/// Makes a rate safe to compute with.
fn tame(rate: f64) -> f64 {
    if rate.is_finite() { rate.max(0.0) } else { 0.0 }
}

/// The arrivals of every stage that one worker serves: each `of`-th, so that all workers together
/// follow the exact schedule.
#[derive(Debug)]
pub(super) struct Schedule {
    worker: u64,
    of: u64,
    /// Draws the distances between random arrivals. `None` if arrivals are even.
    random: Option<SmallRng>,
    max_rate: f64,
    /// No arrival is earlier.
    from: u64,
    stages: VecDeque<Turn>,
    next: u64,
}

/// One stage, and the position of a worker in it.
#[derive(Debug)]
struct Turn {
    pacer: Pacer,
    /// Arrivals of the whole stage up to and including the next one of this worker, on the scale of
    /// the integral.
    count: f64,
    /// When a later stage takes over.
    until: u64,
}

impl Schedule {
    /// The share of worker `worker` out of `of`. `max_rate` caps the rate of all workers together.
    pub(super) fn new(worker: usize, of: usize, max_rate: f64) -> Self {
        let stages = VecDeque::new();
        let (worker, of) = (worker as u64, of.max(1) as u64);
        Self { worker, of, random: None, max_rate, from: 0, stages, next: NEVER }
    }

    /// Leaves out what another made before `from`.
    pub(super) fn after(mut self, from: u64) -> Self {
        self.from = from;
        self
    }

    /// Uses these arrivals instead of even ones. Every draw follows from `seed`.
    pub(super) fn with_arrivals(mut self, arrivals: Arrivals, seed: u64) -> Self {
        // Not the seed of the requests' draws: what is requested must not depend on when.
        let own = seed.wrapping_add(self.worker).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        self.random = match arrivals {
            Arrivals::Even => None,
            Arrivals::Poisson => Some(SmallRng::seed_from_u64(own)),
        };
        self
    }

    /// The distance from one arrival of this worker to its next, on the scale of the integral.
    fn distance(&mut self) -> f64 {
        let of = self.of as f64;
        match &mut self.random {
            None => of,
            // 1 - u is above 0, so its logarithm is finite.
            Some(random) => of * -(1.0 - random.random::<f64>()).ln(),
        }
    }

    /// Adds a stage. It takes over from earlier ones at its start.
    pub(super) fn push(&mut self, stage: &Stage) {
        let begin = stage.window.begin.nanos();
        self.stages.retain(|turn| turn.pacer.begin < begin);
        for turn in &mut self.stages {
            turn.until = turn.until.min(begin);
        }
        let pacer = Pacer::new(stage, self.max_rate);
        let first = match self.random {
            None => self.worker as f64 + 0.5,
            Some(_) => self.distance(),
        };
        let mut turn = Turn { pacer, count: first, until: NEVER };
        while turn.pacer.intended(turn.count) < self.from {
            turn.count += self.distance();
        }
        self.stages.push_back(turn);
        self.settle();
    }

    /// Drops every arrival that is still to come.
    pub(super) fn clear(&mut self) {
        self.stages.clear();
        self.next = NEVER;
    }

    /// The next intended start, or [`NEVER`].
    pub(super) fn next(&self) -> u64 {
        self.next
    }

    /// The intended start after the next one. [`NEVER`] also if it is not drawn yet or belongs to a
    /// later stage.
    pub(super) fn after_next(&self) -> u64 {
        match (self.stages.front(), &self.random) {
            (Some(turn), None) => {
                let intended = turn.pacer.intended(turn.count + self.of as f64);
                if intended < turn.until { intended } else { NEVER }
            }
            _ => NEVER,
        }
    }

    /// Moves on to the arrival after the next one.
    pub(super) fn advance(&mut self) {
        let distance = self.distance();
        if let Some(turn) = self.stages.front_mut() {
            turn.count += distance;
        }
        self.settle();
    }

    /// Highest rate of the current stage, as the share of this worker.
    pub(super) fn rate(&self) -> f64 {
        self.stages.front().map_or(0.0, |turn| turn.pacer.peak_rate()) / self.of as f64
    }

    fn settle(&mut self) {
        self.next = NEVER;
        while let Some(turn) = self.stages.front() {
            let intended = turn.pacer.intended(turn.count);
            if intended < turn.until {
                self.next = intended;
                break;
            }
            self.stages.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;
    use crate::timeline::{Moment, Window};

    fn stage(begin: f64, secs: f64, from: f64, to: f64) -> Stage {
        let begin = Moment::from_secs_f64(begin);
        let window = Window::new(begin, begin + Duration::from_secs_f64(secs));
        Stage { rate_from: from, ..Stage::constant(StageRole::Ramp, window, to) }
    }

    fn starts(schedule: &mut Schedule) -> Vec<u64> {
        let mut starts = Vec::new();
        while schedule.next() != NEVER {
            starts.push(schedule.next());
            let foreseen = schedule.after_next();
            schedule.advance();
            // If not foreseen, the arrival is in a later stage or was not drawn.
            assert!(foreseen == NEVER || foreseen == schedule.next(), "{foreseen}");
        }
        starts
    }

    fn alone(stages: &[Stage], max_rate: f64) -> Vec<u64> {
        let mut schedule = Schedule::new(0, 1, max_rate);
        for stage in stages {
            schedule.push(stage);
        }
        starts(&mut schedule)
    }

    #[test]
    fn arrivals_stand_where_the_integral_of_the_rate_says() {
        const S: u64 = 1_000_000_000;
        let cap = 1e6;
        let cases: &[(&str, Stage, f64, &[u64])] = &[
            ("even", stage(0.0, 1.0, 4.0, 4.0), cap, &[S / 8, 3 * S / 8, 5 * S / 8, 7 * S / 8]),
            ("from its begin", stage(10.0, 1.0, 1.0, 1.0), cap, &[10 * S + S / 2]),
            // t^2 = i + 1/2
            (
                "up from zero",
                stage(0.0, 2.0, 0.0, 4.0),
                cap,
                &[707_106_781, 1_224_744_871, 1_581_138_830, 1_870_828_693],
            ),
            // The same, mirrored in time.
            (
                "down to zero",
                stage(0.0, 2.0, 4.0, 0.0),
                cap,
                &[129_171_307, 418_861_170, 775_255_129, 1_292_893_219],
            ),
            ("capped", stage(0.0, 1.0, 100.0, 100.0), 2.0, &[S / 4, 3 * S / 4]),
            // 0 to 4 within 2 s, cut at 2: one arrival until 1 s, then two in the second after it.
            (
                "cut by the cap",
                stage(0.0, 2.0, 0.0, 4.0),
                2.0,
                &[707_106_781, S + S / 4, S + 3 * S / 4],
            ),
            ("silence", stage(0.0, 9.0, 0.0, 0.0), cap, &[]),
            ("no time", stage(0.0, 0.0, 5.0, 5.0), cap, &[]),
            ("nonsense", stage(0.0, 9.0, f64::NAN, -3.0), cap, &[]),
            (
                "a burst",
                Stage { role: StageRole::Probe, ..stage(3.0, 2.0, 1.5, 1.5) },
                cap,
                &[3 * S, 3 * S, 3 * S],
            ),
            ("half an arrival", stage(0.0, 1.0, 0.5, 0.5), cap, &[]),
        ];
        for (name, stage, cap, expected) in cases {
            let got = alone(std::slice::from_ref(stage), *cap);
            assert_eq!(got.len(), expected.len(), "{name}: {got:?}");
            for (got, expected) in got.iter().zip(*expected) {
                assert!(got.abs_diff(*expected) <= 1, "{name}: {got} instead of {expected}");
            }
        }
    }

    #[test]
    fn a_day_at_a_high_rate_does_not_drift() {
        let pacer = Pacer::new(&stage(0.0, 86_400.0, 30_000.0, 30_000.0), 1e6);
        let total = 86_400.0 * 30_000.0;
        assert_eq!(pacer.intended(total), NEVER);
        let last = pacer.intended(total - 0.5);
        let exact = (86_400.0 - 0.5 / 30_000.0) * 1e9;
        assert!((last as f64 - exact).abs() < 100.0, "{last} instead of {exact}");
    }

    #[test]
    fn arrivals_at_random_are_a_poisson_process_of_the_same_rate() {
        let workers = 3;
        let together = |seed: u64| {
            let mut all: Vec<u64> = (0..workers)
                .flat_map(|worker| {
                    let mut schedule =
                        Schedule::new(worker, workers, 1e6).with_arrivals(Arrivals::Poisson, seed);
                    schedule.push(&stage(0.0, 100.0, 0.0, 200.0));
                    starts(&mut schedule)
                })
                .collect();
            all.sort_unstable();
            all
        };
        let all = together(7);
        // 10,000 on average, with a standard deviation of 100.
        assert!(all.len().abs_diff(10_000) < 500, "{}", all.len());
        // Half of them come before the integral reaches half.
        let half = 100.0 / 2f64.sqrt() * 1e9;
        let early = all.iter().filter(|start| (**start as f64) < half).count();
        assert!(early.abs_diff(all.len() / 2) < 400, "{early}");
        // On the scale of the integral the distances are exponential: their spread equals their
        // mean.
        let scale = |start: u64| (start as f64 / 1e9).powi(2);
        let gaps: Vec<f64> = all.windows(2).map(|pair| scale(pair[1]) - scale(pair[0])).collect();
        let mean = gaps.iter().sum::<f64>() / gaps.len() as f64;
        let variance = gaps.iter().map(|gap| (gap - mean).powi(2)).sum::<f64>() / gaps.len() as f64;
        let spread = variance.sqrt() / mean;
        assert!((spread - 1.0).abs() < 0.1, "{spread}");
        assert_eq!(all, together(7));
        assert_ne!(all, together(8));
    }

    #[test]
    fn a_later_stage_takes_over() {
        let slow = stage(0.0, 10.0, 1.0, 1.0);
        let fast = stage(2.0, 1.0, 2.0, 2.0);
        let got = alone(&[slow, fast], 1e6);
        assert_eq!(got, [500_000_000, 1_500_000_000, 2_250_000_000, 2_750_000_000]);
        assert_eq!(alone(&[slow, stage(0.0, 1.0, 0.0, 0.0)], 1e6), [0; 0]);
    }

    proptest! {
        #[test]
        fn whoever_takes_over_makes_the_rest_of_the_schedule(
            pieces in 1usize..5,
            from in 0.0f64..4.0,
            rates in (0.0f64..400.0, 0.0f64..400.0),
        ) {
            let (lost, workers) = (1, 3);
            let stage = stage(0.0, 3.0, rates.0, rates.1);
            let from = Moment::from_secs_f64(from).nanos();
            let all = |mut schedule: Schedule| {
                schedule.push(&stage);
                starts(&mut schedule)
            };
            let mut rest: Vec<u64> = all(Schedule::new(lost, workers, 1e6));
            rest.retain(|at| *at >= from);
            let mut made: Vec<u64> = (0..pieces)
                .flat_map(|piece| {
                    let (worker, of) = (lost + workers * piece, workers * pieces);
                    all(Schedule::new(worker, of, 1e6).after(from))
                })
                .collect();
            made.sort_unstable();
            prop_assert_eq!(&made, &rest);
        }

        #[test]
        fn workers_share_the_exact_schedule(
            from in 0.0..300.0f64, to in 0.0..300.0f64, secs in 0.1..5.0f64,
            workers in 1usize..6, cap in 1.0..400.0f64,
        ) {
            let stages = [stage(0.0, secs, from, to), stage(secs, 1.0, to, from)];
            let whole = alone(&stages, cap);
            let mut shared: Vec<u64> = (0..workers)
                .flat_map(|worker| {
                    let mut schedule = Schedule::new(worker, workers, cap);
                    stages.iter().for_each(|stage| schedule.push(stage));
                    starts(&mut schedule)
                })
                .collect();
            shared.sort_unstable();
            prop_assert_eq!(&whole, &shared);
            prop_assert!(whole.is_sorted());
            let expected: f64 =
                stages.iter().map(|stage| integral(stage, cap)).sum();
            prop_assert!((whole.len() as f64 - expected).abs() <= 1.01);
        }
    }

    /// The number of arrivals, summed up in small steps.
    fn integral(stage: &Stage, cap: f64) -> f64 {
        let steps = 20_000;
        let step = stage.window.secs() / f64::from(steps);
        (0..steps)
            .map(|i| {
                let share = (f64::from(i) + 0.5) / f64::from(steps);
                let rate = stage.rate_from + (stage.rate_to - stage.rate_from) * share;
                rate.min(cap) * step
            })
            .sum()
    }
}
