//! What may end a run before its plan is done.

use crate::plan::{Executor, Scenario};
use crate::recording::PlanSummary;

/// Whether an objective on a collected series may end the run.
pub(super) fn ends_by_series(plan: &PlanSummary) -> bool {
    plan.objectives.iter().any(|objective| {
        objective.abort_after_secs.is_some() && !objective.measure.is_of_responses()
    })
}

/// The flows with a fixed number of iterations, if every flow has one.
pub(super) fn ending(scenarios: &[Scenario]) -> Vec<usize> {
    let counts = |scenario: &Scenario| {
        matches!(
            scenario.executor,
            Executor::PerVuIterations { .. } | Executor::SharedIterations { .. }
        )
    };
    match scenarios.iter().all(counts) {
        true => (0..scenarios.len()).collect(),
        false => Vec::new(),
    }
}
