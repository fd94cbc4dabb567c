//! `disk`: the file systems that the target writes to, and the files it holds open.
//!
//! A file system counts if a process of the target has a file open for writing there, has its
//! working directory there, or would put its temporary files there (`TMPDIR`, else `/tmp`). Files
//! that are deleted and still open use space that no directory listing shows. Files open for
//! writing show whether the target is what fills the disk. Both are reported in bytes on the disk.
//! A file that several processes hold counts once.
//!
//! What it cannot see: files that are written and closed between two looks, except for the space
//! that they use afterwards; memory files; file systems that only the kernel writes to.
//!
//! # Errors
//! A process of another user does not let others read its descriptors. If no process can be read,
//! the look is a gap.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::time::{Duration, Instant};

use super::proc::Text;
use super::proc::mounts::{Mounts, Space, parse_fdinfo_writes, space};
use super::proc::tree::Tree;
use super::{Collector, CollectorSpec, OpenResult, Opens, SampleError, TargetHint};
use crate::plan::CollectorConfig;
use crate::timeline::{BatchBuilder, Labels, names};

pub(super) static SPEC: CollectorSpec = CollectorSpec {
    name: "disk",
    summary: "space on the file systems that the target writes to, its open and deleted files; \
              needs Linux, and the target's user or root",
    hint: "[collect.disk] on the machine the target runs on",
    opens: Opens::ForLocalTarget,
    options: &[],
    metrics: &[
        names::DISK_USED,
        names::DISK_USED_LIMIT,
        names::DISK_INODES,
        names::DISK_INODES_LIMIT,
        names::DISK_WRITTEN,
        names::DISK_DELETED,
        names::DISK_DELETED_FILES,
    ],
    interval: Duration::from_secs(5),
    open,
};

/// Share of one core that looking at descriptors may use.
const MOST_FOR_LOOKING: f64 = 0.005;
/// If a target has more descriptors than this, its files are not read: a single look would take too
/// long.
const MOST_DESCRIPTORS: usize = 65_536;
/// Number of file systems that get their own series; the first ones found have priority.
const MOST_MOUNTS: usize = 16;
/// Size in bytes of the blocks that `stat` counts.
const BLOCK: u64 = 512;

fn open(_: &CollectorConfig, hint: &TargetHint) -> OpenResult {
    Ok(Box::new(Disk {
        labels: Labels::none().with("process", hint.process.as_str()),
        tree: Tree::of_target(hint.process_config.as_ref(), hint)?,
        mounts: BTreeSet::new(),
        next: None,
        text: Text::default(),
    }))
}

struct Disk {
    labels: Labels,
    tree: Tree,
    /// The file systems that have series.
    mounts: BTreeSet<String>,
    /// Nothing is read before this time.
    next: Option<Instant>,
    text: Text,
}

/// What one look found.
#[derive(Default)]
struct Found {
    /// By mount point, as the target sees it.
    spaces: BTreeMap<String, Space>,
    /// Bytes on the disk of each file, by device and inode.
    written: BTreeMap<(u64, u64), u64>,
    deleted: BTreeMap<(u64, u64), u64>,
    descriptors: usize,
    /// Whether the descriptors of any process could be read.
    is_told: bool,
}

impl Collector for Disk {
    fn watches(&self) -> String {
        format!("the file systems and open files of {}", self.tree.describe())
    }

    fn sample(&mut self, batch: &mut BatchBuilder) -> Result<(), SampleError> {
        let began = Instant::now();
        if self.next.is_some_and(|next| began < next) {
            return Ok(());
        }
        self.tree.refresh().map_err(SampleError)?;
        let mut found = Found::default();
        let pids: Vec<u32> = self.tree.pids().collect();
        for pid in pids {
            self.look_at(pid, &mut found);
        }
        self.next = Some(began + began.elapsed().div_f64(MOST_FOR_LOOKING));
        if !found.is_told && found.spaces.is_empty() {
            return Err(SampleError("kneepoint may not read the target's open files".to_owned()));
        }
        self.push(&found, batch);
        Ok(())
    }
}

impl Disk {
    fn look_at(&mut self, pid: u32, found: &mut Found) {
        // A process that has just ended has nothing to report.
        let Ok(mountinfo) = self.text.read(&format!("/proc/{pid}/mountinfo")) else { return };
        let mounts = Mounts::parse(&mountinfo);
        let mut learn = |path: &str, seen_at: &str| {
            let Some(mount) = mounts.of(path).filter(|mount| !found.spaces.contains_key(*mount))
            else {
                return;
            };
            if let Some(space) = space(seen_at).filter(Space::is_writable) {
                found.spaces.insert(mount.to_owned(), space);
            }
        };
        if let Ok(cwd) = fs::read_link(format!("/proc/{pid}/cwd")) {
            learn(&cwd.to_string_lossy(), &format!("/proc/{pid}/cwd"));
        }
        let temporary = temporary_directory(pid);
        learn(&temporary, &format!("/proc/{pid}/root{temporary}"));
        let Ok(entries) = fs::read_dir(format!("/proc/{pid}/fd")) else { return };
        found.is_told = true;
        for entry in entries.flatten() {
            found.descriptors += 1;
            if found.descriptors > MOST_DESCRIPTORS {
                return;
            }
            let Some((path, file)) = regular_file(&entry.path()) else { continue };
            let (key, bytes) = ((file.dev(), file.ino()), file.blocks() * BLOCK);
            if file.nlink() == 0 {
                found.deleted.insert(key, bytes);
            }
            let number = entry.file_name();
            let info = format!("/proc/{pid}/fdinfo/{}", number.to_string_lossy());
            if self.text.read(&info).is_ok_and(|text| parse_fdinfo_writes(&text)) {
                found.written.insert(key, bytes);
                learn(&path, &entry.path().to_string_lossy());
            }
        }
    }

    fn push(&mut self, found: &Found, batch: &mut BatchBuilder) {
        for (mount, space) in &found.spaces {
            if !self.mounts.contains(mount) {
                if self.mounts.len() >= MOST_MOUNTS {
                    continue;
                }
                self.mounts.insert(mount.clone());
            }
            let labels = self.labels.clone().with("mount", mount.as_str());
            let mut push = |metric, value: u64| {
                batch.push_labelled(metric, labels.clone(), value as f64);
            };
            push(&names::DISK_USED, space.used_bytes);
            push(&names::DISK_USED_LIMIT, space.used_bytes + space.free_bytes);
            // Some file systems create inodes as needed and report none.
            if space.used_inodes + space.free_inodes > 0 {
                push(&names::DISK_INODES, space.used_inodes);
                push(&names::DISK_INODES_LIMIT, space.used_inodes + space.free_inodes);
            }
        }
        if !found.is_told || found.descriptors > MOST_DESCRIPTORS {
            return;
        }
        let mut push = |metric, value: u64| {
            batch.push_labelled(metric, self.labels.clone(), value as f64);
        };
        push(&names::DISK_WRITTEN, found.written.values().sum());
        push(&names::DISK_DELETED, found.deleted.values().sum());
        push(&names::DISK_DELETED_FILES, found.deleted.len() as u64);
    }
}

/// Path and metadata of what a descriptor has open, if it is a file on a disk.
fn regular_file(descriptor: &std::path::Path) -> Option<(String, Metadata)> {
    let link = fs::read_link(descriptor).ok()?;
    let link = link.to_str()?;
    // Memory that only looks like a file (memfd_create(2)) uses no disk space.
    if !link.starts_with('/') || link.starts_with("/memfd:") {
        return None;
    }
    let file = fs::metadata(descriptor).ok().filter(Metadata::is_file)?;
    Some((link.trim_end_matches(" (deleted)").to_owned(), file))
}

/// The directory for temporary files of a process, as that process sees it.
fn temporary_directory(pid: u32) -> String {
    let told = |environment: Vec<u8>| {
        let mut each = environment.split(|byte| *byte == 0);
        let value = each.find_map(|entry| entry.strip_prefix(b"TMPDIR="))?;
        String::from_utf8(value.to_vec()).ok().filter(|path| path.starts_with('/'))
    };
    let read: io::Result<Vec<u8>> = fs::read(format!("/proc/{pid}/environ"));
    read.ok().and_then(told).unwrap_or_else(|| "/tmp".to_owned())
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead, BufReader, Write};
    use std::process::{Command, Stdio};

    use super::*;
    use crate::plan::OptionValue;
    use crate::timeline::Reading;

    fn value(readings: &[Reading], name: &str) -> f64 {
        readings.iter().find(|reading| reading.key.metric == name).unwrap().value
    }

    #[test]
    fn a_log_that_grows_and_a_file_that_is_deleted_are_seen() {
        let directory = tempfile::tempdir().unwrap();
        // Writes as many bytes to each of its two files as each input line asks for.
        let script = "exec 3>app.log 4>spool; rm spool; \
                      while read size; do \
                        head -c $size /dev/zero >&3; head -c $size /dev/zero >&4; echo; \
                      done";
        let mut child = Command::new("sh")
            .args(["-c", script])
            .env("TMPDIR", directory.path())
            .current_dir(directory.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut asks = child.stdin.take().unwrap();
        let mut answers = BufReader::new(child.stdout.take().unwrap());
        let pid = OptionValue::Integer(u64::from(child.id()));
        let hint = TargetHint {
            process_config: Some(CollectorConfig::new("process").with("pid", pid)),
            process: "writer".to_owned(),
            ..TargetHint::default()
        };
        let mut look = |bytes: u64| {
            writeln!(asks, "{bytes}").unwrap();
            answers.read_line(&mut String::new()).unwrap();
            let mut disk = open(&CollectorConfig::new("disk"), &hint).unwrap();
            let mut batch = BatchBuilder::new();
            disk.sample(&mut batch).unwrap();
            batch.finish()
        };
        let before = look(4096);
        let after = look(3 << 20);
        for metric in [names::DISK_WRITTEN, names::DISK_DELETED] {
            let grown = value(&after, metric.name) - value(&before, metric.name);
            assert!(grown >= f64::from(3 << 20) * 0.9, "{}: {grown}", metric.name);
        }
        assert_eq!(value(&after, names::DISK_DELETED_FILES.name), 1.0);
        let used = value(&after, names::DISK_USED.name);
        assert!(used > 0.0 && used < value(&after, names::DISK_USED_LIMIT.name), "{after:?}");
        drop(asks);
        child.wait().unwrap();
    }

    #[test]
    fn memory_and_sockets_are_no_files() {
        let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        let descriptor = |fd: i32| std::path::PathBuf::from(format!("/proc/self/fd/{fd}"));
        assert!(regular_file(&descriptor(std::os::fd::AsRawFd::as_raw_fd(&socket))).is_none());
        let file = tempfile::tempfile().unwrap();
        let (path, file) =
            regular_file(&descriptor(std::os::fd::AsRawFd::as_raw_fd(&file))).unwrap();
        assert!(file.nlink() == 0 && !path.contains("deleted"), "{path}");
    }
}
