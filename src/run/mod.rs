//! The conductor of a live run: starts the collectors, holds one stage after the other, asks the
//! diagnosis for the sign of a knee, stops, and writes everything down as it comes.
//!
//! It concludes nothing: what it leaves behind is a recording, and the verdict on it is the same
//! whether it is asked for at once or a year later.

mod canary;
mod clock;
mod conductor;
mod levels;
mod pilot;
mod storm;
mod watch;
mod websocket;

use crate::collect;
use crate::timeline::Source;

pub use conductor::{Progress, RunError, run, schedule};
pub use pilot::{Level, Next, Pilot, pilot_for};

/// Where the metrics of a recording come from that a plan can ask for: the collectors, and what a
/// run does beside the load.
pub fn sources() -> Vec<Source> {
    let mut sources = collect::sources();
    sources.extend([canary::SOURCE, websocket::SOURCE]);
    sources
}
