//! The report of a comparison as a value: every sentence that a format shows.

use std::collections::BTreeMap;

use serde::Serialize;

use super::super::chart::{Overlay, PartBars};
use super::super::model::Tone;
use super::super::wording::{clean, duration, percent, plural, sentence};
use super::causes::{self, CauseRow};
use super::objectives::{self, ObjectiveRow};
use super::overlays;
use super::phrases;
use super::rows::{self, PartRow, QuantityRow, RunRow};
use crate::compare::{Answer, Comparison, Measure, Quantity, Subject, Verdict};

/// An error ratio of nothing to one counts as a rise from this, where changes are ranked.
const SMALLEST_SHARE: f64 = 0.001;
/// Quantities that one sentence names.
const MOST_NAMES: usize = 4;
/// Changes of what a request needs that are told beside the parts.
const MOST_NEEDS: usize = 4;

/// All that a report of a comparison says.
#[derive(Clone, Debug, Serialize)]
pub struct ComparisonReport {
    pub(super) tone: Tone,
    pub(super) headline: String,
    pub(super) details: Vec<String>,
    /// What makes the runs unlike.
    pub(super) differences: Vec<String>,
    pub(super) rows: Vec<QuantityRow>,
    pub(super) objectives: Vec<ObjectiveRow>,
    /// Where the difference lies, in sentences, without the causes.
    pub(super) because: Vec<String>,
    pub(super) causes: Vec<CauseRow>,
    pub(super) parts: Vec<PartRow>,
    /// Both builds over offered load.
    #[serde(skip)]
    pub(super) overlays: Vec<Overlay>,
    /// The knees of both builds in words.
    pub(super) knees: Option<String>,
    /// The parts of the response time before and after.
    #[serde(skip)]
    pub(super) part_bars: Option<PartBars>,
    pub(super) runs: Vec<RunRow>,
    /// What could not be told, and what would.
    pub(super) undecided: Vec<String>,
    #[serde(skip)]
    pub(super) comparison: Comparison,
    /// Path of the plan inside its repository, if the caller knows it: a report of code quality
    /// must name a file.
    pub plan_file: Option<String>,
}

impl ComparisonReport {
    /// Computes every sentence of the report.
    pub fn new(comparison: &Comparison) -> Self {
        let tone = match comparison.verdict {
            Verdict::Worse => Tone::Bad,
            Verdict::Better | Verdict::Same => Tone::Good,
            Verdict::CannotTell => Tone::Unknown,
        };
        Self {
            tone,
            headline: headline(comparison),
            details: details(comparison),
            differences: comparison.differences.iter().map(|text| sentence(text)).collect(),
            rows: rows::quantities(comparison),
            objectives: objectives::objectives(comparison),
            because: because(comparison),
            causes: causes::causes(comparison),
            parts: rows::parts(comparison),
            overlays: overlays::overlays(comparison),
            knees: overlays::knees(comparison),
            part_bars: overlays::part_bars(comparison),
            runs: rows::runs(comparison),
            undecided: undecided(comparison),
            comparison: comparison.clone(),
            plan_file: None,
        }
    }

    /// Where the difference lies, the causes last.
    pub(super) fn why(&self) -> impl Iterator<Item = &String> {
        self.because.iter().chain(self.causes.iter().map(|cause| &cause.text))
    }
}

/// By how much a quantity changed, in logs.
fn size(quantity: &Quantity) -> f64 {
    let (Some(base), Some(candidate)) = (quantity.base, quantity.candidate) else { return 0.0 };
    let floor = if quantity.is_error_ratio() { SMALLEST_SHARE } else { 0.0 };
    let size = ((candidate + floor) / (base + floor)).ln().abs();
    if size.is_finite() { size } else { 0.0 }
}

/// The quantity with this answer that changed most. What users feel comes before what it costs, and
/// the knee before the capacity that follows from it.
fn largest(comparison: &Comparison, wanted: impl Fn(&Quantity) -> bool) -> Option<&Quantity> {
    let rank = |quantity: &Quantity| match quantity.measure {
        Measure::P50 | Measure::P95 | Measure::P99 | Measure::ErrorRatio => 2,
        Measure::Throughput | Measure::Knee => 2,
        Measure::Capacity => 1,
        _ => 0,
    };
    let wanted = comparison.quantities.iter().filter(|quantity| wanted(quantity));
    // Of several that are as large, the first.
    wanted.rev().max_by(|a, b| rank(a).cmp(&rank(b)).then(size(a).total_cmp(&size(b))))
}

fn headline(comparison: &Comparison) -> String {
    let budget = percent(comparison.budget);
    let of = |verdict: Verdict| largest(comparison, |it| it.answer.verdict() == verdict);
    match comparison.verdict {
        Verdict::Worse => of(Verdict::Worse).map_or_else(
            || "Worse.".to_owned(),
            |most| format!("Worse: {}; {} is allowed.", phrases::did(most), phrases::allowed(most)),
        ),
        Verdict::Better => of(Verdict::Better).map_or_else(
            || "Better.".to_owned(),
            |most| format!("Better: {}.", phrases::did(most)),
        ),
        Verdict::Same => format!(
            "No difference above {budget} in the response times and errors of all requests."
        ),
        Verdict::CannotTell => cannot_tell(comparison, &budget),
    }
}

fn cannot_tell(comparison: &Comparison, budget: &str) -> String {
    if comparison.quantities.is_empty() {
        return "Cannot tell: nothing was measured in both builds that can be compared.".to_owned();
    }
    let exceeds = |quantity: &Quantity| {
        matches!(quantity.answer, Answer::CannotTell { exceeds_noise: true, .. })
    };
    if let Some(most) = largest(comparison, exceeds) {
        return format!(
            "Cannot tell yet: {}, more than the noise within the runs.",
            phrases::did(most)
        );
    }
    if comparison.loads.is_empty() {
        return "Cannot tell: response times were not measured at a load that both builds carry."
            .to_owned();
    }
    format!("Cannot tell whether anything got worse by more than {budget}.")
}

fn details(comparison: &Comparison) -> Vec<String> {
    let mut details = Vec::new();
    let count = |verdict| comparison.answered(verdict).count() as u64;
    let others = count(Verdict::Worse).saturating_sub(1);
    if comparison.verdict == Verdict::Worse && others > 0 {
        let names: Vec<String> = {
            let most = largest(comparison, |it| it.answer == Answer::Worse);
            let rest = comparison.answered(Verdict::Worse).filter(|it| Some(*it) != most);
            rest.map(phrases::name).collect()
        };
        details.push(format!("Also worse: {}.", phrases::names(&names, MOST_NAMES)));
    }
    if comparison.verdict != Verdict::Better && count(Verdict::Better) > 0 {
        let names: Vec<String> = comparison.answered(Verdict::Better).map(phrases::name).collect();
        details.push(format!("Better: {}.", phrases::names(&names, MOST_NAMES)));
    }
    let open = count(Verdict::CannotTell);
    if matches!(comparison.verdict, Verdict::Same | Verdict::Better) && open > 0 {
        let open = plural(open, "other quantity", "other quantities");
        details.push(format!("Not decided: {open}; see below."));
    }
    details.push(format!(
        "Compared: {}, {}.",
        phrases::runs(comparison.base.len(), comparison.candidate.len()),
        phrases::loads(&comparison.loads)
    ));
    details.extend(comparison.sittings.map(phrases::sittings));
    details.push(format!("{}.", phrases::method(comparison.method)));
    details.extend(phrases::noise(comparison));
    details.extend(comparison.why.limits.iter().map(|limit| phrases::limit(limit, comparison)));
    if comparison.quantities.iter().any(|quantity| quantity.is_at_equal_speed) {
        details.push(phrases::EQUAL_SPEED.to_owned());
    }
    details
}

/// Where the difference lies, without the causes.
fn because(comparison: &Comparison) -> Vec<String> {
    let mut told = Vec::new();
    let why = &comparison.why;
    if let Some((base, candidate)) = why.response {
        let parts = rows::parts(comparison);
        let (before, after) = (duration(base), duration(candidate));
        let change = phrases::signed(candidate / base - 1.0, false);
        told.push(match parts.first() {
            Some(first) => format!(
                "On average a request takes {after}, {before} before ({change}). Most of the \
                 difference is {}: {} ({} before, {} now).",
                first.name, first.gain, first.base, first.candidate
            ),
            None => format!(
                "On average a request takes {after}, {before} before ({change}); no part of it \
                 changed by more than chance."
            ),
        });
    }
    let adds = why.endpoints.first().filter(|most| most.adds != 0.0 && !told.is_empty());
    told.extend(adds.map(|most| {
        format!(
            "Of the requests, `{}` changed most: {} on average, {} before.",
            clean(&most.name),
            duration(most.candidate),
            duration(most.base)
        )
    }));
    let is_need = |quantity: &&Quantity| {
        let is_news = match &quantity.answer {
            Answer::CannotTell { exceeds_noise, .. } => *exceeds_noise,
            other => other.verdict() != Verdict::Same,
        };
        is_news && quantity.subject == Subject::All && is_of_a_request(&quantity.measure)
    };
    let needs = comparison.quantities.iter().filter(is_need).take(MOST_NEEDS);
    told.extend(needs.map(|quantity| sentence(&phrases::did(quantity))));
    told
}

fn is_of_a_request(measure: &Measure) -> bool {
    matches!(
        measure,
        Measure::CpuPerRequest
            | Measure::DatabasePerRequest
            | Measure::StatementsPerRequest
            | Measure::RowsPerRequest
            | Measure::CallsPerRequest(_)
            | Measure::BytesPerRequest
    )
}

/// What could not be told, with the runs that would decide, those with the same reason together.
fn undecided(comparison: &Comparison) -> Vec<String> {
    let mut reasons: Vec<(String, Vec<String>)> = Vec::new();
    let mut places: BTreeMap<String, usize> = BTreeMap::new();
    for quantity in comparison.answered(Verdict::CannotTell) {
        let Answer::CannotTell { why, further_runs, .. } = &quantity.answer else { continue };
        let reason = phrases::reason(why, *further_runs);
        let place = *places.entry(reason.clone()).or_insert_with(|| {
            reasons.push((reason, Vec::new()));
            reasons.len() - 1
        });
        reasons[place].1.push(phrases::name(quantity));
    }
    let tell = |(reason, names): (String, Vec<String>)| {
        format!("{}: {}", phrases::names(&names, 2 * MOST_NAMES), sentence(&reason))
    };
    reasons.into_iter().map(tell).collect()
}
