//! `view`: the report of a recording in a browser.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use super::args::ViewArgs;
use super::error::{CliError, CommandResult};
use super::exit::ExitStatus;
use super::inspect::recording_path;
use super::look;
use super::results::{self, load_rules};
use super::stop::interrupt_flag;
use crate::diagnose::{RuleSet, diagnose};

/// Shortest time between two looks at a recording that grows.
const SHORTEST: Duration = Duration::from_secs(2);
/// A recording that grows is read again after so many times as long as reading it took.
const REST: u32 = 10;

pub(super) fn main(args: &ViewArgs) -> CommandResult {
    let rules = load_rules(args.rules.as_deref())?;
    let mut changes = Changes::of(recording_path(&args.recording));
    let html = page(&changes.path, &rules)?;
    let interrupt = interrupt_flag(None);
    look::serve_report(&args.live, html, &interrupt, || {
        let path = changes.due()?;
        let begun = Instant::now();
        // A file that cannot be read now is one that is being written anew.
        let html = page(&path, &rules).ok();
        changes.rest(begun.elapsed() * REST);
        html
    })?;
    Ok(ExitStatus::Done)
}

fn page(path: &Path, rules: &RuleSet) -> Result<Vec<u8>, CliError> {
    let recording = results::read(path)?;
    results::html(&recording, &diagnose(&recording, rules))
}

/// Whether a file has changed since it was read.
struct Changes {
    path: PathBuf,
    seen: Option<SystemTime>,
    next: Instant,
}

impl Changes {
    fn of(path: PathBuf) -> Self {
        let seen = changed(&path);
        Self { path, seen, next: Instant::now() + SHORTEST }
    }

    /// The file, if it has changed and it is time to read it again.
    fn due(&mut self) -> Option<PathBuf> {
        if Instant::now() < self.next {
            return None;
        }
        self.rest(SHORTEST);
        let changed = changed(&self.path);
        let before = std::mem::replace(&mut self.seen, changed);
        (changed.is_some() && changed != before).then(|| self.path.clone())
    }

    fn rest(&mut self, time: Duration) {
        self.next = Instant::now() + time.max(SHORTEST);
    }
}

fn changed(path: &Path) -> Option<SystemTime> {
    std::fs::metadata(path).and_then(|metadata| metadata.modified()).ok()
}
