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

use super::signs::{Base, CurvePoint, Z};

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

/// The first of `sorted` from which on the tail bends, and how it bends there.
pub fn bend(sorted: &[CurvePoint], base: &Base, timeline: &Timeline) -> Option<(usize, TailBend)> {
    let times: Vec<Histogram> =
        sorted.iter().map(|point| responses(timeline, point.window)).collect();
    let mut below = Histogram::of_many();
    (1..=sorted.len().checked_sub(STAGES)?).find_map(|at| {
        below.merge(&times[at - 1]);
        let usual = below.quantile(TAIL).filter(|_| below.count() >= LEAST)?;
        // What the generator sends late is late by its own doing.
        let slow = |index: usize| SLOW * (usual + sorted[index].lateness_p99);
        let is_bent = |index: usize| {
            let (_, few) = stats::wilson(below.count_above(slow(index)), below.count(), Z);
            let all = times[index].count();
            let (many, _) = stats::wilson(times[index].count_above(slow(index)), all, Z);
            many > SHARE.max(MORE * few)
        };
        let is_calm =
            |index: &usize| sorted[*index].response.is_some_and(|it| it.p50 <= MEDIAN * base.p50);
        let first: Vec<usize> = (at..at + STAGES).collect();
        if !first.iter().all(|index| is_bent(*index) && is_calm(index)) {
            return None;
        }
        let bent = (at..sorted.len()).filter(|index| is_bent(*index)).count();
        (2 * bent > sorted.len() - at).then(|| (at, describe(usual, base, &first, &times, sorted)))
    })
}

/// What the stages `bent` show, against `usual` for the tail at lower loads.
fn describe(
    usual: f64,
    base: &Base,
    bent: &[usize],
    times: &[Histogram],
    sorted: &[CurvePoint],
) -> TailBend {
    let mut all = Histogram::of_many();
    bent.iter().for_each(|index| all.merge(&times[*index]));
    let offered = bent.iter().map(|index| sorted[*index].offered).fold(0.0, f64::max);
    TailBend {
        rate: sorted[bent[0]].offered,
        seen_at: offered,
        quantile: TAIL,
        from: usual,
        to: all.quantile(TAIL).unwrap_or(usual),
        median_from: base.p50,
        median_to: all.quantile(0.5).unwrap_or(base.p50),
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
