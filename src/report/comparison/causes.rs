//! The causes that came, went or stayed, as text.

use serde::Serialize;

use super::super::wording::{clean, sentence};
use crate::compare::{CauseChange, Comparison, Fate};

/// One cause as text.
#[derive(Clone, Debug, Serialize)]
pub(in crate::report) struct CauseRow {
    /// What became of it: `new`, `gone`, `in both`.
    pub fate: &'static str,
    /// Whether the candidate brought it.
    pub is_new: bool,
    pub rule: String,
    pub title: String,
    /// Runs of each build that have it, where there are several.
    pub runs: String,
    /// Where it shows in the code, one place a line.
    pub code: Vec<String>,
    /// All of it in one sentence.
    pub text: String,
}

/// Every cause, those that came first.
pub(super) fn causes(comparison: &Comparison) -> Vec<CauseRow> {
    comparison.why.causes.iter().map(|cause| row(cause, comparison)).collect()
}

fn row(cause: &CauseChange, comparison: &Comparison) -> CauseRow {
    let (base, candidate) = (comparison.base.len(), comparison.candidate.len());
    let fate = match cause.fate {
        Fate::Came => "new",
        Fate::Went => "gone",
        Fate::Stayed => "in both",
    };
    let runs = match (base, candidate) {
        (0..=1, 0..=1) => String::new(),
        _ => format!(
            "in {} of {base} runs of the base and {} of {candidate} of the candidate",
            cause.in_base, cause.in_candidate
        ),
    };
    CauseRow {
        fate,
        is_new: cause.fate == Fate::Came,
        rule: clean(&cause.rule),
        title: sentence(&cause.title),
        runs,
        code: cause.code.iter().map(|line| sentence(line)).collect(),
        text: text(cause, comparison),
    }
}

fn text(cause: &CauseChange, comparison: &Comparison) -> String {
    let title = clean(&cause.title);
    let code = match &cause.code[..] {
        [] => String::new(),
        [first, ..] => format!(" In the code: {}", sentence(first)),
    };
    let rule = clean(&cause.rule);
    let of = |count: u64, runs: usize| match runs {
        1 => String::new(),
        runs => format!(", in {count} of {runs} runs"),
    };
    let (base, candidate) = (
        of(cause.in_base, comparison.base.len()),
        of(cause.in_candidate, comparison.candidate.len()),
    );
    match cause.fate {
        Fate::Came => format!("New cause ({rule}{candidate}): {title}.{code}"),
        Fate::Went => format!("Cause gone ({rule}, the base had it{base}): {title}."),
        Fate::Stayed => format!("Cause in both builds ({rule}): {title}."),
    }
}
