//! What a night's answer is worth.

use std::fmt;

use kneepoint::demo::Fault;

use super::night::Night;

/// Seconds between two scrapes, and how many of them an onset may be away.
const SCRAPE: f64 = 1.0;
const SCRAPES: f64 = 2.0;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Score {
    /// The first cause is right.
    Right,
    /// The right one is among what is named beside it, and neither is said to be sure.
    Pair,
    /// No cause is named.
    Unknown,
    Wrong,
}

pub struct Scored {
    pub fault: &'static str,
    /// Whether the access log is beside the metrics.
    pub has_log: bool,
    pub score: Score,
    /// Seconds from the moment at which the load passed the limit to the onset.
    away: Option<f64>,
    causes: Vec<String>,
}

impl Scored {
    pub fn of(fault: &Fault, night: &Night) -> Self {
        let found = &night.found;
        let findings = found["incident"]["findings"].as_array().cloned().unwrap_or_default();
        let mut causes = Vec::new();
        let mut is_sure = false;
        for timed in &findings {
            let finding = &timed["finding"];
            let role = finding["role"]["kind"].as_str().unwrap_or("?");
            let rule = finding["rule"].as_str().unwrap_or("?").to_owned();
            if role == "cause" || role == "contributing" {
                is_sure |= role == "cause" && finding["confidence"] == "high";
                causes.push(rule);
            }
        }
        let is_right = |rule: &String| fault.truth.rules.contains(&rule.as_str());
        let score = match causes.first() {
            None => Score::Unknown,
            Some(first) if is_right(first) => Score::Right,
            Some(_) if !is_sure && causes.iter().any(is_right) => Score::Pair,
            Some(_) => Score::Wrong,
        };
        let onset = found["incident"]["onset"]["at"].as_f64().map(|nanos| nanos / 1e9);
        let begin = found["started_unix"].as_f64().unwrap_or(0.0);
        let away = onset.map(|onset| begin + onset - night.passed);
        Self { fault: fault.name, has_log: night.has_log, score, away, causes }
    }

    /// Whether the onset is found within two scrapes.
    pub fn is_in_time(&self) -> bool {
        self.away.is_some_and(|away| away.abs() <= SCRAPES * SCRAPE)
    }

    pub fn heading() -> String {
        format!("{:<26} {:<8} {:<8} {:<16} causes", "fault", "log", "score", "onset")
    }
}

impl fmt::Display for Scored {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let away = self.away.map_or("none".to_owned(), |away| format!("{away:+.1} s away"));
        let score = format!("{:?}", self.score);
        let log = if self.has_log { "beside" } else { "none" };
        let causes = self.causes.join(", ");
        write!(f, "{:<26} {log:<8} {score:<8} {away:<16} {causes}", self.fault)
    }
}
