//! Watches what makes the load, so that a report can say whether the generator was the limit: kneepoint
//! itself, and where it runs another tool, that tool too.

use std::time::Duration;

use crate::plan::{CollectorConfig, OptionKind, OptionSpec};
use crate::timeline::{BatchBuilder, names};

use super::proc::account::TreeTotal;
use super::proc::cgroup::Groups;
use super::proc::network::Network;
use super::proc::pid::{parse_open_files_limit, parse_status};
use super::proc::threads::Threads;
use super::proc::tree::Tree;
use super::proc::wanted::Wanted;
use super::proc::{Text, process_cpu_seconds, ticks_per_second};
use super::{Collector, CollectorSpec, OpenError, OpenResult, Opens, SampleError, TargetHint};

pub(super) static SPEC: CollectorSpec = CollectorSpec {
    name: "generator",
    summary: "kneepoint's own process: CPU, run queue, memory, descriptors; needs Linux",
    hint: "it reads kneepoint itself, and is always open",
    opens: Opens::Always,
    options: &[OptionSpec {
        name: CHILDREN,
        kind: OptionKind::Switch,
        required: false,
        about: "true: what kneepoint has started makes the load, and is counted too",
    }],
    metrics: &[
        names::GENERATOR_CPU_TIME,
        names::GENERATOR_RUN_QUEUE_TIME,
        names::GENERATOR_THREAD_BUSIEST,
        names::GENERATOR_MEMORY_RSS,
        names::GENERATOR_OPEN_FDS,
        names::GENERATOR_OPEN_FDS_LIMIT,
        names::GENERATOR_THROTTLED_TIME,
    ],
    interval: Duration::from_secs(1),
    open,
};

/// The option that counts the processes that kneepoint has started.
pub const CHILDREN: &str = "children";

fn open(config: &CollectorConfig, _: &TargetHint) -> OpenResult {
    let mut text = Text::default();
    text.read("/proc/self/stat").map_err(|error| {
        OpenError::new(
            format!("kneepoint's own process cannot be read: {error}"),
            "run kneepoint on Linux with /proc mounted",
        )
    })?;
    let tool = match config.switch(CHILDREN) {
        true => Some((
            Tree::open(Wanted::Pid(std::process::id()), Network::default())?,
            TreeTotal::default(),
        )),
        false => None,
    };
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let groups = Groups::locate(&read("/proc/self/cgroup"), &read("/proc/self/mountinfo"));
    Ok(Box::new(Generator { tool, threads: Threads::default(), groups, text }))
}

struct Generator {
    /// kneepoint with its children, where one of them makes the load.
    tool: Option<(Tree, TreeTotal)>,
    threads: Threads,
    /// Those of kneepoint, which the tool that it starts inherits.
    groups: Groups,
    text: Text,
}

/// Descriptors of a process that are open, and its limit.
struct Descriptors {
    open: f64,
    limit: f64,
}

impl Generator {
    /// The processes that make the load, each with whether it started during the watch.
    fn processes(&self) -> Vec<(u32, bool)> {
        match &self.tool {
            Some((tree, _)) => {
                tree.members().map(|member| (member.stat.pid, member.is_fresh)).collect()
            }
            None => vec![(std::process::id(), true)],
        }
    }

    /// Seconds of processor time.
    fn cpu_seconds(&mut self) -> Option<f64> {
        let Some((tree, cpu)) = &mut self.tool else { return process_cpu_seconds() };
        let used = tree.members().map(|it| it.used(it.stat.cpu_ticks, it.stat.waited_cpu_ticks));
        Some(cpu.add(used) as f64 / ticks_per_second())
    }

    fn descriptors(&mut self, pid: u32) -> Option<Descriptors> {
        let open = super::proc::open_fds(pid)? as f64;
        let limits = self.text.read(&format!("/proc/{pid}/limits")).ok()?;
        Some(Descriptors { open, limit: parse_open_files_limit(&limits)? as f64 })
    }
}

impl Collector for Generator {
    fn watches(&self) -> String {
        let tool = if self.tool.is_some() { " and the command that it runs" } else { "" };
        format!("kneepoint itself, pid {}{tool}", std::process::id())
    }

    fn sample(&mut self, batch: &mut BatchBuilder) -> Result<(), SampleError> {
        if let Some((tree, _)) = &mut self.tool {
            tree.refresh().map_err(SampleError)?;
            // Its children come and go: that is not news of the target.
            drop(tree.events());
        }
        let cpu = self
            .cpu_seconds()
            .ok_or_else(|| SampleError("the kernel does not report processor time".to_owned()))?;
        batch.push(&names::GENERATOR_CPU_TIME, cpu);
        let processes = self.processes();
        if let Some(look) = self.threads.look(processes.iter().copied()) {
            if let Some(seconds) = look.wait_seconds {
                batch.push(&names::GENERATOR_RUN_QUEUE_TIME, seconds);
            }
            if let Some(cores) = look.busiest_cores {
                batch.push(&names::GENERATOR_THREAD_BUSIEST, cores);
            }
        }
        if let Some(cpu) = self.groups.cpu(&mut self.text).filter(|it| it.quota_cores.is_some()) {
            batch.push(&names::GENERATOR_THROTTLED_TIME, cpu.throttled_seconds);
        }
        let mut memory = 0;
        for (pid, _) in &processes {
            let status = self.text.read(&format!("/proc/{pid}/status"));
            memory += status.ok().and_then(|text| parse_status(&text).rss_bytes).unwrap_or(0);
        }
        batch.push(&names::GENERATOR_MEMORY_RSS, memory as f64);
        let fullest = processes
            .iter()
            .filter_map(|(pid, _)| self.descriptors(*pid))
            .min_by(|a, b| (a.limit - a.open).total_cmp(&(b.limit - b.open)));
        if let Some(Descriptors { open, limit }) = fullest {
            batch.push(&names::GENERATOR_OPEN_FDS, open);
            batch.push(&names::GENERATOR_OPEN_FDS_LIMIT, limit);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_tells_its_own_use() {
        let config = CollectorConfig::new("generator");
        let mut generator = open(&config, &TargetHint::default()).unwrap();
        let mut read = || {
            let mut batch = BatchBuilder::new();
            generator.sample(&mut batch).unwrap();
            batch.finish()
        };
        let before = read();
        let files: Vec<_> = (0..50).map(|_| std::fs::File::open("/dev/null").unwrap()).collect();
        let after = read();
        let value = |readings: &[crate::timeline::Reading], name: &str| {
            let found = readings.iter().find(|reading| reading.key.metric == name);
            found.unwrap_or_else(|| panic!("no {name}")).value
        };
        assert!(value(&after, "generator.open_fds") >= files.len() as f64 + 3.0);
        assert!(value(&after, "generator.open_fds.limit") > value(&after, "generator.open_fds"));
        assert!(value(&after, "generator.cpu.time") >= value(&before, "generator.cpu.time"));
        assert!(value(&after, "generator.memory.rss") > 1e6);
    }
}
