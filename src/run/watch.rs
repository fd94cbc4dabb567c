//! Watches the load second by second for reasons to stop at once, and for the end of a backlog.

use crate::plan::Limits;
use crate::timeline::{LoadTick, ResponseClass, Stage, StageRole};

/// After so many seconds in which every request failed to connect the target is gone.
const SECONDS_WITHOUT_TARGET: u32 = 10;
/// An error budget is judged on at least so many requests of a stage.
const REQUESTS_TO_JUDGE: u64 = 50;
/// The longest a drain goes on is set by its stage; this many seconds in a row must be calm.
const CALM_SECONDS: u32 = 2;

/// A reason to stop at once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Alarm {
    /// More of a stage's requests failed than the plan allows.
    ErrorBudget,
    /// Nobody answers any more.
    TargetGone(String),
}

/// What was seen of the load so far, as far as it can end a stage or a run.
pub struct Watch {
    limits: Limits,
    stage_begin: Option<u64>,
    stage_completed: u64,
    stage_failed: u64,
    seconds_without_target: u32,
    calm_seconds: u32,
    baseline_in_flight: f64,
}

impl Watch {
    /// A watch over a run with these limits.
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            stage_begin: None,
            stage_completed: 0,
            stage_failed: 0,
            seconds_without_target: 0,
            calm_seconds: 0,
            baseline_in_flight: 0.0,
        }
    }

    /// Takes in one second of load.
    pub fn see(&mut self, tick: &LoadTick, stage: Option<&Stage>) -> Option<Alarm> {
        let begin = stage.map(|stage| stage.window.begin.nanos());
        if begin != self.stage_begin {
            self.stage_begin = begin;
            self.stage_completed = 0;
            self.stage_failed = 0;
            self.calm_seconds = 0;
        }
        self.stage_completed += tick.completed();
        self.stage_failed += tick.completed() - tick.succeeded();
        if let Some(stage) = stage {
            self.see_in_flight(tick, stage);
        }
        self.target_gone(tick).or_else(|| self.error_budget())
    }

    /// Whether the backlog of an overload is gone.
    pub fn is_drained(&self) -> bool {
        self.calm_seconds >= CALM_SECONDS
    }

    fn see_in_flight(&mut self, tick: &LoadTick, stage: &Stage) {
        if stage.role == StageRole::Baseline {
            self.baseline_in_flight = self.baseline_in_flight.max(tick.in_flight);
        }
        let calm = tick.backlog == 0 && tick.in_flight <= (2.0 * self.baseline_in_flight).max(2.0);
        self.calm_seconds = if calm { self.calm_seconds + 1 } else { 0 };
    }

    fn target_gone(&mut self, tick: &LoadTick) -> Option<Alarm> {
        let completed = tick.completed();
        let refused: u64 = tick
            .endpoints
            .iter()
            .filter(|endpoint| endpoint.class == ResponseClass::Connect)
            .map(|endpoint| endpoint.response_time.count())
            .sum();
        if completed > 0 {
            let gone = refused == completed;
            self.seconds_without_target = if gone { self.seconds_without_target + 1 } else { 0 };
        }
        (self.seconds_without_target >= SECONDS_WITHOUT_TARGET).then(|| {
            Alarm::TargetGone(format!(
                "no connection could be made for {SECONDS_WITHOUT_TARGET} seconds"
            ))
        })
    }

    fn error_budget(&self) -> Option<Alarm> {
        let judged = self.stage_completed >= REQUESTS_TO_JUDGE && self.limits.error_budget < 1.0;
        let ratio = self.stage_failed as f64 / self.stage_completed.max(1) as f64;
        (judged && ratio > self.limits.error_budget).then_some(Alarm::ErrorBudget)
    }
}
