//! The plan as one value.

use std::collections::BTreeMap;

use serde::Serialize;

use super::{
    Agent, Canary, CollectorConfig, DataSource, Gate, Journey, Limits, Objective, Request,
    Scenario, Step, Target, WebSocket,
};

/// Seed of plans that set none, so that every run can be repeated.
pub(super) const DEFAULT_SEED: u64 = 1;

/// What a run should do. A serialised plan contains no secret.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Plan {
    /// A name for reports; by default host and port of the target.
    pub name: String,
    /// Where the requests go.
    pub target: Target,
    /// Every request that the run can send, at least one.
    pub requests: Vec<Request>,
    /// What users do, at least one journey.
    pub journeys: Vec<Journey>,
    /// Steps that run once before the load. Every journey can use what they capture.
    pub setup: Vec<Step>,
    /// Steps that run once after the load.
    pub teardown: Vec<Step>,
    /// Values for templates, by their name in `{…}`.
    pub data: BTreeMap<String, DataSource>,
    /// How much load, and when; at least one. At most one scenario chooses its stages by what it
    /// measures.
    pub scenarios: Vec<Scenario>,
    /// What the system must meet.
    pub objectives: Vec<Objective>,
    /// How a gate compares two builds with this plan.
    pub gate: Gate,
    /// What the run never exceeds.
    pub limits: Limits,
    /// Cheap routes to probe while the load runs. `limits` does not count these probes.
    pub canaries: Vec<Canary>,
    /// WebSocket sessions to keep open while the load runs. `limits` does not count them.
    pub websockets: Vec<WebSocket>,
    /// What to watch while the load runs.
    pub collectors: Vec<CollectorConfig>,
    /// What collects elsewhere.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub agents: Vec<Agent>,
    /// Seed of every random choice.
    pub seed: u64,
}

impl Plan {
    /// Mean number of requests per journey of a scenario.
    pub fn requests_per_journey(&self, scenario: &Scenario) -> f64 {
        let chosen = || scenario.journeys.iter().filter_map(|journey| self.journeys.get(*journey));
        let weights: f64 = chosen().map(|journey| journey.weight).sum();
        let of = |journey: &Journey| -> f64 {
            journey.requests().iter().map(|(_, times)| times * journey.weight).sum()
        };
        if weights > 0.0 { chosen().map(of).sum::<f64>() / weights } else { 1.0 }
    }

    /// The share of each request in all requests of the load, by index. Scenarios have equal
    /// weight.
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
