//! The rises that the objectives of a plan allow, each for what it is about.

use std::collections::{BTreeMap, BTreeSet};

use super::model::{Measure, Subject};
use super::sample::Sample;
use crate::recording::{PlanSummary, RecordedMeasure, RecordedObjective};

/// What the plan of the newest candidate says.
pub fn of(candidate: &[Sample]) -> BTreeMap<(Subject, Measure), f64> {
    let Some(plan) = candidate.last().map(|sample| &sample.plan) else { return BTreeMap::new() };
    let mut budgets = BTreeMap::new();
    for objective in &plan.objectives {
        let (Some(share), Some(measure)) = (objective.max_worse, measure(objective)) else {
            continue;
        };
        for subject in subjects(objective, plan) {
            budgets.insert((subject, measure.clone()), share);
        }
    }
    budgets
}

fn measure(objective: &RecordedObjective) -> Option<Measure> {
    match &objective.measure {
        RecordedMeasure::ResponseTimeQuantile(share) => {
            let all = [Measure::P50, Measure::P95, Measure::P99];
            all.into_iter().find(|measure| measure.quantile() == Some(*share))
        }
        RecordedMeasure::FailureRatio => Some(Measure::ErrorRatio),
        _ => None,
    }
}

/// A tag where the objective covers just the requests of one, and else each request.
fn subjects(objective: &RecordedObjective, plan: &PlanSummary) -> Vec<Subject> {
    let covered: BTreeSet<&String> =
        objective.endpoint.iter().chain(&objective.endpoints).collect();
    if covered.is_empty() {
        return vec![Subject::All];
    }
    let mut tags = plan.tags.iter();
    let tag = tags.find(|(_, names)| names.iter().collect::<BTreeSet<_>>() == covered);
    match tag {
        Some((tag, _)) if covered.len() > 1 => vec![Subject::Tag(tag.clone())],
        _ => covered.into_iter().cloned().map(Subject::Request).collect(),
    }
}
