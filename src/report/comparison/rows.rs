//! The tables of a comparison: each quantity, and where the response time differs.

use serde::Serialize;

use super::super::model::started;
use super::super::wording::{NOTHING, clean, duration, rate};
use super::phrases;
use crate::compare::{Answer, Comparison, PartChange, Quantity, RunFacts, Subject, Verdict};

/// A part is told where it gains this share of the response time at least,
const WORTH_TELLING: f64 = 0.03;
/// and this many times its standard error.
const BEYOND_ERROR: f64 = 2.0;
/// Parts that are told, at most.
const MOST_PARTS: usize = 6;

/// One quantity as text.
#[derive(Clone, Debug, Serialize)]
pub(in crate::report) struct QuantityRow {
    pub name: String,
    pub base: String,
    pub candidate: String,
    pub change: String,
    pub interval: String,
    pub answer: String,
    pub verdict: Verdict,
    /// The answer in a sentence or two.
    pub message: String,
    /// What it is about: all requests, a request, a tag.
    pub group: String,
    /// What tells it from every other quantity, in every comparison.
    pub key: String,
    /// Whether the difference exceeds what is allowed and the noise within the runs.
    pub exceeds_noise: bool,
    /// Whether it is worth a line where space is short.
    pub is_news: bool,
}

/// One part of the response time as text.
#[derive(Clone, Debug, Serialize)]
pub(in crate::report) struct PartRow {
    pub name: String,
    pub base: String,
    pub candidate: String,
    pub gain: String,
}

/// One run as text.
#[derive(Clone, Debug, Serialize)]
pub(in crate::report) struct RunRow {
    pub build: &'static str,
    pub name: String,
    pub started: String,
    pub knee: String,
    pub causes: String,
}

/// Every run, those of the base first.
pub(super) fn runs(comparison: &Comparison) -> Vec<RunRow> {
    let of = |build: &'static str, runs: &[RunFacts]| -> Vec<RunRow> {
        let row = |run: &RunFacts| RunRow {
            build,
            name: clean(&run.name),
            started: started(run.started_unix).map_or_else(
                || NOTHING.to_owned(),
                |at| at.strftime("%Y-%m-%d %H:%M:%S UTC").to_string(),
            ),
            knee: run.knee.map_or_else(|| NOTHING.to_owned(), rate),
            causes: clean(&run.causes.join(", ")),
        };
        runs.iter().map(row).collect()
    };
    [of("base", &comparison.base), of("candidate", &comparison.candidate)].concat()
}

/// Every quantity in its order.
pub(super) fn quantities(comparison: &Comparison) -> Vec<QuantityRow> {
    comparison.quantities.iter().map(quantity).collect()
}

fn quantity(quantity: &Quantity) -> QuantityRow {
    let answer = match &quantity.answer {
        Answer::Worse => "worse",
        Answer::Better => "better",
        Answer::Same => "same",
        Answer::CannotTell { exceeds_noise: true, .. } => "cannot tell (beyond noise within runs)",
        Answer::CannotTell { .. } => "cannot tell",
    };
    let verdict = quantity.answer.verdict();
    let exceeds_noise = matches!(quantity.answer, Answer::CannotTell { exceeds_noise: true, .. });
    let is_changed = matches!(verdict, Verdict::Worse | Verdict::Better) || exceeds_noise;
    QuantityRow {
        name: phrases::name(quantity),
        base: phrases::base(quantity),
        candidate: phrases::candidate(quantity),
        change: phrases::change(quantity.change),
        interval: phrases::interval(quantity.change),
        answer: answer.to_owned(),
        verdict,
        message: phrases::message(quantity),
        group: phrases::subject(&quantity.subject),
        key: key(quantity),
        exceeds_noise,
        is_news: is_changed || quantity.subject == Subject::All,
    }
}

/// The names as they were measured, before anything is done to them for a reader.
fn key(quantity: &Quantity) -> String {
    serde_json::json!([quantity.subject, quantity.measure]).to_string()
}

/// The parts that changed by more than chance.
pub(super) fn parts(comparison: &Comparison) -> Vec<PartRow> {
    let Some((base, candidate)) = comparison.why.response else { return Vec::new() };
    let least = WORTH_TELLING * base.min(candidate);
    let is_told = |part: &&PartChange| part.gain().abs() >= least.max(BEYOND_ERROR * part.error);
    comparison.why.parts.iter().filter(is_told).take(MOST_PARTS).map(part).collect()
}

fn part(part: &PartChange) -> PartRow {
    PartRow {
        name: clean(&part.name),
        base: duration(part.base),
        candidate: duration(part.candidate),
        gain: gain(part.gain()),
    }
}

/// Seconds with their sign.
pub(super) fn gain(seconds: f64) -> String {
    match seconds < 0.0 {
        true => format!("-{}", duration(-seconds)),
        false => format!("+{}", duration(seconds)),
    }
}
