//! Pilots choose the stages of a run, one after the other, from what was measured so far.

mod decision;
mod search;
#[cfg(test)]
mod simulated;

use std::collections::VecDeque;
use std::time::Duration;

use crate::diagnose::{soak, stages::summarize_timeline};
use crate::plan::{Capacity, Executor, Limits, Soak};
use crate::recording::{PlanSummary, StopReason};
use crate::timeline::{Stage, StageRole, Timeline};

use self::decision::LONGEST_DRAIN;
use self::search::BreakpointPilot;

pub use self::decision::{Decision, Pilot, PlannedStage};

/// Shortest soak, however soon it seems settled: slow leaks are what a soak is for.
const SHORTEST_SOAK: Duration = Duration::from_secs(10 * 60);

/// The pilot of an executor that chooses its stages by what it measures; `None` for any other. It
/// keeps to the highest rate and the longest duration of `limits`.
pub fn pilot_for(executor: &Executor, limits: &Limits) -> Option<Box<dyn Pilot>> {
    let (max_rate, longest) = (limits.max_rate, limits.max_duration);
    match executor {
        Executor::Breakpoint(search) => {
            Some(Box::new(BreakpointPilot::new(*search, max_rate, longest)))
        }
        Executor::Soak(soak) => Some(Box::new(SoakPilot::new(*soak, max_rate))),
        Executor::Capacity(search) => Some(Box::new(CapacityPilot::new(*search, max_rate))),
        _ => None,
    }
}

/// Holds stages that are known beforehand.
pub(super) struct FixedPilot(pub(super) VecDeque<PlannedStage>);

impl Pilot for FixedPilot {
    fn next(&mut self, _timeline: &Timeline, _plan: &PlanSummary) -> Decision {
        match self.0.pop_front() {
            Some(level) => Decision::Hold(level),
            None => Decision::Done(StopReason::Completed),
        }
    }
}

/// Holds one rate for its time, or until it is clear what leaks. Then a recovery.
struct SoakPilot {
    until_settled: bool,
    levels: FixedPilot,
    /// Whether it was settled at the last look. A single look can be chance.
    settled_before: bool,
}

impl SoakPilot {
    fn new(plan: Soak, max_rate: f64) -> Self {
        let hold = PlannedStage::constant(StageRole::Ramp, plan.rate.min(max_rate), plan.duration);
        let recovery = PlannedStage::constant(StageRole::Recovery, 0.0, plan.recovery);
        let levels = [hold, recovery].into_iter().filter(|level| !level.duration.is_zero());
        let (until_settled, levels) = (plan.until_settled, FixedPilot(levels.collect()));
        Self { until_settled, levels, settled_before: false }
    }
}

impl Pilot for SoakPilot {
    fn next(&mut self, timeline: &Timeline, plan: &PlanSummary) -> Decision {
        self.levels.next(timeline, plan)
    }

    fn looks_at_series(&self) -> bool {
        self.until_settled
    }

    fn is_enough(&mut self, timeline: &Timeline, plan: &PlanSummary, stage: &Stage) -> bool {
        if stage.role == StageRole::Recovery || stage.window.secs() < SHORTEST_SOAK.as_secs_f64() {
            return false;
        }
        let is_settled = soak::is_settled(timeline, plan, stage);
        std::mem::replace(&mut self.settled_before, is_settled) && is_settled
    }
}

/// Searches for the capacity: doubles the rate until an objective is broken, then bisects.
struct CapacityPilot {
    plan: Capacity,
    /// Highest rate that met every objective, and lowest that did not.
    good: f64,
    bad: Option<f64>,
    is_begun: bool,
    /// Whether to drain first: the last stage broke an objective and may have left a queue.
    drains: bool,
    next: f64,
}

impl CapacityPilot {
    fn new(mut plan: Capacity, max_rate: f64) -> Self {
        plan.max_rate = plan.max_rate.min(max_rate);
        let next = plan.start_rate.min(plan.max_rate);
        Self { plan, good: 0.0, bad: None, is_begun: false, drains: false, next }
    }

    /// Learns from the last stage.
    fn learn(&mut self, timeline: &Timeline, plan: &PlanSummary) {
        let held = timeline.stages.iter().rev().find(|stage| stage.role.is_measured());
        let Some(held) = held else { return };
        let summary = summarize_timeline(timeline, plan);
        let last = summary.iter().rev().find(|summary| summary.role.is_measured());
        // A stage that the generator could not offer says nothing about the target.
        let is_broken = last.is_some_and(|last| !last.broken_objectives.is_empty());
        match is_broken {
            true => self.bad = Some(held.rate()),
            false => self.good = self.good.max(held.rate()),
        }
        self.drains = is_broken;
    }
}

impl Pilot for CapacityPilot {
    fn next(&mut self, timeline: &Timeline, plan: &PlanSummary) -> Decision {
        let is_drained = timeline.stages.last().is_some_and(|last| last.role == StageRole::Drain);
        if self.is_begun && !is_drained {
            self.learn(timeline, plan);
            match self.bad {
                None if self.good >= self.plan.max_rate => {
                    return Decision::Done(StopReason::MaxRate);
                }
                None => self.next = (self.good * 2.0).min(self.plan.max_rate),
                Some(bad) if (bad - self.good) <= self.plan.precision * bad => {
                    return Decision::Done(StopReason::Completed);
                }
                Some(bad) => self.next = f64::midpoint(self.good, bad),
            }
            if self.drains {
                let longest = LONGEST_DRAIN.max(self.plan.hold * 2);
                return Decision::Hold(PlannedStage::constant(
                    StageRole::Drain,
                    self.good / 4.0,
                    longest,
                ));
            }
        }
        self.is_begun = true;
        Decision::Hold(PlannedStage::constant(StageRole::Ramp, self.next, self.plan.hold))
    }
}

#[cfg(test)]
mod tests {
    use super::simulated::Server;
    use super::*;
    use crate::timeline::{Moment, Window};

    #[test]
    fn a_soak_holds_its_rate_and_is_not_settled_in_its_first_minutes() {
        let minutes = |count: u64| Duration::from_secs(60 * count);
        let soak = Soak { until_settled: true, ..Soak::usual(50.0, minutes(60)) };
        let mut pilot =
            pilot_for(&Executor::Soak(soak), &Limits { max_rate: 40.0, ..Limits::usual() })
                .unwrap();
        let (timeline, plan) = (Timeline::default(), PlanSummary::default());
        let Decision::Hold(level) = pilot.next(&timeline, &plan) else {
            panic!("there is a stage")
        };
        assert_eq!((level.rate_from, level.rate_to), (40.0, 40.0));
        assert!(pilot.looks_at_series());
        let window = Window::new(Moment::START, Moment::START + minutes(9));
        let stage = Stage::constant(level.role, window, 40.0);
        assert!(!pilot.is_enough(&timeline, &plan, &stage));
        let Decision::Hold(recovery) = pilot.next(&timeline, &plan) else {
            panic!("there is another")
        };
        assert_eq!(recovery.role, StageRole::Recovery);
        assert_eq!(pilot.next(&timeline, &plan), Decision::Done(StopReason::Completed));
    }

    #[test]
    fn the_capacity_is_halved_down_to_what_meets_the_objectives() {
        let objective = crate::recording::RecordedObjective {
            text: "http_req_duration: p(95) < 300ms".to_owned(),
            endpoint: None,
            measure: crate::recording::RecordedMeasure::ResponseTimeQuantile(0.95),
            bound: 0.3,
            good_below: true,
            ..Default::default()
        };
        let plan = PlanSummary { objectives: vec![objective], ..PlanSummary::default() };
        let hold = Duration::from_secs(10);
        let search = Capacity { start_rate: 20.0, max_rate: 2000.0, hold, precision: 0.05 };
        let mut pilot = pilot_for(&Executor::Capacity(search), &Limits::usual()).unwrap();
        let mut server = Server::new(200.0);
        let reason = loop {
            match pilot.next(&server.timeline, &plan) {
                Decision::Hold(level) => {
                    // The drain of the simulated server is over when its queue is.
                    if level.role == StageRole::Drain {
                        server.queue = 0.0;
                    }
                    server.hold(level);
                }
                Decision::Done(reason) => break reason,
            }
            assert!(server.timeline.stages.len() < 40, "it does not end");
        };
        assert_eq!(reason, StopReason::Completed);
        let is_tried = |stage: &&Stage| stage.role == StageRole::Ramp;
        let last = server.timeline.stages.iter().rfind(is_tried).map_or(0.0, Stage::rate);
        // Within 10 s a queue of 3 % makes 300 ms.
        assert!((190.0..215.0).contains(&last), "{last}");
    }
}
