//! `file_locks`: which files the target's processes hold locked, and how many of them wait for one.
//!
//! Programs exclude each other by locks of files: SQLite for each write, PHP for each session, many
//! others by a `.lock` beside their data. One that is held nearly all the time lets through one
//! request after the other, like a lock in memory, but across processes.
//!
//! The kernel lists all locks in `/proc/locks` (proc_locks(5)): the `flock` and `fcntl` locks that are
//! held, and behind an arrow those that a process waits for. Each look tells for each file whether it
//! is locked for writing at that moment, so the mean over a window is the share of the time.
//!
//! What it cannot see:
//! - Who waits by asking again and again, as SQLite does: no such process is in the list. Its thread
//!   sleeps between two tries (see `threads`).
//! - Open file description locks of `fcntl`, which the kernel lists without a process.
//! - Locks of threads of one process by `fcntl`: they belong to the process as a whole.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::time::{Duration, Instant};

use super::proc::Text;
use super::proc::tree::Tree;
use super::{Collector, CollectorSpec, OpenError, OpenResult, Opens, SampleError, TargetHint};
use crate::plan::CollectorConfig;
use crate::timeline::{BatchBuilder, Labels, names};

pub(super) static SPEC: CollectorSpec = CollectorSpec {
    name: "file_locks",
    summary: "files that the target's processes hold locked, and processes that wait for one; Linux",
    hint: "[collect.file_locks] on the machine the target runs on",
    opens: Opens::ForLocalTarget,
    options: &[],
    metrics: &[names::FILE_LOCKS_HELD, names::FILE_LOCKS_WAITING],
    interval: Duration::from_millis(100),
    open,
};

const LOCKS: &str = "/proc/locks";
/// Files that get their own series in a run; the first ones found have priority.
const MOST_FILES: usize = 32;
/// The processes of the target are looked up at most this often.
const LOOKED_UP_EVERY: Duration = Duration::from_secs(1);

/// Device and inode of a file, as the kernel writes them: `major:minor:inode`, the device in
/// hexadecimal.
type FileId = String;

fn open(_: &CollectorConfig, hint: &TargetHint) -> OpenResult {
    let tree = Tree::of_target(hint.process_config.as_ref(), hint)
        .map_err(|error| OpenError::absent(error.what, error.hint))?;
    fs::read(LOCKS).map_err(|error| {
        OpenError::absent(format!("{LOCKS} cannot be read: {error}"), "run kneepoint on Linux")
    })?;
    Ok(Box::new(FileLocks {
        tree,
        names: BTreeMap::new(),
        next_lookup: Instant::now(),
        text: Text::default(),
    }))
}

struct FileLocks {
    tree: Tree,
    /// The files that have series, with their paths.
    names: BTreeMap<FileId, String>,
    next_lookup: Instant,
    text: Text,
}

/// One line of the list.
#[derive(Debug, PartialEq, Eq)]
struct Lock<'t> {
    pid: u32,
    file: &'t str,
    waits: bool,
}

impl Collector for FileLocks {
    fn watches(&self) -> String {
        format!("file locks of {}", self.tree.describe())
    }

    fn sample(&mut self, batch: &mut BatchBuilder) -> Result<(), SampleError> {
        if Instant::now() >= self.next_lookup {
            self.next_lookup = Instant::now() + LOOKED_UP_EVERY;
            self.tree.refresh().map_err(SampleError)?;
        }
        let text = self
            .text
            .read(LOCKS)
            .map_err(|error| SampleError(format!("{LOCKS} cannot be read: {error}")))?;
        let pids: BTreeSet<u32> = self.tree.pids().collect();
        let mut held: BTreeMap<FileId, Vec<u32>> = BTreeMap::new();
        let mut waiting: BTreeMap<FileId, usize> = BTreeMap::new();
        for lock in text.lines().filter_map(parse).filter(|lock| pids.contains(&lock.pid)) {
            match lock.waits {
                true => *waiting.entry(lock.file.to_owned()).or_default() += 1,
                false => held.entry(lock.file.to_owned()).or_default().push(lock.pid),
            }
        }
        for (file, pids) in &held {
            if self.names.len() < MOST_FILES && !self.names.contains_key(file) {
                let name = pids.iter().find_map(|pid| path_of(*pid, file));
                self.names.insert(file.clone(), name.unwrap_or_else(|| file.clone()));
            }
        }
        for (file, name) in &self.names {
            let labels = Labels::none().with("file", name.as_str());
            let is_held = f64::from(u8::from(held.contains_key(file)));
            batch.push_labelled(&names::FILE_LOCKS_HELD, labels.clone(), is_held);
            let waiting = waiting.get(file).copied().unwrap_or_default() as f64;
            batch.push_labelled(&names::FILE_LOCKS_WAITING, labels, waiting);
        }
        Ok(())
    }
}

/// A lock for writing, and which file it is of. Several may read-lock a file at once, which excludes
/// no reader.
fn parse(line: &str) -> Option<Lock<'_>> {
    let mut fields = line.split_ascii_whitespace().skip(1).peekable();
    let waits = fields.next_if_eq(&"->").is_some();
    let kind = fields.next()?;
    let _advisory = fields.next()?;
    let is_lock = matches!(kind, "FLOCK" | "POSIX") && fields.next()? == "WRITE";
    let pid = fields.next()?.parse().ok()?;
    let file = fields.next()?;
    is_lock.then_some(Lock { pid, file, waits })
}

/// The path under which a process has a file open.
fn path_of(pid: u32, file: &str) -> Option<String> {
    let descriptors = fs::read_dir(format!("/proc/{pid}/fd")).ok()?;
    descriptors.flatten().find_map(|entry| {
        let path = entry.path();
        let about = fs::metadata(&path).ok()?;
        let device = about.dev();
        let id = format!("{:02x}:{:02x}:{}", libc::major(device), libc::minor(device), about.ino());
        (id == file).then(|| fs::read_link(&path).ok())?.map(|link| link.display().to_string())
    })
}

#[cfg(test)]
mod tests {
    use std::fs::File;

    use super::*;
    use crate::plan::OptionValue;
    use crate::timeline::names;

    #[test]
    fn lines_are_read_as_the_kernel_writes_them() {
        let lock = |line: &'static str| parse(line);
        let held = "1: POSIX  ADVISORY  WRITE 4242 08:01:131 1073741825 1073741825";
        assert_eq!(lock(held), Some(Lock { pid: 4242, file: "08:01:131", waits: false }));
        let waits = "1: -> FLOCK  ADVISORY  WRITE 7 fd:00:9 0 EOF";
        assert_eq!(lock(waits), Some(Lock { pid: 7, file: "fd:00:9", waits: true }));
        for other in [
            "2: POSIX  ADVISORY  READ  4242 08:01:131 0 EOF",
            "3: OFDLCK ADVISORY  WRITE -1 08:01:131 0 EOF",
            "4: LEASE  ACTIVE    WRITE 4242 08:01:131 0 EOF",
            "4: FLOCK",
            "",
        ] {
            assert_eq!(lock(other), None, "{other}");
        }
    }

    #[test]
    fn a_file_that_this_process_locks_is_held_and_named() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let process = CollectorConfig::new("process");
        let process = process.with("pid", OptionValue::Integer(std::process::id().into()));
        let hint =
            TargetHint { is_local: true, process_config: Some(process), ..TargetHint::default() };
        let mut collector = open(&CollectorConfig::new("file_locks"), &hint).unwrap();
        let mut held = || {
            let mut batch = BatchBuilder::new();
            collector.sample(&mut batch).unwrap();
            let path = file.path().to_str();
            let mut own = batch.finish().into_iter().filter(|reading| {
                reading.key.metric == names::FILE_LOCKS_HELD.name
                    && reading.key.labels.get("file") == path
            });
            own.next().map(|reading| reading.value)
        };
        let other = File::open(file.path()).unwrap();
        other.lock().unwrap();
        assert_eq!(held(), Some(1.0));
        other.unlock().unwrap();
        assert_eq!(held(), Some(0.0));
    }
}
