//! What the system has to meet, in k6's form: `http_req_duration: p(95) < 300ms`.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// One condition that every stage has to meet, or every window of its own length.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Objective {
    /// The condition as the plan has it, for reports.
    pub text: String,
    /// What is measured.
    pub measure: Measure,
    /// On which side of the bound the good values are.
    pub comparison: Comparison,
    /// The bound: seconds for durations, a ratio for failures, the series' own unit.
    pub bound: f64,
    /// The endpoints it speaks of; all of them where there is none.
    pub endpoints: Vec<String>,
    /// It has to hold in every window of this length; in every stage where there is none.
    pub window: Option<Duration>,
    /// Whether it ends the run once it is broken, and how long after the begin of the load at the
    /// earliest.
    pub abort_after: Option<Duration>,
}

/// What an objective measures.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Measure {
    /// The response time in seconds that this share (0 to 1) of the successful requests does not
    /// exceed.
    ResponseTimeQuantile(f64),
    /// Mean response time in seconds.
    ResponseTimeMean,
    /// Share of requests that failed.
    FailureRatio,
    /// The series of this selector, and what is made of them.
    Series(String, Reduction),
}

/// What is made of the readings of series; several series add up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reduction {
    /// Their mean; growth per second for a counter.
    Mean,
    /// The lowest.
    Min,
    /// The highest.
    Max,
    /// Growth per second.
    Rate,
}

/// The side on which the good values are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Comparison {
    /// Below the bound.
    Under,
    /// Above the bound.
    Over,
}

impl Objective {
    /// Whether `value` meets it.
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
