//! What makes the load of a run: the threads of this process, or generators elsewhere. The conductor,
//! its pilots and its watch do not know which.

use std::time::Duration;

use crate::load::Generator;
use crate::timeline::{LoadTick, Moment, Stage};

/// A generator was lost.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Loss {
    /// The load is not what was asked for any more, and why.
    Final(String),
    /// The others take over its part.
    Refilled {
        /// Its name.
        name: String,
        /// Why it was lost, in words.
        why: String,
        /// From when on.
        from: Moment,
    },
}

/// Makes load as it is told, and reports each second of it through a channel of its own.
pub(super) trait LoadSource {
    /// Schedules `stage` for one flow, as [`Generator::hold`] does.
    fn hold(&self, flow: usize, stage: &Stage);

    /// Whether every virtual user of a flow has done all its work.
    fn is_done(&self, flow: usize) -> bool;

    /// How long before its beginning a stage has to be scheduled.
    fn notice(&self) -> Duration {
        Duration::ZERO
    }

    /// What was lost of the load and was not told before, at a moment of the run.
    fn take_loss(&self, _now: Moment) -> Option<Loss> {
        None
    }

    /// Ends the load as [`Generator::stop`] does, and returns the ticks since then. The receiver of
    /// ticks may hold older ones.
    fn stop(self: Box<Self>, grace: Duration) -> Vec<LoadTick>;
}

impl LoadSource for Generator {
    fn hold(&self, flow: usize, stage: &Stage) {
        Generator::hold(self, flow, stage);
    }

    fn is_done(&self, flow: usize) -> bool {
        Generator::is_done(self, flow)
    }

    fn stop(self: Box<Self>, grace: Duration) -> Vec<LoadTick> {
        Generator::stop(*self, grace)
    }
}
