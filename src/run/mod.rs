//! Runs a plan: starts the collectors, holds one stage after the other, asks the diagnosis for the
//! sign of a knee, stops, and records everything as it arrives.
//!
//! It concludes nothing. Its result is a recording, and the diagnosis of a recording is the same
//! whether it is made at once or a year later.

mod canary;
mod clock;
mod conductor;
mod drops;
mod pilot;
mod segments;
mod watch;
mod websocket;

use crate::collect;
use crate::timeline::Source;

pub use conductor::{Progress, RunError, run, schedule};
pub use pilot::{Decision, Pilot, PlannedStage, pilot_for};

/// Where the metrics of a recording come from that a plan can ask for: the collectors, and what a
/// run does beside the load.
pub fn sources() -> Vec<Source> {
    let mut sources = collect::sources();
    sources.extend([canary::SOURCE, websocket::SOURCE]);
    sources
}
