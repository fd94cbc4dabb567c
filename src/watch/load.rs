//! The load that another tool made, read from what it wrote.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom, Write};
use std::ops::Range;
use std::path::{Path, PathBuf};

use crate::import::{self, Files, ImportError, ToolLoad};
use crate::recording::{Event, WriteError, Writer};
use crate::timeline::Moment;

/// Seconds by which times may be rounded: many tools write whole seconds.
const ROUNDED: f64 = 1.0;

/// Files with the results of a tool.
#[derive(Clone, Debug)]
pub struct Results {
    /// The files of the run.
    pub files: Vec<PathBuf>,
    /// Name of their format, if it is known; otherwise it is told from how they begin.
    pub format: Option<String>,
    /// Bytes of each file that were there before: a log is not read from its beginning.
    pub(super) skipped: Vec<u64>,
}

/// Why a load cannot be told.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// A file cannot be read.
    #[error("cannot read `{}`: {source}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// A file does not hold requests in a known format.
    #[error("cannot read `{}` as results: {source}", path.display())]
    Import {
        /// The file.
        path: PathBuf,
        /// Why.
        source: ImportError,
    },
    /// Sockets of the target were not seen, or nothing was sent.
    #[error("{0}")]
    Nothing(&'static str),
}

impl Results {
    /// What a tool writes into a file.
    pub fn of(file: PathBuf) -> Self {
        Self::among(vec![file], None)
    }

    /// What a tool writes into several files.
    pub fn among(files: Vec<PathBuf>, format: Option<String>) -> Self {
        Self { skipped: vec![0; files.len()], files, format }
    }

    /// What a server adds to its access logs from now on.
    pub fn added_to(files: Vec<PathBuf>, format: Option<String>) -> Self {
        let length = |file: &PathBuf| file.metadata().map_or(0, |about| about.len());
        Self { skipped: files.iter().map(length).collect(), files, format }
    }

    /// The load that was sent within `times`, in seconds since 1970. Times without a date count
    /// from the first of them. `waiting` are the connections, by second, that always waited for an
    /// answer: a server's log does not show that its load is a closed loop.
    pub(super) fn read(
        &self,
        times: Range<f64>,
        name: &str,
        waiting: Option<BTreeMap<i64, f64>>,
    ) -> Result<ToolLoad, LoadError> {
        let named = self.format.as_deref().and_then(import::find);
        let within = times.start - ROUNDED..times.end + ROUNDED;
        let mut files = Files::new(named).within(within);
        if let Some(waiting) = waiting {
            files = files.with_connections(waiting);
        }
        for (path, skipped) in self.files.iter().zip(&self.skipped) {
            let input = opened(path, *skipped)
                .map_err(|source| LoadError::Unreadable { path: path.clone(), source })?;
            files.add(&mut BufReader::new(input)).map_err(|source| refused(path, source))?;
        }
        let first = self.files.first().cloned().unwrap_or_default();
        let load = files.into_load(name).map_err(|source| refused(&first, source))?;
        Ok(load.dated(times.start))
    }
}

fn refused(path: &Path, source: ImportError) -> LoadError {
    LoadError::Import { path: path.to_owned(), source }
}

/// A file from a place on; from its beginning if it has become shorter, as a log that was rotated.
fn opened(path: &Path, skipped: u64) -> io::Result<impl Read> {
    let mut file = File::open(path)?;
    let from = if file.metadata()?.len() < skipped { 0 } else { skipped };
    file.seek(SeekFrom::Start(from))?;
    Ok(file)
}

/// Adds a load to a recording that began at `zero_unix` and holds what was collected meanwhile.
///
/// # Errors
/// The storage fails.
pub fn join<W: Write>(
    writer: &mut Writer<W>,
    load: ToolLoad,
    zero_unix: f64,
    target: &str,
) -> Result<(), WriteError> {
    let mut load = load.since(zero_unix);
    load.plan.target = target.to_owned();
    let at = load.ticks.first().map_or(Moment::START, |tick| tick.window.begin);
    writer.plan(at, &load.plan)?;
    for tick in &load.ticks {
        writer.tick(tick)?;
    }
    for stage in &load.stages {
        writer.stage(stage)?;
    }
    for text in load.notes {
        writer.event(&Event { at, text })?;
    }
    Ok(())
}
