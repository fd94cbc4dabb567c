//! What a load consists of: the requests, who sends them and when, and the limits.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::data::ResolvedData;
use super::tls::PemFiles;
use crate::plan;

/// What is sent, where to, and within which limits.
#[derive(Clone, Debug)]
pub struct LoadConfig {
    /// Where the requests go.
    pub target: plan::Target,
    /// Every request.
    pub requests: Vec<plan::Request>,
    /// What users do with them.
    pub journeys: Vec<plan::Journey>,
    /// Values for the templates, by their name in `{…}`.
    pub data: BTreeMap<String, ResolvedData>,
    /// The loads that run side by side, at least one.
    pub flows: Vec<FlowConfig>,
    /// Maximum number of journeys at a time in the open model. Further due journeys wait, and count
    /// as backlog.
    pub max_in_flight: usize,
    /// Maximum requests per second, whatever a stage asks for.
    pub max_rate: f64,
    /// Threads that make load. `None` means as many as `max_rate` needs, but at most one per core.
    pub workers: Option<usize>,
    /// Seed of every random choice.
    pub seed: u64,
    /// Name of this generator in its ticks.
    pub generator: String,
    /// Contents of the PEM files that [`plan::Tls`] names.
    pub pem: PemFiles,
}

impl LoadConfig {
    /// Maximum number of journeys at a time in the open model, each over one connection.
    pub(super) fn most_at_a_time(&self) -> usize {
        self.max_in_flight.min(self.target.max_connections.unwrap_or(usize::MAX))
    }

    /// The same with one load in the open model: these requests by their weights, each as a
    /// separate journey.
    #[must_use]
    pub fn with_mix(mut self, requests: Vec<(plan::Request, f64)>) -> Self {
        let journeys = requests.iter().enumerate().map(|(index, (request, weight))| {
            plan::Journey::of_one(request.name.clone(), *weight, index)
        });
        self.journeys = journeys.collect();
        self.flows = vec![FlowConfig::open(plan::Arrivals::Even, requests.len())];
        self.requests = requests.into_iter().map(|(request, _)| request).collect();
        self
    }
}

/// One of the loads that run side by side.
#[derive(Clone, Debug)]
pub struct FlowConfig {
    /// Indices of its journeys among those of the configuration.
    pub journeys: Vec<usize>,
    /// When they begin.
    pub kind: FlowKind,
}

/// When the journeys of a flow begin.
#[derive(Clone, Debug)]
pub enum FlowKind {
    /// When the schedule says so (open model).
    Open(plan::Arrivals),
    /// When the previous one has ended (closed model). A stage sets the number of virtual users.
    Closed(Iterations),
    /// At these times after the start of the stage, in nanoseconds, each with its journey.
    Replay(Arc<[Arrival]>),
}

/// One arrival of a trace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arrival {
    /// Nanoseconds from the start.
    pub at: u64,
    /// Index of its journey.
    pub journey: usize,
}

/// How many journeys the virtual users do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Iterations {
    /// As many as time allows.
    Unlimited,
    /// This many for each user, and the number of users.
    PerVu(u64, u32),
    /// This many in total, and the number of users.
    Shared(u64, u32),
}

impl FlowConfig {
    /// All journeys in the open model.
    pub fn open(arrivals: plan::Arrivals, journeys: usize) -> Self {
        Self { journeys: (0..journeys).collect(), kind: FlowKind::Open(arrivals) }
    }
}
