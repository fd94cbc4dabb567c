//! What the model takes in.

use super::Suspects;
use crate::timeline::{Batch, Gap, LoadTick, Quote, Stage};

/// Something that was recorded, or that became known of the run.
#[derive(Clone, Debug)]
pub enum Seen {
    /// A stage begins; its window says how long it is planned.
    Begins(Stage),
    /// A stage is over; its window says how long it was.
    Ended(Stage),
    /// What a generator did in one second.
    Tick(Box<LoadTick>),
    /// The readings of a collector.
    Batch(Batch),
    /// A reading that is missing.
    Gap(Gap),
    /// The original words behind a series.
    Quote(Quote),
    /// Something that happened, in words for a person.
    Event(String),
    /// The rise of the load is held, or goes on.
    Paused(bool),
    /// What the diagnosis says of the run so far.
    Suspects(Suspects),
    /// No more load: why, in words.
    Over(String),
    /// The report can be read.
    Reported,
    /// This much was not taken in, because it came faster than it was taken in.
    Lost(u64),
}
