//! Judges the plan's objectives: in each stage, or in every window of the objective's own length.

use std::time::Duration;

use crate::diagnose::terms::model::{ObjectiveResult, StageSummary};
use crate::recording::{PlanSummary, RecordedMeasure, RecordedObjective, Recording, Reduction};
use crate::timeline::{Histogram, Kind, LoadTick, Moment, Selector, Timeline, Unit, Window};

/// The result of each objective: the value that broke it, otherwise the worst value.
pub(crate) fn results(recording: &Recording, stages: &[StageSummary]) -> Vec<ObjectiveResult> {
    let timeline = &recording.timeline;
    let stages: Vec<&StageSummary> = stages.iter().filter(|stage| stage.counts()).collect();
    let result = |objective: &RecordedObjective| {
        let worst_in = |stage: &StageSummary| worst(timeline, stage.window, objective);
        let is_broken = |stage: &&&StageSummary| stage.broken_objectives.contains(&objective.text);
        let lowest = |a: &&&StageSummary, b: &&&StageSummary| a.offered.total_cmp(&b.offered);
        let broken = stages.iter().filter(is_broken).min_by(lowest);
        let values = || stages.iter().filter_map(|stage| worst_in(stage));
        ObjectiveResult {
            text: objective.text.clone(),
            broken_at: broken.map(|stage| stage.offered),
            value: match broken {
                Some(stage) => worst_in(stage),
                None => values().reduce(|a, b| objective.worse(a, b)),
            },
            unit: unit(timeline, &objective.measure),
            bound: objective.bound,
        }
    };
    recording.plan.objectives.iter().map(result).collect()
}

/// The objectives that are broken in a stage, or the part of it that counts, by their text.
pub fn broken(timeline: &Timeline, window: Window, plan: &PlanSummary) -> Vec<String> {
    let is_broken = |objective: &&RecordedObjective| match worst(timeline, window, objective) {
        Some(value) => objective.is_broken_by(value),
        // Requests were due, and none succeeded.
        None => {
            let mut ticks = timeline.ticks_within(window).peekable();
            objective.measure.is_of_responses()
                && ticks.peek().is_some()
                && ticks.all(|tick| tick.succeeded() == 0)
        }
    };
    plan.objectives.iter().filter(is_broken).map(|objective| objective.text.clone()).collect()
}

/// The first objective that ends the run at `now`, by its text: it is broken by the last window of
/// its length, or by the stage so far, which began at `stage`. The load began at `begin`.
pub fn aborting(
    timeline: &Timeline,
    plan: &PlanSummary,
    begin: Moment,
    stage: Moment,
    now: Moment,
) -> Option<String> {
    let ends = |objective: &&RecordedObjective| {
        let Some(delay) = objective.abort_after_secs else { return false };
        if now.since(begin).as_secs_f64() < delay {
            return false;
        }
        let from = match objective.for_secs {
            None => stage,
            // A window that is not full yet cannot be judged.
            Some(secs) if now.since(begin).as_secs_f64() < secs => return false,
            Some(secs) => Moment::from_nanos(now.nanos().saturating_sub((secs * 1e9) as u64)),
        };
        let value = value(timeline, Window::new(from, now), objective);
        value.is_some_and(|value| objective.is_broken_by(value))
    };
    plan.objectives.iter().find(ends).map(|objective| objective.text.clone())
}

/// The worst value of an objective within `window`: over all of it, or of the windows of its own
/// length that end in it.
fn worst(timeline: &Timeline, window: Window, objective: &RecordedObjective) -> Option<f64> {
    let Some(secs) = objective.for_secs else { return value(timeline, window, objective) };
    let length = Duration::from_secs_f64(secs);
    if window.secs() <= secs {
        return value(timeline, window, objective);
    }
    let ends = timeline.ticks_within(window).map(|tick| tick.window.end);
    ends.filter(|end| *end >= window.begin + length)
        .filter_map(|end| {
            let begin = end.nanos().saturating_sub(length.as_nanos() as u64);
            value(timeline, Window::new(Moment::from_nanos(begin), end), objective)
        })
        .reduce(|a, b| objective.worse(a, b))
}

/// The value of one objective inside `window`: seconds for durations, a ratio for failures, the
/// series' own unit for what was collected; `None` if nothing was measured.
pub fn value(timeline: &Timeline, window: Window, objective: &RecordedObjective) -> Option<f64> {
    match &objective.measure {
        RecordedMeasure::Series(selector, reduction) => {
            reduced(timeline, window, &selector.parse().ok()?, *reduction)
        }
        measure => Responses::of(timeline.ticks_within(window), objective).value(measure),
    }
}

/// The responses that an objective covers.
struct Responses {
    succeeded: Histogram,
    completed: u64,
}

impl Responses {
    fn of<'t>(ticks: impl Iterator<Item = &'t LoadTick>, objective: &RecordedObjective) -> Self {
        let mut responses = Self { succeeded: Histogram::of_many(), completed: 0 };
        for endpoint in ticks.flat_map(|tick| &tick.endpoints) {
            if !objective.is_about(&endpoint.endpoint) {
                continue;
            }
            responses.completed += endpoint.response_time.count();
            if endpoint.class.is_success() {
                responses.succeeded.merge(&endpoint.response_time);
            }
        }
        responses
    }

    fn value(&self, measure: &RecordedMeasure) -> Option<f64> {
        match measure {
            RecordedMeasure::ResponseTimeQuantile(share) => self.succeeded.quantile(*share),
            RecordedMeasure::ResponseTimeMean => self.succeeded.mean(),
            RecordedMeasure::FailureRatio if self.completed == 0 => None,
            RecordedMeasure::FailureRatio => {
                let failed = self.completed - self.succeeded.count();
                Some(failed as f64 / self.completed as f64)
            }
            RecordedMeasure::Series(..) => None,
        }
    }
}

/// One number from the series of `selector`: gauges by their readings, counters by their growth
/// per second. Several series add up.
fn reduced(
    timeline: &Timeline,
    window: Window,
    selector: &Selector,
    reduction: Reduction,
) -> Option<f64> {
    let of = |series: &crate::timeline::Series| {
        if reduction == Reduction::Rate || series.kind == Kind::Counter {
            return series.rate(window);
        }
        let values = series.within(window).iter().map(|point| point.value);
        let count = values.clone().count();
        match reduction {
            Reduction::Min => values.reduce(f64::min),
            Reduction::Max => values.reduce(f64::max),
            Reduction::Mean | Reduction::Rate if count == 0 => None,
            Reduction::Mean | Reduction::Rate => Some(values.sum::<f64>() / count as f64),
        }
    };
    timeline.select(selector).filter_map(|(_, series)| of(series)).reduce(|a, b| a + b)
}

fn unit(timeline: &Timeline, measure: &RecordedMeasure) -> Unit {
    match measure {
        RecordedMeasure::FailureRatio => Unit::Ratio,
        RecordedMeasure::ResponseTimeQuantile(_) | RecordedMeasure::ResponseTimeMean => {
            Unit::Seconds
        }
        RecordedMeasure::Series(selector, _) => {
            let selector: Option<Selector> = selector.parse().ok();
            let unit = selector
                .and_then(|selector| timeline.select(&selector).next().map(|found| found.1.unit));
            unit.unwrap_or(Unit::Count)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::timeline::{BatchBuilder, EndpointTick, Labels, ResponseClass, SeriesKey};

    fn at(second: f64) -> Moment {
        Moment::from_secs_f64(second)
    }

    /// A minute of 20 responses a second of `read` and `write`; from 30 to 35 s reads take 900 ms.
    fn timeline() -> Timeline {
        let mut timeline = Timeline::default();
        for second in 0..60 {
            let times = |millis| {
                let mut times = Histogram::new();
                (0..10).for_each(|_| times.record(Duration::from_millis(millis)));
                times
            };
            let slow = if (30..35).contains(&second) { 900 } else { 50 };
            let ended = |name: &str, millis| EndpointTick {
                endpoint: name.to_owned(),
                class: ResponseClass::Status(200),
                response_time: times(millis),
                service_time: times(millis),
            };
            let begin = at(f64::from(second));
            timeline.ticks.push(LoadTick {
                offered: 20,
                sent: 20,
                in_flight: 1.0,
                endpoints: vec![ended("read", slow), ended("write", 20)],
                ..LoadTick::empty(Window::new(begin, begin + Duration::from_secs(1)), "here")
            });
            let mut batch = BatchBuilder::new();
            let key = SeriesKey::new("queue.depth", Labels::none().with("queue", "mail"));
            let depth = if second < 50 { 3.0 } else { 90.0 };
            batch.push_foreign(key, Unit::Count, Kind::Gauge, depth);
            timeline.push_batch(crate::timeline::Batch {
                collector: "prometheus".to_owned(),
                window: Window::new(begin, begin + Duration::from_millis(10)),
                readings: batch.finish(),
            });
        }
        timeline
    }

    fn objective(measure: RecordedMeasure, bound: f64) -> RecordedObjective {
        RecordedObjective { measure, bound, ..RecordedObjective::default() }
    }

    fn is_broken(objective: &RecordedObjective, from: f64, to: f64) -> bool {
        let plan = PlanSummary { objectives: vec![objective.clone()], ..PlanSummary::default() };
        !broken(&timeline(), Window::new(at(from), at(to)), &plan).is_empty()
    }

    #[test]
    fn a_window_finds_what_a_stage_averages_away() {
        let median = objective(RecordedMeasure::ResponseTimeQuantile(0.75), 0.5);
        assert!(!is_broken(&median, 0.0, 60.0), "three quarters are quick over all");
        let windowed = RecordedObjective { for_secs: Some(5.0), ..median };
        assert!(is_broken(&windowed, 0.0, 60.0));
        assert!(!is_broken(&windowed, 0.0, 29.0));
        let write = RecordedObjective { endpoints: vec!["write".to_owned()], ..windowed.clone() };
        assert!(!is_broken(&write, 0.0, 60.0));
        let read = RecordedObjective { endpoint: Some("read".to_owned()), ..windowed };
        assert!(is_broken(&read, 0.0, 60.0));
    }

    #[test]
    fn any_series_has_its_objective() {
        let selector = "queue.depth{queue=mail}".to_owned();
        let depth = |reduction| RecordedMeasure::Series(selector.clone(), reduction);
        assert!(!is_broken(&objective(depth(Reduction::Mean), 20.0), 0.0, 60.0));
        assert!(is_broken(&objective(depth(Reduction::Max), 20.0), 0.0, 60.0));
        let windowed = objective(depth(Reduction::Mean), 20.0);
        let windowed = RecordedObjective { for_secs: Some(10.0), ..windowed };
        assert!(is_broken(&windowed, 0.0, 60.0));
        let missing = RecordedMeasure::Series("nothing".to_owned(), Reduction::Max);
        assert!(!is_broken(&objective(missing, 20.0), 0.0, 60.0), "nothing was measured of it");
    }

    #[test]
    fn a_run_ends_by_what_was_asked_to_end_it() {
        let (timeline, begin) = (timeline(), at(0.0));
        let slow = objective(RecordedMeasure::ResponseTimeQuantile(0.75), 0.5);
        let slow = RecordedObjective { text: "slow".to_owned(), for_secs: Some(5.0), ..slow };
        let told = |abort_after_secs, now| {
            let objective = RecordedObjective { abort_after_secs, ..slow.clone() };
            let plan = PlanSummary { objectives: vec![objective], ..PlanSummary::default() };
            aborting(&timeline, &plan, begin, begin, at(now))
        };
        assert_eq!(told(Some(0.0), 35.0), Some("slow".to_owned()));
        assert_eq!(told(Some(0.0), 29.0), None);
        assert_eq!(told(Some(0.0), 45.0), None, "it is over");
        assert_eq!(told(Some(40.0), 35.0), None, "not yet");
        assert_eq!(told(None, 35.0), None, "no one asked for it");
    }
}
