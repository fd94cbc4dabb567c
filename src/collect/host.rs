//! Watches the machine that kneepoint runs on: cores, memory, pressure, disks, network.

use std::collections::HashMap;
use std::path::Path;
use std::time::Duration;

use sysinfo::System;

use crate::plan::CollectorConfig;
use crate::timeline::{BatchBuilder, Labels, MetricSpec, names};

use super::proc::machine::{
    CpuTicks, parse_counter, parse_cpu, parse_disks, parse_interfaces, parse_oom_kills,
    parse_ports, parse_pressure, parse_time_wait,
};
use super::proc::network::Counters;
use super::proc::{Text, ticks_per_second};
use super::{Collector, CollectorSpec, OpenError, OpenResult, Opens, SampleError, TargetHint};

pub(super) static SPEC: CollectorSpec = CollectorSpec {
    name: "host",
    summary: "the machine kneepoint runs on: CPU, memory, pressure, disks, network; needs Linux",
    hint: "[collect.host] on the machine the target runs on",
    opens: Opens::ForLocalTarget,
    options: &[],
    metrics: &[
        names::SYSTEM_CPU_TIME,
        names::SYSTEM_CPU_UTILIZATION,
        names::SYSTEM_CPU_CORES,
        names::SYSTEM_MEMORY_AVAILABLE,
        names::SYSTEM_MEMORY_TOTAL,
        names::SYSTEM_OOM_KILLS,
        names::SYSTEM_SWAP_USED,
        names::SYSTEM_PRESSURE,
        names::SYSTEM_DISK_BUSY,
        names::SYSTEM_NETWORK_BYTES,
        names::SYSTEM_NETWORK_LINK,
        names::SYSTEM_TCP_RETRANSMITS,
        names::SYSTEM_TCP_SEGMENTS,
        names::SYSTEM_TCP_LISTEN_DROPS,
        names::SYSTEM_TCP_TIME_WAIT,
        names::SYSTEM_TCP_LOCAL_PORTS,
        names::SYSTEM_CONNTRACK_ENTRIES,
        names::SYSTEM_CONNTRACK_LIMIT,
    ],
    interval: Duration::from_secs(1),
    open,
};

/// Number of interfaces with their own series; container machines have hundreds of virtual ones.
const MOST_INTERFACES: usize = 16;
/// Number of devices with their own series.
const MOST_DISKS: usize = 32;
/// The resources of /proc/pressure.
const PRESSURES: [&str; 3] = ["cpu", "memory", "io"];

fn open(_: &CollectorConfig, target: &TargetHint) -> OpenResult {
    let hint = "run kneepoint on Linux with /proc mounted";
    let system = System::new()
        .map_err(|error| OpenError::new(format!("this machine cannot be read: {error}"), hint))?;
    let mut text = Text::default();
    let stat = text
        .read("/proc/stat")
        .map_err(|error| OpenError::new(format!("`/proc/stat` cannot be read: {error}"), hint))?;
    let (_, cores) = parse_cpu(&stat)
        .ok_or_else(|| OpenError::new("`/proc/stat` has no processor times", hint))?;
    // Kernels without pressure information lack these files or refuse to read them.
    let mut has = |resource: &&str| {
        let read = text.read(&format!("/proc/pressure/{resource}"));
        read.is_ok_and(|text| parse_pressure(&text).is_some())
    };
    let pressures = PRESSURES.into_iter().filter(|resource| has(resource)).collect();
    let host = Host {
        system,
        cores,
        pressures,
        last: None,
        whole_disks: HashMap::new(),
        text,
        links: Links::default(),
        counters: Counters::new(target.network),
    };
    Ok(Box::new(host))
}

struct Host {
    /// Used for memory only: its refresh reads one file, while a refresh of networks reads ten
    /// files per interface.
    system: System,
    cores: usize,
    pressures: Vec<&'static str>,
    last: Option<CpuTicks>,
    /// Whether a name in /proc/diskstats is a whole device, not a partition.
    whole_disks: HashMap<String, bool>,
    text: Text,
    links: Links,
    /// The kernel counts TCP for each network namespace: these are the target's.
    counters: Counters,
}

/// Link speed of each interface, in bytes per second. Read once. A virtual interface has no speed
/// or reports -1.
#[derive(Default)]
struct Links(HashMap<String, Option<f64>>);

impl Links {
    fn rate(&mut self, interface: &str) -> Option<f64> {
        if let Some(known) = self.0.get(interface) {
            return *known;
        }
        let megabits = std::fs::read_to_string(format!("/sys/class/net/{interface}/speed")).ok();
        let megabits = megabits.and_then(|text| text.trim().parse::<f64>().ok());
        let rate = megabits.filter(|megabits| *megabits > 0.0).map(|megabits| megabits * 1e6 / 8.0);
        self.0.insert(interface.to_owned(), rate);
        rate
    }
}

impl Collector for Host {
    fn watches(&self) -> String {
        let cores = if self.cores == 1 { "core" } else { "cores" };
        let pressure =
            if self.pressures.is_empty() { ", without pressure information" } else { "" };
        format!("this machine with {} {cores}{pressure}", self.cores)
    }

    fn sample(&mut self, batch: &mut BatchBuilder) -> Result<(), SampleError> {
        self.cpu(batch)?;
        self.system.refresh_memory();
        batch.push(&names::SYSTEM_MEMORY_AVAILABLE, self.system.available_memory() as f64);
        batch.push(&names::SYSTEM_MEMORY_TOTAL, self.system.total_memory() as f64);
        batch.push(&names::SYSTEM_SWAP_USED, self.system.used_swap() as f64);
        let kills = self.text.read("/proc/vmstat").ok().and_then(|text| parse_oom_kills(&text));
        push_count(batch, &names::SYSTEM_OOM_KILLS, kills);
        for resource in &self.pressures {
            let read = self.text.read(&format!("/proc/pressure/{resource}"));
            if let Some(seconds) = read.ok().and_then(|text| parse_pressure(&text)) {
                let labels = Labels::none().with("resource", *resource);
                batch.push_labelled(&names::SYSTEM_PRESSURE, labels, seconds);
            }
        }
        self.disks(batch);
        self.network(batch);
        Ok(())
    }
}

impl Host {
    fn cpu(&mut self, batch: &mut BatchBuilder) -> Result<(), SampleError> {
        let (now, cores) = self
            .text
            .read("/proc/stat")
            .map_err(|error| SampleError(format!("`/proc/stat` cannot be read: {error}")))
            .map(|text| parse_cpu(&text))?
            .ok_or_else(|| SampleError("`/proc/stat` has no processor times".to_owned()))?;
        let modes = [
            ("user", now.user),
            ("system", now.system),
            ("iowait", now.iowait),
            ("irq", now.irq),
            ("steal", now.steal),
            ("idle", now.idle),
        ];
        for (mode, ticks) in modes {
            let labels = Labels::none().with("mode", mode);
            let seconds = ticks as f64 / ticks_per_second();
            batch.push_labelled(&names::SYSTEM_CPU_TIME, labels, seconds);
        }
        batch.push(&names::SYSTEM_CPU_CORES, cores as f64);
        if let Some(last) = self.last {
            // Idle and iowait may fall by a tick, as the kernel's documentation says.
            let all = now.total().saturating_sub(last.total());
            let busy = now.busy().saturating_sub(last.busy()).min(all);
            if all > 0 {
                batch.push(&names::SYSTEM_CPU_UTILIZATION, busy as f64 / all as f64);
            }
        }
        self.last = Some(now);
        Ok(())
    }

    fn disks(&mut self, batch: &mut BatchBuilder) {
        let Ok(text) = self.text.read("/proc/diskstats") else { return };
        let used = parse_disks(&text).filter(|disk| disk.is_used).filter(|disk| {
            if let Some(whole) = self.whole_disks.get(disk.name) {
                return *whole;
            }
            let whole = is_whole_disk(disk.name);
            self.whole_disks.insert(disk.name.to_owned(), whole);
            whole
        });
        for disk in used.take(MOST_DISKS) {
            let labels = Labels::none().with("device", disk.name);
            batch.push_labelled(&names::SYSTEM_DISK_BUSY, labels, disk.busy_seconds);
        }
    }

    fn network(&mut self, batch: &mut BatchBuilder) {
        if let Ok(text) = self.text.read("/proc/net/dev") {
            let used = parse_interfaces(&text).filter(|(_, received, sent)| received + sent > 0);
            for (interface, received, sent) in used.take(MOST_INTERFACES) {
                for (direction, bytes) in [("receive", received), ("transmit", sent)] {
                    let labels =
                        Labels::none().with("interface", interface).with("direction", direction);
                    batch.push_labelled(&names::SYSTEM_NETWORK_BYTES, labels, bytes as f64);
                }
                if let Some(rate) = self.links.rate(interface) {
                    let labels = Labels::none().with("interface", interface);
                    batch.push_labelled(&names::SYSTEM_NETWORK_LINK, labels, rate);
                }
            }
        }
        if let Ok(text) = self.counters.read(&mut self.text, "snmp") {
            let tcp = |name| parse_counter(&text, "Tcp", name);
            push_count(batch, &names::SYSTEM_TCP_RETRANSMITS, tcp("RetransSegs"));
            push_count(batch, &names::SYSTEM_TCP_SEGMENTS, tcp("OutSegs"));
        }
        if let Ok(text) = self.counters.read(&mut self.text, "netstat") {
            // Connections that found the queue full, and a few dropped for other reasons.
            let drops = parse_counter(&text, "TcpExt", "ListenDrops");
            push_count(batch, &names::SYSTEM_TCP_LISTEN_DROPS, drops);
        }
        if let Ok(text) = self.text.read("/proc/net/sockstat") {
            push_count(batch, &names::SYSTEM_TCP_TIME_WAIT, parse_time_wait(&text));
        }
        // Of kneepoint's own namespace, as the sockets in TIME_WAIT.
        if let Ok(text) = self.text.read("/proc/sys/net/ipv4/ip_local_port_range") {
            push_count(batch, &names::SYSTEM_TCP_LOCAL_PORTS, parse_ports(&text));
        }
        // There where a firewall has rules that need it (kernel documentation, "nf_conntrack-sysctl").
        for (metric, file) in [
            (&names::SYSTEM_CONNTRACK_ENTRIES, "/proc/sys/net/netfilter/nf_conntrack_count"),
            (&names::SYSTEM_CONNTRACK_LIMIT, "/proc/sys/net/netfilter/nf_conntrack_max"),
        ] {
            if let Ok(text) = self.text.read(file) {
                push_count(batch, metric, text.trim().parse().ok());
            }
        }
    }
}

fn push_count(batch: &mut BatchBuilder, metric: &MetricSpec, count: Option<u64>) {
    if let Some(count) = count {
        batch.push(metric, count as f64);
    }
}

/// Whether a name in /proc/diskstats is a whole device. Memory and loop devices do not count,
/// because a service does not wait for them.
fn is_whole_disk(name: &str) -> bool {
    !["loop", "ram", "zram"].iter().any(|kind| name.starts_with(kind))
        && Path::new("/sys/block").join(name.replace('/', "!")).exists()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collect::Network;

    fn read(host: &mut dyn Collector) -> HashMap<String, f64> {
        let mut batch = BatchBuilder::new();
        host.sample(&mut batch).unwrap();
        let readings = batch.finish().into_iter();
        readings.map(|reading| (reading.key.to_string(), reading.value)).collect()
    }

    #[test]
    fn this_machine_is_read() {
        let config = CollectorConfig::new("host");
        let mut host = open(&config, &TargetHint::default()).unwrap();
        let first = read(host.as_mut());
        assert!(!first.contains_key("system.cpu.utilization"), "there is nothing to compare with");
        let total = first["system.memory.total"];
        assert!(first["system.memory.available"] > 0.0 && first["system.memory.available"] < total);
        assert!(first["system.cpu.cores"] >= 1.0);
        assert!(first.contains_key("system.tcp.retransmits"));
        assert!(first.contains_key("system.tcp.listen_drops"));
        let start = std::time::Instant::now();
        let mut second = read(host.as_mut());
        while !second.contains_key("system.cpu.utilization") && start.elapsed().as_secs() < 10 {
            second = read(host.as_mut());
        }
        let utilization = second["system.cpu.utilization"];
        assert!((0.0..=1.0).contains(&utilization), "{utilization}");
        for (key, before) in first.iter().filter(|(key, _)| key.starts_with("system.tcp.seg")) {
            assert!(second[key] >= *before, "{key}");
        }
    }

    #[test]
    fn a_machine_without_pressure_information_is_read_too() {
        let mut host = Host {
            system: System::new().unwrap(),
            cores: 2,
            pressures: Vec::new(),
            last: None,
            whole_disks: HashMap::new(),
            text: Text::default(),
            links: Links::default(),
            counters: Counters::new(Network::OWN),
        };
        let found = read(&mut host);
        assert!(found.keys().all(|key| !key.starts_with("system.pressure")));
        assert_eq!(host.watches(), "this machine with 2 cores, without pressure information");
    }
}
