//! The tables of a comparison: each quantity, and where the response time differs.

use serde::Serialize;

use super::super::wording::{clean, duration};
use super::phrases;
use crate::compare::{Answer, Comparison, PartChange, Quantity, Subject, Verdict};

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
    let is_changed = match &quantity.answer {
        Answer::CannotTell { exceeds_noise, .. } => *exceeds_noise,
        other => other.verdict() != Verdict::Same,
    };
    QuantityRow {
        name: phrases::name(quantity),
        base: phrases::base(quantity),
        candidate: phrases::candidate(quantity),
        change: phrases::change(quantity.change),
        interval: phrases::interval(quantity.change),
        answer: answer.to_owned(),
        is_news: is_changed || quantity.subject == Subject::All,
    }
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
