//! Where the response time goes, as a part of the diagnosis. Every part serialises.

use serde::{Deserialize, Serialize};

/// Where the response time goes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Attribution {
    /// Seconds per request by part, for each stage that counts, in order of offered load.
    pub stages: Vec<StageParts>,
    /// What each part adds between baseline and knee, largest first; empty without a knee.
    pub growth: Vec<PartGrowth>,
    /// Share (0 to 1) of the growth that no part explains.
    pub unexplained: f64,
    /// Assumptions that do not hold in this run, in words.
    pub broken_assumptions: Vec<String>,
    /// The stages of low load taken together.
    #[serde(default)]
    pub baseline: Option<StageParts>,
    /// The stages nearest to the knee in which what saturates is saturated, taken together.
    #[serde(default)]
    pub knee: Option<StageParts>,
    /// Parts that overlap, the worst first.
    #[serde(default)]
    pub overlaps: Vec<Overlap>,
}

/// Parts that were counted for the same time. They can be compared, but they do not add up.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Overlap {
    /// Offered load at which it is worst, in requests per second.
    pub offered: f64,
    /// Seconds per request by which the parts exceed the response time there.
    pub seconds: f64,
    /// Names of the two parts that most likely share it; empty if that is unknown.
    pub parts: Vec<String>,
    /// The same in words.
    pub text: String,
}

/// The parts of one stage.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StageParts {
    /// Offered load in requests per second.
    pub offered: f64,
    /// Requests per second that arrived.
    #[serde(default)]
    pub arrivals: f64,
    /// Requests per second that ended.
    #[serde(default)]
    pub completions: f64,
    /// Whether as many ended as arrived. Otherwise a queue grew, and the parts are those of that
    /// queue.
    #[serde(default)]
    pub balanced: bool,
    /// Mean response time in seconds.
    pub response: f64,
    /// Seconds by which the parts exceed it, beyond chance; 0 if they add up.
    #[serde(default)]
    pub overlap: f64,
    /// Parts in the order in which a report stacks them, the unexplained rest last.
    pub parts: Vec<Part>,
}

/// One part of the response time.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Part {
    /// What it is, in words: `app CPU`, `PostgreSQL executing`, `waiting for 127.0.0.1:9100`.
    pub name: String,
    /// The part as a rule file names it, such as `app_cpu` or `downstream`.
    #[serde(default)]
    pub kind: String,
    /// The service that is waited for, if the part is a wait for a service.
    #[serde(default)]
    pub peer: Option<String>,
    /// Seconds per request, at most the response time.
    pub seconds: f64,
    /// Whether more was counted than the response time, so that it can only be said that it may be
    /// all of it.
    #[serde(default)]
    pub is_all: bool,
    /// Standard error of the seconds, for what is counted in looks; 0 for what is measured
    /// completely.
    #[serde(default)]
    pub error: f64,
}

/// What one part adds from baseline to knee.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PartGrowth {
    /// What it is, in words.
    pub name: String,
    /// Seconds per request at baseline.
    pub baseline: f64,
    /// Seconds per request at the knee.
    pub knee: f64,
    /// Share (0 to 1) of the growth of the response time.
    pub share: f64,
}

/// The target and the services behind it, each with the time that a request spends in it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Chain {
    /// The target first, each service after its caller, and last what passes the load on to the target.
    pub hops: Vec<Hop>,
    /// Where the search for the cause ended, and why, in words; empty without a knee.
    pub ends: String,
}

/// The target, or a service behind it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Hop {
    /// Name and address, such as `php-fpm (127.0.0.1:9000)`; `the target` for the target.
    pub service: String,
    /// The hop that calls it; `None` for the target.
    pub called_by: Option<String>,
    /// How many calls lie between the target and it.
    pub depth: u32,
    /// Seconds that a request to the target spends in it at low load, and in what it calls.
    pub baseline: Option<f64>,
    /// The same at the knee; without a knee, at the highest load.
    pub knee: Option<f64>,
    /// Of the seconds at the knee those in which it waits for what it calls.
    pub waits: Option<f64>,
    /// Cores that it uses at the knee.
    pub cores: Option<f64>,
    /// Whether the search for the cause came this way.
    pub is_followed: bool,
}
