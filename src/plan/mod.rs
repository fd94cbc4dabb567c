//! What to do: target, requests, load, collectors, objectives and limits.
//!
//! A [`Plan`] is pure data. [`parse`] reads it from text and reports every mistake at once with
//! its place; files, environment and network belong to those who use a plan.

mod collector;
mod load;
mod objective;
mod parse;
mod quick;
mod request;
mod secret;
mod target;
mod units;

use std::collections::BTreeMap;

use serde::Serialize;

pub use collector::{CollectorConfig, CollectorShape, OptionKind, OptionSpec, OptionValue};
pub use load::{Breakpoint, Executor, Limits, RampStage};
pub use objective::{Comparison, Measure, Objective};
pub use parse::{Mistake, PlanErrors, parse};
pub use request::{Body, DataOrder, DataSource, DataValues, Header, Request, Segment, Template};
pub use secret::{Secret, is_secret_name, redact_url};
pub use target::{Connections, Target, TargetUrl, Tls};
pub use units::{parse_duration, parse_rate, parse_target_url};

/// One run, as it was asked for. Serialising it leaves every secret out.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Plan {
    /// A name for reports; the target's address where the plan has none.
    pub name: String,
    /// Where the requests go.
    pub target: Target,
    /// The weighted mix of requests, at least one.
    pub requests: Vec<Request>,
    /// Values for templates, by the name they have in `{…}`.
    pub data: BTreeMap<String, DataSource>,
    /// How much load, and when.
    pub load: Executor,
    /// What the system has to meet.
    pub objectives: Vec<Objective>,
    /// What the run may never exceed.
    pub limits: Limits,
    /// What is watched beside the load.
    pub collectors: Vec<CollectorConfig>,
    /// Seed of every random choice.
    pub seed: u64,
}
