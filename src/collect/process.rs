//! Watches the target's processes: CPU, run queue, threads, memory, descriptors, control group.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use crate::plan::{CollectorConfig, OptionKind, OptionSpec};
use crate::timeline::{BatchBuilder, Labels, MetricSpec, names};

use super::proc::account::{Busiest, TreeTotal, Used};
use super::proc::cgroup::Groups;
use super::proc::pid::{
    Status, allowed_cores, parse_boot_time, parse_cpu_list, parse_open_files_limit,
    parse_smaps_anonymous, parse_status,
};
use super::proc::threads::Threads;
use super::proc::tree::Tree;
use super::proc::{Text, open_fds, ticks_per_second};
use super::{Collector, CollectorSpec, OpenError, OpenResult, Opens, SampleError, TargetHint};

pub(super) static SPEC: CollectorSpec = CollectorSpec {
    name: "process",
    summary: "the target's process tree on this machine: CPU, threads, memory, descriptors, quota; \
              needs Linux, and for descriptors the target's user or root",
    hint: "[collect.process] with the target's pid, name, port or container",
    opens: Opens::ForLocalTarget,
    options: &[
        OptionSpec {
            name: "pid",
            kind: OptionKind::Integer,
            required: false,
            about: "id of the root process; after a restart its port or program leads to the next one",
        },
        OptionSpec {
            name: "name",
            kind: OptionKind::Text,
            required: false,
            about: "exact name of the process, or file name of its program",
        },
        OptionSpec {
            name: "port",
            kind: OptionKind::Integer,
            required: false,
            about: "TCP port that the process listens on; by default the target's",
        },
        OptionSpec {
            name: "container",
            kind: OptionKind::Text,
            required: false,
            about: "id of the container that the process runs in, the first 6 digits or more; or its \
                    name, where the engine's socket may be opened",
        },
    ],
    metrics: &[
        names::PROCESS_CPU_TIME,
        names::PROCESS_CPU_ALLOWED,
        names::PROCESS_RUN_QUEUE_TIME,
        names::PROCESS_THREAD_CPU_TIME,
        names::PROCESS_THREAD_BUSIEST,
        names::PROCESS_CPU_BUSIEST,
        names::PROCESS_MEMORY_RSS,
        names::PROCESS_MEMORY_ANONYMOUS,
        names::PROCESS_THREADS,
        names::PROCESS_COUNT,
        names::PROCESS_OPEN_FDS,
        names::PROCESS_OPEN_FDS_LIMIT,
        names::PROCESS_FDS,
        names::PROCESS_START_TIME,
        names::PROCESS_CONTEXT_SWITCHES,
        names::PROCESS_MAJOR_FAULTS,
        names::CGROUP_CPU_QUOTA,
        names::CGROUP_CPU_PERIODS,
        names::CGROUP_CPU_THROTTLED_PERIODS,
        names::CGROUP_CPU_THROTTLED_TIME,
        names::CGROUP_MEMORY_LIMIT,
        names::CGROUP_OOM_KILLS,
    ],
    interval: Duration::from_millis(500),
    open,
};

/// What changes slowly, or is expensive to read, is read at most this often.
const SLOW_EVERY: Duration = Duration::from_millis(900);
/// The types of the descriptors are read at most this often …
const TYPES_EVERY: Duration = Duration::from_secs(5);
/// … and at most once in this time multiplied by the number of open descriptors, because reading
/// one link costs a few microseconds.
const TYPES_EVERY_EACH: Duration = Duration::from_millis(1);
/// Context switches are read per thread. With more threads than this they are not read.
const MOST_THREADS_FOR_SWITCHES: u64 = 64;

fn open(config: &CollectorConfig, hint: &TargetHint) -> OpenResult {
    let tree = Tree::of_target(Some(config), hint)?;
    let mut text = Text::default();
    let boot_unix = text.read("/proc/stat").ok().and_then(|text| parse_boot_time(&text));
    let boot_unix = boot_unix.ok_or_else(|| {
        OpenError::new("`/proc/stat` has no boot time", "run kneepoint on Linux with /proc mounted")
    })?;
    let process = if config.instance == config.name { &hint.process } else { &config.instance };
    let online = text.read("/sys/devices/system/cpu/online").ok();
    let online = online.map(|text| parse_cpu_list(&text));
    Ok(Box::new(Process {
        labels: Labels::none().with("process", process.as_str()),
        tree,
        boot_unix: boot_unix as f64,
        online: online.unwrap_or_default(),
        groups: None,
        cpu: TreeTotal::default(),
        faults: TreeTotal::default(),
        switches: [TreeTotal::default(), TreeTotal::default()],
        busiest: Busiest::default(),
        threads: Threads::default(),
        slow: None,
        next_types: None,
        text,
    }))
}

struct Process {
    labels: Labels,
    tree: Tree,
    boot_unix: f64,
    /// Cores that are online; empty if the system does not report them.
    online: Vec<u32>,
    /// The control groups of the root process with this id and start time.
    groups: Option<((u32, u64), Groups)>,
    cpu: TreeTotal,
    faults: TreeTotal,
    switches: [TreeTotal; 2],
    busiest: Busiest,
    threads: Threads,
    /// When the slow part was last read.
    slow: Option<Instant>,
    /// The descriptor types are not read before this time.
    next_types: Option<Instant>,
    text: Text,
}

impl Collector for Process {
    fn watches(&self) -> String {
        let blind = self.tree.pids().any(|pid| open_fds(pid).is_none());
        let blind = if blind { ", without descriptors: those of another user" } else { "" };
        format!("{}{blind}", self.tree.describe())
    }

    fn sample(&mut self, batch: &mut BatchBuilder) -> Result<(), SampleError> {
        self.tree.refresh().map_err(SampleError)?;
        self.work(batch);
        self.look_at_threads(batch);
        if self.slow.is_none_or(|last| last.elapsed() >= SLOW_EVERY) {
            self.slow = Some(Instant::now());
            let statuses = self.statuses();
            self.memory(batch, &statuses);
            self.context_switches(batch);
            self.descriptors(batch);
            self.control_group(batch, &statuses);
        }
        Ok(())
    }

    fn events(&mut self) -> Vec<String> {
        self.tree.events()
    }
}

impl Process {
    fn push(&self, batch: &mut BatchBuilder, metric: &MetricSpec, value: f64) {
        batch.push_labelled(metric, self.labels.clone(), value);
    }

    /// What every look reads: the numbers of `/proc/PID/stat`, which the tree already holds.
    fn work(&mut self, batch: &mut BatchBuilder) {
        let ticks = ticks_per_second();
        let cpu = self.cpu.add(
            self.tree
                .members()
                .map(|member| member.used(member.stat.cpu_ticks, member.stat.waited_cpu_ticks)),
        );
        let faults =
            self.faults.add(self.tree.members().map(|member| {
                member.used(member.stat.major_faults, member.stat.waited_major_faults)
            }));
        let own = self.tree.members().map(|member| (member.stat.pid, member.stat.cpu_ticks));
        let ranking = self.busiest.rank(Instant::now(), own);
        self.push(batch, &names::PROCESS_CPU_TIME, cpu as f64 / ticks);
        self.push(batch, &names::PROCESS_MAJOR_FAULTS, faults as f64);
        if let Some(ranking) = ranking {
            let cores = ranking.first().map_or(0.0, |(_, per_second)| per_second / ticks);
            self.push(batch, &names::PROCESS_CPU_BUSIEST, cores);
        }
        let threads: u64 = self.tree.members().map(|member| member.stat.threads).sum();
        self.push(batch, &names::PROCESS_THREADS, threads as f64);
        self.push(batch, &names::PROCESS_COUNT, self.tree.members().count() as f64);
        if let Some(start) = self.tree.roots().map(|root| root.stat.start_ticks).max() {
            let unix = self.boot_unix + start as f64 / ticks;
            self.push(batch, &names::PROCESS_START_TIME, unix);
        }
    }

    fn look_at_threads(&mut self, batch: &mut BatchBuilder) {
        let processes = self.tree.members().map(|member| (member.stat.pid, member.is_fresh));
        let Some(look) = self.threads.look(processes) else { return };
        if let Some(seconds) = look.wait_seconds {
            self.push(batch, &names::PROCESS_RUN_QUEUE_TIME, seconds);
        }
        if let Some(cores) = look.busiest_cores {
            self.push(batch, &names::PROCESS_THREAD_BUSIEST, cores);
        }
        for thread in look.busy {
            let labels = self.labels.clone().with("thread", thread.label);
            batch.push_labelled(&names::PROCESS_THREAD_CPU_TIME, labels, thread.cpu_seconds);
        }
    }

    fn statuses(&mut self) -> HashMap<u32, Status> {
        let text = &mut self.text;
        let read = |pid: u32| {
            let status = parse_status(&text.read(&format!("/proc/{pid}/status")).ok()?);
            Some((pid, status))
        };
        self.tree.pids().filter_map(read).collect()
    }

    fn memory(&mut self, batch: &mut BatchBuilder, statuses: &HashMap<u32, Status>) {
        // Pages that several processes share count in each of them, as in `ps`.
        let rss: u64 = statuses.values().filter_map(|status| status.rss_bytes).sum();
        self.push(batch, &names::PROCESS_MEMORY_RSS, rss as f64);
        let text = &mut self.text;
        let anonymous: Option<u64> = statuses
            .iter()
            .map(|(pid, status)| {
                // Kernels before 4.5 report it only in the expensive way.
                status.anonymous_bytes.or_else(|| {
                    let rollup = text.read(&format!("/proc/{pid}/smaps_rollup")).ok()?;
                    parse_smaps_anonymous(&rollup)
                })
            })
            .sum();
        if let Some(bytes) = anonymous.filter(|_| !statuses.is_empty()) {
            self.push(batch, &names::PROCESS_MEMORY_ANONYMOUS, bytes as f64);
        }
    }

    /// Context switches. `/proc/PID/status` has those of the first thread only, so each thread's
    /// file is read.
    fn context_switches(&mut self, batch: &mut BatchBuilder) {
        if self.tree.members().map(|member| member.stat.threads).sum::<u64>()
            > MOST_THREADS_FOR_SWITCHES
        {
            return;
        }
        let (mut voluntary, mut involuntary) = (Vec::new(), Vec::new());
        for member in self.tree.members() {
            let pid = member.stat.pid;
            let Ok(tasks) = std::fs::read_dir(format!("/proc/{pid}/task")) else { continue };
            for tid in tasks.flatten().filter_map(|task| task.file_name().to_str()?.parse().ok()) {
                let path = format!("/proc/{pid}/task/{tid}/status");
                let Ok(text) = self.text.read(&path) else { continue };
                let status = parse_status(&text);
                let thread = Used { pid: tid, ..member.used(0, 0) };
                voluntary.extend(status.voluntary_switches.map(|own| Used { own, ..thread }));
                involuntary.extend(status.involuntary_switches.map(|own| Used { own, ..thread }));
            }
        }
        for (index, (kind, looks)) in
            [("voluntary", voluntary), ("involuntary", involuntary)].into_iter().enumerate()
        {
            let total = self.switches[index].add(looks.into_iter());
            let labels = self.labels.clone().with("kind", kind);
            batch.push_labelled(&names::PROCESS_CONTEXT_SWITCHES, labels, total as f64);
        }
    }

    /// Descriptors of the process that is closest to its limit, because it fails first.
    fn descriptors(&mut self, batch: &mut BatchBuilder) {
        let text = &mut self.text;
        let each = self.tree.pids().filter_map(|pid| {
            let limits = text.read_short(&format!("/proc/{pid}/limits")).ok();
            let limit = limits.and_then(|text| parse_open_files_limit(&text));
            Some((open_fds(pid)?, limit, pid))
        });
        let share = |&(open, limit, _): &(u64, Option<u64>, u32)| {
            open as f64 / limit.map_or(f64::MAX, |l| l as f64)
        };
        let closest = each.max_by(|one, other| share(one).total_cmp(&share(other)));
        let Some((open, limit, pid)) = closest else { return };
        self.push(batch, &names::PROCESS_OPEN_FDS, open as f64);
        if let Some(limit) = limit {
            self.push(batch, &names::PROCESS_OPEN_FDS_LIMIT, limit as f64);
        }
        let now = Instant::now();
        if self.next_types.is_none_or(|next| now >= next) {
            let each = TYPES_EVERY_EACH.saturating_mul(u32::try_from(open).unwrap_or(u32::MAX));
            self.next_types = Some(now + TYPES_EVERY.max(each));
            self.descriptor_types(batch, pid);
        }
    }

    /// Number of a process's descriptors that are sockets, files, pipes and others.
    fn descriptor_types(&self, batch: &mut BatchBuilder, pid: u32) {
        let Ok(entries) = std::fs::read_dir(format!("/proc/{pid}/fd")) else { return };
        let mut counts = DESCRIPTOR_TYPES.map(|name| (name, 0.0));
        for link in entries.flatten().filter_map(|entry| std::fs::read_link(entry.path()).ok()) {
            let name = descriptor_type(&link.to_string_lossy());
            counts
                .iter_mut()
                .filter(|(known, _)| *known == name)
                .for_each(|(_, count)| *count += 1.0);
        }
        for (name, count) in counts {
            let labels = self.labels.clone().with("type", name);
            batch.push_labelled(&names::PROCESS_FDS, labels, count);
        }
    }

    /// Quota, throttling and limits of the root's control group, and how many cores they allow.
    fn control_group(&mut self, batch: &mut BatchBuilder, statuses: &HashMap<u32, Status>) {
        let Some(root) = self.tree.roots().next().map(|root| &root.stat) else { return };
        let identity = (root.pid, root.start_ticks);
        if self.groups.as_ref().is_none_or(|(of, _)| *of != identity) {
            let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
            let membership = read(&format!("/proc/{}/cgroup", identity.0));
            let groups = Groups::locate(&membership, &read("/proc/self/mountinfo"));
            self.groups = Some((identity, groups));
        }
        let Some((_, groups)) = &self.groups else { return };
        let cpu = groups.cpu(&mut self.text);
        let memory = groups.memory(&mut self.text);
        let quota = cpu.and_then(|cpu| cpu.quota_cores);
        let affinity = allowed_cores(statuses.values(), &self.online);
        if let Some(allowed) = [affinity, quota].into_iter().flatten().reduce(f64::min) {
            self.push(batch, &names::PROCESS_CPU_ALLOWED, allowed);
        }
        if let Some(quota) = quota {
            self.push(batch, &names::CGROUP_CPU_QUOTA, quota);
        }
        if let Some(cpu) = cpu {
            self.push(batch, &names::CGROUP_CPU_PERIODS, cpu.periods as f64);
            let throttled = cpu.throttled_periods as f64;
            self.push(batch, &names::CGROUP_CPU_THROTTLED_PERIODS, throttled);
            self.push(batch, &names::CGROUP_CPU_THROTTLED_TIME, cpu.throttled_seconds);
        }
        if let Some(memory) = memory {
            if let Some(bytes) = memory.limit_bytes {
                self.push(batch, &names::CGROUP_MEMORY_LIMIT, bytes as f64);
            }
            if let Some(kills) = memory.oom_kills {
                self.push(batch, &names::CGROUP_OOM_KILLS, kills as f64);
            }
        }
    }
}

const DESCRIPTOR_TYPES: [&str; 4] = ["socket", "file", "pipe", "other"];

/// The type of a descriptor, from its link in `/proc/PID/fd` (proc_pid_fd(5)).
fn descriptor_type(link: &str) -> &'static str {
    match link.split_once(':') {
        _ if link.starts_with('/') => "file",
        Some(("socket", _)) => "socket",
        Some(("pipe", _)) => "pipe",
        _ => "other",
    }
}

#[cfg(test)]
mod tests;
