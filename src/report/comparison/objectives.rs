//! The objectives of the plans in both builds, as text.

use serde::Serialize;

use super::super::wording::{clean, rate};
use crate::compare::{Comparison, Met, ObjectiveChange};

/// One objective as text.
#[derive(Clone, Debug, Serialize)]
pub(in crate::report) struct ObjectiveRow {
    /// The condition as the plan writes it.
    pub text: String,
    /// Whether the base met it, and up to which load.
    pub base: String,
    pub candidate: String,
    /// Whether most runs of the candidate break it.
    pub is_broken: bool,
    /// Whether the candidate has runs in which it was measured.
    pub is_known: bool,
    /// All of it in one sentence or two.
    pub sentence: String,
}

/// Every objective, in the order of the plans.
pub(super) fn objectives(comparison: &Comparison) -> Vec<ObjectiveRow> {
    comparison.objectives.iter().map(row).collect()
}

fn row(objective: &ObjectiveChange) -> ObjectiveRow {
    let text = clean(&objective.text);
    let (base, candidate) = (objective.base_met, objective.candidate_met);
    let (base_up_to, candidate_up_to) =
        (up_to(base, objective.base_up_to), up_to(candidate, objective.candidate_up_to));
    let met = match (base.of, candidate.of) {
        (1, 1) => format!("{} by the base, {} by the candidate", one(base), one(candidate)),
        (0, _) => format!("not measured in the base, met in {} of the candidate", many(candidate)),
        (_, 0) => format!("met in {} of the base, not measured in the candidate", many(base)),
        _ => format!(
            "met in {} of the base and {} of {} of the candidate",
            many(base),
            candidate.met,
            candidate.of
        ),
    };
    let loads = match base_up_to == candidate_up_to || base.of == 0 || candidate.of == 0 {
        true => String::new(),
        false => format!(
            " Highest load that met it: {base_up_to} in the base, {candidate_up_to} in the \
             candidate."
        ),
    };
    ObjectiveRow {
        base: cell(base, objective.base_up_to),
        candidate: cell(candidate, objective.candidate_up_to),
        is_broken: candidate.is_mostly_broken(),
        is_known: candidate.of > 0,
        sentence: format!("Objective `{text}`: {met}.{loads}"),
        text,
    }
}

fn one(met: Met) -> &'static str {
    if met.met == 1 { "met" } else { "not met" }
}

fn many(met: Met) -> String {
    format!("{} of {} {}", met.met, met.of, if met.of == 1 { "run" } else { "runs" })
}

fn up_to(met: Met, load: Option<f64>) -> String {
    match load {
        Some(load) => rate(load),
        None if met.of == 0 => "not measured".to_owned(),
        None => "none".to_owned(),
    }
}

fn cell(met: Met, load: Option<f64>) -> String {
    let up_to =
        load.map_or("held at no load".to_owned(), |load| format!("held up to {}", rate(load)));
    match met.of {
        0 => "not measured".to_owned(),
        1 => format!("{}; {up_to}", one(met)),
        _ => format!("met in {}; {up_to}", many(met)),
    }
}
