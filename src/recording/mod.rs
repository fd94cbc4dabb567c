//! One run as a value and as a file: what was asked for, where it ran, what was measured, why it
//! stopped. It holds raw ticks and readings, never a conclusion.

mod environment;
mod frames;
mod gather;
mod lines;
mod read;
mod scan;
mod summary;
#[cfg(test)]
mod tests;
mod write;

use serde::{Deserialize, Serialize};

pub use environment::{CollectorNote, Environment};
pub use read::{ReadError, ReadNote, read};
pub use write::{WriteError, Writer};

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
    /// Name of the load shape (`breakpoint`, `constant-arrival-rate` …).
    pub executor: String,
    /// Highest rate that the plan allowed.
    pub max_rate: f64,
    /// How many different requests the plan can make, where that is known.
    #[serde(default)]
    pub variety: Option<f64>,
    /// The objectives.
    pub objectives: Vec<RecordedObjective>,
    /// The whole plan as JSON, secrets left out.
    pub full: serde_json::Value,
}

/// An objective as a recording keeps it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RecordedObjective {
    /// The condition as the plan has it.
    pub text: String,
    /// The endpoint it speaks of; all of them where there is none.
    pub endpoint: Option<String>,
    /// What is measured.
    pub measure: RecordedMeasure,
    /// The bound: seconds for durations, a ratio for failures.
    pub bound: f64,
    /// Whether good values lie below the bound.
    pub good_below: bool,
}

/// What an objective measures, as a recording keeps it.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RecordedMeasure {
    /// The response time that this share (0 to 1) of the successful requests does not exceed.
    ResponseTimeQuantile(f64),
    /// Mean response time.
    ResponseTimeMean,
    /// Share of requests that failed.
    FailureRatio,
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
    /// The plan's longest duration was reached.
    MaxDuration,
    /// The target stopped answering altogether.
    TargetGone(String),
    /// Someone asked for the end: Ctrl-C, a signal, the kill-switch file.
    Interrupted,
    /// kneepoint itself could not go on.
    Failed(String),
}
