//! One run as a value and as a file: what was asked for, where it ran, what was measured, why it
//! stopped. It holds raw ticks and readings, never a conclusion.

mod entry;
mod environment;
mod frames;
mod lines;
mod model;
mod note;
mod read;
mod repair;
mod scan;
mod splice;
mod summary;
#[cfg(test)]
mod tests;
mod timeline_builder;
mod write;

pub use crate::plan::Reduction;
pub use entry::{EncodedEntry, Entry, EntryDecoder, EntryEncoder};
pub use environment::{AgentNote, CollectorNote, Environment, GeneratorNote};
pub use model::{
    Event, PlanSummary, RecordedMeasure, RecordedObjective, Recording, Stop, StopReason,
};
pub use note::ReadNote;
pub use read::{ReadError, read};
pub use repair::whole_lines;
pub use splice::{Overview, SpliceError, copy, overview};
pub use write::{WriteError, Writer};
