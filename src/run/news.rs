//! What a run tells while it goes on, and why it could not start.

use crate::collect::Observation;
use crate::load::LoadError;
use crate::recording::WriteError;
use crate::timeline::{LoadTick, Stage};

/// News of a run while it goes on, for a progress display.
#[derive(Debug)]
pub enum Progress<'a> {
    /// A stage begins.
    StageBegins(&'a Stage),
    /// A second of the current stage is over.
    Tick {
        /// The stage.
        stage: &'a Stage,
        /// That second.
        tick: &'a LoadTick,
    },
    /// A stage is over; these are its ticks.
    StageEnded {
        /// The stage.
        stage: &'a Stage,
        /// What the generator did in it.
        ticks: &'a [LoadTick],
    },
    /// A collector reported something, and it is recorded.
    Reported(&'a Observation),
    /// Something happened, in words for a person.
    Event(&'a str),
}

/// Why a run could not start, so that there is nothing to read.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The load generator did not start.
    #[error("cannot start the load generator: {0}")]
    Load(#[from] LoadError),
    /// The recording could not be begun.
    #[error("{0}; free space or choose another place with `--out`")]
    Recording(#[source] WriteError),
}
