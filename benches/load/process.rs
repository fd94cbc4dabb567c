//! Runs a program and measures what it uses.

use std::io::Read;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// What a process used until it ended.
#[derive(Clone, Copy, Debug)]
pub struct Cost {
    /// In user code and in the kernel.
    pub cpu: [Duration; 2],
    /// Its peak memory; `None` if the system does not report it.
    pub peak_bytes: Option<u64>,
    /// Most files and sockets that it was seen to have open at once.
    pub peak_descriptors: usize,
}

/// How often a program is checked while it runs.
const LOOK: Duration = Duration::from_millis(100);

/// Runs a program to its end. Returns its output and what it used; `None` if there is no such
/// program. A program that has not ended within `patience` is stopped, reported and left out.
pub fn measure(command: &mut Command, patience: Duration) -> Option<(String, Cost)> {
    let mut child =
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().ok()?;
    let mut pipe = child.stdout.take()?;
    let reader = thread::spawn(move || {
        let mut output = Vec::new();
        pipe.read_to_end(&mut output).map(|_| String::from_utf8_lossy(&output).into_owned())
    });
    let deadline = Instant::now() + patience;
    let (mut peak_bytes, mut peak_descriptors) = (None, 0);
    let usage = loop {
        let late = Instant::now() >= deadline;
        if late {
            drop(child.kill());
        }
        peak_bytes = peak_bytes.max(high_water(child.id()));
        peak_descriptors = peak_descriptors.max(descriptors(child.id()));
        match wait(&child, late) {
            Some(_) if late => {
                println!("{:?} did not end within {patience:?}: left out", command.get_program());
                return None;
            }
            Some(usage) => break usage,
            None => thread::sleep(LOOK),
        }
    };
    let time = |value: libc::timeval| {
        Duration::new(value.tv_sec as u64, 0) + Duration::from_micros(value.tv_usec as u64)
    };
    let cpu = [time(usage.ru_utime), time(usage.ru_stime)];
    let output = reader.join().ok()?.ok()?;
    Some((output, Cost { cpu, peak_bytes, peak_descriptors }))
}

/// `VmHWM` of a process. `ru_maxrss` would be that of this program if it has more memory, because
/// a child begins as a copy of it.
fn high_water(pid: u32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kilobytes: u64 = line.split_whitespace().next()?.parse().ok()?;
    Some(kilobytes * 1024)
}

/// Open files and sockets of a process; zero if the system does not report them.
fn descriptors(pid: u32) -> usize {
    std::fs::read_dir(format!("/proc/{pid}/fd")).map_or(0, Iterator::count)
}

/// What a child used, once it has ended. Waits for its end if `block`.
fn wait(child: &Child, block: bool) -> Option<libc::rusage> {
    // SAFETY: zero is a valid value of every field.
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    let mut status = 0;
    let flags = if block { 0 } else { libc::WNOHANG };
    let pid = child.id() as libc::pid_t;
    // SAFETY: both out-values outlive the call, and the child has not been waited for.
    let ended = unsafe { libc::wait4(pid, &raw mut status, flags, &raw mut usage) };
    (ended == pid).then_some(usage)
}

/// Raises the limit of descriptors of this process and of its children, as far as allowed.
pub fn raise_descriptors() {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the kernel writes one `rlimit` to `limit`.
    if unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) } == 0 {
        limit.rlim_cur = limit.rlim_max;
        // SAFETY: the kernel reads one `rlimit`. If it refuses, nothing changes.
        unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit) };
    }
}
