//! Completes the recording of a coordinator that was lost with what its generators have reported since.

use std::collections::BTreeSet;

use crate::recording::{self, Entry, ReadError, Recording, WriteError, Writer};
use crate::remote::{PastRun, Role};
use crate::timeline::{LoadTick, Window};

/// Why a run cannot be completed.
#[derive(Debug, thiserror::Error)]
pub enum PastError {
    /// What the bus holds is no recording.
    #[error(transparent)]
    Unreadable(#[from] ReadError),
    /// It cannot be continued.
    #[error(transparent)]
    Unwritable(#[from] WriteError),
}

/// The file of a run that a bus holds, and how many seconds of generators were added to what the
/// coordinator had recorded.
///
/// # Errors
/// If its recording cannot be read.
pub fn complete(run: &PastRun) -> Result<(Vec<u8>, usize), PastError> {
    let (recording, _) = recording::read(run.recording.as_slice())?;
    let mut missing = missing_ticks(&recording, run);
    if missing.is_empty() {
        return Ok((run.recording.clone(), 0));
    }
    missing.sort_by_key(|tick| (tick.window.end, tick.generator.clone()));
    let mut file = recording::whole_lines(run.recording.as_slice())?;
    let mut writer = Writer::resume(&mut file);
    for tick in &missing {
        writer.tick(tick)?;
    }
    writer.close()?;
    Ok((file, missing.len()))
}

/// What generators have reported and the coordinator has not recorded.
fn missing_ticks(recording: &Recording, run: &PastRun) -> Vec<LoadTick> {
    let timeline = &recording.timeline;
    let key = |name: &str, window: Window| (name.to_owned(), window.begin, window.end);
    let recorded: BTreeSet<_> = timeline
        .parts
        .iter()
        .filter_map(|part| Some(key(timeline.generators.get(part.generator)?, part.window)))
        .collect();
    let generators = run.nodes.iter().filter(|node| node.role == Role::Generator);
    let mut missing = Vec::new();
    for node in generators.filter(|node| timeline.generators.contains(&node.name)) {
        for entry in &node.entries {
            if let Entry::Tick(tick) = entry
                && !recorded.contains(&key(&node.name, tick.window))
            {
                missing.push(LoadTick { generator: node.name.clone(), ..(**tick).clone() });
            }
        }
    }
    missing
}
