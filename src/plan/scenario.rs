//! Scenarios: loads that run side by side.

use std::time::Duration;

use serde::Serialize;

use super::{Arrivals, Executor};

/// One load: which journeys, how many, and when.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Scenario {
    /// Its name; `load` if the plan has only one load.
    pub name: String,
    /// How much, and when.
    pub executor: Executor,
    /// The spacing of its arrivals.
    pub arrivals: Arrivals,
    /// When it starts, after the beginning of the load.
    pub start: Duration,
    /// Indices of its journeys in the plan, at least one.
    pub journeys: Vec<usize>,
}

impl Scenario {
    /// The only load of a plan that has this many journeys.
    pub fn only(executor: Executor, arrivals: Arrivals, journeys: usize) -> Self {
        let (name, start) = ("load".to_owned(), Duration::ZERO);
        Self { name, executor, arrivals, start, journeys: (0..journeys).collect() }
    }
}
