//! Runs a plan: starts the collectors, holds one stage after the other, asks the diagnosis for the
//! sign of a knee, stops, and records everything as it arrives.
//!
//! It concludes nothing. Its result is a recording, and the diagnosis of a recording is the same
//! whether it is made at once or a year later.

mod bursts;
mod canary;
mod clock;
mod conductor;
mod drops;
mod ending;
mod fleet;
mod generate;
mod load_source;
mod losses;
mod news;
mod observed;
mod pilot;
mod segments;
mod watch;
mod websocket;

use crate::collect;
use crate::diagnose::RuleSet;

pub use conductor::{HEAD_START, WAITING_OBSERVATIONS, run, run_with, schedule};
pub use fleet::{Fleet, FleetProblem, OnLoss, PastError, complete};
pub use generate::generate;
pub use news::{Progress, RunError};
pub use observed::record;
pub use pilot::{Decision, Pilot, PlannedStage, pilot_for};

/// The built-in rules, with every source of metrics that a plan can ask for: the collectors, and
/// what a run does beside the load. So a rule without data can name what to add to the plan.
pub fn rules() -> RuleSet {
    let mut sources = collect::sources();
    sources.extend([canary::SOURCE, websocket::SOURCE]);
    RuleSet::builtin().clone().with_sources(sources)
}
