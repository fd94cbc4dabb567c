//! Parses a plan, and reports every mistake at once.

mod agent;
mod canary;
mod check;
mod client;
mod collect;
mod data;
mod gate;
mod history;
mod journey;
mod load;
mod mask;
mod mistake;
mod names;
mod objective;
mod request;
mod scenario;
mod target;
#[cfg(test)]
mod target_tests;
mod template;
#[cfg(test)]
mod tests;
mod walk;
mod websocket;

use toml::de::DeTable;

pub use history::{parse_csv_map, parse_history_file, time_zone};
pub use mistake::{Mistake, PlanErrors};

use self::names::KnownNames;
use self::walk::{Section, Walk};
use super::model::{DEFAULT_SEED, Plan};
use super::{CollectorConfig, CollectorShape, Target, TargetUrl};

/// Parses a plan. `origin` is the file name for messages, `shapes` describes the known collectors,
/// and `environment` looks up the variables that `${NAME}` stands for.
///
/// # Errors
///
/// Every mistake with its place, in order of the text.
///
/// ```
/// use kneepoint::plan::parse;
///
/// let text = "[target]\nurl = \"http://127.0.0.1:8080\"\n[[request]]\nmethod = \"FETCH\"\npath = \"/\"\n";
/// let errors = parse(text, "plan.toml", &[], &|_| None).unwrap_err();
/// let mistake = errors.iter().next().expect("one mistake");
/// assert_eq!((mistake.line, mistake.column), (4, 10));
/// assert_eq!(mistake.message, "`FETCH` is not a valid HTTP method");
/// assert!(mistake.help.as_deref().is_some_and(|help| help.starts_with("write one of `GET`")));
/// ```
pub fn parse(
    text: &str,
    origin: &str,
    shapes: &[CollectorShape],
    environment: &dyn Fn(&str) -> Option<String>,
) -> Result<Plan, PlanErrors> {
    let (tree, errors) = DeTable::parse_recoverable(text);
    let walk = Walk::new(text, environment);
    let broken = !errors.is_empty();
    for error in errors {
        walk.wrong(error.span().unwrap_or(0..0), error.message());
    }
    let plan = if broken {
        // Mistakes that follow from broken syntax would hide the cause. The walk still has to find
        // the secrets.
        let silent = Walk::new(text, environment);
        whole(&silent, silent.table(tree.get_ref(), 0..0), shapes);
        silent.secrets().into_iter().for_each(|span| walk.hide(span));
        None
    } else {
        whole(&walk, walk.table(tree.get_ref(), 0..0), shapes)
    };
    match (walk.errors(origin), plan) {
        (None, Some(plan)) => Ok(plan),
        (Some(errors), _) => Err(errors),
        // Every part that is `None` has noted a mistake, so this cannot happen. If it did, no run
        // may start.
        (None, None) => Err(PlanErrors::unexplained(origin)),
    }
}

/// The whole plan; `None` if a part is missing. Its mistake is noted then.
fn whole<'t>(
    walk: &Walk<'t>,
    mut root: Section<'_, 't>,
    shapes: &[CollectorShape],
) -> Option<Plan> {
    let name = root.take("name").and_then(|value| walk.name(value));
    let seed = root.take("seed").and_then(|value| walk.integer(value, "a whole number"));
    let target = target::read(&mut root);
    let data = data::read(&mut root);
    let mut names = KnownNames::of(&data);
    let mut requests = Vec::new();
    let setup = journey::read_once(&mut root, "setup", &mut names, &mut requests);
    let mut journeys = request::read(&mut root, &names, &mut requests);
    journeys.extend(journey::read(&mut root, &names, &mut requests));
    if !root.has("request") && !root.has("journey") {
        root.missing(
            "request",
            "add a table `[[request]]` with `path = \"/\"`, or a `[[journey]]`",
        );
    }
    let teardown = journey::read_once(&mut root, "teardown", &mut names, &mut requests);
    let limits = load::read_limits(&mut root);
    let scenarios = scenario::read(&mut root, &journeys, &limits);
    let canaries = canary::read(&mut root, &KnownNames::of(&data), &limits);
    let websockets = websocket::read(&mut root, &KnownNames::of(&data));
    let collectors = collect::read(&mut root, shapes);
    let agents = agent::read(&mut root, shapes);
    let gate = gate::read(&mut root, &limits);
    let elsewhere = agents.iter().flat_map(|agent| &agent.collectors);
    let all: Vec<&CollectorConfig> = collectors.iter().chain(elsewhere).collect();
    let objectives = objective::read(&mut root, &requests, &all);
    scenario::check_objectives(&root, scenarios.as_deref().unwrap_or_default(), &objectives);
    if let (Some(target), Some(scenarios)) = (&target, &scenarios) {
        scenario::check_pool(&root, target, scenarios);
    }
    root.finish();
    let (target, scenarios): (Target, _) = (target?, scenarios?);
    Some(Plan {
        name: name.unwrap_or_else(|| TargetUrl::authority(&target.url)),
        target,
        requests,
        journeys,
        setup,
        teardown,
        data,
        scenarios,
        objectives,
        gate,
        limits,
        canaries,
        websockets,
        collectors,
        agents,
        seed: seed.unwrap_or(DEFAULT_SEED),
    })
}
