//! One run as a value: its plan, where it ran, what was measured, why it stopped.

use serde::{Deserialize, Serialize};

use super::{Environment, Reduction};
use crate::timeline::{Moment, Timeline};

/// One run.
#[derive(Clone, Debug, PartialEq)]
pub struct Recording {
    /// What the diagnosis needs of the plan. It is not a [`crate::plan::Plan`], so that a recording
    /// stays readable when the form of plans changes.
    pub plan: PlanSummary,
    /// Where it was recorded, and by which version.
    pub environment: Environment,
    /// Everything that was measured.
    pub timeline: Timeline,
    /// What happened during the run, such as a restart of the target.
    pub events: Vec<Event>,
    /// Why the run ended; `None` if the file has no end, because the run was killed.
    pub stop: Option<Stop>,
}

/// The parts of a plan that a diagnosis and a report need.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct PlanSummary {
    /// Name of the plan.
    pub name: String,
    /// The target's base URL.
    pub target: String,
    /// Names of the requests, each with its share of the load (0 to 1), in the plan's order.
    pub requests: Vec<(String, f64)>,
    /// Each tag as `tag:value`, with the names of its requests.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<(String, Vec<String>)>,
    /// Names of the executors (`breakpoint`, `constant-arrival-rate` …), separated by commas.
    pub executor: String,
    /// Highest rate that the plan allowed, in requests per second.
    pub max_rate: f64,
    /// Virtual users that the plan asked for, at most.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub max_vus: u32,
    /// How many different requests the plan can make, if that is known.
    #[serde(default)]
    pub variety: Option<f64>,
    /// Share (0 to 1) of the requests that only read, by their method; `None` in older recordings.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub read_share: Option<f64>,
    /// How many different reads the plan can make, if that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub read_variety: Option<f64>,
    /// How the plan compares to what users do, in half a sentence; `None` if nobody asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub realism: Option<String>,
    /// The objectives.
    pub objectives: Vec<RecordedObjective>,
    /// The whole plan as JSON, without secrets.
    pub full: serde_json::Value,
}

fn is_zero(number: &u32) -> bool {
    *number == 0
}

/// An objective in a recording.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RecordedObjective {
    /// The condition as the plan writes it.
    pub text: String,
    /// The only endpoint that it covers. If this and `endpoints` are empty, it covers all.
    pub endpoint: Option<String>,
    /// The endpoints that it covers, if there are several.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub endpoints: Vec<String>,
    /// It must hold in every window of this many seconds; in every stage if `None`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub for_secs: Option<f64>,
    /// If it is broken at least this many seconds after the beginning of the load, the run ends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub abort_after_secs: Option<f64>,
    /// By which share it may become worse from one build to the next.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_worse: Option<f64>,
    /// What is measured.
    pub measure: RecordedMeasure,
    /// The bound: seconds for response times, a ratio for failures, otherwise the unit of the
    /// series.
    pub bound: f64,
    /// Whether good values lie below the bound.
    pub good_below: bool,
}

impl RecordedObjective {
    /// Whether it covers an endpoint.
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
    /// No failed request, over all endpoints, in every stage.
    fn default() -> Self {
        Self {
            text: String::new(),
            endpoint: None,
            endpoints: Vec::new(),
            for_secs: None,
            abort_after_secs: None,
            max_worse: None,
            measure: RecordedMeasure::FailureRatio,
            bound: 0.0,
            good_below: true,
        }
    }
}

/// What an objective in a recording measures.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RecordedMeasure {
    /// The quantile (0 to 1) of the response times of successful requests, in seconds.
    ResponseTimeQuantile(f64),
    /// The mean response time of successful requests, in seconds.
    ResponseTimeMean,
    /// Share of requests that failed.
    FailureRatio,
    /// The series of this selector, and how their readings become one value.
    Series(String, Reduction),
}

impl RecordedMeasure {
    /// Whether it is measured on responses, not on a collected series.
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
    /// The plan is done.
    Completed,
    /// The knee was found, with stages on both sides of it.
    KneeFound,
    /// The plan's highest rate was reached without a knee.
    MaxRate,
    /// The generator could not keep the schedule.
    GeneratorLimited,
    /// More requests failed than the plan's error budget allows.
    ErrorBudget,
    /// An objective with `abort` was broken.
    Objective(String),
    /// The plan's `max_duration` was reached.
    MaxDuration,
    /// The target stopped answering.
    TargetGone(String),
    /// Someone stopped it: Ctrl-C, a signal, or the kill switch.
    Interrupted,
    /// kneepoint itself could not continue.
    Failed(String),
}
