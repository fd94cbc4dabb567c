//! A simulation while it becomes a plan.

use std::rc::Rc;

use crate::convert::draft::{Draft, Think};
use crate::convert::error::ConvertError;
use crate::convert::script::machine::{Machine, without_texts};
use crate::convert::script::value::{Known, Link};
use crate::convert::table::Columns;
use crate::convert::template::Template;

/// What all requests of a scenario have in common.
#[derive(Clone, Debug, Default)]
pub(super) struct Protocol {
    pub(super) base: Option<Template>,
    /// With their lines, as their values may be those of a user.
    pub(super) headers: Vec<(String, Known, usize)>,
    /// Whether all requests have credentials, which stand in the environment.
    pub(super) is_basic: bool,
    pub(super) checks: Vec<(Known, usize)>,
}

/// A simulation while its scenarios become journeys.
pub(super) struct Simulation<'s, 'a> {
    pub(super) machine: Machine<'s, 'a>,
    /// Of the scenario that is followed.
    pub(super) protocol: Protocol,
    /// The names of requests, as the simulation and as the plan has them.
    pub(super) sent: Vec<(String, String)>,
    /// Feeders that have their file already, by what they are.
    pub(super) fed: Vec<(String, Columns)>,
    /// Pauses at the beginning of the loops that are followed, by the number of groups around them.
    pub(super) leading: Vec<(usize, Option<Think>)>,
    /// A loop that the scenario ends with.
    pub(super) last: Option<Rc<Link>>,
    /// How long its users stay in that loop.
    pub(super) endless: Option<Stay>,
    /// How many chains stand in each other here, and how many were followed.
    pub(super) depth: usize,
    pub(super) followed: usize,
    /// Whether a failure ends the scenario.
    pub(super) stops_on_failure: bool,
    /// Whether users pause at all.
    pub(super) has_pauses: bool,
}

/// How long a user repeats what a scenario does.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Stay {
    /// Seconds.
    For(f64),
    /// Until the simulation ends.
    Forever,
}

/// Most values of lists in lists, and how deep lists are looked at.
const MOST_VALUES: usize = 10_000;
const DEEPEST_LISTS: usize = 8;

/// Values one by one, also those that stand in lists.
pub(super) fn flat(of: &[Known]) -> Vec<Known> {
    fn add(of: &[Known], depth: usize, into: &mut Vec<Known>) {
        for known in of {
            match known {
                _ if into.len() >= MOST_VALUES || depth > DEEPEST_LISTS => return,
                Known::List(items) => add(items, depth + 1, into),
                known => into.push(known.clone()),
            }
        }
    }
    let mut values = Vec::new();
    add(of, 0, &mut values);
    values
}

impl<'s, 'a> Simulation<'s, 'a> {
    pub(super) fn new(machine: Machine<'s, 'a>) -> Self {
        Self {
            machine,
            protocol: Protocol::default(),
            sent: Vec::new(),
            fed: Vec::new(),
            leading: Vec::new(),
            last: None,
            endless: None,
            depth: 0,
            followed: 0,
            stops_on_failure: false,
            has_pauses: true,
        }
    }
}

impl Simulation<'_, '_> {
    pub(super) fn lost(&mut self, line: usize, what: impl Into<String>) {
        self.machine.lost(line, what);
    }

    pub(super) fn note(&mut self, line: usize, text: impl Into<String>) {
        self.machine.artifact.notes.at(line, text);
    }

    pub(super) fn finish(self) -> Result<Draft, ConvertError> {
        let Machine { artifact, values, mut draft, target, .. } = self.machine;
        values.finish(&mut draft, &mut artifact.notes, without_texts);
        if draft.journeys.is_empty() {
            let text = "no scenario of the simulation sends an HTTP request that can be read";
            return Err(ConvertError::Empty(text.to_owned()));
        }
        let (journeys, scenarios) = (draft.journeys.len(), draft.scenarios.len());
        artifact.seen.push(format!("{journeys} scenarios with requests, {scenarios} loads"));
        draft.url = target.base;
        let comments = [
            "The simulation was read, not run: compare its requests with these.",
            "Gatling follows redirects and sends a request to where they lead; a plan does not.",
            "Gatling caches responses as a browser does; a plan sends every request.",
        ];
        draft.comments.extend(comments.map(str::to_owned));
        draft.settle_scenarios();
        Ok(draft)
    }
}
