//! What a gate says of a change, against what is known of it.

use std::fmt;

use kneepoint::demo::{Change, Shows};
use serde_json::Value;

/// A report names a part that changed by more than so many times its error.
const BEYOND_ERROR: f64 = 2.0;

/// How a gate ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// A change was found, and its part named.
    Found,
    /// A change was found, but another part named.
    OtherPart,
    /// A change was not found.
    Missed,
    /// Two equal builds were left alone.
    Quiet,
    /// Two equal builds were told apart as worse.
    Alarm,
}

/// One gate.
pub struct Judged {
    pub change: &'static Change,
    time: usize,
    pub outcome: Outcome,
    /// What the gate calls worse.
    worse: Vec<String>,
    /// The part of the response time that grew most, of those that grew by more than chance.
    part: Option<(String, f64)>,
}

impl Judged {
    pub fn new(change: &'static Change, time: usize, printed: &Value) -> Self {
        let comparison = &printed["comparison"];
        let is_worse = comparison["verdict"] == "worse";
        let worse: Vec<String> = comparison["quantities"]
            .as_array()
            .into_iter()
            .flatten()
            .filter(|quantity| quantity["answer"]["kind"] == "worse")
            .filter_map(|quantity| quantity["measure"]["kind"].as_str().map(str::to_owned))
            .collect();
        let number = |of: &Value, side: &str| of[side].as_f64().unwrap_or(0.0);
        let part = comparison["why"]["parts"]
            .as_array()
            .into_iter()
            .flatten()
            .map(|part| (part, number(part, "candidate") - number(part, "base")))
            .filter(|(part, gain)| *gain > BEYOND_ERROR * number(part, "error"))
            .max_by(|a, b| a.1.total_cmp(&b.1))
            .map(|(part, gain)| (part["kind"].as_str().unwrap_or_default().to_owned(), gain));
        let quantiles = ["p50", "p95", "p99"];
        let is_slower = worse.iter().any(|it| quantiles.contains(&it.as_str()));
        let grew =
            |any: &[&str]| part.as_ref().is_some_and(|(kind, _)| any.contains(&kind.as_str()));
        let is_used_up = |limit: &Value| {
            number(limit, "candidate") < number(limit, "base")
                && number(limit, "most_in_candidate") >= number(limit, "candidate")
        };
        let limits = comparison["why"]["limits"].as_array();
        let has_small_pool = limits.is_some_and(|limits| limits.iter().any(is_used_up));
        let is_named = match change.shows {
            Shows::Nothing => false,
            Shows::Measures(any) => any.iter().any(|one| worse.iter().any(|it| it == one)),
            Shows::Part(any) => is_slower && grew(any),
            Shows::Pool => is_slower && (grew(&["pool_wait"]) || has_small_pool),
        };
        let outcome = match (change.shows.anything(), is_worse) {
            (false, false) => Outcome::Quiet,
            (false, true) => Outcome::Alarm,
            (true, true) if is_named => Outcome::Found,
            (true, true) => Outcome::OtherPart,
            (true, false) => Outcome::Missed,
        };
        Self { change, time, outcome, worse, part }
    }
}

impl fmt::Display for Judged {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let outcome = match self.outcome {
            Outcome::Found => "found",
            Outcome::OtherPart => "OTHER PART",
            Outcome::Missed => "MISSED",
            Outcome::Quiet => "left alone",
            Outcome::Alarm => "FALSE ALARM",
        };
        write!(f, "{:14} {:>3} {outcome:11}", self.change.shop.name, self.time)?;
        if let Some((part, gain)) = &self.part {
            write!(f, " {part} {:+.2} ms;", gain * 1e3)?;
        }
        write!(f, " worse: {}", self.worse.join(", "))
    }
}
