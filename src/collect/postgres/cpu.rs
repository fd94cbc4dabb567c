//! Processor time of a PostgreSQL server that runs on this machine, from /proc.

use std::fs;

use crate::collect::proc::Text;
use crate::collect::proc::cgroup::Groups;
use crate::collect::proc::pid::{allowed_cores, parse_cpu_list, parse_status};

/// The server's process tree.
pub(super) struct ServerProcesses {
    postmaster: u32,
    ticks_per_second: f64,
    highest: f64,
}

impl ServerProcesses {
    /// Finds the process tree that contains the backend with process id `backend` (the id that the
    /// server itself sees); `None` if it cannot be identified with certainty. `title` is what the
    /// backend's process title contains: user and database.
    ///
    /// In a container, a process has one id inside and another outside. The comparison therefore
    /// uses the id in the innermost namespace.
    pub(super) fn find(backend: i32, title: &str) -> Option<Self> {
        let inside = backend.to_string();
        let mut found = processes().filter(|pid| {
            is_postgres(*pid) && namespace_pid(*pid) == Some(inside.clone()) && {
                let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
                String::from_utf8_lossy(&line).contains(title)
            }
        });
        let (Some(process), None) = (found.next(), found.next()) else {
            return None;
        };
        let postmaster = Stat::read(process)?.parent;
        // SAFETY: sysconf reads a constant of the system and touches no memory of this process.
        let ticks = unsafe { libc::sysconf(libc::_SC_CLK_TCK) };
        let ticks_per_second = ticks as f64;
        let found = is_postgres(postmaster) && ticks > 0;
        found.then_some(Self { postmaster, ticks_per_second, highest: 0.0 })
    }

    /// The process id of the server's first process.
    pub(super) fn postmaster(&self) -> u32 {
        self.postmaster
    }

    /// Cores that the server may use, by its affinity and by the quota of its control group. Backends
    /// inherit both from the first process.
    pub(super) fn allowed_cores(&self) -> Option<f64> {
        let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
        let pid = self.postmaster;
        let status = parse_status(&read(&format!("/proc/{pid}/status")));
        let online = parse_cpu_list(&read("/sys/devices/system/cpu/online"));
        let membership = read(&format!("/proc/{pid}/cgroup"));
        let groups = Groups::locate(&membership, &read("/proc/self/mountinfo"));
        let quota = groups.cpu(&mut Text::default()).and_then(|cpu| cpu.quota_cores);
        let affinity = allowed_cores(std::iter::once(&status), &online);
        [affinity, quota].into_iter().flatten().reduce(f64::min)
    }

    /// Seconds of processor time of the tree since its start; `None` once it is gone.
    ///
    /// When a backend exits, its time moves to the postmaster once that has waited for it. In
    /// between the time is counted nowhere, and the sum stays constant instead of falling.
    pub(super) fn seconds(&mut self) -> Option<f64> {
        let root = Stat::read(self.postmaster)?;
        let children: u64 = self
            .children()
            .into_iter()
            .filter_map(Stat::read)
            .filter(|child| child.parent == self.postmaster)
            .map(|child| child.ticks)
            .sum();
        let seconds = (root.ticks + children) as f64 / self.ticks_per_second;
        self.highest = self.highest.max(seconds);
        Some(self.highest)
    }

    fn children(&self) -> Vec<u32> {
        let pid = self.postmaster;
        match fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")) {
            Ok(list) => list.split_whitespace().filter_map(|pid| pid.parse().ok()).collect(),
            // A kernel without CONFIG_PROC_CHILDREN: search all processes.
            Err(_) => processes().collect(),
        }
    }
}

fn processes() -> impl Iterator<Item = u32> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok())
}

fn is_postgres(pid: u32) -> bool {
    fs::read_to_string(format!("/proc/{pid}/comm"))
        .is_ok_and(|name| matches!(name.trim_end(), "postgres" | "postmaster"))
}

/// The process id in the innermost pid namespace.
fn namespace_pid(pid: u32) -> Option<String> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("NSpid:"))?;
    line.split_whitespace().last().map(str::to_owned)
}

/// Two fields of /proc/PID/stat.
struct Stat {
    parent: u32,
    /// Clock ticks in user and kernel mode, of the process and of children it has waited for.
    ticks: u64,
}

impl Stat {
    fn read(pid: u32) -> Option<Self> {
        Self::parse(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
    }

    /// Fields are counted from the end of the name, which may contain spaces and parentheses
    /// (proc(5)).
    fn parse(text: &str) -> Option<Self> {
        let fields: Vec<&str> = text.rsplit_once(')')?.1.split_whitespace().collect();
        let parent = fields.get(1)?.parse().ok()?;
        let ticks =
            fields.get(11..15)?.iter().map(|field| field.parse::<u64>()).sum::<Result<_, _>>();
        Some(Self { parent, ticks: ticks.ok()? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stat_is_read_behind_a_name_with_brackets() {
        let line = "42 (a) b) S 7 42 42 0 -1 4194560 1 2 3 4 100 20 3 4 20 0 1 0 5 6 7";
        let stat = Stat::parse(line).unwrap();
        assert_eq!((stat.parent, stat.ticks), (7, 127));
        assert!(Stat::parse("42 (a) S 7").is_none());
    }
}
