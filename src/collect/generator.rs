//! Watches kneepoint itself, so that a report can say whether the generator was the limit.

use std::time::Duration;

use crate::plan::CollectorConfig;
use crate::timeline::{BatchBuilder, names};

use super::proc::pid::{parse_open_files_limit, parse_status};
use super::proc::threads::Threads;
use super::proc::{Text, process_cpu_seconds};
use super::{Collector, CollectorSpec, OpenError, OpenResult, Opens, SampleError, TargetHint};

pub(super) static SPEC: CollectorSpec = CollectorSpec {
    name: "generator",
    summary: "kneepoint's own process: CPU, run queue, memory, descriptors; needs Linux",
    hint: "it reads kneepoint itself, and is always open",
    opens: Opens::Always,
    options: &[],
    metrics: &[
        names::GENERATOR_CPU_TIME,
        names::GENERATOR_RUN_QUEUE_TIME,
        names::GENERATOR_THREAD_BUSIEST,
        names::GENERATOR_MEMORY_RSS,
        names::GENERATOR_OPEN_FDS,
        names::GENERATOR_OPEN_FDS_LIMIT,
    ],
    interval: Duration::from_secs(1),
    open,
};

fn open(_: &CollectorConfig, _: &TargetHint) -> OpenResult {
    let mut text = Text::default();
    text.read("/proc/self/stat").map_err(|error| {
        OpenError::new(
            format!("kneepoint's own process cannot be read: {error}"),
            "run kneepoint on Linux with /proc mounted",
        )
    })?;
    Ok(Box::new(Generator { threads: Threads::default(), text }))
}

struct Generator {
    threads: Threads,
    text: Text,
}

impl Collector for Generator {
    fn watches(&self) -> String {
        format!("kneepoint itself, pid {}", std::process::id())
    }

    fn sample(&mut self, batch: &mut BatchBuilder) -> Result<(), SampleError> {
        let cpu = process_cpu_seconds()
            .ok_or_else(|| SampleError("the kernel does not report processor time".to_owned()))?;
        batch.push(&names::GENERATOR_CPU_TIME, cpu);
        if let Some(look) = self.threads.look([(std::process::id(), true)].into_iter()) {
            if let Some(seconds) = look.wait_seconds {
                batch.push(&names::GENERATOR_RUN_QUEUE_TIME, seconds);
            }
            if let Some(cores) = look.busiest_cores {
                batch.push(&names::GENERATOR_THREAD_BUSIEST, cores);
            }
        }
        let status = self.text.read("/proc/self/status").map(|text| parse_status(&text));
        if let Some(bytes) = status.ok().and_then(|status| status.rss_bytes) {
            batch.push(&names::GENERATOR_MEMORY_RSS, bytes as f64);
        }
        if let Some(count) = super::proc::open_fds(std::process::id()) {
            batch.push(&names::GENERATOR_OPEN_FDS, count as f64);
        }
        let limit = self.text.read("/proc/self/limits").ok();
        if let Some(limit) = limit.and_then(|text| parse_open_files_limit(&text)) {
            batch.push(&names::GENERATOR_OPEN_FDS_LIMIT, limit as f64);
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
