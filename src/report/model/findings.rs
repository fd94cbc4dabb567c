//! Findings, what was ruled out, and what was not looked at.

use serde::Serialize;

use super::super::wording::{self, clean, duration, percent, sentence};
use super::verdict::titled;
use crate::diagnose::{Confidence, Counterfactual, Diagnosis, Evidence, Finding, FindingRole};
use crate::timeline::Unit;

/// One fired rule.
#[derive(Clone, Debug, Serialize)]
pub(in crate::report) struct FindingView {
    pub rule: String,
    /// A sentence.
    pub title: String,
    /// `cause`, `contributing`, `consequence`, `apart`.
    pub kind: &'static str,
    /// What it is to the knee, in words.
    pub role: String,
    pub confidence: &'static str,
    pub confidence_why: String,
    pub why: String,
    pub next: String,
    pub disproved_by: String,
    pub evidence: Vec<EvidenceRow>,
    pub refutations: Vec<EvidenceRow>,
    /// What follows from it in numbers.
    pub predictions: Vec<String>,
    /// What a fix would bring.
    pub fixes: Vec<FixView>,
}

/// What would be if a limit were another.
#[derive(Clone, Debug, Serialize)]
pub(in crate::report) struct FixView {
    /// A sentence with its numbers.
    pub text: String,
    /// On what they rest, as a sentence; empty where the text says it.
    pub assumption: String,
}

/// One condition and what was measured of it.
#[derive(Clone, Debug, Serialize)]
pub(in crate::report) struct EvidenceRow {
    pub text: String,
    pub signal: String,
    pub window: String,
    pub value: String,
    pub baseline: String,
    pub bound: String,
    /// What the text leaves out, short: `97 %; at low load 6.3 %`; empty where it says all.
    pub note: String,
    /// `yes`, `no` or `no data`.
    pub holds: &'static str,
    pub series: Vec<String>,
}

/// A hypothesis that does not hold.
#[derive(Clone, Debug, Serialize)]
pub(in crate::report) struct RuledOutRow {
    pub rule: String,
    pub title: String,
    /// The deciding condition with its value, in one line.
    pub because: String,
    pub evidence: Vec<EvidenceRow>,
}

/// Hypotheses that could not be looked at, and the one thing that would allow them.
#[derive(Clone, Debug, Serialize)]
pub(in crate::report) struct NotCheckedRow {
    /// What to add to the plan.
    pub add: String,
    /// What that would let one look at.
    pub hypotheses: Vec<Hypothesis>,
    /// The signals without data.
    pub missing: Vec<String>,
}

/// A rule by id and title.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(in crate::report) struct Hypothesis {
    pub rule: String,
    pub title: String,
}

pub(super) fn confidence(confidence: Confidence) -> &'static str {
    match confidence {
        Confidence::High => "high",
        Confidence::Medium => "medium",
        Confidence::Low => "low",
    }
}

pub(super) fn findings(diagnosis: &Diagnosis) -> Vec<FindingView> {
    diagnosis.findings.iter().map(finding).collect()
}

fn finding(finding: &Finding) -> FindingView {
    let (kind, role) = match &finding.role {
        FindingRole::Cause => ("cause", "the cause".to_owned()),
        FindingRole::Contributing => ("contributing", "contributes".to_owned()),
        FindingRole::Consequence { of } => ("consequence", format!("follows from {}", clean(of))),
        FindingRole::Apart => ("apart", "apart from the knee".to_owned()),
    };
    let mut predictions = Vec::new();
    if let Some(share) = finding.explains_growth {
        predictions
            .push(format!("Explains {} of the growth of the response time.", percent(share)));
    }
    if let Some(capacity) = finding.predicted_capacity {
        predictions.push(format!(
            "By the utilization law this limit carries {} at the most.",
            wording::rate(capacity)
        ));
    }
    FindingView {
        rule: clean(&finding.rule),
        title: sentence(&titled(finding)),
        kind,
        role,
        confidence: confidence(finding.confidence),
        confidence_why: clean(&finding.confidence_why),
        why: sentence(&finding.why),
        next: sentence(&finding.next),
        disproved_by: sentence(&finding.disproved_by),
        evidence: finding.evidence.iter().map(EvidenceRow::new).collect(),
        refutations: finding.refutations.iter().map(EvidenceRow::new).collect(),
        predictions,
        fixes: finding.counterfactuals.iter().map(fix).collect(),
    }
}

fn fix(counterfactual: &Counterfactual) -> FixView {
    let (text, assumption) = match counterfactual {
        Counterfactual::Gone { carries, next, assumption } => {
            let needs = match next.unit {
                Unit::Cores => format!(
                    "a request keeps it busy for {} and there {} of it",
                    duration(next.demand),
                    are(&wording::cores(next.limit))
                ),
                _ => format!(
                    "a request holds one of its {} for {}",
                    wording::number(next.limit),
                    duration(next.demand)
                ),
            };
            let name = clean(&next.name);
            let at = wording::rate(*carries);
            (format!("without this limit {name} binds next, at {at}: {needs}"), assumption)
        }
        Counterfactual::Halved { carries, next, assumption } => {
            let binds = next.as_ref().map(|next| format!(", where {} binds", clean(&next.name)));
            let at = wording::rate(*carries);
            let text = format!(
                "half as much of it for each request would carry {at} at the most{}",
                binds.unwrap_or_default()
            );
            (text, assumption)
        }
        Counterfactual::Needed { what, count, now, rate, wait_p99, assumption } => {
            let wait = wait_p99.map(|wait| {
                format!("; then 99 % of the requests wait {} for one at the most", duration(wait))
            });
            let text = format!(
                "{count} {} (now {}) would carry {}, the highest load of this run{}",
                clean(what),
                wording::number(*now),
                wording::rate(*rate),
                wait.unwrap_or_default()
            );
            (text, assumption)
        }
        Counterfactual::NoHelp { what, why } => {
            let text = format!("{} would not help: {}", clean(what), clean(why));
            return FixView { text: sentence(&text), assumption: String::new() };
        }
    };
    FixView {
        text: sentence(&text),
        assumption: sentence(&format!("assumes that {}", clean(assumption))),
    }
}

/// `is 1 core`, `are 2 cores`.
fn are(cores: &str) -> String {
    format!("{} {cores}", if cores.ends_with("cores") { "are" } else { "is" })
}

impl EvidenceRow {
    fn new(evidence: &Evidence) -> Self {
        Self {
            text: clean(&evidence.text),
            signal: clean(&evidence.signal),
            window: clean(&evidence.window),
            value: wording::optional(evidence.value, evidence.unit),
            baseline: wording::optional(evidence.baseline, evidence.unit),
            bound: bound(&evidence.bound, evidence.unit),
            note: note(evidence),
            holds: match evidence.holds {
                Some(true) => "yes",
                Some(false) => "no",
                None => "no data",
            },
            series: evidence.series.iter().map(|series| clean(series)).collect(),
        }
    }
}

/// The value where the text has another number or none, and the baseline where it differs.
fn note(evidence: &Evidence) -> String {
    let Some(value) = evidence.value else { return "no data".to_owned() };
    let text = &evidence.text;
    // As a share of something smaller it would only puzzle: both numbers stand in the text.
    if evidence.unit == Unit::Ratio && value > 1.5 && numbers(text).nth(1).is_some() {
        return String::new();
    }
    let shown = wording::value(value, evidence.unit);
    let before = wording::optional(evidence.baseline, evidence.unit);
    let differs = evidence.baseline.is_some() && before != shown && !text.contains("low load");
    let is_said = says(text, value)
        || text.contains(&shown)
        || (evidence.baseline.is_none() && says_a_number(text));
    match (is_said || !differs && says_a_number(text), differs) {
        (true, true) => format!("at low load {before}"),
        (true, false) => String::new(),
        (false, true) => format!("{shown}; at low load {before}"),
        (false, false) => shown,
    }
}

fn numbers(text: &str) -> impl Iterator<Item = f64> {
    text.split_whitespace().filter_map(|word| word.trim_matches(['(', ')', ',', ':']).parse().ok())
}

fn says_a_number(text: &str) -> bool {
    numbers(text).next().is_some()
}

/// Whether a text has this value, rounded, as it is or as a percentage.
fn says(text: &str, value: f64) -> bool {
    let near = |number: f64, value: f64| (number - value).abs() <= 0.02 * value.abs();
    numbers(text).any(|number| near(number, value) || near(number, value * 100.0))
}

/// A bound as the rule writes it, its numbers in the unit of the values: `over 90 %`.
fn bound(text: &str, unit: Unit) -> String {
    let words = clean(text);
    let words = words.split_whitespace().map(|word| match word.parse::<f64>() {
        Ok(number) if number.is_finite() => wording::value(number, unit),
        _ => word.to_owned(),
    });
    words.collect::<Vec<_>>().join(" ")
}

pub(super) fn ruled_out(diagnosis: &Diagnosis) -> Vec<RuledOutRow> {
    let row = |ruled_out: &crate::diagnose::RuledOut| {
        let evidence: Vec<_> = ruled_out.because.iter().map(EvidenceRow::new).collect();
        let because = evidence.first().map(|row| match row.value.as_str() {
            wording::NOTHING => row.text.clone(),
            value if row.bound.is_empty() => format!("{} (measured {value})", row.text),
            value => format!("{} (measured {value}, needed {})", row.text, row.bound),
        });
        RuledOutRow {
            rule: clean(&ruled_out.rule),
            title: clean(&ruled_out.title),
            because: because.unwrap_or_else(|| "its conditions were measured and fail".to_owned()),
            evidence,
        }
    };
    diagnosis.ruled_out.iter().map(row).collect()
}

/// One row for each thing to add, since one collector often answers several questions.
pub(super) fn not_checked(diagnosis: &Diagnosis) -> Vec<NotCheckedRow> {
    let mut rows: Vec<NotCheckedRow> = Vec::new();
    for not_checked in &diagnosis.not_checked {
        let add = clean(&not_checked.add);
        let index = rows.iter().position(|row| row.add == add).unwrap_or_else(|| {
            rows.push(NotCheckedRow { add, hypotheses: Vec::new(), missing: Vec::new() });
            rows.len() - 1
        });
        let row = &mut rows[index];
        row.hypotheses
            .push(Hypothesis { rule: clean(&not_checked.rule), title: clean(&not_checked.title) });
        for signal in not_checked.missing.iter().map(|signal| clean(signal)) {
            if !row.missing.contains(&signal) {
                row.missing.push(signal);
            }
        }
    }
    rows
}
