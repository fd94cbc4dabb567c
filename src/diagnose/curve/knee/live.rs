//! The sign that a live run stops its rise at. Cheap, and from one stage; a false one is cleared
//! when the stages of the refinement at the same load do not show it.

use crate::diagnose::curve::stages;
use crate::diagnose::terms::invalid::Invalid;
use crate::diagnose::terms::model::{KneeKind, StageSummary};
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
/// How often a load must be carried again, each time that it is held, for what a stage showed to be
/// over. Once may be chance as the sign itself may be.
const AGAIN: usize = 2;
/// A stage falls behind where its goodput lacks more than this share of the offered load, and more
/// than this many of its standard errors.
const LACKS: f64 = 0.03;
const LACKS_ERRORS: f64 = 2.5;
/// Multiple of the unloaded median response time from which on a stage whose queue grows is slow.
const SLOW: f64 = 2.0;

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

/// Two neighbouring loads that enclose the knee.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bracket {
    /// Highest offered load below `bad` that was carried; 0 where there is none.
    pub good: f64,
    /// Lowest offered load that was not.
    pub bad: f64,
}

/// Encloses the knee by what each stage carried. This is stricter than the sign that ends a rise:
/// that one may come a stage late. `None` where every load was carried.
pub fn bracket(timeline: &Timeline, plan: &PlanSummary) -> Option<Bracket> {
    let summaries = stages::summarize_timeline(timeline, plan);
    enclose(&signs::points(&summaries, timeline))
}

/// Whether a load was not carried although one as high had been before: either that was chance, or
/// the system has not recovered from what came between.
pub fn is_tired(timeline: &Timeline, plan: &PlanSummary) -> bool {
    let held = signs::points(&stages::summarize_timeline(timeline, plan), timeline);
    let base = base_of(&held);
    (0..held.len())
        .any(|at| falls_behind(&held[at], &base) && carried(&held[..at], &held[at], &base))
}

/// Leaves out stages that were not carried although a load as high was, before and after, or each time
/// that it was held afterwards: what kept them from it has passed, be it a neighbour on the machine, a
/// cold start or an overload that was not over yet. `held` is in order of time.
pub(super) fn without_outvoted(held: Vec<CurvePoint>) -> Vec<CurvePoint> {
    let base = base_of(&held);
    let stands = |at: usize| {
        let is_between =
            carried(&held[..at], &held[at], &base) && carried(&held[at + 1..], &held[at], &base);
        !falls_behind(&held[at], &base) || !is_between && !has_passed(&held, at, &base)
    };
    let stands: Vec<bool> = (0..held.len()).map(stands).collect();
    held.into_iter().zip(stands).filter(|(_, stands)| *stands).map(|(point, _)| point).collect()
}

/// Whether the load of a stage that was not carried was carried each time that it was held afterwards.
fn has_passed(held: &[CurvePoint], at: usize, base: &Base) -> bool {
    let mut as_high = held[at + 1..].iter().filter(|other| is_as_high(other, &held[at]));
    as_high.clone().count() >= AGAIN && as_high.all(|other| !falls_behind(other, base))
}

/// Marks the stages that were not carried, and whose load was each time that it was held afterwards.
pub fn leave_out_passed(stages: &mut [StageSummary], timeline: &Timeline) {
    let held = signs::points(stages, timeline);
    let base = base_of(&held);
    for at in 0..held.len() {
        if falls_behind(&held[at], &base)
            && has_passed(&held, at, &base)
            && let Some(stage) = stages.iter_mut().find(|stage| stage.window == held[at].window)
        {
            stage.invalid = Some(Invalid::Passed { load: stage.offered });
        }
    }
}

/// Whether one of `others` carried a load as high as that of `point`.
fn carried(others: &[CurvePoint], point: &CurvePoint, base: &Base) -> bool {
    others.iter().any(|other| is_as_high(other, point) && !falls_behind(other, base))
}

fn is_as_high(other: &CurvePoint, point: &CurvePoint) -> bool {
    other.offered >= SAME_LOAD * point.offered
}

/// The lowest load that was not carried, unless a later stage at the same load was, and the highest
/// below it that was. `held` is in order of time.
fn enclose(held: &[CurvePoint]) -> Option<Bracket> {
    let base = base_of(held);
    let bad = lowest(held, &|point| falls_behind(point, &base))?.offered;
    let good = held.iter().filter(|point| point.offered < bad && !falls_behind(point, &base));
    Some(Bracket { good: good.map(|point| point.offered).fold(0.0, f64::max), bad })
}

/// Whether a stage was not carried: it shows a sign, its queue grows and it is slow, or it lags.
pub(super) fn falls_behind(point: &CurvePoint, base: &Base) -> bool {
    sign(point, base).is_some() || lags(point, base) || (point.grows && point.is_slow(base, SLOW))
}

/// Whether a stage answers less than it was asked for, by more than chance and by more than what was
/// still in flight at its end.
pub(super) fn lags(point: &CurvePoint, base: &Base) -> bool {
    let in_flight = point.offered * (base.p50 / point.seconds).min(1.0);
    let margin = (LACKS * point.offered).max(LACKS_ERRORS * point.error) + in_flight;
    point.goodput + margin < (1.0 - base.errors) * point.offered
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
    let base = base_of(held);
    let Some(bent) = lowest(held, &|point| sign(point, &base).is_some()) else {
        return LiveSign::None;
    };
    let Some(kind) = sign(bent, &base) else { return LiveSign::None };
    let last_good_rate = held
        .iter()
        .filter(|point| point.offered < bent.offered && sign(point, &base).is_none())
        .map(|point| point.offered)
        .fold(0.0, f64::max);
    LiveSign::Sign { kind, at_rate: bent.offered, last_good_rate }
}

fn base_of(held: &[CurvePoint]) -> Base {
    let mut sorted = held.to_vec();
    sorted.sort_by(|a, b| a.offered.total_cmp(&b.offered));
    signs::base(&sorted)
}

/// The point of the lowest load that is `bad`, without those that a later stage at the same load
/// cleared. `held` is in order of time.
fn lowest<'p>(held: &'p [CurvePoint], bad: &dyn Fn(&CurvePoint) -> bool) -> Option<&'p CurvePoint> {
    let cleared = |at: usize| {
        let is_same = |later: &&CurvePoint| later.offered >= SAME_LOAD * held[at].offered;
        held[at + 1..].iter().filter(is_same).any(|later| !bad(later))
    };
    (0..held.len())
        .filter(|&at| bad(&held[at]) && !cleared(at))
        .map(|at| &held[at])
        .min_by(|a, b| a.offered.total_cmp(&b.offered))
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
