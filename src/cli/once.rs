//! `[[setup]]` and `[[teardown]]`: what is done once, before and after the load.

use super::preflight::Problems;
use super::say;
use super::target::without_response;
use crate::load::{self, LoadConfig, Once, ResolvedData, ResolvedValues};
use crate::plan::{Plan, Step};

/// Does the plan's setup. What it captures becomes data of `load`, the same for all.
pub(super) fn set_up(plan: &Plan, load: &mut LoadConfig, problems: &mut Problems) {
    if plan.setup.is_empty() {
        return;
    }
    let once = match load::once(load, &plan.setup, load.target.timeout) {
        Ok(once) => once,
        Err(errors) => return without_response(errors, problems),
    };
    for why in faults(&once) {
        problems.add(
            format!("setup: {why}"),
            "the load was to build on it: mend the step, or what the plan expects of it",
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

/// Does the plan's teardown. The run is over: what fails is told, and changes nothing.
pub(super) fn tear_down(teardown: &[Step], load: &LoadConfig) {
    if teardown.is_empty() {
        return;
    }
    match load::once(load, teardown, load.target.timeout) {
        Ok(once) => {
            faults(&once).iter().for_each(|why| say(format_args!("kneepoint: teardown: {why}")));
        }
        Err(errors) => {
            errors.iter().for_each(|why| say(format_args!("kneepoint: teardown: {why}")));
        }
    }
}

/// What was not as it should be.
fn faults(once: &Once) -> Vec<String> {
    let mut faults = Vec::new();
    for report in &once.reports {
        if report.status >= 400 {
            faults.push(format!("`{}` is answered with {}", report.endpoint, report.status));
        }
        faults.extend(report.missed.iter().cloned());
    }
    faults
}

fn requests_of(step: &Step) -> Vec<usize> {
    use crate::plan::Action;
    match &step.action {
        Action::Request(request) => vec![*request],
        Action::Group(steps) => steps.iter().flat_map(requests_of).collect(),
    }
}
