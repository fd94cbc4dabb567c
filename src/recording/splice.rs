//! Adds to a recording that has ended, without holding it in memory: its lines are copied as they
//! are, and what comes beside them is written behind.

use std::collections::BTreeSet;
use std::io::{BufRead, Write};

use super::frames::{self, FrameError};
use super::lines::{
    AnyLine, EndLine, FailureKinds, FailureLine, HeaderLine, PlanLine, SeriesLine, TickLine,
};
use super::{Environment, Event, PlanSummary, ReadError, Stop, WriteError, Writer, scan};
use crate::timeline::{Moment, SeriesKey, Window};

/// What a recording has, without its values.
#[derive(Clone, Debug, Default)]
pub struct Overview {
    /// What was asked for.
    pub plan: PlanSummary,
    /// Where it was recorded.
    pub environment: Environment,
    /// How it ended; `None` where it was cut off.
    pub stop: Option<Stop>,
    /// Each tick's time, and the requests that ended in it.
    pub completed: Vec<(Window, u64)>,
    /// Its series.
    pub series: BTreeSet<SeriesKey>,
    /// Its last moment.
    pub end: Moment,
}

/// Why nothing was added to a recording.
#[derive(Debug, thiserror::Error)]
pub enum SpliceError {
    /// It cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The new one cannot be written.
    #[error(transparent)]
    Write(#[from] WriteError),
}

impl From<FrameError> for SpliceError {
    fn from(error: FrameError) -> Self {
        Self::Read(error.into())
    }
}

/// Looks through a recording.
///
/// # Errors
///
/// If it is not a recording that this version reads.
pub fn overview(reader: impl BufRead + Send) -> Result<Overview, ReadError> {
    let mut found = Overview::default();
    let (mut failures, mut values) = (FailureKinds::new(), Vec::new());
    let mut has_header = false;
    frames::for_each_line(reader, |line| -> Result<(), ReadError> {
        if !has_header {
            has_header = true;
            let header: HeaderLine<'_> = serde_json::from_slice(line)
                .map_err(|_| ReadError::NotARecording("does not begin with a header line"))?;
            found.plan = header.plan.into_owned();
            found.environment = header.environment.into_owned();
            return Ok(());
        }
        if let Some(head) = scan::batch(line, &mut values) {
            found.end = found.end.max(head.window.end);
            return Ok(());
        }
        // A damaged line is told when the recording itself is read.
        match kind(line).as_str() {
            "tick" => {
                let tick = serde_json::from_slice::<TickLine<'_>>(line).ok();
                if let Some(tick) = tick.and_then(|tick| tick.into_tick(&failures).ok()) {
                    found.end = found.end.max(tick.window.end);
                    found.completed.push((tick.window, tick.completed()));
                }
            }
            "failure" => {
                if let Ok(line) = serde_json::from_slice::<FailureLine<'_>>(line) {
                    failures.insert(line.id, std::sync::Arc::new(line.into_kind()));
                }
            }
            "series" => {
                if let Ok(line) = serde_json::from_slice::<SeriesLine<'_>>(line) {
                    found.series.insert(SeriesKey::new(&line.metric, line.labels.into_owned()));
                }
            }
            "plan" => {
                if let Ok(line) = serde_json::from_slice::<PlanLine<'_>>(line) {
                    found.plan = line.plan.into_owned();
                }
            }
            "end" => {
                found.stop =
                    serde_json::from_slice::<EndLine<'_>>(line).ok().map(EndLine::into_stop);
            }
            _ => {}
        }
        Ok(())
    })?;
    if let Some(stop) = &found.stop {
        found.end = found.end.max(stop.at);
    }
    Ok(found)
}

/// Copies what a recording holds behind its head to `writer`, without its end, and without its load
/// unless `with_load`. Of the events, those are copied that `keeps` wants.
///
/// # Errors
///
/// If one cannot be read, or the other not be written.
pub fn copy<W: Write>(
    reader: impl BufRead + Send,
    writer: &mut Writer<W>,
    with_load: bool,
    keeps: &dyn Fn(&Event) -> bool,
) -> Result<(), SpliceError> {
    let mut is_header = true;
    let mut values = Vec::new();
    frames::for_each_line(reader, |line| -> Result<(), SpliceError> {
        if std::mem::take(&mut is_header) {
            return Ok(());
        }
        let is_copied = scan::batch(line, &mut values).is_some()
            || match kind(line).as_str() {
                "header" | "plan" | "end" => false,
                "tick" | "failure" | "stage" | "refill" => with_load,
                "event" => serde_json::from_slice(line).is_ok_and(|event| keeps(&event)),
                _ => true,
            };
        if is_copied {
            writer.line(line)?;
        }
        Ok(())
    })?;
    Ok(())
}

fn kind(line: &[u8]) -> String {
    serde_json::from_slice::<AnyLine<'_>>(line)
        .map(|line| line.kind.into_owned())
        .unwrap_or_default()
}
