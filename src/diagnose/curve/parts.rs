//! Whether each of several generators made its part of a stage.
//!
//! A stage counts only if every generator reported it to the end, was asked for its equal part, and
//! sent at least 99 % of it. The whole load would hide what one of many did not do: of twenty
//! generators, one that sends nothing misses 5 %, and one that sends a tenth too little 0.5 %.

use crate::diagnose::terms::invalid::GeneratorFault;
use crate::diagnose::terms::stats;
use crate::timeline::{
    GENERATOR_LABEL, GeneratorTick, Kind, Lateness, MetricSpec, Refill, Stage, Timeline, Window,
    metric_of_generators, names,
};

use super::tally::missed_of;

/// Share of its part of the schedule that a generator may miss.
const MISSED: f64 = 0.01;
/// Requests that the edges of a stage may seem to lose.
const EDGE_REQUESTS: f64 = 5.0;
/// Seconds of a stage that a generator may not have reported. All ticks end at the same whole
/// seconds, so the difference is rounding.
const SILENT_SECONDS: f64 = 0.1;
/// Shortest tick that is not the last of a run: ticks end at whole seconds.
const WHOLE_SECONDS: f64 = 0.9;
/// Random arrivals of equal parts differ by no more than so many standard deviations.
const DEVIATIONS: f64 = 4.0;

/// A generator that did not make its part, and why. The first of them, by name.
#[derive(Clone, Debug, PartialEq)]
pub struct FaultOfOne {
    /// Its name.
    pub name: String,
    /// What it did.
    pub fault: GeneratorFault,
}

/// Looks for a generator that did not make its part of `stage` within `window`. Nothing if there is
/// only one generator. One whose part others made in all of the stage is none of them.
pub fn lacking(timeline: &Timeline, stage: &Stage, window: Window) -> Option<FaultOfOne> {
    if let Some(fault) = lost_within(timeline, stage.window) {
        return Some(fault);
    }
    let is_gone = |generator: &usize| {
        let mut refills = timeline.refills.iter().filter(|refill| refill.generator == *generator);
        refills.any(|refill| refill.from <= stage.window.begin)
    };
    let present = (0..timeline.generators.len()).filter(|generator| !is_gone(generator));
    let parts: Vec<Part<'_>> =
        present.map(|generator| Part::of(timeline, generator, window)).collect();
    let covered = parts.iter().map(|part| part.seconds).fold(0.0, f64::max);
    let mean = parts.iter().map(|part| part.offered).sum::<f64>() / parts.len().max(1) as f64;
    // What virtual users offer depends on the answers that they get.
    let is_open = stage.vus() == 0.0;
    let fault = |part: &Part<'_>| {
        let silent = covered - part.seconds;
        let short = mean - part.offered;
        let allowed = (MISSED * mean).max(EDGE_REQUESTS) + DEVIATIONS * mean.sqrt();
        if silent > SILENT_SECONDS {
            return Some(GeneratorFault::Silent { seconds: silent });
        }
        if is_open && short > allowed {
            return Some(GeneratorFault::Short { share: short / mean });
        }
        let missed = missed_of(part.ticks.iter().map(|tick| (0, tick.account)));
        (missed > (MISSED * part.offered).max(EDGE_REQUESTS))
            .then(|| GeneratorFault::Unsent { share: missed / part.offered })
    };
    let name = |part: &Part<'_>| timeline.generators[part.generator].clone();
    parts
        .iter()
        .filter_map(|part| Some(FaultOfOne { name: name(part), fault: fault(part)? }))
        .next()
}

/// A generator whose part nobody made for some of the stage: it was lost, and the others had not taken
/// over yet.
fn lost_within(timeline: &Timeline, stage: Window) -> Option<FaultOfOne> {
    let in_it = |refill: &&Refill| refill.lost <= stage.end && stage.begin < refill.from;
    let refill = timeline.refills.iter().find(in_it)?;
    let gap = Window::new(refill.lost.max(stage.begin), refill.from.min(stage.end));
    let name = timeline.generators.get(refill.generator)?.clone();
    Some(FaultOfOne { name, fault: GeneratorFault::Silent { seconds: gap.secs() } })
}

/// The generator that was latest within `window`, and how late it was.
pub fn latest(timeline: &Timeline, window: Window) -> Option<(String, Lateness)> {
    let of = |(generator, name): (usize, &String)| {
        let late = Lateness::of(Part::of(timeline, generator, window).ticks.into_iter());
        (name.clone(), late)
    };
    let all = timeline.generators.iter().enumerate().map(of);
    all.max_by(|(_, a), (_, b)| a.mean.total_cmp(&b.mean))
}

/// The generator whose busiest thread used most of a core within `window`, and how much. Its name
/// is known if there are several.
pub fn busiest(timeline: &Timeline, window: Window) -> Option<(Option<String>, f64)> {
    let means =
        of_each(timeline, &names::GENERATOR_THREAD_BUSIEST, window, |values| stats::mean(&values));
    means.into_iter().max_by(|(_, a), (_, b)| a.total_cmp(b))
}

/// The generator that a CPU quota stopped for the longest within `window`, and for which share (0 to
/// 1) of the time.
pub fn most_throttled(timeline: &Timeline, window: Window) -> Option<(Option<String>, f64)> {
    let name = own_metric(timeline, &names::GENERATOR_THROTTLED_TIME);
    let shares = timeline.series_of(&name).filter_map(|(key, series)| {
        let generator = key.labels.get(GENERATOR_LABEL).map(str::to_owned);
        // The kernel adds up the time of all cores.
        Some((generator, series.rate(window)?.min(1.0)))
    });
    shares.max_by(|(_, a), (_, b)| a.total_cmp(b))
}

/// The generator with the fewest file descriptors left within `window`, and how many.
pub fn descriptors_left(timeline: &Timeline, window: Window) -> Option<(Option<String>, f64)> {
    let extreme = |metric, pick: fn(f64, f64) -> f64| {
        of_each(timeline, metric, window, |values| values.into_iter().reduce(pick))
    };
    let limits = extreme(&names::GENERATOR_OPEN_FDS_LIMIT, f64::min);
    let left =
        extreme(&names::GENERATOR_OPEN_FDS, f64::max).into_iter().filter_map(|(name, open)| {
            let limit = limits.iter().find(|(of, _)| *of == name)?.1;
            Some((name, limit - open))
        });
    left.min_by(|(_, a), (_, b)| a.total_cmp(b))
}

/// What a metric that makers of load read of themselves is called in this run.
pub fn own_metric(timeline: &Timeline, metric: &MetricSpec) -> String {
    let several = (!timeline.generators.is_empty()).then(|| metric_of_generators(metric.name));
    several.flatten().unwrap_or_else(|| metric.name.to_owned())
}

/// What the readings of a gauge of each generator within `window` come to.
fn of_each(
    timeline: &Timeline,
    metric: &MetricSpec,
    window: Window,
    reduce: impl Fn(Vec<f64>) -> Option<f64>,
) -> Vec<(Option<String>, f64)> {
    let name = own_metric(timeline, metric);
    timeline
        .series_of(&name)
        .filter(|(_, series)| series.kind == Kind::Gauge)
        .filter_map(|(key, series)| {
            let values = series.within(window).iter().map(|point| point.value).collect();
            Some((key.labels.get(GENERATOR_LABEL).map(str::to_owned), reduce(values)?))
        })
        .collect()
}

/// What one generator did within a window.
struct Part<'t> {
    generator: usize,
    ticks: Vec<&'t GeneratorTick>,
    /// Seconds of the window that its ticks cover.
    seconds: f64,
    offered: f64,
}

/// Whether a tick of one generator stands beside ticks of the others. The last tick of each ends when
/// its own last request has, so it does not.
fn is_comparable(tick: &GeneratorTick, window: Window) -> bool {
    tick.window.secs() >= WHOLE_SECONDS
        && window.contains(tick.window.middle())
        && tick.window.end <= window.end
}

impl<'t> Part<'t> {
    fn of(timeline: &'t Timeline, generator: usize, window: Window) -> Self {
        let ticks: Vec<&GeneratorTick> = timeline
            .parts
            .iter()
            .filter(|tick| tick.generator == generator && is_comparable(tick, window))
            .collect();
        let seconds = ticks.iter().map(|tick| tick.window.secs()).sum();
        let offered = ticks.iter().map(|tick| tick.account.offered).sum();
        Self { generator, ticks, seconds, offered }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::timeline::{Account, Moment, StageRole};

    /// A stage of ten seconds at 1000/s, of which each generator offers and sends so much a second;
    /// `None` for a second that it did not report.
    fn timeline(parts: &[&dyn Fn(u64) -> Option<(u64, u64)>]) -> Timeline {
        let mut timeline = Timeline::default();
        let moment = |second: u64| Moment::START + Duration::from_secs(second);
        for (generator, part) in parts.iter().enumerate() {
            timeline.generators.push(format!("gen{}", generator + 1));
            for second in 0..10 {
                let Some((offered, sent)) = part(second) else { continue };
                timeline.parts.push(GeneratorTick {
                    window: Window::new(moment(second), moment(second + 1)),
                    generator,
                    account: Account {
                        offered: offered as f64,
                        sent: sent as f64,
                        held_back: 0.0,
                        backlog: 0.0,
                        completed: sent as f64,
                        in_flight: 1.0,
                    },
                    late_seconds: 0.001 * sent as f64,
                    late_count: sent,
                    late_p99: 0.002,
                });
            }
        }
        timeline
    }

    fn found(timeline: &Timeline) -> Option<FaultOfOne> {
        let window = Window::new(Moment::START, Moment::START + Duration::from_secs(10));
        let stage = Stage::constant(StageRole::Ramp, window, 1000.0);
        lacking(timeline, &stage, window)
    }

    const WELL: fn(u64) -> Option<(u64, u64)> = |_| Some((500, 500));

    #[test]
    fn a_stage_counts_if_every_generator_made_its_part() {
        assert_eq!(found(&Timeline::default()), None, "one generator");
        assert_eq!(found(&timeline(&[&WELL, &WELL])), None);
        // An odd schedule, and 1 % that was not sent.
        let odd = |second: u64| Some((500 - second % 2, 496));
        assert_eq!(found(&timeline(&[&WELL, &odd])), None);
    }

    #[test]
    fn a_generator_that_went_silent_makes_a_stage_void() {
        let killed = |second: u64| (second < 6).then_some((500, 500));
        let fault = found(&timeline(&[&WELL, &killed]));
        let silent = GeneratorFault::Silent { seconds: 4.0 };
        assert_eq!(fault, Some(FaultOfOne { name: "gen2".to_owned(), fault: silent }));
        let never = |_| None;
        assert!(found(&timeline(&[&never, &WELL])).is_some_and(|found| found.name == "gen1"));
    }

    #[test]
    fn a_stage_counts_again_once_others_make_the_part_of_a_lost_generator() {
        let killed = |_| None;
        let mut timeline = timeline(&[&WELL, &killed, &WELL]);
        assert!(found(&timeline).is_some());
        let (lost, from) = (Moment::from_secs_f64(-1.0), Moment::START);
        timeline.refills.push(Refill { generator: 1, lost, from });
        assert_eq!(found(&timeline), None);
        // The others had not taken over yet.
        timeline.refills[0].from = Moment::from_secs_f64(0.5);
        let fault = GeneratorFault::Silent { seconds: 0.5 };
        assert_eq!(found(&timeline), Some(FaultOfOne { name: "gen2".to_owned(), fault }));
    }

    #[test]
    fn a_generator_that_is_too_slow_makes_a_stage_void_however_many_there_are() {
        let slow = |_| Some((500, 490));
        let mut parts: Vec<&dyn Fn(u64) -> Option<(u64, u64)>> = vec![&WELL; 19];
        parts.push(&slow);
        let fault = found(&timeline(&parts)).unwrap();
        assert_eq!(fault.name, "gen20");
        assert!(matches!(fault.fault, GeneratorFault::Unsent { share } if share > 0.015));
    }

    #[test]
    fn a_generator_that_was_not_asked_for_its_part_makes_a_stage_void() {
        let idle = |_| Some((0, 0));
        let fault = found(&timeline(&[&WELL, &WELL, &idle])).unwrap();
        assert_eq!(fault.name, "gen3");
        assert!(matches!(fault.fault, GeneratorFault::Short { share } if share > 0.99));
    }

    #[test]
    fn the_last_ticks_of_a_run_may_end_at_different_times() {
        let mut timeline = timeline(&[&WELL, &WELL]);
        for (generator, end) in [(0, 10.3), (1, 10.9)] {
            let last = timeline.parts.iter().rev().find(|it| it.generator == generator).unwrap();
            let begin = Moment::from_secs_f64(10.0);
            let window = Window::new(begin, Moment::from_secs_f64(end));
            timeline.parts.push(GeneratorTick { window, ..last.clone() });
        }
        let window = Window::new(Moment::START, Moment::from_secs_f64(10.2));
        let stage = Stage::constant(StageRole::Ramp, window, 1000.0);
        assert_eq!(lacking(&timeline, &stage, window), None);
    }

    #[test]
    fn the_latest_generator_has_a_name() {
        let mut timeline = timeline(&[&WELL, &WELL]);
        timeline.parts.last_mut().unwrap().late_seconds = 50.0;
        let window = Window::new(Moment::START, Moment::START + Duration::from_secs(10));
        assert_eq!(latest(&timeline, window).map(|(name, _)| name).as_deref(), Some("gen2"));
        assert_eq!(latest(&Timeline::default(), window), None);
    }
}
