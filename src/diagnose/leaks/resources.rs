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
        by: &["process"],
        limits: MEMORY_LIMITS,
        held_in: &[&names::PROCESS_MEMORY_RSS],
        ..Resource::of(
            ResourceKind::Memory,
            "anonymous memory of the target",
            &names::PROCESS_MEMORY_ANONYMOUS,
        )
    },
    Resource {
        by: &["process"],
        limits: MEMORY_LIMITS,
        ..Resource::of(
            ResourceKind::Resident,
            "resident memory of the target",
            &names::PROCESS_MEMORY_RSS,
        )
    },
    Resource {
        limits: &[&names::RUNTIME_HEAP_LIMIT],
        ..Resource::of(ResourceKind::Heap, "heap in use", &names::RUNTIME_HEAP_USED)
    },
    Resource {
        by: &["process"],
        limits: &[&names::PROCESS_OPEN_FDS_LIMIT],
        held_in: &[&names::PROCESS_FDS],
        ..Resource::of(
            ResourceKind::Descriptors,
            "open descriptors of the target",
            &names::PROCESS_OPEN_FDS,
        )
    },
    Resource {
        by: &["type"],
        ..Resource::of(
            ResourceKind::DescriptorType,
            "descriptors of the target by type",
            &names::PROCESS_FDS,
        )
    },
    Resource {
        by: &["peer"],
        ..Resource::of(
            ResourceKind::Unclosed,
            "connections that the peer has closed and the target has not (CLOSE_WAIT)",
            &names::TCP_CLOSE_WAIT,
        )
    },
    Resource {
        by: &["port"],
        ..Resource::of(
            ResourceKind::Unclosed,
            "connections that clients have closed and the target has not (CLOSE_WAIT)",
            &names::TCP_CLOSE_WAIT,
        )
    },
    Resource {
        labels: &[("role", "outbound"), ("state", "!close_wait")],
        by: &["peer", "state"],
        ..Resource::of(ResourceKind::Connections, "connections to a peer", &names::TCP_SOCKETS)
    },
    Resource {
        labels: &[("role", "inbound"), ("state", "!close_wait")],
        by: &["port", "state"],
        ..Resource::of(
            ResourceKind::Connections,
            "connections of clients by port",
            &names::TCP_SOCKETS,
        )
    },
    Resource {
        labels: &[("state", "used")],
        by: &["pool"],
        limits: &[&names::POOL_LIMIT],
        ..Resource::of(ResourceKind::Pool, "pooled connections in use", &names::POOL_CONNECTIONS)
    },
    Resource {
        by: &["process"],
        held_in: &[&names::THREADS_TOTAL],
        ..Resource::of(ResourceKind::Threads, "threads of the target", &names::PROCESS_THREADS)
    },
    Resource {
        by: &["app"],
        limits: &[&names::DB_CONNECTIONS_LIMIT],
        ..Resource::of(ResourceKind::Sessions, "database sessions", &names::DB_SESSIONS)
    },
    Resource {
        by: &["app", "state"],
        limits: &[&names::DB_CONNECTIONS_LIMIT],
        ..Resource::of(
            ResourceKind::Unused,
            "database sessions unused for a minute",
            &names::DB_SESSIONS_UNUSED,
        )
    },
    Resource {
        by: &["mount"],
        limits: &[&names::DISK_USED_LIMIT],
        ..Resource::of(
            ResourceKind::Disk,
            "space used on a disk that the target writes to",
            &names::DISK_USED,
        )
    },
    Resource {
        by: &["mount"],
        limits: &[&names::DISK_INODES_LIMIT],
        ..Resource::of(
            ResourceKind::Inodes,
            "inodes used on a disk that the target writes to",
            &names::DISK_INODES,
        )
    },
    Resource::of(
        ResourceKind::Deleted,
        "deleted files that the target keeps open",
        &names::DISK_DELETED,
    ),
    // A log always grows, and matters only where it fills its disk.
    Resource::of(
        ResourceKind::Written,
        "files that the target has open for writing",
        &names::DISK_WRITTEN,
    ),
    // Reported so that nobody mistakes it for the target's memory.
    Resource {
        limits: &[&names::SYSTEM_MEMORY_TOTAL],
        ..Resource::of(
            ResourceKind::OwnMemory,
            "memory of kneepoint itself",
            &names::GENERATOR_MEMORY_RSS,
        )
    },
    Resource::of(
        ResourceKind::ResponseTime,
        "median response time",
        &names::LOAD_RESPONSE_TIME_P50,
    ),
];

impl Resource {
    /// What `metric` counts, in its unit: one sum of all series, without a limit.
    const fn of(kind: ResourceKind, name: &'static str, metric: &'static MetricSpec) -> Self {
        let unit = metric.unit;
        Self { kind, name, metric, labels: &[], unit, by: &[], limits: &[], held_in: &[] }
    }

    /// The series whose sum it is.
    pub fn selector(&self) -> Selector {
        labelled(self.metric, self.labels)
    }
}

/// What each request costs, by the running total that it adds to.
pub const PER_REQUEST: [Resource; 2] = [
    Resource::of(
        ResourceKind::CpuPerRequest,
        "processor time per request",
        &names::PROCESS_CPU_TIME,
    ),
    Resource::of(
        ResourceKind::TempPerRequest,
        "bytes that PostgreSQL writes to temporary files per request",
        &names::DB_TEMP_BYTES,
    ),
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
