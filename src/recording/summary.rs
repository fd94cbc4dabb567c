//! From a plan to what a recording keeps of it.

use std::collections::BTreeMap;

use super::{PlanSummary, RecordedMeasure, RecordedObjective};
use crate::plan::{Comparison, Objective, ObjectiveMeasure, Plan};

impl PlanSummary {
    /// What a recording keeps of `plan`; no secret is in it.
    pub fn of(plan: &Plan) -> Self {
        let asked = plan
            .scenarios
            .iter()
            .map(|scenario| scenario.executor.highest_rate() * plan.requests_per_journey(scenario));
        let asked: f64 = asked.sum();
        let names: Vec<&str> =
            plan.scenarios.iter().map(|scenario| scenario.executor.name()).collect();
        Self {
            name: plan.name.clone(),
            target: plan.target.url.to_string(),
            requests: plan
                .shares()
                .into_iter()
                .map(|(index, share)| (plan.requests[index].name.clone(), share))
                .collect(),
            tags: tags(plan),
            executor: names.join(", "),
            max_rate: if asked > 0.0 {
                asked.min(plan.limits.max_rate)
            } else {
                plan.limits.max_rate
            },
            max_vus: plan.scenarios.iter().map(|scenario| scenario.executor.most_vus()).sum(),
            variety: plan.variety(),
            read_share: Some(plan.read_share()),
            read_variety: plan.read_variety(),
            realism: None,
            objectives: plan.objectives.iter().map(RecordedObjective::of).collect(),
            // A plan is made of maps with text keys, numbers and texts: JSON has all of them.
            full: serde_json::to_value(plan).unwrap_or_default(),
        }
    }
}

/// Each tag with the names of its requests, each once.
fn tags(plan: &Plan) -> Vec<(String, Vec<String>)> {
    let mut tags: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for request in &plan.requests {
        for (tag, value) in &request.tags {
            let names = tags.entry(format!("{tag}:{value}")).or_default();
            if !names.contains(&request.name) {
                names.push(request.name.clone());
            }
        }
    }
    tags.into_iter().collect()
}

impl RecordedObjective {
    fn of(objective: &Objective) -> Self {
        Self {
            text: objective.text.clone(),
            endpoint: match &objective.endpoints[..] {
                [only] => Some(only.clone()),
                _ => None,
            },
            endpoints: match &objective.endpoints[..] {
                [_] => Vec::new(),
                several => several.to_vec(),
            },
            for_secs: objective.window.map(|window| window.as_secs_f64()),
            abort_after_secs: objective.abort_after.map(|delay| delay.as_secs_f64()),
            max_worse: objective.max_worse,
            measure: match &objective.measure {
                ObjectiveMeasure::ResponseTimeQuantile(share) => {
                    RecordedMeasure::ResponseTimeQuantile(*share)
                }
                ObjectiveMeasure::ResponseTimeMean => RecordedMeasure::ResponseTimeMean,
                ObjectiveMeasure::FailureRatio => RecordedMeasure::FailureRatio,
                ObjectiveMeasure::Series(selector, reduction) => {
                    RecordedMeasure::Series(selector.clone(), *reduction)
                }
            },
            bound: objective.bound,
            good_below: objective.comparison == Comparison::Under,
        }
    }
}
