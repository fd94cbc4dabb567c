//! The tail of the response time: a bend that throughput and the median do not show.
//!
//! A few requests in a hundred wait much longer from some load on: their connections are dropped and
//! tried again, they stand behind a lock, or a pause hits more of them. A quantile of few requests
//! scatters widely, so what is judged is the share of the responses that take much longer than 99 %
//! of those at lower loads did, by Wilson's interval: that is the interval of the order statistics
//! (David & Nagaraja 2003, section 7.1) read from the other axis. A pause that comes at low load as
//! well has its share there too.

use std::ops::Range;

use crate::diagnose::terms::model::TailBend;
use crate::diagnose::terms::stats;
use crate::timeline::{Histogram, Timeline, Window};

use super::signs::{self, Base, CurvePoint, Z};

/// The quantile that is the tail.
const TAIL: f64 = 0.99;
/// A response is slow where it takes this many times as long as 99 % of those at lower loads. At
/// 90 % of its capacity the queue of an M/M/1 station multiplies every quantile by ten (Kleinrock
/// 1975, section 5.6), the median too.
const SLOW: f64 = 10.0;
/// The tail bends where the share of the slow ones is certainly above that of the tail,
const SHARE: f64 = 1.0 - TAIL;
/// and certainly this many times what it can be at lower loads.
const MORE: f64 = 3.0;
/// In so many stages in a row, taken together.
const STAGES: usize = 3;
/// Requests at lower loads: of fewer, none need be slow by chance although one in a hundred is
/// (rule of three: Hanley & Lippman-Hand 1983).
const LEAST: u64 = 300;
/// The median does not bend where it stays below this multiple of the unloaded one.
const MEDIAN: f64 = 2.0;

/// The response times at all loads below a stage.
struct Below<'t> {
    times: &'t Histogram,
    /// What 99 % of them take at most, in seconds.
    usual: f64,
}

/// The stages in order of load, with the response times of each.
pub struct Tails<'p> {
    sorted: &'p [CurvePoint],
    base: Base,
    times: Vec<Histogram>,
}

impl<'p> Tails<'p> {
    pub fn new(sorted: &'p [CurvePoint], timeline: &Timeline) -> Self {
        let times = sorted.iter().map(|point| responses(timeline, point.window)).collect();
        Self { sorted, base: signs::base(sorted), times }
    }

    /// The first stage from which on the tail bends, and how it bends there.
    pub fn bend(&self) -> Option<(usize, TailBend)> {
        self.from(|at, below| {
            let rest = at..self.sorted.len();
            let first = at..at + STAGES;
            first.end <= rest.end
                && first.clone().all(|it| self.is_calm(it) && self.shows(it, below))
                && self.is_certain(first, below)
                && 2 * rest.clone().filter(|it| self.shows(*it, below)).count() > rest.len()
        })
    }

    /// The same where only the highest stages show it, too few to be sure.
    pub fn begins(&self) -> Option<(usize, TailBend)> {
        self.from(|at, below| {
            (at..self.sorted.len()).all(|it| self.is_calm(it) && self.is_certain(it..it + 1, below))
        })
    }

    /// Whether half of the responses stay as quick as ever in all stages from `at` on.
    pub fn is_calm_from(&self, at: usize) -> bool {
        (at..self.sorted.len()).all(|it| self.is_calm(it))
    }

    /// The first stage at which it `holds`, asked with what the stages below are like.
    fn from(&self, holds: impl Fn(usize, &Below<'_>) -> bool) -> Option<(usize, TailBend)> {
        let mut times = Histogram::of_many();
        (1..self.sorted.len()).find_map(|at| {
            times.merge(&self.times[at - 1]);
            let usual = times.quantile(TAIL).filter(|_| times.count() >= LEAST)?;
            let below = Below { times: &times, usual };
            holds(at, &below).then(|| (at, self.describe(at, usual)))
        })
    }

    /// Whether a larger share of a stage's responses is slow than can be `below`. One stage has too
    /// few requests to be sure where the share only rises slowly from stage to stage.
    fn shows(&self, index: usize, below: &Below<'_>) -> bool {
        let (slow, all, bound) = self.slow_ones(index, below);
        slow as f64 > bound * all as f64
    }

    /// Whether that is certain of these stages together.
    fn is_certain(&self, stages: Range<usize>, below: &Below<'_>) -> bool {
        let counts: Vec<_> = stages.map(|index| self.slow_ones(index, below)).collect();
        let slow = counts.iter().map(|count| count.0).sum();
        let all = counts.iter().map(|count| count.1).sum();
        let bound = counts.iter().map(|count| count.2).fold(SHARE, f64::max);
        stats::wilson(slow, all, Z).0 > bound
    }

    /// How many responses of a stage are slow against those `below`, of how many, and the share
    /// above which that is a bend.
    fn slow_ones(&self, index: usize, below: &Below<'_>) -> (u64, u64, f64) {
        // What the generator sends late is late by its own doing.
        let slow = SLOW * (below.usual + self.sorted[index].lateness_p99);
        let (_, few) = stats::wilson(below.times.count_above(slow), below.times.count(), Z);
        let times = &self.times[index];
        (times.count_above(slow), times.count(), SHARE.max(MORE * few))
    }

    fn is_calm(&self, index: usize) -> bool {
        self.sorted[index].response.is_some_and(|it| it.p50 <= MEDIAN * self.base.p50)
    }

    /// What up to three stages from `at` on show, against `usual` for the tail at lower loads.
    fn describe(&self, at: usize, usual: f64) -> TailBend {
        let last = (at + STAGES).min(self.sorted.len());
        let mut all = Histogram::of_many();
        self.times[at..last].iter().for_each(|times| all.merge(times));
        let offered = self.sorted[at..last].iter().map(|point| point.offered);
        TailBend {
            rate: self.sorted[at].offered,
            seen_at: offered.fold(0.0, f64::max),
            quantile: TAIL,
            from: usual,
            to: all.quantile(TAIL).unwrap_or(usual),
            median_from: self.base.p50,
            median_to: all.quantile(0.5).unwrap_or(self.base.p50),
        }
    }
}

/// Response times of what succeeded in `window`.
fn responses(timeline: &Timeline, window: Window) -> Histogram {
    let mut all = Histogram::of_many();
    for tick in timeline.ticks_within(window) {
        tick.successes().for_each(|times| all.merge(times));
    }
    all
}
