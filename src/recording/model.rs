//! One run as a value: its plan, where it ran, what was measured, why it stopped.

use serde::{Deserialize, Serialize};

use super::{Environment, Reduction};
use crate::timeline::{Moment, Timeline};

/// One run.
#[derive(Clone, Debug, PartialEq)]
pub struct Recording {
    /// The plan as JSON, secrets left out. A value rather than a [`crate::plan::Plan`], so that a
    /// recording outlives changes of the plan's form; [`PlanSummary`] is what the diagnosis reads.
    pub plan: PlanSummary,
    /// Where and by what it was recorded.
    pub environment: Environment,
    /// All that was measured.
    pub timeline: Timeline,
    /// What happened on the way, such as a restart of the target.
    pub events: Vec<Event>,
    /// Why the run ended; `None` where the file ends without saying so (a killed run).
    pub stop: Option<Stop>,
}

/// The parts of a plan that a diagnosis and a report need.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct PlanSummary {
    /// Name of the plan.
    pub name: String,
    /// The target's base address.
    pub target: String,
    /// Names of the requests with their share of the load, in the plan's order.
    pub requests: Vec<(String, f64)>,
    /// Each tag as `tag:value` with the names of its requests.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<(String, Vec<String>)>,
    /// Name of the load shape (`breakpoint`, `constant-arrival-rate` …).
    pub executor: String,
    /// Highest rate that the plan allowed.
    pub max_rate: f64,
    /// Most virtual users that the plan asked for.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub max_vus: u32,
    /// How many different requests the plan can make, where that is known.
    #[serde(default)]
    pub variety: Option<f64>,
    /// The objectives.
    pub objectives: Vec<RecordedObjective>,
    /// The whole plan as JSON, secrets left out.
    pub full: serde_json::Value,
}

fn is_zero(number: &u32) -> bool {
    *number == 0
}

/// An objective as a recording keeps it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RecordedObjective {
    /// The condition as the plan has it.
    pub text: String,
    /// The endpoint it speaks of; all of them where neither this nor `endpoints` names any.
    pub endpoint: Option<String>,
    /// The endpoints it speaks of, where it speaks of a tag.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub endpoints: Vec<String>,
    /// It has to hold in every window of so many seconds; in every stage where there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub for_secs: Option<f64>,
    /// Once it is broken, so many seconds after the begin of the load or later, the run ends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub abort_after_secs: Option<f64>,
    /// What is measured.
    pub measure: RecordedMeasure,
    /// The bound: seconds for durations, a ratio for failures.
    pub bound: f64,
    /// Whether good values lie below the bound.
    pub good_below: bool,
}

impl RecordedObjective {
    /// Whether it speaks of an endpoint.
    pub fn is_about(&self, endpoint: &str) -> bool {
        match &self.endpoint {
            Some(named) => named == endpoint,
            None => {
                self.endpoints.is_empty() || self.endpoints.iter().any(|named| named == endpoint)
            }
        }
    }

    /// Whether `value` breaks it.
    pub fn is_broken_by(&self, value: f64) -> bool {
        if self.good_below { value >= self.bound } else { value <= self.bound }
    }

    /// The worse of two values.
    pub fn worse(&self, a: f64, b: f64) -> f64 {
        if self.good_below { a.max(b) } else { a.min(b) }
    }
}

impl Default for RecordedObjective {
    /// All endpoints, in every stage: no failure.
    fn default() -> Self {
        Self {
            text: String::new(),
            endpoint: None,
            endpoints: Vec::new(),
            for_secs: None,
            abort_after_secs: None,
            measure: RecordedMeasure::FailureRatio,
            bound: 0.0,
            good_below: true,
        }
    }
}

/// What an objective measures, as a recording keeps it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RecordedMeasure {
    /// The response time that this share (0 to 1) of the successful requests does not exceed.
    ResponseTimeQuantile(f64),
    /// Mean response time.
    ResponseTimeMean,
    /// Share of requests that failed.
    FailureRatio,
    /// The series of this selector, and what is made of them.
    Series(String, Reduction),
}

impl RecordedMeasure {
    /// Whether it is one of the load's own.
    pub fn is_of_responses(&self) -> bool {
        !matches!(self, RecordedMeasure::Series(..))
    }
}

/// Something that happened at one moment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// When.
    pub at: Moment,
    /// What, in words for the report.
    pub text: String,
}

/// The end of a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stop {
    /// When.
    pub at: Moment,
    /// Why.
    pub reason: StopReason,
}

/// Why a run ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind", content = "detail")]
pub enum StopReason {
    /// Everything that was planned was done.
    Completed,
    /// The knee was found and looked at from both sides.
    KneeFound,
    /// The plan's highest rate was reached without a knee.
    MaxRate,
    /// The generator could not keep its schedule.
    GeneratorLimited,
    /// More requests failed than the plan's error budget allows.
    ErrorBudget,
    /// An objective that the plan ends a run by was broken.
    Objective(String),
    /// The plan's longest duration was reached.
    MaxDuration,
    /// The target stopped answering altogether.
    TargetGone(String),
    /// Someone asked for the end: Ctrl-C, a signal, the kill-switch file.
    Interrupted,
    /// kneepoint itself could not go on.
    Failed(String),
}
