//! Reading /proc and /sys of this machine: pure parsers of their texts, and what keeps account of
//! the target's processes and threads. Several collectors share it.

pub mod account;
pub mod cgroup;
pub mod find;
pub mod hsperf;
pub mod listen;
pub mod machine;
pub mod mounts;
pub mod pid;
pub mod threads;
pub mod tree;
pub mod wait;
pub mod wanted;

use std::borrow::Cow;
use std::fs::File;
use std::io::{self, Read};

/// Reads files of /proc and /sys into one buffer that keeps its memory.
#[derive(Debug, Default)]
pub struct Text(Vec<u8>);

impl Text {
    /// The whole file, with bytes that are no UTF-8 replaced: a process may name itself anything.
    ///
    /// # Errors
    /// As the file system has them; a process that has ended reads as `NotFound` or `ESRCH`.
    pub fn read(&mut self, path: &str) -> io::Result<Cow<'_, str>> {
        self.0.clear();
        File::open(path)?.read_to_end(&mut self.0)?;
        Ok(String::from_utf8_lossy(&self.0))
    }

    /// A file that the kernel hands out in one piece, such as `/proc/PID/stat`, in one call.
    ///
    /// # Errors
    /// As [`Text::read`].
    pub fn read_short(&mut self, path: &str) -> io::Result<Cow<'_, str>> {
        self.0.resize(4096, 0);
        let length = File::open(path)?.read(&mut self.0)?;
        Ok(String::from_utf8_lossy(&self.0[..length]))
    }
}

/// Whether an error of reading `/proc/PID/…` means that the process is no more.
pub fn is_gone(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::NotFound || error.raw_os_error() == Some(libc::ESRCH)
}

/// Clock ticks per second, the unit of processor time in /proc.
pub fn ticks_per_second() -> f64 {
    // SAFETY: no pointers are involved.
    let ticks = unsafe { libc::sysconf(libc::_SC_CLK_TCK) };
    if ticks > 0 { ticks as f64 } else { 100.0 }
}

/// Processor seconds that the calling thread has used, where the system tells.
pub fn thread_cpu_seconds() -> Option<f64> {
    clock_seconds(libc::CLOCK_THREAD_CPUTIME_ID)
}

/// The same of all threads of this process, those that have ended included.
pub fn process_cpu_seconds() -> Option<f64> {
    clock_seconds(libc::CLOCK_PROCESS_CPUTIME_ID)
}

fn clock_seconds(clock: libc::clockid_t) -> Option<f64> {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the pointer is to a live timespec that the call only writes to.
    let done = unsafe { libc::clock_gettime(clock, &mut time) };
    (done == 0).then(|| time.tv_sec as f64 + time.tv_nsec as f64 / 1e9)
}

/// How many descriptors a process has open; `None` where kneepoint may not look.
pub fn open_fds(pid: u32) -> Option<u64> {
    let path = format!("/proc/{pid}/fd");
    // Linux 6.2 and later tell the number as the size of the directory, at no cost. Reading it is
    // still tried, as only that is refused for the processes of others.
    let mut entries = std::fs::read_dir(&path).ok()?;
    let size = std::fs::metadata(&path).ok()?.len();
    if size > 0 {
        return entries.next()?.ok().map(|_| size);
    }
    Some(entries.count() as u64)
}
