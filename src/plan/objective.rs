//! What the system has to meet, in k6's form: `http_req_duration: p(95) < 300ms`.

use std::fmt;

use serde::Serialize;

/// One condition that every stage has to meet.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Objective {
    /// The condition as the plan has it, for reports.
    pub text: String,
    /// What is measured.
    pub measure: Measure,
    /// On which side of the bound the good values are.
    pub comparison: Comparison,
    /// The bound: seconds for durations, a ratio for failures.
    pub bound: f64,
    /// The endpoint it speaks of; all of them where there is none.
    pub endpoint: Option<String>,
}

/// What an objective measures.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Measure {
    /// The response time in seconds that this share (0 to 1) of the successful requests does not
    /// exceed.
    ResponseTimeQuantile(f64),
    /// Mean response time in seconds.
    ResponseTimeMean,
    /// Share of requests that failed.
    FailureRatio,
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
