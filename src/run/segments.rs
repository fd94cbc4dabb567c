//! The stages of loads that are known beforehand: those of each scenario, for the generator, and
//! their sum, for the recording.
//!
//! Plans and the generator count journeys per second. Recordings and searches count requests per
//! second. Only this file converts one into the other.

use std::time::Duration;

use super::pilot::PlannedStage;
use crate::load::{Arrival, FlowKind};
use crate::plan::{Executor, Scenario};
use crate::timeline::{Moment, Stage, StageRole, Window};

/// Shortest segment of a replay. A shorter one has too few requests to compare.
const SHORTEST_SEGMENT: Duration = Duration::from_secs(10);
/// Segments of a replay, at most.
const MOST_SEGMENTS: u32 = 40;

/// A part of one scenario in which its load changes along a straight line. Times count from the
/// beginning of the load.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct LoadSegment {
    begin: Duration,
    end: Duration,
    /// Journeys per second at its beginning and at its end.
    rate: (f64, f64),
    /// Virtual users at its beginning and at its end.
    vus: (f64, f64),
}

impl LoadSegment {
    /// The stage of it, in a load that begins at `zero`.
    pub(super) fn stage(&self, zero: Moment) -> Stage {
        Stage {
            role: StageRole::Ramp,
            window: Window::new(zero + self.begin, zero + self.end),
            rate_from: self.rate.0,
            rate_to: self.rate.1,
            vus_from: self.vus.0,
            vus_to: self.vus.1,
        }
    }

    fn at(&self, line: (f64, f64), time: Duration) -> f64 {
        let span = (self.end - self.begin).as_secs_f64();
        let share = (time - self.begin).as_secs_f64() / span;
        line.0 + (line.1 - line.0) * share
    }
}

/// The segments of one scenario; each begins where the last one ends. No rate exceeds `max_rate`.
/// Empty for a scenario that chooses its stages by what it measures.
pub(super) fn segments(scenario: &Scenario, kind: &FlowKind, max_rate: f64) -> Vec<LoadSegment> {
    let cap = |rate: f64| rate.min(max_rate);
    let mut course = CourseBuilder { at: scenario.start, segments: Vec::new() };
    match &scenario.executor {
        Executor::ConstantArrivalRate { rate, duration } => {
            course.rate(*duration, cap(*rate), cap(*rate));
        }
        Executor::RampingArrivalRate { start_rate, stages } => {
            let mut from = cap(*start_rate);
            for stage in stages {
                course.rate(stage.duration, from, cap(stage.target));
                from = cap(stage.target);
            }
        }
        Executor::Steps { rates, hold } => {
            rates.iter().for_each(|rate| course.rate(*hold, cap(*rate), cap(*rate)));
        }
        Executor::ConstantVus { vus, duration } => course.vus(*duration, *vus, *vus),
        Executor::PerVuIterations { vus, max_duration, .. }
        | Executor::SharedIterations { vus, max_duration, .. } => {
            course.vus(*max_duration, *vus, *vus);
        }
        Executor::RampingVus { start_vus, stages } => {
            let mut from = *start_vus;
            for stage in stages {
                course.vus(stage.duration, from, stage.target);
                from = stage.target;
            }
        }
        Executor::Replay { .. } => {
            if let FlowKind::Replay(arrivals) = kind {
                course.replay(arrivals);
            }
        }
        Executor::Soak(_) | Executor::Breakpoint(_) | Executor::Capacity(_) => {}
    }
    course.segments
}

struct CourseBuilder {
    at: Duration,
    segments: Vec<LoadSegment>,
}

impl CourseBuilder {
    fn rate(&mut self, duration: Duration, from: f64, to: f64) {
        self.add(duration, (from, to), (0.0, 0.0));
    }

    fn vus(&mut self, duration: Duration, from: u32, to: u32) {
        self.add(duration, (0.0, 0.0), (f64::from(from), f64::from(to)));
    }

    fn add(&mut self, duration: Duration, rate: (f64, f64), vus: (f64, f64)) {
        if !duration.is_zero() {
            let (begin, end) = (self.at, self.at + duration);
            self.segments.push(LoadSegment { begin, end, rate, vus });
            self.at = end;
        }
    }

    fn replay(&mut self, arrivals: &[Arrival]) {
        let length = Duration::from_nanos(arrivals.last().map_or(0, |last| last.at + 1));
        let segment = (length / MOST_SEGMENTS).max(SHORTEST_SEGMENT);
        let mut begin = Duration::ZERO;
        while begin < length {
            // A short rest belongs to the segment before it.
            let rest = length - begin;
            let duration = if rest < segment * 2 { rest } else { segment };
            let place = |time: Duration| {
                arrivals.partition_point(|arrival| u128::from(arrival.at) < time.as_nanos())
            };
            let count = place(begin + duration) - place(begin);
            let rate = count as f64 / duration.as_secs_f64();
            self.rate(duration, rate, rate);
            begin += duration;
        }
    }
}

/// The same executor in requests per second. A plan counts journeys, and stages count requests.
pub(super) fn in_requests(executor: &Executor, requests_per_journey: f64) -> Executor {
    let mut executor = executor.clone();
    match &mut executor {
        Executor::Breakpoint(search) => {
            search.start_rate *= requests_per_journey;
            search.max_rate *= requests_per_journey;
        }
        Executor::Capacity(search) => {
            search.start_rate *= requests_per_journey;
            search.max_rate *= requests_per_journey;
        }
        Executor::Soak(soak) => soak.rate *= requests_per_journey,
        _ => {}
    }
    executor
}

/// The same stage in journeys per second, for the generator.
pub(super) fn in_journeys(stage: &Stage, requests_per_journey: f64) -> Stage {
    Stage {
        rate_from: stage.rate_from / requests_per_journey,
        rate_to: stage.rate_to / requests_per_journey,
        ..*stage
    }
}

/// The sum of several scenarios: a stage for each stretch between two changes of any of them.
/// `requests_per_journey` has a factor for each scenario.
pub(super) fn together(
    courses: &[Vec<LoadSegment>],
    requests_per_journey: &[f64],
) -> Vec<PlannedStage> {
    let all = || courses.iter().flatten();
    let mut bounds: Vec<Duration> =
        all().flat_map(|segment| [segment.begin, segment.end]).collect();
    bounds.push(Duration::ZERO);
    bounds.sort();
    bounds.dedup();
    let level = |bounds: &[Duration]| {
        let (begin, end) = (bounds[0], bounds[1]);
        let sum = |line: fn(&LoadSegment) -> (f64, f64), time: Duration, factors: &[f64]| -> f64 {
            let within = courses.iter().zip(factors).flat_map(|(course, factor)| {
                let covers =
                    move |segment: &&LoadSegment| segment.begin <= begin && end <= segment.end;
                course
                    .iter()
                    .filter(covers)
                    .map(move |segment| segment.at(line(segment), time) * factor)
            });
            within.sum()
        };
        let ones = vec![1.0; courses.len()];
        PlannedStage {
            role: StageRole::Ramp,
            rate_from: sum(|segment| segment.rate, begin, requests_per_journey),
            rate_to: sum(|segment| segment.rate, end, requests_per_journey),
            vus_from: sum(|segment| segment.vus, begin, &ones),
            vus_to: sum(|segment| segment.vus, end, &ones),
            duration: end - begin,
        }
    };
    bounds.windows(2).map(level).collect()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::load::Iterations;
    use crate::plan::{Arrivals, RampStage, VuStage};

    fn secs(secs: u64) -> Duration {
        Duration::from_secs(secs)
    }

    fn course(executor: Executor, start: u64) -> Vec<LoadSegment> {
        let scenario =
            Scenario { start: secs(start), ..Scenario::only(executor, Arrivals::Even, 1) };
        segments(&scenario, &FlowKind::Closed(Iterations::Unlimited), 100.0)
    }

    #[test]
    fn scenarios_add_up_where_they_go_on_together() {
        let constant = Executor::ConstantArrivalRate { rate: 500.0, duration: secs(20) };
        let ramp = Executor::RampingVus {
            start_vus: 0,
            stages: vec![VuStage { target: 10, duration: secs(20) }],
        };
        let levels = together(&[course(constant, 0), course(ramp, 10)], &[2.0, 1.0]);
        let seen: Vec<(u64, f64, f64, f64, f64)> = levels
            .iter()
            .map(|l| (l.duration.as_secs(), l.rate_from, l.rate_to, l.vus_from, l.vus_to))
            .collect();
        // 500/s are cut at 100/s, and each journey is two requests.
        assert_eq!(
            seen,
            [(10, 200.0, 200.0, 0.0, 0.0), (10, 200.0, 200.0, 0.0, 5.0), (10, 0.0, 0.0, 5.0, 10.0)]
        );
    }

    #[test]
    fn a_late_start_is_silence_first() {
        let ramp = Executor::RampingArrivalRate {
            start_rate: 10.0,
            stages: vec![RampStage { target: 30.0, duration: secs(5) }],
        };
        let levels = together(&[course(ramp, 7)], &[1.0]);
        let seen: Vec<(u64, f64, f64)> =
            levels.iter().map(|l| (l.duration.as_secs(), l.rate_from, l.rate_to)).collect();
        assert_eq!(seen, [(7, 0.0, 0.0), (5, 10.0, 30.0)]);
    }

    #[test]
    fn a_trace_is_recorded_in_pieces_of_its_own_rate() {
        // 10/s for 20 s, then 20/s for 15 s.
        let slow = (0..200).map(|n| n * 100_000_000);
        let fast = (0..300).map(|n| 20_000_000_000 + n * 50_000_000);
        let arrivals: Arc<[Arrival]> =
            slow.chain(fast).map(|at| Arrival { at, journey: 0 }).collect();
        let replay = Executor::Replay { trace: "t.csv".to_owned(), speed: 1.0 };
        let scenario = Scenario::only(replay, Arrivals::Even, 1);
        let course = segments(&scenario, &FlowKind::Replay(arrivals), 1e6);
        let rates: Vec<f64> = course.iter().map(|segment| segment.rate.0.round()).collect();
        assert_eq!(rates, [10.0, 10.0, 20.0]);
    }
}
