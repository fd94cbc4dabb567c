//! Where the curve bends: the offered load from which on throughput stops following it, response
//! time takes off, or errors set in. One function serves the live stop and the diagnosis.

mod accept_queue;
mod closed;
mod fit;
mod live;
mod place;
mod signs;
mod tail;

use crate::diagnose::terms::model::{Knee, KneeKind, StageSummary, TailBend};
use crate::diagnose::terms::wording;
use crate::timeline::{LoadTick, Timeline};

use self::fit::Broken;
use self::place::Placed;
use self::signs::{Base, CurvePoint};
use self::tail::Tails;

pub use live::{Bracket, LiveSign, bracket, is_tired, leave_out_passed, live};

/// Fewest requests in a stage that says what load is fine.
const REQUESTS: u64 = 30;
/// Share of requests that fail from which on no load is proven good, whatever the lowest ones show.
const FAILING: f64 = 0.1;
/// Goodput below this share of what a lower load had is that of a collapse.
const COLLAPSE: f64 = 0.7;
/// Share of the peak that goodput must lose for the curve to count as retrograde.
const RETROGRADE: f64 = 0.05;
/// Standard errors by which the peak may exceed the others by chance: it is the best of many.
const BEST_OF_MANY: f64 = 3.0;
/// Share of the missing goodput that quick failures must make up for them to be what limits it.
const EXPLAINED_BY_ERRORS: f64 = 0.7;

/// What can be said of the knee.
#[derive(Clone, Debug, PartialEq)]
pub enum KneeVerdict {
    /// The curve bent.
    Found(Knee),
    /// It did not, up to the highest load that was held.
    NotReached {
        /// That load, in requests per second.
        proven_rate: f64,
    },
    /// That cannot be told.
    Inconclusive {
        /// What is missing, each with what to do about it.
        missing: Vec<String>,
    },
}

/// One sign that was established, with the bracket it lies in.
#[derive(Clone, Copy, Debug)]
struct Established {
    kind: KneeKind,
    rate: f64,
    low: f64,
    high: f64,
}

/// Finds the knee: the lowest of throughput knee, latency take-off and error knee, as far as each
/// is established. `timeline` is the one that `stages` were made from; the stages may have been
/// held in any order.
pub fn find(stages: &[StageSummary], timeline: &Timeline) -> KneeVerdict {
    let mut points = live::without_outvoted(signs::points(stages, timeline));
    points.sort_by(|a, b| a.offered.total_cmp(&b.offered));
    let Some(lowest) = points.first() else {
        return KneeVerdict::Inconclusive { missing: vec![no_stage(stages)] };
    };
    if points.iter().all(|point| point.goodput == 0.0) {
        return KneeVerdict::Inconclusive { missing: vec![no_success(&points, timeline)] };
    }
    if lowest.grows && lowest.shortfall() > 0.1 * lowest.offered {
        let missing = format!(
            "stages below the knee: the target could not keep up with the lowest one, \
             {}; start lower",
            wording::short_rate(lowest.offered)
        );
        return KneeVerdict::Inconclusive { missing: vec![missing] };
    }
    let tails = Tails::new(&points, timeline);
    match (established(&points), tails.bend()) {
        // What a longer tail alone shows of a knee begins where the tail bends.
        (Some(knee), Some((at, bend)))
            if knee.kind == KneeKind::Latency && bend.rate < knee.low && tails.is_calm_from(at) =>
        {
            KneeVerdict::Found(of_tail(&points, at, bend))
        }
        (Some(knee), Some((_, bend))) if bend.rate < knee.low => {
            KneeVerdict::Found(Knee { tail: Some(bend), ..knee })
        }
        (Some(knee), _) => KneeVerdict::Found(knee),
        (None, Some((at, bend))) => KneeVerdict::Found(of_tail(&points, at, bend)),
        (None, None) => unbent(&points, &tails),
    }
}

/// What is missing where no stage that counts has a success.
fn no_success(points: &[CurvePoint], timeline: &Timeline) -> String {
    let ended: u64 = points.iter().map(|point| point.completed).sum();
    let succeeded: u64 = timeline.ticks.iter().map(LoadTick::succeeded).sum();
    match succeeded {
        0 => "successful responses: not one request succeeded; check the target's address and the \
              expected status"
            .to_owned(),
        // A file of a few requests, or requests that take longer than a stage.
        _ if ended < REQUESTS => format!(
            "requests per stage: {ended} ended in the stages that count, at least {REQUESTS} are \
             needed in each; hold them longer"
        ),
        _ => format!(
            "successful responses: none of the {ended} requests that ended in the stages that \
             count succeeded, and {succeeded} outside them did; look at the errors first"
        ),
    }
}

/// The knee where only the tail bends, from the stage `at` on.
fn of_tail(points: &[CurvePoint], at: usize, bend: TailBend) -> Knee {
    let (low, high) = (points[at - 1].offered, points[at].offered);
    Knee {
        rate: low.midpoint(high),
        low,
        high,
        kind: KneeKind::Tail,
        throughput: None,
        latency: None,
        errors: None,
        peak_goodput: points.iter().map(|point| point.goodput).fold(0.0, f64::max),
        retrograde: false,
        tail: Some(bend),
        by_curve: None,
    }
}

fn no_stage(stages: &[StageSummary]) -> String {
    let held = stages.iter().filter(|stage| stage.role.is_measured()).count();
    match stages.iter().find_map(|stage| stage.invalid.as_ref()) {
        Some(why) => format!("stages that count: none of the {held} does; of the first one, {why}"),
        None => "stages: none was held; let the run reach its load".into(),
    }
}

/// The loads between which the highest stages begin to show a bend that is not established yet;
/// `None` where they show none.
pub fn begins_to_bend(stages: &[StageSummary], timeline: &Timeline) -> Option<Bracket> {
    let mut points = live::without_outvoted(signs::points(stages, timeline));
    points.sort_by(|a, b| a.offered.total_cmp(&b.offered));
    let base = signs::base(&points);
    let is_fine =
        |point: &CurvePoint| !live::falls_behind(point, &base) && point.strains(&base).is_empty();
    let bent = points.iter().rposition(is_fine).map_or(0, |at| at + 1);
    let tail = Tails::new(&points, timeline).begins().map_or(points.len(), |(at, _)| at);
    let bad = points.get(bent.min(tail))?.offered;
    let good = points.iter().map(|point| point.offered).filter(|offered| *offered < bad);
    Some(Bracket { good: good.fold(0.0, f64::max), bad })
}

/// The verdict where no knee is established.
fn unbent(points: &[CurvePoint], tails: &Tails) -> KneeVerdict {
    let base = signs::base(points);
    let bent = |point: &&CurvePoint| live::sign(point, &base).is_some();
    let top = &points[points.len() - 1];
    let mut missing = Vec::new();
    missing.extend(closed::too_few_levels(points));
    if !bent(&top) && live::lags(top, &base) {
        missing.push(format!(
            "a highest load that is carried: of {} only {} are answered with success; hold two or \
             three longer stages from there on",
            wording::rate(top.offered),
            wording::number(top.goodput)
        ));
    }
    if bent(&top) {
        let below =
            points.iter().rev().find(|point| !bent(point)).map_or(0.0, |point| point.offered);
        missing.push(format!(
            "stages beyond the knee: the curve bends between {} and {}, but only the highest stage \
             shows it; hold two or three more stages from there on",
            wording::short_rate(below),
            wording::short_rate(top.offered)
        ));
    }
    if missing.is_empty() {
        missing.extend(strained(points, &base));
    }
    if let (true, Some((_, tail))) = (missing.is_empty(), tails.begins()) {
        missing.push(format!(
            "stages at which the tail bends: only the highest show it, from {} on: p99 goes from {} \
             to {}; hold two or three more stages from there on",
            wording::short_rate(tail.rate),
            wording::duration(tail.from),
            wording::duration(tail.to)
        ));
    }
    let failed = top.failed as f64 / top.completed.max(1) as f64;
    if missing.is_empty() && failed > FAILING {
        missing.push(format!(
            "successful requests: {} fail at {} ({} at low load); look at the errors first",
            wording::percent(failed),
            wording::short_rate(top.offered),
            wording::percent(base.errors)
        ));
    }
    if top.completed < REQUESTS {
        missing.push(format!(
            "requests per stage: the highest stage had {}, at least {REQUESTS} are needed; hold it \
             longer",
            top.completed
        ));
    }
    if missing.is_empty() {
        KneeVerdict::NotReached { proven_rate: top.offered }
    } else {
        KneeVerdict::Inconclusive { missing }
    }
}

/// What shows at the highest loads that no load is proven good by which it shows.
fn strained(points: &[CurvePoint], base: &Base) -> Option<String> {
    let from =
        points.iter().rposition(|point| point.strains(base).is_empty()).map_or(0, |at| at + 1);
    let (first, top) = (points.get(from)?, points.last()?);
    Some(format!(
        "stages beyond {}, where the curve begins to bend: at {} {}; hold two or three longer \
         stages from there on",
        wording::short_rate(first.offered),
        wording::short_rate(top.offered),
        top.strains(base).join(", and ")
    ))
}

/// The knee by the sign that came first.
fn established(points: &[CurvePoint]) -> Option<Knee> {
    let samples: Vec<_> = points.iter().map(CurvePoint::sample).collect();
    let throughput = fit::first_knee(&samples);
    let base = &signs::base(points);
    let takeoff = signs::takeoff(points, base);
    let errors = signs::errors_from(points, base.errors);
    let bracketed = |kind, at: usize, rate: f64| {
        let low = if at > 0 { points[at - 1].offered } else { 0.0 };
        let high = points[at].offered;
        Established { kind, rate: rate.clamp(low, high), low, high }
    };
    let by_throughput = throughput.map(|broken| Established {
        kind: KneeKind::Throughput,
        rate: broken.knee,
        low: broken.low,
        high: broken.high,
    });
    // Flow balance: what a growing queue does not take in is answered, so the throughput of the
    // first stage beyond is the load at which the queue would not grow.
    let by_latency = takeoff.map(|at| bracketed(KneeKind::Latency, at, points[at].throughput));
    // A limit that rejects what exceeds it lets pass the load at which errors would not set in;
    // where less gets through than was carried below, it collapsed somewhere in between.
    let by_errors = errors.map(|at| signs::onset(points, base.errors, at)).map(|at| {
        let low = if at > 0 { points[at - 1].offered } else { 0.0 };
        let passed = points[at].goodput;
        let rate = if passed < COLLAPSE * low { low.midpoint(points[at].offered) } else { passed };
        bracketed(KneeKind::Errors, at, rate)
    });
    let mut first = earliest(by_throughput, [by_latency, by_errors])?;
    let mut is_fitted = first.kind == KneeKind::Throughput;
    let rejected = throughput.is_some_and(|broken| rejects(points, &broken, errors, base));
    if let (true, Some(broken)) = (rejected, throughput) {
        let (low, high) = (broken.low, broken.high);
        first = Established { kind: KneeKind::Errors, rate: broken.knee, low, high };
        is_fitted = true;
    }
    let placed = Placed { rate: first.rate, low: first.low, high: first.high };
    let placed = match (throughput.filter(|_| is_fitted), by_errors) {
        // Where failures set in with a step, two lines that meet find the end of the step at best,
        // and no line describes a fall from all to little.
        (Some(broken), Some(errors))
            if broken.knee < errors.low && (rejected || collapses(points, &errors)) =>
        {
            let step = Placed { rate: errors.rate, low: errors.low, high: errors.high };
            match Step::of(points, &errors, &broken, base) {
                Step::Fall => {
                    first.kind = KneeKind::Errors;
                    step.centred(errors.rate)
                }
                Step::Unclear if rejected => placed.or(step).centred(errors.rate),
                Step::Plateau | Step::Unclear => placed.within(points, base).centred(broken.middle),
            }
        }
        (Some(broken), _) => placed.within(points, base).centred(broken.middle),
        (None, _) => placed.centred(placed.rate),
    };
    let is_full = first.kind != KneeKind::Errors && closed::is_closed(points);
    let crossing = is_full.then(|| closed::crossing(points)).flatten();
    let placed = crossing.unwrap_or(placed);
    let best = points.iter().max_by(|a, b| a.goodput.total_cmp(&b.goodput))?;
    Some(Knee {
        rate: placed.rate,
        low: placed.low,
        high: placed.high,
        kind: first.kind,
        throughput: by_throughput.map(|sign| sign.rate),
        latency: by_latency.map(|sign| sign.rate),
        errors: by_errors.map(|sign| sign.rate),
        peak_goodput: best.goodput,
        retrograde: is_retrograde(points, best),
        tail: None,
        by_curve: None,
    })
}

/// What lies behind a step of failures.
enum Step {
    /// As much gets through as the lines say.
    Plateau,
    /// Less, or more was carried below than they say: the lines foretell nothing of it.
    Fall,
    /// Not all loads below were carried.
    Unclear,
}

impl Step {
    fn of(points: &[CurvePoint], errors: &Established, broken: &Broken, base: &Base) -> Self {
        let mut below = points.iter().take_while(|point| point.offered <= errors.low);
        let beyond = points.iter().find(|point| point.offered > errors.low);
        let (true, Some(beyond)) = (below.all(|it| !live::falls_behind(it, base)), beyond) else {
            return Step::Unclear;
        };
        let reach = signs::Z * beyond.error;
        let is_as_said = (broken.low - reach..=broken.high + reach).contains(&beyond.goodput);
        if is_as_said && errors.low <= broken.high { Step::Plateau } else { Step::Fall }
    }
}

/// Whether just beyond a step of failures little of what was offered below it gets through.
fn collapses(points: &[CurvePoint], errors: &Established) -> bool {
    let beyond = points.iter().find(|point| point.offered > errors.low);
    beyond.is_some_and(|point| point.goodput < COLLAPSE * errors.low)
}

/// The sign that came first. Where its bracket reaches the throughput knee they are the same knee,
/// and the fit places it best.
fn earliest(
    throughput: Option<Established>,
    others: [Option<Established>; 2],
) -> Option<Established> {
    let first = others.into_iter().flatten().min_by(|a, b| a.rate.total_cmp(&b.rate));
    match (throughput, first) {
        (Some(throughput), Some(first)) if first.high < throughput.rate => Some(first),
        (throughput, first) => throughput.or(first),
    }
}

/// Whether goodput bends because requests are rejected: in the first stages beyond the knee,
/// failures make up what goodput lacks, the queue does not grow and the response time did not take
/// off.
fn rejects(points: &[CurvePoint], broken: &Broken, errors: Option<usize>, base: &Base) -> bool {
    let Some(at) = errors else { return false };
    let beyond: Vec<&CurvePoint> =
        points[at..].iter().filter(|point| point.offered > broken.knee).take(3).collect();
    let by_errors = |point: &&&CurvePoint| {
        let missing = broken.below * point.offered - point.goodput;
        let failures = point.throughput - point.goodput;
        let calm = !point.grows && point.response.is_none_or(|it| it.p50 <= 2.0 * base.p50);
        calm && failures >= EXPLAINED_BY_ERRORS * missing
    };
    !beyond.is_empty() && 2 * beyond.iter().filter(by_errors).count() > beyond.len()
}

/// Whether goodput falls beyond its peak by more than chance, at the highest load or in two
/// stages.
fn is_retrograde(points: &[CurvePoint], best: &CurvePoint) -> bool {
    let fell = |point: &&CurvePoint| {
        let loss = best.goodput - point.goodput;
        let chance = BEST_OF_MANY * point.error.hypot(best.error);
        point.offered > best.offered && loss > chance && loss >= RETROGRADE * best.goodput
    };
    let top = points.last();
    top.as_ref().is_some_and(fell) || points.iter().filter(fell).count() >= 2
}

#[cfg(test)]
mod tests;
