//! Pilots choose the stages of a run, one after the other, from what was measured so far.

use std::collections::VecDeque;
use std::time::Duration;

use crate::diagnose::knee::{self, KneeVerdict, LiveSign};
use crate::diagnose::{soak, stages::summarize_timeline};
use crate::plan::{Breakpoint, Capacity, Executor, Soak};
use crate::recording::{PlanSummary, StopReason};
use crate::timeline::{Moment, Stage, StageRole, Timeline, Window};

/// How long a backlog can take to drain before the next stage starts anyway. Long stages leave long
/// queues: twice the length of a stage, if that is more.
const LONGEST_DRAIN: Duration = Duration::from_secs(20);

/// Shortest soak, however soon it seems settled: slow leaks are what a soak is for.
const SHORTEST_SOAK: Duration = Duration::from_secs(10 * 60);

/// How often a search continues above the stages around a sign that did not locate a knee. Such a
/// sign came early by chance, and the knee is higher.
const FURTHER: u32 = 2;

/// The stages beyond a sign, as multiples of its rate.
const PAST: [f64; 3] = [1.0, 1.15, 1.35];

/// What a pilot decides to do next.
#[derive(Clone, Debug, PartialEq)]
pub enum Decision {
    /// Hold this stage.
    Hold(PlannedStage),
    /// The run is over.
    Done(StopReason),
}

/// A stage that is planned, before it has a beginning. Rates are requests per second.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PlannedStage {
    /// Its purpose.
    pub role: StageRole,
    /// Requests per second at its begin.
    pub rate_from: f64,
    /// Requests per second at its end.
    pub rate_to: f64,
    /// Virtual users at its begin.
    pub vus_from: f64,
    /// Virtual users at its end.
    pub vus_to: f64,
    /// How long to hold it; for a drain, at most.
    pub duration: Duration,
}

impl PlannedStage {
    fn constant(role: StageRole, rate: f64, duration: Duration) -> Self {
        let (vus_from, vus_to) = (0.0, 0.0);
        Self { role, rate_from: rate, rate_to: rate, vus_from, vus_to, duration }
    }

    /// The same stage, with its beginning.
    pub fn stage(&self, begin: Moment) -> Stage {
        Stage {
            role: self.role,
            window: Window::new(begin, begin + self.duration),
            rate_from: self.rate_from,
            rate_to: self.rate_to,
            vus_from: self.vus_from,
            vus_to: self.vus_to,
        }
    }
}

/// Chooses the stages of a run.
pub trait Pilot {
    /// The next stage, or the end of the run. `timeline` has everything measured so far.
    fn next(&mut self, timeline: &Timeline, plan: &PlanSummary) -> Decision;

    /// Whether it needs collected series. Such a pilot is also asked, while it holds a stage,
    /// whether that was long enough.
    fn looks_at_series(&self) -> bool {
        false
    }

    /// Whether `stage` was held long enough. Its window ends now.
    fn is_enough(&mut self, _timeline: &Timeline, _plan: &PlanSummary, _stage: &Stage) -> bool {
        false
    }
}

/// The pilot of an executor that chooses its stages by what it measures; `None` for any other. No
/// stage exceeds `max_rate`.
pub fn pilot_for(executor: &Executor, max_rate: f64) -> Option<Box<dyn Pilot>> {
    match executor {
        Executor::Breakpoint(search) => Some(Box::new(BreakpointPilot::new(*search, max_rate))),
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

/// Searches for the knee: rise, drain, refine, beyond, recovery.
struct BreakpointPilot {
    plan: Breakpoint,
    phase: SearchPhase,
    /// Highest rate that was held without a sign.
    last_good: f64,
    /// How often it can still continue above the stages around a sign.
    further: u32,
}

/// What was held last, and so what to judge.
enum SearchPhase {
    /// Nothing yet.
    Start,
    /// The baseline or a stage of the rise.
    Rising,
    /// A stage around a sign; these stages follow.
    Refining(VecDeque<PlannedStage>),
    /// The last stage before the recovery.
    Measured(StopReason),
    /// The recovery.
    Over(StopReason),
}

impl BreakpointPilot {
    fn new(mut plan: Breakpoint, max_rate: f64) -> Self {
        plan.max_rate = plan.max_rate.min(max_rate);
        plan.start_rate = plan.start_rate.min(plan.max_rate);
        Self { plan, phase: SearchPhase::Start, last_good: 0.0, further: FURTHER }
    }

    /// The next stage of the rise, or what ends it.
    fn after_rise(&mut self, timeline: &Timeline, plan: &PlanSummary) -> Transition {
        let held = timeline.stages.last().map_or(self.plan.start_rate, Stage::rate);
        match knee::live(timeline, plan) {
            LiveSign::GeneratorLimited { .. } => {
                Transition::Turn(SearchPhase::Measured(StopReason::GeneratorLimited))
            }
            LiveSign::Sign { .. } => Transition::Turn(SearchPhase::Refining(self.around(held))),
            LiveSign::None => self.rise_from(held),
        }
    }

    /// What follows the stages around a sign.
    fn after_refine(&mut self, timeline: &Timeline, plan: &PlanSummary) -> Transition {
        match knee::live(timeline, plan) {
            LiveSign::GeneratorLimited { .. } => {
                Transition::Turn(SearchPhase::Measured(StopReason::GeneratorLimited))
            }
            LiveSign::Sign { .. } => Transition::Turn(self.after_sign(timeline, plan)),
            // A false sign. The rise continues beyond it, so there cannot be many.
            LiveSign::None => {
                let held = timeline.stages.last().map_or(self.plan.start_rate, Stage::rate);
                self.rise_from(held)
            }
        }
    }

    /// The end of the search if the stages locate the knee, or further stages beyond.
    fn after_sign(&mut self, timeline: &Timeline, plan: &PlanSummary) -> SearchPhase {
        let held = timeline.stages.last().map_or(self.plan.max_rate, Stage::rate);
        let knee = knee::find(&summarize_timeline(timeline, plan), timeline);
        let is_placed = matches!(knee, KneeVerdict::Found(_));
        if is_placed || self.further == 0 || held >= self.plan.max_rate {
            return SearchPhase::Measured(StopReason::KneeFound);
        }
        self.further -= 1;
        SearchPhase::Refining(self.past(held, &PAST[1..]).collect())
    }

    fn rise_from(&mut self, held: f64) -> Transition {
        self.last_good = self.last_good.max(held);
        if held >= self.plan.max_rate {
            return Transition::Turn(SearchPhase::Measured(StopReason::MaxRate));
        }
        let rate = (held * self.plan.factor).min(self.plan.max_rate);
        self.phase = SearchPhase::Rising;
        Transition::Hold(PlannedStage::constant(StageRole::Ramp, rate, self.plan.hold))
    }

    /// Fine steps from the last good rate to the rate of the sign, and stages well beyond it: a
    /// broken-line fit needs points on both sides of the knee.
    fn around(&self, sign: f64) -> VecDeque<PlannedStage> {
        let good = if self.last_good > 0.0 { self.last_good.min(sign) } else { sign / 4.0 };
        let step = (sign - good) / 4.0;
        let hold = self.plan.hold;
        let drain =
            PlannedStage::constant(StageRole::Drain, good / 4.0, LONGEST_DRAIN.max(hold * 2));
        let fine = (0..4).map(|index| {
            PlannedStage::constant(StageRole::Refine, good + step * f64::from(index), hold)
        });
        std::iter::once(drain).chain(fine).chain(self.past(sign, &PAST)).collect()
    }

    fn past(&self, rate: f64, shares: &[f64]) -> impl Iterator<Item = PlannedStage> {
        let (most, hold) = (self.plan.max_rate, self.plan.hold);
        let level = move |share: &f64| {
            PlannedStage::constant(StageRole::Beyond, (rate * share).min(most), hold)
        };
        shares.iter().map(level)
    }
}

enum Transition {
    Hold(PlannedStage),
    Turn(SearchPhase),
}

impl Pilot for BreakpointPilot {
    fn next(&mut self, timeline: &Timeline, plan: &PlanSummary) -> Decision {
        loop {
            let step = match &mut self.phase {
                SearchPhase::Start => {
                    self.phase = SearchPhase::Rising;
                    // Twice as long: the lowest rate makes few requests, and every later stage is
                    // compared with them.
                    Transition::Hold(PlannedStage::constant(
                        StageRole::Baseline,
                        self.plan.start_rate,
                        self.plan.hold * 2,
                    ))
                }
                SearchPhase::Rising => self.after_rise(timeline, plan),
                SearchPhase::Refining(levels) => match levels.pop_front() {
                    Some(level) => Transition::Hold(level),
                    None => self.after_refine(timeline, plan),
                },
                SearchPhase::Measured(reason) => {
                    self.phase = SearchPhase::Over(reason.clone());
                    if self.plan.recovery.is_zero() {
                        continue;
                    }
                    Transition::Hold(PlannedStage::constant(
                        StageRole::Recovery,
                        0.0,
                        self.plan.recovery,
                    ))
                }
                SearchPhase::Over(reason) => return Decision::Done(reason.clone()),
            };
            match step {
                Transition::Hold(level) => return Decision::Hold(level),
                Transition::Turn(phase) => self.phase = phase,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::timeline::{EndpointTick, Histogram, LoadTick, Moment, ResponseClass, Window};

    /// A server that completes at most `capacity` requests a second, 10 ms each when unloaded.
    struct Server {
        capacity: f64,
        queue: f64,
        now: Moment,
        timeline: Timeline,
    }

    impl Server {
        fn new(capacity: f64) -> Self {
            Self { capacity, queue: 0.0, now: Moment::START, timeline: Timeline::default() }
        }

        fn hold(&mut self, level: PlannedStage) {
            let begin = self.now;
            let seconds = if level.role == StageRole::Drain { 5 } else { level.duration.as_secs() };
            for _ in 0..seconds {
                self.second(level.rate_from);
            }
            let window = Window::new(begin, self.now);
            self.timeline.stages.push(Stage { window, ..level.stage(begin) });
        }

        fn second(&mut self, rate: f64) {
            let completed = (self.queue + rate).min(self.capacity);
            self.queue += rate - completed;
            let response = Duration::from_secs_f64(0.01 + self.queue / self.capacity);
            let mut times = Histogram::new();
            for _ in 0..completed.round() as u64 {
                times.record(response);
            }
            let end = self.now + Duration::from_secs(1);
            self.timeline.ticks.push(LoadTick {
                offered: rate.round() as u64,
                sent: rate.round() as u64,
                in_flight: completed * response.as_secs_f64(),
                endpoints: vec![EndpointTick {
                    endpoint: "GET /".to_owned(),
                    class: ResponseClass::Status(200),
                    response_time: times.clone(),
                    service_time: times,
                }],
                ..LoadTick::empty(Window::new(self.now, end), "test")
            });
            self.now = end;
        }
    }

    fn breakpoint(max_rate: f64) -> Breakpoint {
        Breakpoint {
            start_rate: 20.0,
            max_rate,
            factor: 1.5,
            hold: Duration::from_secs(5),
            recovery: Duration::from_secs(3),
        }
    }

    fn search(capacity: f64, max_rate: f64) -> (Vec<Stage>, StopReason) {
        let search = Executor::Breakpoint(breakpoint(max_rate));
        let mut pilot = pilot_for(&search, 10_000.0).unwrap();
        let mut server = Server::new(capacity);
        for _ in 0..100 {
            match pilot.next(&server.timeline, &PlanSummary::default()) {
                Decision::Hold(level) => server.hold(level),
                Decision::Done(reason) => return (server.timeline.stages, reason),
            }
        }
        panic!("the search does not end: {:?}", server.timeline.stages);
    }

    #[test]
    fn a_knee_is_looked_at_from_both_sides() {
        let (stages, reason) = search(200.0, 2000.0);
        assert_eq!(reason, StopReason::KneeFound);
        let around = |role| stages.iter().filter(move |stage| stage.role == role).map(Stage::rate);
        let below = around(StageRole::Refine).filter(|rate| *rate <= 200.0).count();
        let above =
            stages.iter().filter(|stage| stage.role.is_measured() && stage.rate() > 200.0).count();
        assert!(below >= 2 && above >= 3, "{stages:?}");
        assert_eq!(around(StageRole::Drain).count(), 1);
        assert_eq!(stages.last().map(|stage| stage.role), Some(StageRole::Recovery));
        assert!(stages.iter().all(|stage| stage.rate() < 500.0), "{stages:?}");
    }

    #[test]
    fn a_knee_that_shows_only_at_the_top_is_looked_at_from_beyond() {
        let mut pilot = BreakpointPilot::new(breakpoint(2000.0), 10_000.0);
        let plan = PlanSummary::default();
        let mut server = Server::new(190.0);
        let reason = loop {
            match pilot.next(&server.timeline, &plan) {
                Decision::Hold(level) => {
                    // For one stage it is slow, below what it carries else.
                    let is_slow = level.role == StageRole::Ramp && level.rate_from > 150.0;
                    server.capacity = if is_slow { 140.0 } else { 190.0 };
                    server.hold(level);
                }
                Decision::Done(reason) => break reason,
            }
            assert!(server.timeline.stages.len() < 40, "it does not end");
        };
        assert_eq!(reason, StopReason::KneeFound);
        assert!(pilot.further < FURTHER, "{:?}", server.timeline.stages);
        let summaries = summarize_timeline(&server.timeline, &plan);
        let knee = knee::find(&summaries, &server.timeline);
        let KneeVerdict::Found(knee) = &knee else { panic!("{knee:?}") };
        assert!((180.0..200.0).contains(&knee.rate), "{knee:?}");
    }

    #[test]
    fn without_a_knee_the_rise_ends_at_the_highest_rate() {
        let (stages, reason) = search(10_000.0, 300.0);
        assert_eq!(reason, StopReason::MaxRate);
        let highest = stages.iter().map(Stage::rate).fold(0.0, f64::max);
        assert!((highest - 300.0).abs() < 1e-9, "{stages:?}");
        assert!(stages.iter().all(|stage| stage.role != StageRole::Refine));
    }

    #[test]
    fn a_system_that_is_slow_from_the_first_stage_is_looked_at_below_it() {
        let (stages, reason) = search(8.0, 300.0);
        assert_eq!(reason, StopReason::KneeFound);
        assert!(stages.iter().any(|stage| stage.role == StageRole::Refine && stage.rate() < 8.0));
    }

    #[test]
    fn a_soak_holds_its_rate_and_is_not_settled_in_its_first_minutes() {
        let minutes = |count: u64| Duration::from_secs(60 * count);
        let soak = Soak { until_settled: true, ..Soak::usual(50.0, minutes(60)) };
        let mut pilot = pilot_for(&Executor::Soak(soak), 40.0).unwrap();
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
        let mut pilot = pilot_for(&Executor::Capacity(search), 10_000.0).unwrap();
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
