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
                "make the load a scenario with a `name`",
            );
            None
        }
    }
}

/// Notes where a search for the capacity has no objective to search by.
pub(super) fn check_objectives(
    root: &Section<'_, '_>,
    scenarios: &[Scenario],
    objectives: &[Objective],
) {
    let searches = |scenario: &Scenario| matches!(scenario.executor, Executor::Capacity(_));
    if objectives.is_empty() && scenarios.iter().any(searches) {
        root.missing(
            "objectives",
            "the capacity is the highest rate that meets every objective: add `[objectives]` with \
             `http_req_duration = \"p(95) < 300ms\"`",
        );
    }
}

/// Notes a bound on the connections of the open model where there is none.
pub(super) fn check_pool(root: &Section<'_, '_>, target: &Target, scenarios: &[Scenario]) {
    let is_closed = |scenario: &Scenario| scenario.executor.most_vus() > 0;
    if target.max_connections.is_some() && scenarios.iter().all(is_closed) {
        root.walk.wrong_with_help(
            root.place_in("target", "max_connections"),
            "`max_connections` is of loads with a rate: virtual users have one connection each",
            "leave `max_connections` out, or take an executor such as `constant-arrival-rate`",
        );
    }
}

fn read_several<'t>(
    walk: &Walk<'t>,
    value: &Value<'t>,
    journeys: &[Journey],
    limits: &Limits,
) -> Option<Vec<Scenario>> {
    let tables = walk.list(value, "a list of tables: write `[[scenario]]`")?;
    if tables.is_empty() {
        walk.wrong(value.span(), "there must be at least one scenario");
    }
    let (count, mut adapts) = (tables.len(), false);
    let scenarios = walk.named(
        tables,
        |value| {
            let scenario = read_one(walk, value, journeys, limits)?;
            if scenario.executor.is_adaptive() && std::mem::replace(&mut adapts, true) {
                walk.wrong_with_help(
                    value.span(),
                    "another scenario chooses its stages by what it measures already",
                    "let one search, and give the others a fixed load",
                );
            }
            Some(scenario)
        },
        |scenario| &scenario.name,
        ("another scenario has", "give each scenario a `name` of its own"),
    );
    let vus: u64 = scenarios.iter().map(|scenario| u64::from(scenario.executor.most_vus())).sum();
    if vus > limits.max_in_flight as u64 && scenarios.len() > 1 {
        walk.wrong_with_help(
            value.span(),
            format!(
                "the scenarios have up to {vus} virtual users together, above the limit of {} \
                 requests in flight",
                limits.max_in_flight
            ),
            "raise `max_in_flight` in `[limits]` if the target may have that many",
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
            "a load that chooses its stages starts at once",
            "leave `start_time` out here, and give one to the others",
        );
    }
    section.finish();
    let (executor, arrivals) = read?;
    let journeys = chosen.unwrap_or_else(|| Some((0..journeys.len()).collect()))?;
    let start = start.unwrap_or(Some(std::time::Duration::ZERO))?;
    Some(Scenario { name: name?, executor, arrivals, start, journeys })
}

/// Journeys by their names; a request of the mix is one under its own name.
fn choose<'t>(walk: &Walk<'t>, value: &Value<'t>, journeys: &[Journey]) -> Option<Vec<usize>> {
    let names = || journeys.iter().map(|journey| journey.name.as_str());
    let list = walk.list(value, "a list of names of journeys or requests")?;
    if list.is_empty() {
        walk.wrong(value.span(), "a scenario has at least one journey");
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
                    format!("known here: `{}`", names().collect::<Vec<_>>().join("`, `"))
                }),
            ),
        }
    }
    Some(chosen)
}
