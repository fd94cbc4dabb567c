//! What a diagnosis is worth, given what is known of the system.

use std::fmt;

use kneepoint::demo::Truth;
use serde_json::Value;

use super::system::System;

/// What a diagnosis is worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Score {
    /// A right cause is named first.
    Right,
    /// A right cause is named second.
    Second,
    /// Nothing is wrong, and nothing is said.
    Healthy,
    /// No cause is named, or there is no answer, and it is said so.
    Silent,
    /// A wrong cause is named first, not with high confidence.
    Wrong,
    /// A wrong cause is named first with high confidence.
    ConfidentlyWrong,
    /// Nothing is wrong, and a knee or a cause is named.
    Accused,
}

impl Score {
    pub const ALL: [Score; 7] = [
        Score::Right,
        Score::Second,
        Score::Healthy,
        Score::Silent,
        Score::Wrong,
        Score::ConfidentlyWrong,
        Score::Accused,
    ];

    /// Whether it may not happen.
    pub fn fails(self) -> bool {
        matches!(self, Score::ConfidentlyWrong | Score::Accused)
    }
}

impl fmt::Display for Score {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Score::Right => "right first",
            Score::Second => "in the first two",
            Score::Healthy => "healthy, and said so",
            Score::Silent => "no cause named",
            Score::Wrong => "WRONG",
            Score::ConfidentlyWrong => "CONFIDENTLY WRONG",
            Score::Accused => "HEALTHY AND ACCUSED",
        })
    }
}

/// One line of the table.
pub struct Scored {
    system: String,
    seed: u64,
    outcome: String,
    knee: Option<Knee>,
    truth: Truth,
    findings: Vec<Value>,
    pub score: Score,
}

struct Knee {
    rate: f64,
    low: f64,
    high: f64,
}

impl Scored {
    pub fn new(system: &System, seed: u64, report: &Value) -> Self {
        let diagnosis = &report["diagnosis"];
        let truth =
            if system.healthy { Truth { rules: &[], knee: None } } else { system.fault.truth };
        let findings = diagnosis["findings"].as_array().cloned().unwrap_or_default();
        let number = |name: &str| diagnosis["knee"][name].as_f64();
        let knee = match (number("rate"), number("low"), number("high")) {
            (Some(rate), Some(low), Some(high)) => Some(Knee { rate, low, high }),
            _ => None,
        };
        Self {
            system: system.to_string(),
            seed,
            outcome: diagnosis["outcome"]["kind"].as_str().unwrap_or("?").to_owned(),
            score: score(&truth, knee.is_some(), &findings),
            knee,
            truth,
            findings,
        }
    }

    pub fn heading() -> String {
        format!(
            "{:<34} {:<4} {:<17} {:<24} {:<12} {:<40} score",
            "system", "seed", "outcome", "knee [interval] in 1/s", "built in", "first finding"
        )
    }

    /// The findings in full.
    pub fn explain(&self) -> String {
        let findings = serde_json::to_string_pretty(&self.findings).unwrap_or_default();
        format!("{self}\nright would be one of {:?}\n{findings}", self.truth.rules)
    }
}

fn score(truth: &Truth, has_knee: bool, findings: &[Value]) -> Score {
    let is_right =
        |finding: &Value| finding["rule"].as_str().is_some_and(|rule| truth.rules.contains(&rule));
    match findings {
        _ if truth.rules.is_empty() && (has_knee || !findings.is_empty()) => Score::Accused,
        _ if truth.rules.is_empty() => Score::Healthy,
        [] => Score::Silent,
        [first, ..] if is_right(first) => Score::Right,
        [_, second, ..] if is_right(second) => Score::Second,
        [first, ..] if first["confidence"] == "high" => Score::ConfidentlyWrong,
        _ => Score::Wrong,
    }
}

impl fmt::Display for Scored {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let knee = self.knee.as_ref().map_or("-".to_owned(), |knee| {
            format!("{:.0} [{:.0}, {:.0}]", knee.rate, knee.low, knee.high)
        });
        let truth =
            self.truth.knee.map_or("-".to_owned(), |(low, high)| format!("{low:.0} to {high:.0}"));
        let first = self.findings.first().map_or("-".to_owned(), |finding| {
            let text = |name: &str| finding[name].as_str().unwrap_or("?").to_owned();
            format!("{} ({})", text("rule"), text("confidence"))
        });
        write!(
            f,
            "{:<34} {:<4} {:<17} {:<24} {:<12} {:<40} {}",
            self.system, self.seed, self.outcome, knee, truth, first, self.score
        )
    }
}
