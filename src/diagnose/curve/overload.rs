//! What load beyond what the system carries does to it, and whether it comes back.
//!
//! A system degrades gracefully where it serves as much under overload as it can at most, in a
//! time that users bear, and refuses the rest at once (Beyer et al., "Site Reliability
//! Engineering", 2016, chapter 21, "Handling Overload"). One that does not come back when the
//! overload is gone is in a metastable failure (Bronson et al., "Metastable Failures in
//! Distributed Systems", HotOS 2021).

use crate::diagnose::terms::model::{Knee, Overload, OverloadKind, Return, StageSummary};
use crate::timeline::{Histogram, LoadTick, Stage, StageRole, Timeline};

/// Share of the offered load from which on it is carried.
const CARRIED: f64 = 0.95;
/// Share of the highest goodput below which an overload makes the system lose throughput, and below
/// which it collapses.
const LOSES: f64 = 0.9;
const COLLAPSES: f64 = 0.7;
/// A queue grows where at least this share of the offered load stays in it.
const STAYS: f64 = 0.02;
/// Share of the excess that fails from which on it is refused rather than queued.
const REFUSED: f64 = 0.5;
/// A failure counts as a quick refusal below this many seconds, or where it takes no longer than nine
/// of ten responses did before.
const AT_ONCE: f64 = 0.1;
/// Share of the overload that the load after it may be at most.
const LESS: f64 = 0.8;
/// Fewest seconds after the overload in which a system could show that it is back.
const LEAST_SECS: f64 = 5.0;
/// Neighbouring ticks in which it has to answer as before, and how many times longer half of the
/// responses may take in them.
const BACK_TICKS: usize = 3;
const BACK_TIMES: f64 = 2.0;
/// Share of requests that may fail beyond what failed before.
const BACK_ERRORS: f64 = 0.05;

/// Compares the highest load with the highest that was carried before it; `None` where none was, or
/// where all loads were carried and none came back down.
pub(crate) fn overload(
    timeline: &Timeline,
    stages: &[StageSummary],
    knee: Option<&Knee>,
) -> Option<Overload> {
    // A closed model offers no more than what is answered.
    let counts = |stage: &&StageSummary| stage.counts() && stage.vus.is_none();
    let stages: Vec<&StageSummary> = stages.iter().filter(counts).collect();
    let carried = |stage: &StageSummary| {
        stage.goodput >= CARRIED * stage.offered
            && knee.is_none_or(|knee| stage.offered <= knee.rate)
    };
    let top = *stages.iter().max_by(|a, b| a.offered.total_cmp(&b.offered))?;
    let before: Vec<&StageSummary> = stages
        .iter()
        .copied()
        .filter(|stage| stage.window.end <= top.window.begin && stage.offered < LESS * top.offered)
        .filter(|stage| carried(stage))
        .collect();
    let highest = *before.iter().max_by(|a, b| a.offered.total_cmp(&b.offered))?;
    // A run that ends with its highest load may have come down from a lower overload before.
    let mut overloads: Vec<&StageSummary> =
        stages.iter().copied().filter(|stage| !carried(stage)).collect();
    overloads.sort_by(|a, b| b.offered.total_cmp(&a.offered));
    let back = std::iter::once(top).chain(overloads).find_map(|it| back(timeline, it, &before));
    let peak = stages.iter().map(|stage| stage.goodput).fold(0.0, f64::max);
    let kind = match carried(top) {
        true => OverloadKind::Carried,
        false => kind(top, highest, peak),
    };
    if kind == OverloadKind::Carried && !back.as_ref().is_some_and(|back| back.same_load) {
        return None;
    }
    Some(Overload {
        kind,
        offered: top.offered,
        goodput: top.goodput,
        peak_goodput: peak,
        response_p50: top.response.map(|response| response.p50),
        failure_p50: top.failures.map(|failures| failures.p50),
        error_ratio: top.error_ratio,
        queue_growth: top.in_flight_slope.0,
        back,
    })
}

fn kind(top: &StageSummary, before: &StageSummary, peak: f64) -> OverloadKind {
    let kept = top.goodput / peak;
    let excess = top.offered - top.goodput;
    let failed = top.throughput - top.goodput;
    let usual = before.response.map_or(0.0, |response| response.p90);
    let refused_at_once = top.failures.is_some_and(|it| it.p50 <= AT_ONCE.max(usual));
    if kept < COLLAPSES {
        OverloadKind::Collapses
    } else if kept < LOSES {
        OverloadKind::Loses
    } else if top.held_back > 0
        || top.in_flight_slope.1 > STAYS * top.offered
        || failed < REFUSED * excess
    {
        OverloadKind::Queues
    } else if top.failures.is_none() {
        OverloadKind::Carried
    } else if refused_at_once {
        OverloadKind::Refuses
    } else {
        OverloadKind::FailsLate
    }
}

/// When the system answered again as it had `before` the overload; `None` where the load did not
/// come down for long enough to tell.
fn back(timeline: &Timeline, top: &StageSummary, before: &[&StageSummary]) -> Option<Return> {
    let follows = |stage: &&Stage| stage.window.begin >= top.window.end;
    let is_less = |stage: &Stage| stage.rate() > 0.0 && stage.rate() <= LESS * top.offered;
    let after = timeline.stages.iter().find(follows)?;
    let has_load = !matches!(after.role, StageRole::Recovery | StageRole::Probe);
    let counts = has_load && is_less(after) && !after.is_ramping();
    if !counts || after.window.secs() < LEAST_SECS {
        return None;
    }
    let distance = |stage: &StageSummary| (stage.offered - after.rate()).abs();
    let usual = before.iter().min_by(|a, b| distance(a).total_cmp(&distance(b)))?;
    let median = usual.response?.p50;
    let is_back = |tick: &LoadTick| {
        let failed = tick.completed() - tick.succeeded();
        let failing = failed as f64 / tick.completed().max(1) as f64;
        let half = successes(tick).quantile(0.5);
        half.is_some_and(|half| half <= BACK_TIMES * median)
            && failing <= usual.error_ratio + BACK_ERRORS
    };
    let ticks: Vec<&LoadTick> =
        timeline.ticks_within(after.window).filter(|tick| tick.offered > 0).collect();
    let first = ticks.windows(BACK_TICKS).find(|ticks| ticks.iter().all(|tick| is_back(tick)));
    Some(Return {
        offered: after.rate(),
        same_load: after.role.is_measured() && distance(usual) <= (1.0 - CARRIED) * after.rate(),
        after_seconds: first
            .map(|ticks| ticks[0].window.begin.since(after.window.begin).as_secs_f64()),
        watched_seconds: after.window.secs(),
    })
}

/// Response times of all requests of a tick that succeeded.
fn successes(tick: &LoadTick) -> Histogram {
    let mut all = Histogram::of_many();
    tick.successes().for_each(|times| all.merge(times));
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnose::curve::stages::summarize;
    use crate::diagnose::simulated;
    use crate::diagnose::simulated::Picture;
    use crate::diagnose::terms::model::Quantiles;
    use crate::timeline::{Moment, Window};

    /// A system that carries 100/s, and serves and fails as `picture` says beyond it.
    fn judged(rates: &[f64], picture: &dyn Fn(f64) -> Picture) -> Option<Overload> {
        let recording = simulated::record(rates, picture);
        overload(&recording.timeline, &summarize(&recording), None)
    }

    fn picture(goodput: f64, failures: f64, response: f64) -> Picture {
        Picture { goodput, failures: vec![(503, failures)], response, levels: Vec::new() }
    }

    fn kind(rates: &[f64], over: Picture) -> Option<OverloadKind> {
        let over = std::cell::RefCell::new(over);
        let system = |rate: f64| match rate > 100.0 {
            true => {
                let over = over.borrow();
                picture(over.goodput, over.failures[0].1, over.response)
            }
            false => picture(rate, 0.0, 0.01),
        };
        judged(rates, &system).map(|overload| overload.kind)
    }

    #[test]
    fn how_a_system_bears_overload_is_told_by_what_it_serves_and_refuses() {
        let rates = [50.0, 100.0, 150.0];
        assert_eq!(kind(&rates, picture(98.0, 52.0, 0.02)), Some(OverloadKind::Refuses));
        assert_eq!(kind(&rates, picture(98.0, 0.0, 0.02)), Some(OverloadKind::Queues));
        assert_eq!(kind(&rates, picture(80.0, 70.0, 0.02)), Some(OverloadKind::Loses));
        assert_eq!(kind(&rates, picture(20.0, 130.0, 0.02)), Some(OverloadKind::Collapses));
    }

    #[test]
    fn who_waits_long_for_a_failure_was_not_refused() {
        let window = Window::new(Moment::START, Moment::from_secs_f64(10.0));
        let before = simulated::held(StageRole::Ramp, window, 100.0);
        let after = |seconds| {
            let (mean, p50, p90) = (seconds, seconds, seconds);
            let failures = Quantiles { mean, p50, p90, p95: p90, p99: p90, max: p90 };
            let served = simulated::held(StageRole::Ramp, window, 98.0);
            let top = StageSummary {
                offered: 150.0,
                throughput: 150.0,
                failures: Some(failures),
                ..served
            };
            super::kind(&top, &before, 98.0)
        };
        assert_eq!(after(0.002), OverloadKind::Refuses);
        assert_eq!(after(3.0), OverloadKind::FailsLate);
    }

    #[test]
    fn nothing_is_said_where_all_was_carried_on_the_way_up() {
        assert_eq!(kind(&[50.0, 70.0, 100.0], picture(0.0, 0.0, 1.0)), None);
        assert_eq!(kind(&[150.0], picture(98.0, 52.0, 0.02)), None);
        let there_and_back = kind(&[50.0, 100.0, 50.0], picture(0.0, 0.0, 1.0));
        assert_eq!(there_and_back, Some(OverloadKind::Carried));
    }

    #[test]
    fn a_system_that_stays_slow_has_not_come_back() {
        let held = std::cell::Cell::new(0);
        let judged = |after: f64| {
            held.set(0);
            let overload = judged(&[80.0, 150.0, 80.0], &|rate| {
                held.set(held.get() + 1);
                match held.get() {
                    2 => picture(98.0, 52.0, 0.02),
                    3 => picture(rate, 0.0, after),
                    _ => picture(rate, 0.0, 0.01),
                }
            });
            overload.and_then(|overload| overload.back).unwrap()
        };
        let (quick, slow) = (judged(0.011), judged(0.4));
        assert!(quick.same_load && slow.same_load);
        assert_eq!(quick.after_seconds, Some(0.0));
        assert_eq!(slow.after_seconds, None);
        assert_eq!(slow.watched_seconds, 10.0);
    }
}
