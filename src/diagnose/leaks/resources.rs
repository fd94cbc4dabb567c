//! What can run out or drift, and the series that show it.

use crate::diagnose::terms::soak::ResourceKind;
use crate::timeline::{MetricSpec, Unit, names};

/// One thing that can run out or drift.
pub struct Resource {
    pub kind: ResourceKind,
    /// What it is, in words: `anonymous memory of the target`.
    pub name: &'static str,
    /// The series whose sum it is.
    pub selector: &'static str,
    pub unit: Unit,
    /// The labels by whose values it is judged one by one; what lacks the first is not judged.
    pub by: &'static [&'static str],
    /// The metrics that limit it, by the same label where they have it; the first that was read
    /// counts.
    pub limits: &'static [&'static MetricSpec],
    /// Series that hold the same: what grows here has to grow there too. A heap is none of the
    /// memory it lies in, which may have been taken at the start.
    pub held_in: &'static [&'static str],
}

const MEMORY_LIMITS: &[&MetricSpec] = &[&names::CGROUP_MEMORY_LIMIT, &names::SYSTEM_MEMORY_TOTAL];

/// All of them but what each request costs, which no series has. Memory that no file backs
/// comes before resident memory, which counts the page cache's share of mapped files.
pub const RESOURCES: &[Resource] = &[
    Resource {
        kind: ResourceKind::Memory,
        name: "anonymous memory of the target",
        selector: "process.memory.anonymous",
        unit: Unit::Bytes,
        by: &["process"],
        limits: MEMORY_LIMITS,
        held_in: &["process.memory.rss"],
    },
    Resource {
        kind: ResourceKind::Resident,
        name: "resident memory of the target",
        selector: "process.memory.rss",
        unit: Unit::Bytes,
        by: &["process"],
        limits: MEMORY_LIMITS,
        held_in: &[],
    },
    Resource {
        kind: ResourceKind::Heap,
        name: "heap in use",
        selector: "runtime.heap.used",
        unit: Unit::Bytes,
        by: &[],
        limits: &[&names::RUNTIME_HEAP_LIMIT],
        held_in: &[],
    },
    Resource {
        kind: ResourceKind::Descriptors,
        name: "open descriptors of the target",
        selector: "process.open_fds",
        unit: Unit::Count,
        by: &["process"],
        limits: &[&names::PROCESS_OPEN_FDS_LIMIT],
        held_in: &["process.fds"],
    },
    Resource {
        kind: ResourceKind::DescriptorType,
        name: "descriptors of the target by type",
        selector: "process.fds",
        unit: Unit::Count,
        by: &["type"],
        limits: &[],
        held_in: &[],
    },
    Resource {
        kind: ResourceKind::Unclosed,
        name: "connections that the peer has closed and the target has not (CLOSE_WAIT)",
        selector: "tcp.close_wait",
        unit: Unit::Count,
        by: &["peer"],
        limits: &[],
        held_in: &[],
    },
    Resource {
        kind: ResourceKind::Unclosed,
        name: "connections that clients have closed and the target has not (CLOSE_WAIT)",
        selector: "tcp.close_wait",
        unit: Unit::Count,
        by: &["port"],
        limits: &[],
        held_in: &[],
    },
    Resource {
        kind: ResourceKind::Connections,
        name: "connections to a peer",
        selector: "tcp.sockets{role=outbound,state=!close_wait}",
        unit: Unit::Count,
        by: &["peer", "state"],
        limits: &[],
        held_in: &[],
    },
    Resource {
        kind: ResourceKind::Connections,
        name: "connections of clients by port",
        selector: "tcp.sockets{role=inbound,state=!close_wait}",
        unit: Unit::Count,
        by: &["port", "state"],
        limits: &[],
        held_in: &[],
    },
    Resource {
        kind: ResourceKind::Pool,
        name: "pooled connections in use",
        selector: "pool.connections{state=used}",
        unit: Unit::Count,
        by: &[],
        limits: &[&names::POOL_LIMIT],
        held_in: &[],
    },
    Resource {
        kind: ResourceKind::Threads,
        name: "threads of the target",
        selector: "process.threads",
        unit: Unit::Count,
        by: &["process"],
        limits: &[],
        held_in: &["threads.total"],
    },
    Resource {
        kind: ResourceKind::Sessions,
        name: "database sessions",
        selector: "db.sessions",
        unit: Unit::Count,
        by: &["app"],
        limits: &[&names::DB_CONNECTIONS_LIMIT],
        held_in: &[],
    },
    Resource {
        kind: ResourceKind::Unused,
        name: "database sessions that nobody used for a minute",
        selector: "db.sessions.unused",
        unit: Unit::Count,
        by: &["app", "state"],
        limits: &[&names::DB_CONNECTIONS_LIMIT],
        held_in: &[],
    },
    Resource {
        kind: ResourceKind::Disk,
        name: "space used on a disk that the target writes to",
        selector: "disk.used",
        unit: Unit::Bytes,
        by: &["mount"],
        limits: &[&names::DISK_USED_LIMIT],
        held_in: &[],
    },
    Resource {
        kind: ResourceKind::Inodes,
        name: "inodes used on a disk that the target writes to",
        selector: "disk.inodes",
        unit: Unit::Count,
        by: &["mount"],
        limits: &[&names::DISK_INODES_LIMIT],
        held_in: &[],
    },
    Resource {
        kind: ResourceKind::Deleted,
        name: "deleted files that the target keeps open",
        selector: "disk.deleted",
        unit: Unit::Bytes,
        by: &[],
        limits: &[],
        held_in: &[],
    },
    // A log grows for ever, and only matters where it fills its disk.
    Resource {
        kind: ResourceKind::Written,
        name: "files that the target has open for writing",
        selector: "disk.written",
        unit: Unit::Bytes,
        by: &[],
        limits: &[],
        held_in: &[],
    },
    // Told so that nobody takes it for the target's, and so that it does not hide.
    Resource {
        kind: ResourceKind::OwnMemory,
        name: "memory of kneepoint itself",
        selector: "generator.memory.rss",
        unit: Unit::Bytes,
        by: &[],
        limits: &[&names::SYSTEM_MEMORY_TOTAL],
        held_in: &[],
    },
    Resource {
        kind: ResourceKind::ResponseTime,
        name: "median response time",
        selector: "load.response_time.p50",
        unit: Unit::Seconds,
        by: &[],
        limits: &[],
        held_in: &[],
    },
];

/// What each request costs, by the running total that it adds to.
pub const PER_REQUEST: [(&MetricSpec, Resource); 2] = [
    (
        &names::PROCESS_CPU_TIME,
        Resource {
            kind: ResourceKind::CpuPerRequest,
            name: "processor time per request",
            selector: "process.cpu.time / load.throughput",
            unit: Unit::Seconds,
            by: &[],
            limits: &[],
            held_in: &[],
        },
    ),
    (
        &names::DB_TEMP_BYTES,
        Resource {
            kind: ResourceKind::TempPerRequest,
            name: "bytes that PostgreSQL writes to temporary files for each request",
            selector: "db.temp.bytes / load.throughput",
            unit: Unit::Bytes,
            by: &[],
            limits: &[],
            held_in: &[],
        },
    ),
];

/// The metrics that limit what `metric` counts; none where it is not in the table.
pub fn limits_of(metric: &str) -> &'static [&'static MetricSpec] {
    let is_of = |resource: &&Resource| resource.selector.split('{').next() == Some(metric);
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
