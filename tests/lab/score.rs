//! What a diagnosis is worth, given what is known about the system.

use std::collections::BTreeMap;
use std::fmt;

use kneepoint::demo::Truth;
use serde_json::Value;

/// What the named causes are worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Score {
    /// A right cause is named first.
    Right,
    /// A right cause is named second.
    Second,
    /// Nothing is wrong, and nothing is said.
    Healthy,
    /// No cause is named, or there is no answer, and the report says so.
    Silent,
    /// A wrong cause is named first, with medium or low confidence.
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

    /// Whether one such run fails the lab. How often a diagnosis may be silent is counted over all
    /// runs, see [`failures`].
    fn fails(self) -> bool {
        matches!(self, Score::Wrong | Score::ConfidentlyWrong | Score::Accused)
    }

    fn new(truth: &Truth, has_knee: bool, findings: &[Value]) -> Self {
        let is_right = |finding: &Value| {
            let names_endpoint =
                truth.endpoint.is_none_or(|endpoint| finding["endpoint"] == endpoint);
            let rule = finding["rule"].as_str();
            rule.is_some_and(|rule| truth.rules.contains(&rule)) && names_endpoint
        };
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
}

impl fmt::Display for Score {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Score::Right => "right first",
            Score::Second => "right second",
            Score::Healthy => "healthy, and said so",
            Score::Silent => "no cause named",
            Score::Wrong => "WRONG",
            Score::ConfidentlyWrong => "CONFIDENTLY WRONG",
            Score::Accused => "HEALTHY AND ACCUSED",
        })
    }
}

/// How far the interval of a knee may reach to each side, as a share of the knee, to be narrow. It
/// is what a search aims at.
const SHARP: f64 = 0.08;

/// The knee that a report names.
#[derive(Clone, Copy)]
struct Knee {
    rate: f64,
    low: f64,
    high: f64,
}

/// One line of the table.
pub struct Scored {
    system: String,
    fault: &'static str,
    seed: u64,
    outcome: String,
    knee: Option<Knee>,
    truth: Truth,
    /// The lowest and the highest right knee.
    built_in: Option<(f64, f64)>,
    findings: Vec<Value>,
    pub score: Score,
    /// What is wrong with the knee.
    knee_error: Option<String>,
}

impl Scored {
    /// Scores the report of a run of `system`, which has `fault` or is its healthy twin. `alone`
    /// is asked only where the range of the knee depends on it, see `BuiltInKnee`.
    pub fn new(
        system: String,
        fault: &'static str,
        seed: u64,
        truth: Truth,
        report: &Value,
        alone: impl FnOnce() -> f64,
    ) -> Self {
        let diagnosis = &report["diagnosis"];
        let findings = diagnosis["findings"].as_array().cloned().unwrap_or_default();
        let number = |name: &str| diagnosis["knee"][name].as_f64();
        let knee = match (number("rate"), number("low"), number("high")) {
            (Some(rate), Some(low), Some(high)) => Some(Knee { rate, low, high }),
            _ => None,
        };
        let score = Score::new(&truth, knee.is_some(), &findings);
        let built_in = truth.knee.map(|knee| knee.range(alone));
        Self {
            system,
            fault,
            seed,
            outcome: diagnosis["outcome"]["kind"].as_str().unwrap_or("?").to_owned(),
            knee_error: knee_error(score, knee.map(|knee| knee.rate), built_in),
            score,
            knee,
            truth,
            built_in,
            findings,
        }
    }

    pub fn heading() -> String {
        format!(
            "{:<34} {:<4} {:<17} {:<24} {:<12} {:<40} score",
            "system", "seed", "outcome", "knee [interval] in 1/s", "built in", "first finding"
        )
    }

    /// Whether the interval of the knee is narrow; nothing where there is no knee.
    pub fn is_sharp(&self) -> Option<bool> {
        let is_sharp = |knee: Knee| {
            knee.high <= (1.0 + SHARP) * knee.rate && knee.low >= (1.0 - SHARP) * knee.rate
        };
        self.knee.map(is_sharp)
    }

    /// What is wrong with this run, with the findings in full; nothing where it may stand.
    fn failure(&self) -> Option<String> {
        if !self.score.fails() && self.knee_error.is_none() {
            return None;
        }
        let findings = serde_json::to_string_pretty(&self.findings).unwrap_or_default();
        Some(format!("{self}\na right cause is one of {:?}\n{findings}", self.truth.rules))
    }
}

/// What is wrong with the knee of a run. The score covers two cases: a knee where nothing is wrong
/// is an accusation, and a silent diagnosis may lack a knee.
fn knee_error(score: Score, knee: Option<f64>, built_in: Option<(f64, f64)>) -> Option<String> {
    if matches!(score, Score::Healthy | Score::Accused) {
        return None;
    }
    match (knee, built_in) {
        (Some(rate), Some((low, _))) if rate < low => {
            Some(format!("{:.0} % below what is built in", 100.0 * (1.0 - rate / low)))
        }
        (Some(rate), Some((_, high))) if rate > high => {
            Some(format!("{:.0} % above what is built in", 100.0 * (rate / high - 1.0)))
        }
        (Some(_), None) => Some("named, and none is built in".to_owned()),
        (None, Some(_)) if score != Score::Silent => Some("missing".to_owned()),
        _ => None,
    }
}

/// Why the lab fails; empty where it does not. `may_be_silent` says of how many runs of a fault no
/// cause need be named; a fault that is not in it must have one in every run.
pub fn failures(all: &[Scored], may_be_silent: &[(&str, usize)]) -> Vec<String> {
    let mut failures: Vec<String> = all.iter().filter_map(Scored::failure).collect();
    let mut silent: BTreeMap<&str, usize> = BTreeMap::new();
    for scored in all.iter().filter(|scored| scored.score == Score::Silent) {
        *silent.entry(scored.fault).or_default() += 1;
    }
    for (fault, count) in silent {
        let allowed = may_be_silent.iter().find(|it| it.0 == fault).map_or(0, |it| it.1);
        if count > allowed {
            failures
                .push(format!("{fault}: no cause named in {count} runs, allowed are {allowed}"));
        }
    }
    failures
}

impl fmt::Display for Scored {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let knee = self.knee.as_ref().map_or("-".to_owned(), |knee| {
            format!("{:.0} [{:.0}, {:.0}]", knee.rate, knee.low, knee.high)
        });
        let built_in =
            self.built_in.map_or("-".to_owned(), |(low, high)| format!("{low:.0} to {high:.0}"));
        let first = self.findings.first().map_or("-".to_owned(), |finding| {
            let text = |name: &str| finding[name].as_str().unwrap_or("?").to_owned();
            format!("{} ({})", text("rule"), text("confidence"))
        });
        write!(
            f,
            "{:<34} {:<4} {:<17} {:<24} {:<12} {:<40} {}",
            self.system, self.seed, self.outcome, knee, built_in, first, self.score
        )?;
        match &self.knee_error {
            Some(error) => write!(f, ", KNEE {error}"),
            None => Ok(()),
        }
    }
}

/// The scorer is seen to fail before it is trusted to pass.
mod tests {
    use kneepoint::demo::{self, Fault};
    use serde_json::json;

    use super::*;

    fn fault(name: &str) -> &'static Fault {
        demo::find(name).expect("a fault")
    }

    fn scored(fault: &'static Fault, truth: Truth, report: &Value) -> Scored {
        Scored::new(fault.name.to_owned(), fault.name, 1, truth, report, || 0.01)
    }

    /// A report with a knee and findings, each a rule and a confidence.
    fn report(knee: Option<f64>, findings: &[(&str, &str)]) -> Value {
        let finding = |(rule, confidence)| json!({ "rule": rule, "confidence": confidence });
        let findings: Vec<Value> = findings.iter().copied().map(finding).collect();
        let knee = knee.map(|rate| json!({ "rate": rate, "low": rate - 1.0, "high": rate + 1.0 }));
        json!({ "diagnosis": {
            "outcome": { "kind": if knee.is_some() { "knee" } else { "not-reached" } },
            "knee": knee,
            "findings": findings,
        }})
    }

    fn broken(name: &str, knee: Option<f64>, findings: &[(&str, &str)]) -> Scored {
        scored(fault(name), fault(name).truth, &report(knee, findings))
    }

    fn fails(scored: Scored) -> bool {
        !failures(&[scored], &[]).is_empty()
    }

    #[test]
    fn a_right_cause_that_does_not_name_the_request_of_the_mix_fails() {
        let fault = fault("heavy-report");
        let told = |endpoint: Option<&str>| {
            let mut report = report(Some(120.0), &[("worker-exhaustion", "high")]);
            report["diagnosis"]["findings"][0]["endpoint"] = json!(endpoint);
            fails(scored(fault, fault.truth, &report))
        };
        assert!(!told(Some("report")));
        assert!(told(None) && told(Some("product")));
    }

    const RIGHT: (&str, &str) = ("db-pool-too-small", "high");

    #[test]
    fn a_right_cause_passes_first_and_second() {
        let first = broken("pool-small", Some(192.0), &[RIGHT]);
        assert_eq!(first.score, Score::Right);
        assert!(!fails(first));
        let second = broken("pool-small", Some(192.0), &[("cpu-saturated", "high"), RIGHT]);
        assert_eq!(second.score, Score::Second);
        assert!(!fails(second));
    }

    #[test]
    fn a_wrong_cause_fails_however_sure_it_is() {
        let wrong = |confidence| broken("pool-small", Some(192.0), &[("gc-pauses", confidence)]);
        assert_eq!(wrong("high").score, Score::ConfidentlyWrong);
        assert_eq!(wrong("low").score, Score::Wrong);
        assert!(fails(wrong("high")) && fails(wrong("medium")) && fails(wrong("low")));
    }

    #[test]
    fn a_right_cause_with_a_wrong_knee_fails_and_says_by_how_much() {
        for (knee, words) in [
            (Some(220.0), "KNEE 10 % above"),
            (Some(85.0), "KNEE 50 % below"),
            (None, "KNEE missing"),
        ] {
            let scored = broken("pool-small", knee, &[RIGHT]);
            assert!(scored.to_string().contains(words), "{scored}");
            assert!(fails(scored));
        }
        let knee_of_a_leak = broken("leak", Some(100.0), &[("memory-leak", "high")]);
        assert!(fails(knee_of_a_leak));
        assert!(!fails(broken("leak", None, &[("memory-leak", "high")])));
    }

    #[test]
    fn a_knee_that_the_machine_decides_follows_the_time_of_a_request_that_is_alone() {
        // 10 ms alone are 100 requests/s.
        let slow_query = |knee| broken("slow-query", Some(knee), &[("db-queries-slow", "high")]);
        assert!(!fails(slow_query(95.0)));
        assert!(fails(slow_query(131.0)) && fails(slow_query(60.0)));
    }

    #[test]
    fn an_accused_twin_fails() {
        let twin = |knee, findings: &[_]| {
            scored(fault("pool-small"), Truth::HEALTHY, &report(knee, findings))
        };
        assert_eq!(twin(None, &[]).score, Score::Healthy);
        assert!(!fails(twin(None, &[])));
        assert!(fails(twin(Some(192.0), &[])) && fails(twin(None, &[RIGHT])));
    }

    #[test]
    fn a_diagnosis_that_names_no_cause_for_any_fault_fails() {
        let silent: Vec<Scored> = demo::FAULTS
            .iter()
            .filter(|fault| fault.has_twin())
            .map(|fault| broken(fault.name, None, &[]))
            .collect();
        assert!(silent.iter().all(|scored| scored.score == Score::Silent));
        let allowed = crate::MAY_BE_SILENT.len();
        assert_eq!(failures(&silent, crate::MAY_BE_SILENT).len(), silent.len() - allowed);
    }

    #[test]
    fn silence_is_allowed_as_often_as_recorded_and_excuses_no_wrong_knee() {
        let silent = || broken("neighbour", None, &[]);
        assert!(failures(&[silent()], &[("neighbour", 1)]).is_empty());
        assert_eq!(failures(&[silent(), silent()], &[("neighbour", 1)]).len(), 1);
        let wrong_knee = broken("neighbour", Some(900.0), &[]);
        assert_eq!(failures(&[wrong_knee], &[("neighbour", 1)]).len(), 1);
    }
}
