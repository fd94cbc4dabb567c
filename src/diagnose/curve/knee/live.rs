//! The sign that a live run stops its rise at. Cheap, and from one stage; a false one is cleared
//! when the stages of the refinement at the same load do not show it.

use crate::diagnose::curve::stages;
use crate::diagnose::terms::invalid::Invalid;
use crate::diagnose::terms::model::KneeKind;
use crate::recording::PlanSummary;
use crate::timeline::Timeline;

use super::signs::{self, Base, CurvePoint};

/// Share of the offered load below which goodput shows a bend, if the queue grows too.
const FOLLOWS: f64 = 0.9;
/// Multiple of the unloaded median response time that shows a bend, if the queue grows too.
const TOOK_OFF: f64 = 3.0;
/// Error ratio that shows a bend.
const FAILS: f64 = 0.05;
/// Multiple of the error ratio at low load that shows one.
const FAILS_MORE: f64 = 3.0;
/// How much below the load of a sign a stage may lie to clear it.
const SAME_LOAD: f64 = 0.98;

/// What the stages held so far say, for a run that decides where to go next.
#[derive(Clone, Debug, PartialEq)]
pub enum LiveSign {
    /// No stage shows a bend, or a later stage at the same load cleared the one that did.
    None,
    /// The curve seems to bend.
    Sign {
        /// By which sign.
        kind: KneeKind,
        /// Lowest offered load with the sign, in requests per second.
        at_rate: f64,
        /// Highest offered load below it without any; 0 where there is none.
        last_good_rate: f64,
    },
    /// The generator does not keep its schedule.
    GeneratorLimited {
        /// Offered load at which it did not, in requests per second.
        at_rate: f64,
        /// The signs of it.
        why: String,
    },
}

/// Asks, after each stage, whether the curve has shown a sign of bending. The stages may have been
/// held in any order; the current one belongs to them once it is over.
pub fn live(timeline: &Timeline, plan: &PlanSummary) -> LiveSign {
    let summaries = stages::summarize_timeline(timeline, plan);
    let measured = || summaries.iter().filter(|stage| stage.role.is_measured());
    let mut latest = measured().rev();
    // One stage may suffer from a neighbour on the machine; two running are the generator's limit.
    if let (Some(last), Some(before)) = (latest.next(), latest.next())
        && let Some(invalid) = last.invalid.as_ref().filter(|it| it.is_generator())
        && before.invalid.as_ref().is_some_and(Invalid::is_generator)
    {
        return LiveSign::GeneratorLimited { at_rate: last.offered, why: invalid.to_string() };
    }
    judge(&signs::points(&summaries, timeline))
}

/// The lowest sign that no later stage at the same load cleared.
fn judge(held: &[CurvePoint]) -> LiveSign {
    let mut sorted = held.to_vec();
    sorted.sort_by(|a, b| a.offered.total_cmp(&b.offered));
    let base = signs::base(&sorted);
    let cleared = |at: usize| {
        held[at + 1..].iter().any(|later| {
            later.offered >= SAME_LOAD * held[at].offered && sign(later, &base).is_none()
        })
    };
    let bent = (0..held.len())
        .filter(|&at| !cleared(at))
        .filter_map(|at| sign(&held[at], &base).map(|kind| (held[at].offered, kind)))
        .min_by(|a, b| a.0.total_cmp(&b.0));
    let Some((at_rate, kind)) = bent else { return LiveSign::None };
    let last_good_rate = sorted
        .iter()
        .filter(|point| point.offered < at_rate && sign(point, &base).is_none())
        .map(|point| point.offered)
        .fold(0.0, f64::max);
    LiveSign::Sign { kind, at_rate, last_good_rate }
}

/// What one stage shows, given what the system shows at low load.
pub(super) fn sign(point: &CurvePoint, base: &Base) -> Option<KneeKind> {
    if point.error_ratio_low() > FAILS.max(FAILS_MORE * base.errors) {
        Some(KneeKind::Errors)
    } else if point.grows && point.goodput < FOLLOWS * point.offered {
        Some(KneeKind::Throughput)
    } else if point.grows && point.is_slow(base, TOOK_OFF) {
        Some(KneeKind::Latency)
    } else {
        None
    }
}
