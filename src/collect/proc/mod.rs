//! Reads /proc and /sys of this machine: pure parsers, and accounting for the target's processes
//! and threads. Several collectors share this module.

pub mod account;
pub mod cgroup;
pub mod container;
pub mod find;
pub mod held;
mod holders;
pub mod hsperf;
pub mod listen;
pub mod machine;
pub mod mounts;
pub mod network;
mod owned;
pub mod pid;
pub mod threads;
pub mod tree;
pub mod wait;
pub mod wanted;

use std::borrow::Cow;
use std::fs::File;
use std::io::{self, Read};
use std::time::Duration;

/// Reads files of /proc and /sys into one reused buffer.
#[derive(Debug, Default)]
pub struct Text(Vec<u8>);

impl Text {
    /// The whole file. Bytes that are not UTF-8 are replaced, because a process may choose any
    /// name.
    ///
    /// # Errors
    /// Those of the file system. A process that has ended gives `NotFound` or `ESRCH`.
    pub fn read(&mut self, path: &str) -> io::Result<Cow<'_, str>> {
        self.0.clear();
        File::open(path)?.read_to_end(&mut self.0)?;
        Ok(String::from_utf8_lossy(&self.0))
    }

    /// A file that the kernel returns in one piece, such as `/proc/PID/stat`, read in one call.
    ///
    /// # Errors
    /// Same as [`Text::read`].
    pub fn read_short(&mut self, path: &str) -> io::Result<Cow<'_, str>> {
        self.0.resize(4096, 0);
        let length = File::open(path)?.read(&mut self.0)?;
        Ok(String::from_utf8_lossy(&self.0[..length]))
    }
}

/// Whether an error from reading `/proc/PID/…` means that the process has ended.
pub fn is_gone(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::NotFound || error.raw_os_error() == Some(libc::ESRCH)
}

/// Clock ticks per second, the unit of processor time in /proc.
pub fn ticks_per_second() -> f64 {
    // SAFETY: no pointers are involved.
    let ticks = unsafe { libc::sysconf(libc::_SC_CLK_TCK) };
    if ticks > 0 { ticks as f64 } else { 100.0 }
}

/// Processor seconds that the calling thread has used, if the system reports them.
pub fn thread_cpu_seconds() -> Option<f64> {
    clock_seconds(libc::CLOCK_THREAD_CPUTIME_ID)
}

/// Measures the processor time of the calling thread. On a full machine a thread also waits for a core,
/// and that costs nobody anything.
pub struct CpuWatch {
    began: Option<f64>,
}

impl CpuWatch {
    /// Begins now.
    pub fn start() -> Self {
        Self { began: thread_cpu_seconds() }
    }

    /// What the thread has used since then; nothing if the system does not report it.
    pub fn used(&self) -> Duration {
        let used = self.began.zip(thread_cpu_seconds()).map_or(0.0, |(begin, end)| end - begin);
        Duration::from_secs_f64(used.max(0.0))
    }
}

/// The same for all threads of this process, including those that have ended.
pub fn process_cpu_seconds() -> Option<f64> {
    clock_seconds(libc::CLOCK_PROCESS_CPUTIME_ID)
}

/// Memory of this process that is not swapped out, in bytes.
pub fn resident_bytes() -> Option<f64> {
    let text = std::fs::read_to_string("/proc/self/statm").ok()?;
    let pages: f64 = text.split_ascii_whitespace().nth(1)?.parse().ok()?;
    // SAFETY: no pointers are involved.
    let page = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
    (page > 0).then_some(pages * page as f64)
}

fn clock_seconds(clock: libc::clockid_t) -> Option<f64> {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the pointer is to a live timespec that the call only writes to.
    let done = unsafe { libc::clock_gettime(clock, &mut time) };
    (done == 0).then(|| time.tv_sec as f64 + time.tv_nsec as f64 / 1e9)
}

/// The ids of all visible processes of the machine.
pub fn all_pids() -> impl Iterator<Item = u32> {
    let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok())
}

/// The inodes of the sockets among a process's descriptors; empty if kneepoint may not read them.
pub fn socket_inodes(pid: u32) -> impl Iterator<Item = u64> {
    std::fs::read_dir(format!("/proc/{pid}/fd"))
        .into_iter()
        .flatten()
        .filter_map(|entry| std::fs::read_link(entry.ok()?.path()).ok())
        .filter_map(|link| socket_inode(link.to_str()?))
}

/// The inode in the text of a descriptor's link, such as `socket:[650]`.
fn socket_inode(link: &str) -> Option<u64> {
    link.strip_prefix("socket:[")?.strip_suffix(']')?.parse().ok()
}

/// Number of open descriptors of a process; `None` if kneepoint may not read it.
pub fn open_fds(pid: u32) -> Option<u64> {
    let path = format!("/proc/{pid}/fd");
    // Linux 6.2 and later report the number as the size of the directory, at no cost. The directory
    // is still opened first, because only that is refused for other users' processes.
    let mut entries = std::fs::read_dir(&path).ok()?;
    let size = std::fs::metadata(&path).ok()?.len();
    if size > 0 {
        return entries.next()?.ok().map(|_| size);
    }
    Some(entries.count() as u64)
}
