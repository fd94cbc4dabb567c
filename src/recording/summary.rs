//! From a plan to what a recording keeps of it.

use super::{PlanSummary, RecordedMeasure, RecordedObjective};
use crate::plan::{Comparison, Executor, Measure, Objective, Plan};

impl PlanSummary {
    /// What a recording keeps of `plan`; no secret is in it.
    pub fn of(plan: &Plan) -> Self {
        let weights: f64 = plan.requests.iter().map(|request| request.weight).sum();
        let asked = match &plan.load {
            Executor::ConstantArrivalRate { rate, .. } => *rate,
            Executor::RampingArrivalRate { start_rate, stages } => {
                stages.iter().map(|stage| stage.target).fold(*start_rate, f64::max)
            }
            Executor::Steps { rates, .. } => rates.iter().copied().fold(0.0, f64::max),
            Executor::Soak(soak) => soak.rate,
            Executor::Breakpoint(search) => search.max_rate,
        };
        Self {
            name: plan.name.clone(),
            target: plan.target.url.to_string(),
            requests: plan
                .requests
                .iter()
                .map(|request| (request.name.clone(), request.weight / weights))
                .collect(),
            executor: plan.load.name().to_owned(),
            max_rate: asked.min(plan.limits.max_rate),
            variety: plan.variety(),
            objectives: plan.objectives.iter().map(RecordedObjective::of).collect(),
            // A plan is made of maps with text keys, numbers and texts: JSON has all of them.
            full: serde_json::to_value(plan).unwrap_or_default(),
        }
    }
}

impl RecordedObjective {
    fn of(objective: &Objective) -> Self {
        Self {
            text: objective.text.clone(),
            endpoint: objective.endpoint.clone(),
            measure: match objective.measure {
                Measure::ResponseTimeQuantile(share) => {
                    RecordedMeasure::ResponseTimeQuantile(share)
                }
                Measure::ResponseTimeMean => RecordedMeasure::ResponseTimeMean,
                Measure::FailureRatio => RecordedMeasure::FailureRatio,
            },
            bound: objective.bound,
            good_below: objective.comparison == Comparison::Under,
        }
    }
}
