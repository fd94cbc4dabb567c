//! `[[setup]]` and `[[teardown]]`: what is done once, before and after the load.

use super::problems::Problems;
use crate::load::{self, LoadConfig, Once, ResolvedData, ResolvedValues};
use crate::plan::{Action, Plan, Step};

/// Does the plan's setup. What it captures becomes data of `load`, the same for all.
pub(super) fn set_up(plan: &Plan, load: &mut LoadConfig, problems: &mut Problems) {
    if plan.setup.is_empty() {
        return;
    }
    let once = match load::once(load, &plan.setup, load.target.timeout) {
        Ok(once) => once,
        Err(errors) => return problems.add_load_errors(errors),
    };
    for why in faults(&once) {
        problems.add(
            format!("setup: {why}"),
            "the load depends on it: fix the step, or what the plan expects of it",
        );
    }
    let done = plan.setup.iter().flat_map(requests_of);
    for request in done {
        // Their captures are known now, as data.
        load.requests[request].captures.clear();
    }
    for (name, value) in once.captured {
        let values = ResolvedValues::List([value].into());
        load.data.insert(name, ResolvedData::of(values));
    }
}

/// What a plan wants done once the load is over.
pub struct Teardown {
    pub(super) steps: Vec<Step>,
    pub(super) load: LoadConfig,
}

impl Teardown {
    /// Does it. Returns what went wrong, which changes nothing: the run is over.
    pub fn run(&self) -> Vec<String> {
        if self.steps.is_empty() {
            return Vec::new();
        }
        match load::once(&self.load, &self.steps, self.load.target.timeout) {
            Ok(once) => faults(&once),
            Err(errors) => errors.iter().map(ToString::to_string).collect(),
        }
    }
}

/// What was not as it should be.
fn faults(once: &Once) -> Vec<String> {
    let mut faults = Vec::new();
    for report in &once.reports {
        if report.status >= 400 {
            faults.push(format!("`{}` got status {}", report.endpoint, report.status));
        }
        faults.extend(report.missed.iter().cloned());
    }
    faults
}

fn requests_of(step: &Step) -> Vec<usize> {
    match &step.action {
        Action::Request(request) => vec![*request],
        Action::Group(steps) => steps.iter().flat_map(requests_of).collect(),
    }
}
