//! `[load]`, the only load of a plan, and `[[scenario]]`, several side by side.

use super::load::read_executor;
use super::walk::{Section, Value, Walk};
use crate::plan::{
    Arrivals, Breakpoint, Executor, Journey, Limits, Objective, Scenario, Target, nearest,
};

pub(super) fn read(
    root: &mut Section<'_, '_>,
    journeys: &[Journey],
    limits: &Limits,
) -> Option<Vec<Scenario>> {
    let walk = root.walk;
    match (root.take("load"), root.take("scenario")) {
        (None, None) => {
            let search = Breakpoint::usual();
            let max_rate = search.max_rate.min(limits.max_rate);
            let search = Breakpoint { max_rate, ..search };
            let executor = Executor::Breakpoint(search);
            Some(vec![Scenario::only(executor, Arrivals::Even, journeys.len())])
        }
        (Some(value), None) => {
            let mut section = walk.section(value, "a table `[load]`")?;
            let read = read_executor(&mut section, limits);
            section.finish();
            let (executor, arrivals) = read?;
            Some(vec![Scenario::only(executor, arrivals, journeys.len())])
        }
        (None, Some(value)) => read_several(walk, value, journeys, limits),
        (Some(load), Some(_)) => {
            walk.wrong_with_help(
                load.span(),
                "a plan has one `[load]` or several `[[scenario]]`, not both",
                "turn `[load]` into a `[[scenario]]` with a `name`",
            );
            None
        }
    }
}

/// Notes a search for the capacity without an objective to search by.
pub(super) fn check_objectives(
    root: &Section<'_, '_>,
    scenarios: &[Scenario],
    objectives: &[Objective],
) {
    let searches = |scenario: &Scenario| matches!(scenario.executor, Executor::Capacity(_));
    if objectives.is_empty() && scenarios.iter().any(searches) {
        root.missing(
            "objectives",
            "a search for the capacity needs an objective: add `[objectives]` with \
             `http_req_duration = \"p(95) < 300ms\"`",
        );
    }
}

/// Notes `max_connections` in a plan that has only virtual users.
pub(super) fn check_pool(root: &Section<'_, '_>, target: &Target, scenarios: &[Scenario]) {
    let is_closed = |scenario: &Scenario| scenario.executor.most_vus() > 0;
    if target.max_connections.is_some() && scenarios.iter().all(is_closed) {
        root.walk.wrong_with_help(
            root.place_in("target", "max_connections"),
            "`max_connections` works only with a rate: virtual users have one connection each",
            "remove `max_connections`, or use an executor such as `constant-arrival-rate`",
        );
    }
}

fn read_several<'t>(
    walk: &Walk<'t>,
    value: &Value<'t>,
    journeys: &[Journey],
    limits: &Limits,
) -> Option<Vec<Scenario>> {
    let tables = walk.list(value, "a list of `[[scenario]]` tables")?;
    if tables.is_empty() {
        walk.wrong_with_help(
            value.span(),
            "there must be at least one scenario",
            "add `[[scenario]]` with `name` and `executor`",
        );
    }
    let (count, mut adapts) = (tables.len(), false);
    let scenarios = walk.named(
        tables,
        |value| {
            let scenario = read_one(walk, value, journeys, limits)?;
            if scenario.executor.is_adaptive() && std::mem::replace(&mut adapts, true) {
                walk.wrong_with_help(
                    value.span(),
                    "only one scenario can choose its stages by what it measures",
                    "keep one search, and give the other scenarios a fixed load",
                );
            }
            Some(scenario)
        },
        |scenario| &scenario.name,
        ("another scenario is already", "give each scenario its own `name`"),
    );
    let vus: u64 = scenarios.iter().map(|scenario| u64::from(scenario.executor.most_vus())).sum();
    if vus > limits.max_in_flight as u64 && scenarios.len() > 1 {
        walk.wrong_with_help(
            value.span(),
            format!(
                "the scenarios have up to {vus} virtual users together, more than the limit of {} \
                 requests in flight",
                limits.max_in_flight
            ),
            "raise `max_in_flight` in `[limits]` to allow them",
        );
    }
    (scenarios.len() == count).then_some(scenarios)
}

fn read_one<'t>(
    walk: &Walk<'t>,
    value: &Value<'t>,
    journeys: &[Journey],
    limits: &Limits,
) -> Option<Scenario> {
    let mut section = walk.section(value, "a table `[[scenario]]`")?;
    let name = section.require("name", "name = \"browse\"").and_then(|value| walk.name(value));
    let start = section.take("start_time").map(|value| walk.duration_or_zero(value));
    let chosen = section.take("journeys").map(|value| choose(walk, value, journeys));
    let read = read_executor(&mut section, limits);
    if let (Some((executor, _)), Some(value)) = (&read, section.take("start_time"))
        && executor.is_adaptive()
    {
        walk.wrong_with_help(
            value.span(),
            "a scenario that chooses its stages by what it measures has to start at once",
            "remove `start_time` here, and set it on the other scenarios",
        );
    }
    section.finish();
    let (executor, arrivals) = read?;
    let journeys = chosen.unwrap_or_else(|| Some((0..journeys.len()).collect()))?;
    let start = start.unwrap_or(Some(std::time::Duration::ZERO))?;
    Some(Scenario { name: name?, executor, arrivals, start, journeys })
}

/// Journeys by their names. A `[[request]]` is a journey under its own name.
fn choose<'t>(walk: &Walk<'t>, value: &Value<'t>, journeys: &[Journey]) -> Option<Vec<usize>> {
    let names = || journeys.iter().map(|journey| journey.name.as_str());
    let list = walk.list(value, "a list of names of journeys or requests")?;
    if list.is_empty() {
        walk.wrong_with_help(
            value.span(),
            "a scenario needs at least one journey",
            "name a journey or request, or remove `journeys` to use all of them",
        );
    }
    let mut chosen = Vec::new();
    for value in list {
        let name = walk.name(value)?;
        match names().position(|known| known == name) {
            Some(index) => chosen.push(index),
            None => walk.wrong_with_help(
                value.span(),
                format!("there is no journey or request `{name}`"),
                nearest(&name, names()).unwrap_or_else(|| {
                    format!("known names: `{}`", names().collect::<Vec<_>>().join("`, `"))
                }),
            ),
        }
    }
    Some(chosen)
}
