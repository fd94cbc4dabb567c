//! What can run out or drift, and the series that show it.

use crate::diagnose::terms::operand::labelled;
use crate::diagnose::terms::soak::ResourceKind;
use crate::timeline::{MetricSpec, Selector, Unit, names};

/// One thing that can run out or drift.
pub struct Resource {
    pub kind: ResourceKind,
    /// What it is, in words: `anonymous memory of the target`.
    pub name: &'static str,
    /// The metric whose series, with these labels, add up to it.
    pub metric: &'static MetricSpec,
    pub labels: &'static [(&'static str, &'static str)],
    pub unit: Unit,
    /// The labels whose values tell its series apart; a series without the first is left out.
    pub by: &'static [&'static str],
    /// The metrics that limit it, by the same label where they have it; the first that was read
    /// counts.
    pub limits: &'static [&'static MetricSpec],
    /// Metrics that count the same: what grows here has to grow there too. Not so for a heap, whose
    /// memory may have been allocated at the start.
    pub held_in: &'static [&'static MetricSpec],
}

const MEMORY_LIMITS: &[&MetricSpec] = &[&names::CGROUP_MEMORY_LIMIT, &names::SYSTEM_MEMORY_TOTAL];

/// All of them but what each request costs, which no series has. Memory that no file backs
/// comes before resident memory, which counts the page cache's share of mapped files.
pub const RESOURCES: &[Resource] = &[
    Resource {
        kind: ResourceKind::Memory,
        name: "anonymous memory of the target",
        metric: &names::PROCESS_MEMORY_ANONYMOUS,
        labels: &[],
        unit: Unit::Bytes,
        by: &["process"],
        limits: MEMORY_LIMITS,
        held_in: &[&names::PROCESS_MEMORY_RSS],
    },
    Resource {
        kind: ResourceKind::Resident,
        name: "resident memory of the target",
        metric: &names::PROCESS_MEMORY_RSS,
        labels: &[],
        unit: Unit::Bytes,
        by: &["process"],
        limits: MEMORY_LIMITS,
        held_in: &[],
    },
    Resource {
        kind: ResourceKind::Heap,
        name: "heap in use",
        metric: &names::RUNTIME_HEAP_USED,
        labels: &[],
        unit: Unit::Bytes,
        by: &[],
        limits: &[&names::RUNTIME_HEAP_LIMIT],
        held_in: &[],
    },
    Resource {
        kind: ResourceKind::Descriptors,
        name: "open descriptors of the target",
        metric: &names::PROCESS_OPEN_FDS,
        labels: &[],
        unit: Unit::Count,
        by: &["process"],
        limits: &[&names::PROCESS_OPEN_FDS_LIMIT],
        held_in: &[&names::PROCESS_FDS],
    },
    Resource {
        kind: ResourceKind::DescriptorType,
        name: "descriptors of the target by type",
        metric: &names::PROCESS_FDS,
        labels: &[],
        unit: Unit::Count,
        by: &["type"],
        limits: &[],
        held_in: &[],
    },
    Resource {
        kind: ResourceKind::Unclosed,
        name: "connections that the peer has closed and the target has not (CLOSE_WAIT)",
        metric: &names::TCP_CLOSE_WAIT,
        labels: &[],
        unit: Unit::Count,
        by: &["peer"],
        limits: &[],
        held_in: &[],
    },
    Resource {
        kind: ResourceKind::Unclosed,
        name: "connections that clients have closed and the target has not (CLOSE_WAIT)",
        metric: &names::TCP_CLOSE_WAIT,
        labels: &[],
        unit: Unit::Count,
        by: &["port"],
        limits: &[],
        held_in: &[],
    },
    Resource {
        kind: ResourceKind::Connections,
        name: "connections to a peer",
        metric: &names::TCP_SOCKETS,
        labels: &[("role", "outbound"), ("state", "!close_wait")],
        unit: Unit::Count,
        by: &["peer", "state"],
        limits: &[],
        held_in: &[],
    },
    Resource {
        kind: ResourceKind::Connections,
        name: "connections of clients by port",
        metric: &names::TCP_SOCKETS,
        labels: &[("role", "inbound"), ("state", "!close_wait")],
        unit: Unit::Count,
        by: &["port", "state"],
        limits: &[],
        held_in: &[],
    },
    Resource {
        kind: ResourceKind::Pool,
        name: "pooled connections in use",
        metric: &names::POOL_CONNECTIONS,
        labels: &[("state", "used")],
        unit: Unit::Count,
        by: &[],
        limits: &[&names::POOL_LIMIT],
        held_in: &[],
    },
    Resource {
        kind: ResourceKind::Threads,
        name: "threads of the target",
        metric: &names::PROCESS_THREADS,
        labels: &[],
        unit: Unit::Count,
        by: &["process"],
        limits: &[],
        held_in: &[&names::THREADS_TOTAL],
    },
    Resource {
        kind: ResourceKind::Sessions,
        name: "database sessions",
        metric: &names::DB_SESSIONS,
        labels: &[],
        unit: Unit::Count,
        by: &["app"],
        limits: &[&names::DB_CONNECTIONS_LIMIT],
        held_in: &[],
    },
    Resource {
        kind: ResourceKind::Unused,
        name: "database sessions unused for a minute",
        metric: &names::DB_SESSIONS_UNUSED,
        labels: &[],
        unit: Unit::Count,
        by: &["app", "state"],
        limits: &[&names::DB_CONNECTIONS_LIMIT],
        held_in: &[],
    },
    Resource {
        kind: ResourceKind::Disk,
        name: "space used on a disk that the target writes to",
        metric: &names::DISK_USED,
        labels: &[],
        unit: Unit::Bytes,
        by: &["mount"],
        limits: &[&names::DISK_USED_LIMIT],
        held_in: &[],
    },
    Resource {
        kind: ResourceKind::Inodes,
        name: "inodes used on a disk that the target writes to",
        metric: &names::DISK_INODES,
        labels: &[],
        unit: Unit::Count,
        by: &["mount"],
        limits: &[&names::DISK_INODES_LIMIT],
        held_in: &[],
    },
    Resource {
        kind: ResourceKind::Deleted,
        name: "deleted files that the target keeps open",
        metric: &names::DISK_DELETED,
        labels: &[],
        unit: Unit::Bytes,
        by: &[],
        limits: &[],
        held_in: &[],
    },
    // A log always grows, and matters only where it fills its disk.
    Resource {
        kind: ResourceKind::Written,
        name: "files that the target has open for writing",
        metric: &names::DISK_WRITTEN,
        labels: &[],
        unit: Unit::Bytes,
        by: &[],
        limits: &[],
        held_in: &[],
    },
    // Reported so that nobody mistakes it for the target's memory.
    Resource {
        kind: ResourceKind::OwnMemory,
        name: "memory of kneepoint itself",
        metric: &names::GENERATOR_MEMORY_RSS,
        labels: &[],
        unit: Unit::Bytes,
        by: &[],
        limits: &[&names::SYSTEM_MEMORY_TOTAL],
        held_in: &[],
    },
    Resource {
        kind: ResourceKind::ResponseTime,
        name: "median response time",
        metric: &names::LOAD_RESPONSE_TIME_P50,
        labels: &[],
        unit: Unit::Seconds,
        by: &[],
        limits: &[],
        held_in: &[],
    },
];

impl Resource {
    /// The series whose sum it is.
    pub fn selector(&self) -> Selector {
        labelled(self.metric, self.labels)
    }
}

/// What each request costs, by the running total that it adds to.
pub const PER_REQUEST: [Resource; 2] = [
    Resource {
        kind: ResourceKind::CpuPerRequest,
        name: "processor time per request",
        metric: &names::PROCESS_CPU_TIME,
        labels: &[],
        unit: Unit::Seconds,
        by: &[],
        limits: &[],
        held_in: &[],
    },
    Resource {
        kind: ResourceKind::TempPerRequest,
        name: "bytes that PostgreSQL writes to temporary files per request",
        metric: &names::DB_TEMP_BYTES,
        labels: &[],
        unit: Unit::Bytes,
        by: &[],
        limits: &[],
        held_in: &[],
    },
];

/// The metrics that limit what `metric` counts; none where it is not in the table.
pub fn limits_of(metric: &str) -> &'static [&'static MetricSpec] {
    let is_of = |resource: &&Resource| resource.metric.name == metric;
    RESOURCES.iter().find(is_of).map_or(&[], |resource| resource.limits)
}

/// What nobody looked at, each with the one thing to add to the plan.
pub fn not_watched(is_read: impl Fn(&MetricSpec) -> bool) -> Vec<String> {
    let wanted = [
        (
            &names::PROCESS_MEMORY_RSS,
            "memory, descriptors and threads: add [collect.process] on the target's machine",
        ),
        (
            &names::DISK_USED,
            "disks and open files: add [collect.disk] on the target's machine, as its user or root",
        ),
        (
            &names::TCP_SOCKETS,
            "connections by peer: add [collect.tcp] on the target's machine, if it calls anything",
        ),
        (
            &names::DB_SESSIONS,
            "database sessions: add [collect.postgres] with its URL, if it has a database",
        ),
    ];
    let missing = wanted.into_iter().filter(|(metric, _)| !is_read(metric));
    missing.map(|(_, text)| text.to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::timeline::Kind;

    #[test]
    fn every_resource_names_metrics_that_are_emitted_in_its_unit() {
        for resource in RESOURCES.iter().chain(&PER_REQUEST) {
            let named = [&[resource.metric], resource.limits, resource.held_in].concat();
            for metric in named {
                assert!(names::find(metric.name).is_some(), "no collector emits {}", metric.name);
            }
            let is_total = resource.metric.kind == Kind::Counter;
            assert!(is_total || resource.metric.unit == resource.unit, "{}", resource.name);
        }
    }
}
