//! The tail of the response time: a bend that throughput and the median do not show.
//!
//! A few requests in a hundred wait much longer from some load on: their connections are dropped and
//! tried again, they stand behind a lock, or a pause hits more of them. A quantile of few requests
//! scatters widely, so what is judged is the share of the responses that take much longer than 99 %
//! of those at lower loads did, by Wilson's interval: that is the interval of the order statistics
//! (David & Nagaraja 2003, section 7.1) read from the other axis. A pause that comes at low load as
//! well has its share there too.

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
/// In so many stages in a row.
const STAGES: usize = 3;
/// Requests at lower loads: of fewer, none need be slow by chance although one in a hundred is
/// (rule of three: Hanley & Lippman-Hand 1983).
const LEAST: u64 = 300;
/// The median does not bend where it stays below this multiple of the unloaded one.
const MEDIAN: f64 = 2.0;

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
        self.from(|at, bent| {
            let rest = self.sorted.len() - at;
            let first = rest >= STAGES && (at..at + STAGES).all(|it| bent(it) && self.is_calm(it));
            first && 2 * (at..self.sorted.len()).filter(|it| bent(*it)).count() > rest
        })
    }

    /// The same where only the highest stages show it, too few to be sure.
    pub fn begins(&self) -> Option<(usize, TailBend)> {
        self.from(|at, bent| (at..self.sorted.len()).all(|it| bent(it) && self.is_calm(it)))
    }

    /// The first stage at which it `holds`, asked with whether a stage is bent against those below.
    fn from(
        &self,
        holds: impl Fn(usize, &dyn Fn(usize) -> bool) -> bool,
    ) -> Option<(usize, TailBend)> {
        let mut below = Histogram::of_many();
        (1..self.sorted.len()).find_map(|at| {
            below.merge(&self.times[at - 1]);
            let usual = below.quantile(TAIL).filter(|_| below.count() >= LEAST)?;
            let bent = |index: usize| self.is_bent(index, &below, usual);
            holds(at, &bent).then(|| (at, self.describe(at, usual)))
        })
    }

    /// Whether certainly more responses are slow than `below`, where 99 % take at most `usual`.
    fn is_bent(&self, index: usize, below: &Histogram, usual: f64) -> bool {
        // What the generator sends late is late by its own doing.
        let slow = SLOW * (usual + self.sorted[index].lateness_p99);
        let (_, few) = stats::wilson(below.count_above(slow), below.count(), Z);
        let times = &self.times[index];
        let (many, _) = stats::wilson(times.count_above(slow), times.count(), Z);
        many > SHARE.max(MORE * few)
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
