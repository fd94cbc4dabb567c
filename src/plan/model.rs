//! The plan as one value.

use std::collections::BTreeMap;

use serde::Serialize;

use super::{
    Canary, CollectorConfig, DataSource, Journey, Limits, Objective, Request, Scenario, Step,
    Target, WebSocket,
};

/// Seed of plans that name none: runs are repeatable unless someone asks for something else.
pub(super) const DEFAULT_SEED: u64 = 1;

/// One run, as it was asked for. Serialising it leaves every secret out.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Plan {
    /// A name for reports; the target's address where the plan has none.
    pub name: String,
    /// Where the requests go.
    pub target: Target,
    /// Every request that it may send, at least one.
    pub requests: Vec<Request>,
    /// What users do, at least one journey.
    pub journeys: Vec<Journey>,
    /// What is done once before the load; what it captures is known to every journey.
    pub setup: Vec<Step>,
    /// What is done once after the load.
    pub teardown: Vec<Step>,
    /// Values for templates, by the name they have in `{…}`.
    pub data: BTreeMap<String, DataSource>,
    /// How much load, and when: at least one. At most one of them chooses its stages itself.
    pub scenarios: Vec<Scenario>,
    /// What the system has to meet.
    pub objectives: Vec<Objective>,
    /// What the run may never exceed.
    pub limits: Limits,
    /// Cheap routes that are probed beside the load, in addition to what `limits` allow it.
    pub canaries: Vec<Canary>,
    /// WebSocket sessions that are held beside the load, in addition to what `limits` allow it.
    pub websockets: Vec<WebSocket>,
    /// What is watched beside the load.
    pub collectors: Vec<CollectorConfig>,
    /// Seed of every random choice.
    pub seed: u64,
}

impl Plan {
    /// Requests of one journey on average, over the journeys of a scenario.
    pub fn requests_per_journey(&self, scenario: &Scenario) -> f64 {
        let chosen = || scenario.journeys.iter().filter_map(|journey| self.journeys.get(*journey));
        let weights: f64 = chosen().map(|journey| journey.weight).sum();
        let of = |journey: &Journey| -> f64 {
            journey.requests().iter().map(|(_, times)| times * journey.weight).sum()
        };
        if weights > 0.0 { chosen().map(of).sum::<f64>() / weights } else { 1.0 }
    }

    /// Each request that the load sends, by index, with its share of all requests; several
    /// scenarios count alike.
    pub fn shares(&self) -> Vec<(usize, f64)> {
        let mut shares = BTreeMap::<usize, f64>::new();
        for scenario in &self.scenarios {
            let per_journey = self.requests_per_journey(scenario);
            let chosen =
                || scenario.journeys.iter().filter_map(|journey| self.journeys.get(*journey));
            let weights: f64 = chosen().map(|journey| journey.weight).sum();
            for journey in chosen() {
                for (request, times) in journey.requests() {
                    let share = times * journey.weight / weights / per_journey;
                    *shares.entry(request).or_default() += share / self.scenarios.len() as f64;
                }
            }
        }
        shares.into_iter().collect()
    }
}
