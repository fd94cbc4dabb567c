//! Completes the recording of a coordinator that was lost with what its generators have reported since.

use std::collections::BTreeMap;

use crate::recording::{self, Entry, ReadError, Recording, WriteError, Writer};
use crate::remote::{PastRun, Role};
use crate::timeline::{LoadTick, Moment};

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

/// What generators have reported and the coordinator has not recorded: it records the seconds of each
/// in their order, so the last ones are missing.
fn missing_ticks(recording: &Recording, run: &PastRun) -> Vec<LoadTick> {
    let timeline = &recording.timeline;
    let mut recorded: BTreeMap<&str, Moment> =
        timeline.generators.iter().map(|name| (name.as_str(), Moment::START)).collect();
    for part in &timeline.parts {
        let name = timeline.generators.get(part.generator).map(String::as_str);
        if let Some(until) = name.and_then(|name| recorded.get_mut(name)) {
            *until = part.window.end.max(*until);
        }
    }
    let mut missing = Vec::new();
    for node in run.nodes.iter().filter(|node| node.role == Role::Generator) {
        let Some(until) = recorded.get(node.name.as_str()) else { continue };
        for entry in &node.entries {
            if let Entry::Tick(tick) = entry
                && tick.window.end > *until
            {
                missing.push(LoadTick { generator: node.name.clone(), ..(**tick).clone() });
            }
        }
    }
    missing
}
