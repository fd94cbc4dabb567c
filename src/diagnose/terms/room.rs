//! How much a system can carry, as a value.

use serde::{Deserialize, Serialize};

use crate::timeline::Unit;

/// A rate with its 95 % interval, in requests per second.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Interval {
    /// The estimate.
    pub rate: f64,
    /// Lower end.
    pub low: f64,
    /// Upper end.
    pub high: f64,
}

/// How much can be carried.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Headroom {
    /// Lowest and highest load of a bin, in requests per second.
    pub seen: Option<(f64, f64)>,
    /// Highest load that was carried well, in requests per second.
    pub carried_well: Option<f64>,
    /// Instances of the target, where that is known.
    pub instances: Option<usize>,
    /// Load at which the first of the resources is full: where several are nearly equal, that may
    /// come before any single estimate.
    #[serde(default)]
    pub limit: Option<Interval>,
    /// Resources with a limit, the first that is used up first.
    pub resources: Vec<ResourceRoom>,
    /// What a wanted load needs.
    pub wanted: Option<Wanted>,
    /// What a reader has to know.
    pub caveats: Vec<String>,
}

/// How much one resource allows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ResourceRoom {
    /// What it is, such as `the target's CPU`.
    pub name: String,
    /// How much of it there is.
    pub limit: f64,
    /// Unit of the limit.
    pub unit: Unit,
    /// Seconds of it that a request keeps busy, with the interval (`rate`, `low`, `high`).
    pub demand: Interval,
    /// How much of it is busy without requests.
    pub background: f64,
    /// Requests per second at which it is used up. The interval begins where the rules call it full,
    /// since a test of the load finds its knee between the two.
    pub carries: Interval,
    /// Requests per second up to which it has no queue that matters.
    pub safe: f64,
    /// Whether more instances bring more of it.
    pub per_instance: bool,
    /// What was busy at each load that was carried well: requests per second, and how much.
    #[serde(default)]
    pub points: Vec<(f64, f64)>,
}

/// What a wanted load needs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Wanted {
    /// Requests per second.
    pub rate: f64,
    /// What each resource needs.
    pub needs: Vec<Need>,
    /// Instances that all resources of an instance need, where their number today is known.
    pub instances: Option<u64>,
    /// The first resource that more instances do not bring, and that binds before the wanted load.
    pub shared: Option<String>,
}

/// How much of a resource a wanted load needs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Need {
    /// Which one.
    pub name: String,
    /// How much of it, without queues that matter.
    pub amount: f64,
    /// How much there is today.
    #[serde(default)]
    pub now: f64,
    /// Its unit.
    pub unit: Unit,
}
