//! Findings, what was ruled out, and what was not checked.

use std::collections::BTreeSet;

use serde::Serialize;

use super::super::wording::{self, clean, duration, percent, sentence};
use crate::diagnose::{Confidence, Counterfactual, Diagnosis, Evidence, Finding, FindingRole};
use crate::timeline::Unit;

/// What a finding is to the knee.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(in crate::report) enum FindingKind {
    Cause,
    Contributing,
    Consequence,
    Apart,
}

impl From<&FindingRole> for FindingKind {
    fn from(role: &FindingRole) -> Self {
        match role {
            FindingRole::Cause => FindingKind::Cause,
            FindingRole::Contributing => FindingKind::Contributing,
            FindingRole::Consequence { .. } => FindingKind::Consequence,
            FindingRole::Apart => FindingKind::Apart,
        }
    }
}

/// Whether a condition holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(in crate::report) enum Holds {
    #[serde(rename = "yes")]
    Yes,
    #[serde(rename = "no")]
    No,
    #[serde(rename = "no data")]
    NoData,
}

impl From<Option<bool>> for Holds {
    fn from(holds: Option<bool>) -> Self {
        match holds {
            Some(true) => Holds::Yes,
            Some(false) => Holds::No,
            None => Holds::NoData,
        }
    }
}

/// One fired rule.
#[derive(Clone, Debug, Serialize)]
pub(in crate::report) struct FindingView {
    pub rule: String,
    /// A sentence.
    pub title: String,
    pub kind: FindingKind,
    /// What it is to the knee, in words.
    pub role: String,
    pub confidence: Confidence,
    pub confidence_why: String,
    pub why: String,
    pub next: String,
    pub disproved_by: String,
    pub evidence: Vec<EvidenceRow>,
    pub refutations: Vec<EvidenceRow>,
    /// Where it shows in the code, as sentences.
    pub code: Vec<String>,
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
    /// The assumption behind them, as a sentence; empty if the text says it.
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
    /// What the text leaves out, short: `97 %; at low load 6.3 %`; empty if the text says it all.
    pub note: String,
    pub holds: Holds,
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

/// Hypotheses that could not be checked, and the one thing to add for them.
#[derive(Clone, Debug, Serialize)]
pub(in crate::report) struct NotCheckedRow {
    /// What to add to the plan.
    pub add: String,
    /// What can be checked then.
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

/// The title of a finding with its subject.
pub(super) fn titled(finding: &Finding) -> String {
    match &finding.subject {
        Some(subject) if !finding.title.contains(subject.as_str()) => {
            format!("{} ({})", clean(&finding.title), clean(subject))
        }
        _ => clean(&finding.title),
    }
}

/// The findings that bent the curve.
pub(super) fn causes(diagnosis: &Diagnosis) -> impl Iterator<Item = &Finding> {
    diagnosis.findings.iter().filter(|finding| finding.role == FindingRole::Cause)
}

pub(super) fn findings(diagnosis: &Diagnosis) -> Vec<FindingView> {
    diagnosis.findings.iter().map(finding).collect()
}

fn finding(finding: &Finding) -> FindingView {
    let role = match &finding.role {
        FindingRole::Cause => "the cause".to_owned(),
        FindingRole::Contributing => "contributes".to_owned(),
        FindingRole::Consequence { of } => format!("follows from {}", clean(of)),
        FindingRole::Apart => "apart from the knee".to_owned(),
    };
    let mut predictions = Vec::new();
    if let Some(share) = finding.explains_growth {
        predictions
            .push(format!("Explains {} of the growth of the response time.", percent(share)));
    }
    if let Some(capacity) = finding.predicted_capacity {
        predictions.push(format!(
            "This limit allows at most {} (utilization law).",
            wording::rate(capacity)
        ));
    }
    FindingView {
        rule: clean(&finding.rule),
        title: sentence(&titled(finding)),
        kind: FindingKind::from(&finding.role),
        role,
        confidence: finding.confidence,
        confidence_why: clean(&finding.confidence_why),
        why: sentence(&finding.why),
        next: sentence(&finding.next),
        disproved_by: sentence(&finding.disproved_by),
        evidence: told_once(&finding.evidence),
        refutations: finding.refutations.iter().map(EvidenceRow::new).collect(),
        code: finding.code.iter().map(|line| sentence(line)).collect(),
        predictions,
        fixes: finding.counterfactuals.iter().map(fix).collect(),
    }
}

fn fix(counterfactual: &Counterfactual) -> FixView {
    let (text, assumption) = match counterfactual {
        Counterfactual::Gone { carries, next, assumption } => {
            let needs = match next.unit {
                Unit::Cores => format!(
                    "a request needs {} of it, and there {}",
                    duration(next.demand),
                    are(&wording::cores(next.limit))
                ),
                _ => format!(
                    "a request holds one of the {} for {}",
                    wording::number(next.limit),
                    duration(next.demand)
                ),
            };
            let name = clean(&next.name);
            let at = wording::rate(*carries);
            (format!("without this limit, the next one is {name}, at {at}: {needs}"), assumption)
        }
        Counterfactual::Halved { carries, next, assumption } => {
            let binds =
                next.as_ref().map(|next| format!("; then {} is the limit", clean(&next.name)));
            let at = wording::rate(*carries);
            let text = format!(
                "if each request needed half as much of it, the target would carry at most {at}{}",
                binds.unwrap_or_default()
            );
            (text, assumption)
        }
        Counterfactual::Needed { what, count, now, rate, wait_p99, assumption } => {
            let wait = wait_p99.map(|wait| {
                format!("; 99 % of requests would then wait at most {} for one", duration(wait))
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

/// Several conditions of a rule may rest on one observation; a reader needs it once.
fn told_once(evidence: &[Evidence]) -> Vec<EvidenceRow> {
    let mut told = BTreeSet::new();
    evidence.iter().filter(|one| told.insert(&one.text)).map(EvidenceRow::new).collect()
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
            holds: Holds::from(evidence.holds),
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
    let is_said = text.contains(&shown) || (evidence.baseline.is_none() && says_a_number(text));
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
            value => format!("{} (measured {value}; this cause needs {})", row.text, row.bound),
        });
        RuledOutRow {
            rule: clean(&ruled_out.rule),
            title: clean(&ruled_out.title),
            because: because
                .unwrap_or_else(|| "its conditions were measured and do not hold".to_owned()),
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
