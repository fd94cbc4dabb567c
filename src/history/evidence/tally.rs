//! Counts the lines of several logs side by side, cell by cell.

use std::collections::BTreeSet;
use std::io::Write;

use super::log::Log;
use crate::collect::StoredLogs;
use crate::history::cells::Cells;
use crate::history::error::HistoryError;
use crate::recording::{WriteError, Writer};
use crate::timeline::{Batch, BatchBuilder, Moment, Quote, Window};

/// Name of the collector whose readings these are.
pub(in crate::history) const COLLECTOR: &str = "logs";

/// What was read of the logs.
#[derive(Debug, Default)]
pub(in crate::history) struct Tally {
    /// Lines within the time.
    pub(in crate::history) inside: u64,
    /// Earlier or later ones.
    pub(in crate::history) outside: u64,
    /// First and last time, in seconds since 1970.
    pub(in crate::history) span: Option<(f64, f64)>,
    pub(in crate::history) sources: BTreeSet<String>,
}

/// Reads the logs side by side and writes what their lines come to, cell by cell.
pub(in crate::history) fn write<W: Write>(
    logs: &mut [Log<'_>],
    cells: Cells,
    writer: &mut Writer<W>,
) -> Result<Tally, HistoryError> {
    let mut read = Tally::default();
    let mut stored = StoredLogs::default();
    let mut open: Option<i64> = None;
    loop {
        let time = |log: &Log<'_>| log.next.as_ref().map(|entry| entry.at);
        let earliest = logs
            .iter_mut()
            .filter(|log| log.next.is_some())
            .min_by(|a, b| time(a).unwrap_or(f64::MAX).total_cmp(&time(b).unwrap_or(f64::MAX)));
        let Some(log) = earliest else { break };
        let Some(entry) = log.next.take() else { break };
        log.advance()?;
        let (first, last) = read.span.unwrap_or((entry.at, entry.at));
        read.span = Some((first.min(entry.at), last.max(entry.at)));
        let at = entry.at - cells.zero_unix;
        if !(0.0..=cells.end).contains(&at) {
            read.outside += 1;
            // The log reaches over this end of the time: no line there means that there was none.
            let reached = if at < 0.0 { 0 } else { (cells.end / cells.step).ceil() as i64 - 1 };
            let from = open.unwrap_or(reached);
            for done in from..reached {
                push(&mut stored, done, cells, writer)?;
            }
            open = Some(reached.max(from));
            continue;
        }
        read.inside += 1;
        let cell = (at / cells.step).floor() as i64;
        // A line that was written late counts where the log stands.
        let from = open.unwrap_or(cell);
        for done in from..cell {
            push(&mut stored, done, cells, writer)?;
        }
        open = Some(cell.max(from));
        stored.line(&entry.source, &entry.text, entry.priority.as_deref());
    }
    if let Some(cell) = open {
        push(&mut stored, cell, cells, writer)?;
    }
    read.sources = stored.sources().map(str::to_owned).collect();
    Ok(read)
}

/// Writes the counts at the end of a cell.
fn push<W: Write>(
    stored: &mut StoredLogs,
    cell: i64,
    cells: Cells,
    writer: &mut Writer<W>,
) -> Result<(), WriteError> {
    let moment = |cell: i64| Moment::from_secs_f64((cell as f64 * cells.step).min(cells.end));
    let window = Window::new(moment(cell), moment(cell + 1));
    let mut batch = BatchBuilder::new();
    stored.push(&mut batch, cells.step);
    let collector = COLLECTOR.to_owned();
    writer.batch(&Batch { collector: collector.clone(), window, readings: batch.finish() })?;
    for (key, text) in stored.take_quotes() {
        writer.quote(&Quote { at: window.end, collector: collector.clone(), key, text })?;
    }
    Ok(())
}
