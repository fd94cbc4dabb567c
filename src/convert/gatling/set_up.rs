//! `setUp(…)`: scenarios with their loads, protocols and limits.

use std::rc::Rc;
use std::time::Duration;

use super::injection::{self, ENDLESS, Injection, TimedLoad};
use super::simulation::{Protocol, Simulation, Stay, flat};
use super::{chain, classes, time};
use crate::convert::draft::{JourneyDraft, LoadDraft, ScenarioDraft, seconds};
use crate::convert::error::ConvertError;
use crate::convert::http::Names;
use crate::convert::script::value::{Known, Link};

/// Calls after which a scenario is a population.
const INJECTIONS: [&str; 3] = ["injectOpen", "injectClosed", "inject"];

/// How many scenarios may follow each other by `andThen`.
const DEEPEST_CHILDREN: usize = 20;

/// What `setUp` says for all scenarios.
#[derive(Default)]
struct Common {
    protocol: Option<Protocol>,
    /// Seconds after which the simulation ends.
    limit: Option<f64>,
}

/// A scenario with its load.
struct Population<'k> {
    /// What its users do.
    scenario: &'k [Rc<Link>],
    /// Its load and what else is said about it.
    rest: &'k [Rc<Link>],
    line: usize,
}

impl<'k> Population<'k> {
    fn of(known: &'k Known) -> Option<Self> {
        let links = known.links();
        let at = links.iter().position(|link| INJECTIONS.contains(&link.name.as_str()))?;
        let is_scenario = links.first().is_some_and(|link| link.name == "scenario");
        let (scenario, rest) = links.split_at(at);
        let line = rest.first().map_or(0, |link| link.line);
        is_scenario.then_some(Self { scenario, rest, line })
    }
}

/// Names and journeys that there are so far.
#[derive(Default)]
struct Made {
    journeys: Names,
    scenarios: Names,
    /// The last call of a scenario, and how long its users stay, with the name of its journey.
    known: Vec<(*const Link, Option<Stay>, String)>,
    /// How many scenarios come before the one that is looked at.
    depth: usize,
}

impl Simulation<'_, '_> {
    /// Makes journeys, loads and objectives of what `setUp` is given.
    pub(super) fn set_up(&mut self, set_up: &Known) -> Result<(), ConvertError> {
        let Some((first, rest)) = set_up.links().split_first() else { return Ok(()) };
        let populations = flat(&first.arguments);
        let is_any = populations.iter().any(|known| Population::of(known).is_some());
        if !is_any {
            let text = "`setUp` is given no scenario with a load that this file defines: write \
                        `setUp(scenario(\"…\").exec(…).injectOpen(rampUsers(100).during(60)))`";
            let column = classes::column(self.machine.source, first.line, "setUp");
            return Err(ConvertError::at(first.line.max(1), column, text));
        }
        let mut common = Common::default();
        let mut assertions = Vec::new();
        for link in rest {
            match link.name.as_str() {
                "protocols" => common.protocol = self.protocol_of(&link.arguments, link.line),
                "assertions" => assertions.push(link),
                "maxDuration" => {
                    common.limit = link.arguments.first().and_then(time::in_seconds);
                    if common.limit.is_none() {
                        self.lost(link.line, "a `maxDuration` that only a run knows");
                    }
                }
                "disablePauses" => self.has_pauses = false,
                "constantPauses" => {}
                name => self.lost_setting(name, link.line),
            }
        }
        let mut made = Made::default();
        for known in &populations {
            self.population(known, first.line, &common, &mut made, Duration::ZERO);
        }
        for link in assertions {
            self.assertions(&link.arguments, link.line);
        }
        Ok(())
    }

    fn lost_setting(&mut self, name: &str, line: usize) {
        let text = match name {
            "throttle" => {
                "`throttle`: the plan makes the load of the injection profile, and has no upper \
                 limit of requests"
                    .to_owned()
            }
            name => format!("`{}` of `setUp`", name.escape_debug()),
        };
        self.lost(line, text);
    }

    fn population(
        &mut self,
        known: &Known,
        line: usize,
        common: &Common,
        made: &mut Made,
        after: Duration,
    ) {
        let fine = Population::of(known).filter(|_| made.depth < DEEPEST_CHILDREN);
        let Some(population) = fine else {
            return self.lost(line, "a scenario that this file does not define");
        };
        self.protocol = common.protocol.clone().unwrap_or_default();
        let (mut steps, mut children) = (Vec::new(), Vec::new());
        for link in population.rest {
            match link.name.as_str() {
                name if INJECTIONS.contains(&name) => steps = self.injections(link),
                "protocols" => {
                    if let Some(protocol) = self.protocol_of(&link.arguments, link.line) {
                        self.protocol = protocol;
                    }
                }
                "andThen" => {
                    let text = "`andThen`: the plan starts these scenarios when the load before \
                                them ends";
                    self.note(link.line, text);
                    children.extend(flat(&link.arguments));
                }
                "disablePauses" | "constantPauses" => {}
                name => self.lost_setting(name, link.line),
            }
        }
        self.scenario(&population, &steps, common, made, after);
        let length = seconds(injection::length(&steps)).unwrap_or_default();
        made.depth += 1;
        for child in &children {
            self.population(child, line, common, made, after.saturating_add(length));
        }
        made.depth -= 1;
    }

    /// The steps of an injection profile.
    fn injections(&mut self, link: &Link) -> Vec<Injection> {
        let mut steps = Vec::new();
        for known in &flat(&link.arguments) {
            let first = known.links().first();
            let line = first.map_or(link.line, |it| it.line.max(link.line));
            match injection::steps(known) {
                Some(mut more) => {
                    let name = first.map_or("", |it| it.name.as_str());
                    if matches!(name, "stressPeakUsers" | "heavisideUsers") {
                        let text =
                            format!("`{name}`: the plan has four ramps in place of its curve");
                        self.note(line, text);
                    }
                    steps.append(&mut more);
                }
                None => {
                    let name = first.map_or("a step", |it| it.name.as_str()).escape_debug();
                    let text = format!("`{name}` of the load, one of whose numbers is not known");
                    self.lost(line, text);
                }
            }
        }
        steps
    }

    fn scenario(
        &mut self,
        population: &Population<'_>,
        steps: &[Injection],
        common: &Common,
        made: &mut Made,
        after: Duration,
    ) {
        let name = population.scenario.first().and_then(|link| link.arguments.first());
        let name = name.and_then(Known::fixed).unwrap_or_else(|| "scenario".to_owned());
        let Some(last) = population.scenario.last().map(Rc::as_ptr) else { return };
        // Populations of the same scenario share its journey.
        let has_own = population.rest.iter().any(|link| link.name == "protocols");
        let known = made.known.iter().find(|(known, ..)| *known == last && !has_own).cloned();
        let (stay, journey) = match known {
            Some((_, stay, journey)) => (stay, journey),
            None => {
                let Some((stay, journey)) = self.journey(population, &name, &mut made.journeys)
                else {
                    let text =
                        format!("the scenario `{}`, which sends nothing", name.escape_debug());
                    return self.lost(population.line, text);
                };
                made.known.push((last, stay, journey.clone()));
                (stay, journey)
            }
        };
        if stay == Some(Stay::Forever) && common.limit.is_none() {
            let text = format!("the scenario never ends: the plan ends after {ENDLESS} seconds");
            self.note(population.line, text);
        }
        let limit = common.limit.map(|limit| (limit - after.as_secs_f64()).max(0.0));
        let loads = injection::loads(steps, stay, limit);
        if loads.is_empty() {
            let text = format!("the load of `{}`: no user ever comes", name.escape_debug());
            self.lost(population.line, text);
        }
        for TimedLoad { start, load } in loads {
            let name = match load {
                LoadDraft::Iterations { .. } => format!("{name} at once"),
                _ => name.clone(),
            };
            self.machine.draft.scenarios.push(ScenarioDraft {
                name: made.scenarios.request(&name),
                journeys: vec![journey.clone()],
                start: after.saturating_add(start),
                load,
            });
        }
    }

    /// The journey of a scenario and how long its users stay in its last loop; `None` where it
    /// sends nothing.
    fn journey(
        &mut self,
        population: &Population<'_>,
        name: &str,
        names: &mut Names,
    ) -> Option<(Option<Stay>, String)> {
        let scope = self.machine.values.scope();
        self.machine.tags.clear();
        self.stops_on_failure = false;
        self.endless = None;
        self.last = chain::last_loop(population.scenario, 0);
        self.machine.groups.push(Vec::new());
        self.links(population.scenario);
        let steps = self.machine.groups.pop().unwrap_or_default();
        self.machine.values.forget_to(scope);
        if steps.is_empty() {
            return None;
        }
        let name = names.request(name);
        self.machine.draft.journeys.push(JourneyDraft {
            name: name.clone(),
            steps,
            stop_on_failure: self.stops_on_failure,
            ..JourneyDraft::default()
        });
        Some((self.endless, name))
    }
}
