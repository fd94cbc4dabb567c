//! Finds the processes that a plan refers to: by id, by name, or by the port they listen on.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::PathBuf;

use crate::collect::OpenError;

use super::container;
use super::holders::holders;
use super::listen::{Listeners, listeners, ports_of};
use super::network::{Home, Network};
use super::pid::{Stat, parse_stat};
use super::wanted::Wanted;
use super::{Text, all_pids, is_gone};

/// Processes with their names.
pub type Found = Vec<(String, Stat)>;

/// Why no process was found.
#[derive(Debug)]
pub enum NotFound {
    /// No such process exists.
    Nothing,
    /// Something listens on the port, but kneepoint may not read which process it is.
    Hidden {
        /// Users who own the sockets.
        uids: BTreeSet<u32>,
    },
    /// A container engine's forwarder holds the port.
    Forwarder(String),
    /// The files of the process, or of the machine, cannot be read.
    Unreadable(io::Error),
}

impl NotFound {
    /// The error message for the author of the plan.
    pub fn into_open_error(self, wanted: &Wanted) -> OpenError {
        match (self, wanted) {
            (NotFound::Nothing, Wanted::Pid(pid)) => OpenError::new(
                format!("there is no process {pid}"),
                "take the id that `ps` shows, or give its `name` or `port`",
            ),
            (NotFound::Nothing, Wanted::Name(name)) => OpenError::new(
                format!("no process is named `{name}`"),
                "start the target, or give the name that `ps -o comm` shows",
            ),
            (NotFound::Nothing, Wanted::Port(port) | Wanted::Forwarder(port)) => OpenError::new(
                format!("nobody listens on TCP port {port} of this machine"),
                "start the target, or name its process with `pid`, `name` or `container` where it \
                 listens inside a container",
            ),
            (NotFound::Nothing, Wanted::Socket(path)) => OpenError::new(
                format!("nobody on this machine listens on the socket `{path}`"),
                "name the target's process with `pid` or `name` where it listens under another \
                 path or inside a container",
            ),
            (NotFound::Nothing, Wanted::Container(container)) => OpenError::new(
                format!("no process of this machine runs in a container `{container}`"),
                "give the id that `docker ps` or `crictl ps` shows; a name is known only where \
                 kneepoint may open the engine's socket, such as `/var/run/docker.sock`",
            ),
            (NotFound::Hidden { uids }, _) => {
                let uids: Vec<String> = uids.iter().map(u32::to_string).collect();
                OpenError::new(
                    format!(
                        "{wanted} belongs to user {}, and kneepoint may not read it",
                        uids.join(", ")
                    ),
                    "run kneepoint as that user or as root, or name the process with `pid` or \
                     `name`",
                )
            }
            (NotFound::Forwarder(name), _) => OpenError::new(
                format!("{wanted} is `{name}`, which forwards to a container"),
                "run kneepoint as root, or with CAP_SYS_PTRACE and CAP_SYS_ADMIN, and it finds the \
                 process in the container; or name that with `pid`, `name` or `container`",
            ),
            (NotFound::Unreadable(error), _) => OpenError::new(
                format!("{wanted} cannot be read: {error}"),
                "run kneepoint on Linux, as the user of the target or as root",
            ),
        }
    }
}

/// Name and numbers of a process.
///
/// # Errors
/// If it is gone, may not be read, or its text does not have the kernel's format.
pub fn read_stat(text: &mut Text, pid: u32) -> io::Result<(String, Stat)> {
    let text = text.read_short(&format!("/proc/{pid}/stat"))?;
    let (name, stat) = parse_stat(&text)
        .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "not a process's stat"))?;
    Ok((name.to_owned(), stat))
}

/// The current time in clock ticks since boot, on the same clock as the start times of processes.
pub fn now_ticks(text: &mut Text) -> u64 {
    let uptime = text.read_short("/proc/uptime").ok().and_then(|text| {
        text.split_ascii_whitespace().next().and_then(|seconds| seconds.parse::<f64>().ok())
    });
    uptime.map_or(u64::MAX, |seconds| (seconds * super::ticks_per_second()) as u64)
}

/// The process with this id.
///
/// # Errors
/// If there is none, or it may not be read.
pub fn by_pid(text: &mut Text, pid: u32) -> Result<Found, NotFound> {
    match read_stat(text, pid) {
        Ok((_, stat)) if stat.has_ended() => Err(NotFound::Nothing),
        Ok(found) => Ok(vec![found]),
        Err(error) if is_gone(&error) => Err(NotFound::Nothing),
        Err(error) => Err(NotFound::Unreadable(error)),
    }
}

/// The topmost processes of a container.
///
/// # Errors
/// If there is none.
pub fn by_container(text: &mut Text, wanted: &str) -> Result<Found, NotFound> {
    let members = container::processes(text, wanted);
    let mut parent = |pid: u32| read_stat(text, pid).ok().map(|(_, stat)| stat.ppid);
    let tops = topmost(&members, &mut parent);
    let found: Found = tops.into_iter().filter_map(|pid| read_stat(text, pid).ok()).collect();
    let found: Found = found.into_iter().filter(|(_, stat)| !stat.has_ended()).collect();
    if found.is_empty() { Err(NotFound::Nothing) } else { Ok(found) }
}

/// What finds the successor of a process that a supervisor starts again: where it listens, and what
/// it runs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Trail {
    home: Home,
    ports: BTreeSet<u16>,
    /// The program and its command line; `None` if they cannot be read.
    program: Option<(PathBuf, Vec<u8>)>,
}

impl Trail {
    /// The trail of a process. It listens only some time after its start, so what was known before
    /// is kept.
    pub fn follow(&mut self, pid: u32) {
        let ports = ports_of(pid);
        if !ports.is_empty() {
            self.ports = ports;
            if let Some(network) = Network::of(pid) {
                self.home.move_to(network);
            }
        }
        if let Some(program) = program_of(pid) {
            self.program = Some(program);
        }
    }

    /// The processes that now listen where the lost one did, or else those that run the same
    /// program and were started after `since`, in clock ticks since boot.
    ///
    /// # Errors
    /// If there is none.
    pub fn successor(&self, text: &mut Text, since: u64) -> Result<Found, NotFound> {
        let networks = if self.ports.is_empty() { Vec::new() } else { self.home.networks() };
        for (port, network) in
            self.ports.iter().flat_map(|port| networks.iter().map(move |network| (port, network)))
        {
            let Ok(listeners) = listeners(*network, *port) else { continue };
            if let Ok(found) = by_listeners(text, &Wanted::Port(*port), &listeners) {
                return Ok(found);
            }
        }
        // Where it listened, the next one will listen: until then nothing else is it.
        let Some(program) = self.program.as_ref().filter(|_| self.ports.is_empty()) else {
            return Err(NotFound::Nothing);
        };
        let same: BTreeMap<u32, (String, Stat)> = all_pids()
            .filter(|pid| program_of(*pid).as_ref() == Some(program))
            .filter_map(|pid| Some((pid, read_stat(text, pid).ok()?)))
            .filter(|(_, (_, stat))| stat.start_ticks >= since && !stat.has_ended())
            .collect();
        let parent = |pid: u32| same.get(&pid).map(|(_, stat)| stat.ppid);
        let tops = topmost(&same.keys().copied().collect(), parent);
        let found: Found = tops.iter().filter_map(|pid| same.get(pid).cloned()).collect();
        if found.is_empty() { Err(NotFound::Nothing) } else { Ok(found) }
    }
}

/// The program of a process and its command line.
fn program_of(pid: u32) -> Option<(PathBuf, Vec<u8>)> {
    let line = fs::read(format!("/proc/{pid}/cmdline")).ok().filter(|line| !line.is_empty())?;
    Some((fs::read_link(format!("/proc/{pid}/exe")).ok()?, line))
}

/// All processes with this name, except kneepoint itself and descendants of another match.
///
/// # Errors
/// If there is none.
pub fn by_name(text: &mut Text, wanted: &str) -> Result<Found, NotFound> {
    let all: BTreeMap<u32, (String, Stat)> =
        all_pids().filter_map(|pid| Some((pid, read_stat(text, pid).ok()?))).collect();
    let named: BTreeSet<u32> = all
        .values()
        .filter(|(name, stat)| is_named(text, name, stat, wanted))
        .map(|(_, stat)| stat.pid)
        .collect();
    let parent = |pid: u32| all.get(&pid).map(|(_, stat)| stat.ppid);
    let found: Found =
        topmost(&named, parent).iter().filter_map(|pid| all.get(pid).cloned()).collect();
    if found.is_empty() { Err(NotFound::Nothing) } else { Ok(found) }
}

/// Whether a process is called `wanted`: by its name, or by the file name of its program. The file
/// name is not cut at 15 bytes.
pub fn is_named(text: &mut Text, name: &str, stat: &Stat, wanted: &str) -> bool {
    if stat.has_ended() || stat.is_kernel_thread || stat.pid == std::process::id() {
        return false;
    }
    name == wanted
        || text.read(&format!("/proc/{}/cmdline", stat.pid)).is_ok_and(|line| {
            let program = line.split('\0').next().unwrap_or("");
            program.rsplit('/').next() == Some(wanted)
        })
}

/// The processes that hold the listening sockets, without descendants of another holder. If a
/// parent runs the same program (the master of a prefork server), it replaces its workers.
///
/// # Errors
/// If nothing listens, or the listening process may not be read.
pub fn by_listeners(
    text: &mut Text,
    wanted: &Wanted,
    listeners: &Listeners,
) -> Result<Found, NotFound> {
    if listeners.inodes.is_empty() {
        return Err(NotFound::Nothing);
    }
    let mut holders: BTreeMap<u32, (String, Stat)> = holders(&listeners.inodes)
        .into_iter()
        .filter_map(|pid| Some((pid, read_stat(text, pid).ok()?)))
        .collect();
    // A service manager holds the socket of a service that it starts on demand.
    let is_manager = |pid: u32, name: &str| pid == 1 || name == "systemd";
    if holders.iter().any(|(pid, (name, _))| !is_manager(*pid, name)) {
        holders.retain(|pid, (name, _)| !is_manager(*pid, name));
    }
    if holders.is_empty() {
        return Err(NotFound::Hidden { uids: listeners.uids.clone() });
    }
    let refused = |name: &str| is_forwarder(name) && !matches!(wanted, Wanted::Forwarder(_));
    if let Some((name, _)) = holders.values().find(|(name, _)| refused(name)) {
        let name = match wanted {
            Wanted::Port(port) => format!("{name} (port {port})"),
            _ => name.clone(),
        };
        return Err(NotFound::Forwarder(name));
    }
    let mut ancestors = BTreeMap::new();
    let mut parent = |pid: u32| {
        *ancestors
            .entry(pid)
            .or_insert_with(|| read_stat(text, pid).ok().map(|(_, stat)| stat.ppid))
    };
    let tops = topmost(&holders.keys().copied().collect(), &mut parent);
    let roots: BTreeSet<u32> = tops.into_iter().map(|pid| master_of(pid, &mut parent)).collect();
    Ok(roots.into_iter().filter_map(|pid| read_stat(text, pid).ok()).collect())
}

/// Programs that listen on behalf of a container, started by container engines.
fn is_forwarder(name: &str) -> bool {
    ["docker-proxy", "rootlessport", "rootlesskit", "slirp4netns", "pasta", "conmon"]
        .contains(&name)
}

/// Those of `pids` that have none of the others as an ancestor.
fn topmost(pids: &BTreeSet<u32>, mut parent: impl FnMut(u32) -> Option<u32>) -> Vec<u32> {
    let mut tops = Vec::new();
    for pid in pids {
        let mut above = parent(*pid).filter(|above| *above > 0);
        while let Some(pid) = above.filter(|above| !pids.contains(above)) {
            above = parent(pid).filter(|above| *above > 0);
        }
        if above.is_none() {
            tops.push(*pid);
        }
    }
    tops
}

/// The topmost ancestor that runs the same program with the same first argument. That is the master
/// when each worker has its own listening socket (SO_REUSEPORT). Kneepoint itself is never a
/// master.
fn master_of(pid: u32, mut parent: impl FnMut(u32) -> Option<u32>) -> u32 {
    // The first argument distinguishes two scripts of one interpreter, and two commands of one
    // tool.
    let program = |pid: u32| {
        let line = fs::read(format!("/proc/{pid}/cmdline")).ok()?;
        let argument = line.split(|byte| *byte == 0).nth(1).map(<[u8]>::to_vec);
        Some((fs::read_link(format!("/proc/{pid}/exe")).ok()?, argument))
    };
    let Some(own) = program(pid).filter(|_| pid != std::process::id()) else { return pid };
    let mut top = pid;
    while let Some(above) = parent(top).filter(|above| *above > 1 && *above != std::process::id()) {
        if program(above).as_ref() != Some(&own) {
            break;
        }
        top = above;
    }
    top
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_topmost_of_a_family_are_roots() {
        // 1 ─ 10 ─ 11 ─ 12 and 1 ─ 20; 11 holds no socket.
        let parents = BTreeMap::from([(10, 1), (11, 10), (12, 11), (20, 1), (1, 0)]);
        let parent = |pid| parents.get(&pid).copied();
        assert_eq!(topmost(&BTreeSet::from([10, 12, 20]), parent), [10, 20]);
        assert_eq!(topmost(&BTreeSet::from([12]), parent), [12]);
        assert_eq!(topmost(&BTreeSet::from([1, 20]), parent), [1]);
    }

    #[test]
    fn who_may_not_be_looked_at_is_told_with_a_way_out() {
        let hidden = NotFound::Hidden { uids: BTreeSet::from([33]) };
        let error = hidden.into_open_error(&Wanted::Port(80));
        assert_eq!(
            error.what,
            "the process that listens on port 80 belongs to user 33, and kneepoint may not read it"
        );
        assert!(error.hint.contains("root"));
        assert!(is_forwarder("docker-proxy") && !is_forwarder("nginx"));
    }
}
