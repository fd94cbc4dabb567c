//! What the system must meet, in the form of k6's thresholds: `http_req_duration: p(95) < 300ms`.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// One condition that every stage must meet, or every window of a given length.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Objective {
    /// The condition as the plan writes it, for reports.
    pub text: String,
    /// What is measured.
    pub measure: ObjectiveMeasure,
    /// The side of the bound on which good values lie.
    pub comparison: Comparison,
    /// The bound: in seconds for response times, a ratio for failures, and otherwise in the unit of
    /// the series.
    pub bound: f64,
    /// The endpoints that it covers; empty for all of them.
    pub endpoints: Vec<String>,
    /// It must hold in every window of this length; in every stage if `None`.
    pub window: Option<Duration>,
    /// If it ends the run when it is broken: how long after the beginning of the load at the
    /// earliest.
    pub abort_after: Option<Duration>,
    /// By which share (0.1 is 10 %) it may become worse from one build to the next; `None` for what
    /// the comparison allows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_worse: Option<f64>,
}

/// What an objective measures.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ObjectiveMeasure {
    /// The quantile (0 to 1) of the response times of successful requests, in seconds.
    ResponseTimeQuantile(f64),
    /// The mean response time of successful requests, in seconds.
    ResponseTimeMean,
    /// Share of requests that failed.
    FailureRatio,
    /// The series of this selector, and how their readings become one value.
    Series(String, Reduction),
}

/// How the readings of series become one value. Several series are added up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reduction {
    /// The mean; for a counter, growth per second.
    Mean,
    /// The lowest.
    Min,
    /// The highest.
    Max,
    /// Growth per second.
    Rate,
}

/// The side of the bound on which good values lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Comparison {
    /// Below the bound.
    Under,
    /// Above the bound.
    Over,
}

impl Objective {
    /// Whether `value` meets the condition.
    pub fn is_met_by(&self, value: f64) -> bool {
        match self.comparison {
            Comparison::Under => value < self.bound,
            Comparison::Over => value > self.bound,
        }
    }
}

impl fmt::Display for Objective {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}
