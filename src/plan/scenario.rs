//! Scenarios: loads that go on side by side.

use std::time::Duration;

use serde::Serialize;

use super::{Arrivals, Executor};

/// One load: which journeys, how many and when.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Scenario {
    /// Its name; `load` where the plan has one load only.
    pub name: String,
    /// How much, and when.
    pub executor: Executor,
    /// How its arrivals follow each other.
    pub arrivals: Arrivals,
    /// When it starts, from the begin of the load.
    pub start: Duration,
    /// Indices of its journeys among the plan's, at least one.
    pub journeys: Vec<usize>,
}

impl Scenario {
    /// The only load of a plan, with these many journeys.
    pub fn only(executor: Executor, arrivals: Arrivals, journeys: usize) -> Self {
        let (name, start) = ("load".to_owned(), Duration::ZERO);
        Self { name, executor, arrivals, start, journeys: (0..journeys).collect() }
    }
}
