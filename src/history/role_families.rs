//! The metric families of exporters that say of machines, processes, containers and databases what
//! kneepoint's own collectors read there, and the shared metric that each of them maps to.
//!
//! Exact names of node_exporter, cAdvisor, kube-state-metrics, postgres_exporter and the client
//! libraries' process collectors. Of the families of one shared metric, the first in the table that
//! the server has counts; families with the same `place` are added up. Series of one name that differ
//! in other labels are summed.

use super::answer::LabelSet;
use crate::timeline::names::*;
use crate::timeline::{Labels, MetricSpec};

/// What the series that a selector matches are about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Role {
    /// The service that answers the requests.
    Target,
    /// The machine that it runs on.
    Host,
    /// The database behind it.
    Database,
    /// A service that it calls.
    Downstream,
}

/// One family and its shared metric.
pub(super) struct RoleFamily {
    /// Name of the stored metric.
    pub(super) name: &'static str,
    /// Whose series it is read of.
    pub(super) role: Role,
    /// The shared metric.
    pub(super) metric: &'static MetricSpec,
    /// Families with the same number are added up.
    place: u8,
    /// Labels and the values that a series must have; `!` and nothing means: any but the empty one.
    only: &'static [(&'static str, &'static str)],
    /// Stored labels, and the shared label that each becomes.
    renamed: &'static [(&'static str, &'static str)],
    /// Shared labels with a fixed value.
    fixed: &'static [(&'static str, &'static str)],
    /// Factor that converts a value to the shared metric's unit; negative ones are subtracted.
    pub(super) scale: f64,
    /// Whether a value that is 0 says that there is none.
    pub(super) zero_is_none: bool,
}

const fn of(role: Role, name: &'static str, metric: &'static MetricSpec) -> RoleFamily {
    RoleFamily {
        name,
        role,
        metric,
        place: 0,
        only: &[],
        renamed: &[],
        fixed: &[],
        scale: 1.0,
        zero_is_none: false,
    }
}

const fn process(name: &'static str, metric: &'static MetricSpec, place: u8) -> RoleFamily {
    RoleFamily { place, ..of(Role::Target, name, metric) }
}

/// cAdvisor's, of real containers: it also reports the cgroups above them, and pauses.
const fn container(name: &'static str, metric: &'static MetricSpec) -> RoleFamily {
    RoleFamily { only: &[("container", "!"), ("container", "!POD")], ..process(name, metric, 0) }
}

const fn kube_limit(
    resource: &'static [(&'static str, &'static str)],
    metric: &'static MetricSpec,
) -> RoleFamily {
    RoleFamily { only: resource, ..process("kube_pod_container_resource_limits", metric, 0) }
}

/// cAdvisor's quota is in microseconds of a period, which the kernel and every container runtime set
/// to 100 ms unless told otherwise.
const fn cpu_quota(metric: &'static MetricSpec) -> RoleFamily {
    RoleFamily {
        scale: 1e-5,
        place: 1,
        zero_is_none: true,
        ..container("container_spec_cpu_quota", metric)
    }
}

const fn host(name: &'static str, metric: &'static MetricSpec) -> RoleFamily {
    of(Role::Host, name, metric)
}

const fn pressure(
    name: &'static str,
    resource: &'static [(&'static str, &'static str)],
) -> RoleFamily {
    RoleFamily { fixed: resource, ..host(name, &SYSTEM_PRESSURE) }
}

const fn traffic(
    name: &'static str,
    direction: &'static [(&'static str, &'static str)],
) -> RoleFamily {
    RoleFamily {
        renamed: &[("device", "interface")],
        fixed: direction,
        ..host(name, &SYSTEM_NETWORK_BYTES)
    }
}

const fn database(name: &'static str, metric: &'static MetricSpec, place: u8) -> RoleFamily {
    RoleFamily { place, ..of(Role::Database, name, metric) }
}

/// Every family that is recognised.
pub(super) static ROLE_FAMILIES: &[RoleFamily] = &[
    // The target's processes. A container's CPU is that of all its processes.
    container("container_cpu_usage_seconds_total", &PROCESS_CPU_TIME),
    process("process_cpu_seconds_total", &PROCESS_CPU_TIME, 1),
    RoleFamily { scale: 1e-9, ..process("process_cpu_time_ns_total", &PROCESS_CPU_TIME, 2) },
    process("process_cpu_time_seconds_total", &PROCESS_CPU_TIME, 3),
    process("dotnet_process_cpu_time_seconds_total", &PROCESS_CPU_TIME, 4),
    kube_limit(&[("resource", "cpu")], &PROCESS_CPU_ALLOWED),
    kube_limit(&[("resource", "cpu")], &CGROUP_CPU_QUOTA),
    cpu_quota(&PROCESS_CPU_ALLOWED),
    cpu_quota(&CGROUP_CPU_QUOTA),
    // A JVM counts the cores that its container may use.
    process("system_cpu_count", &PROCESS_CPU_ALLOWED, 2),
    process("jvm_cpu_count", &PROCESS_CPU_ALLOWED, 3),
    kube_limit(&[("resource", "memory")], &CGROUP_MEMORY_LIMIT),
    RoleFamily {
        zero_is_none: true,
        place: 1,
        ..container("container_spec_memory_limit_bytes", &CGROUP_MEMORY_LIMIT)
    },
    container("container_cpu_cfs_periods_total", &CGROUP_CPU_PERIODS),
    container("container_cpu_cfs_throttled_periods_total", &CGROUP_CPU_THROTTLED_PERIODS),
    container("container_cpu_cfs_throttled_seconds_total", &CGROUP_CPU_THROTTLED_TIME),
    container("container_oom_events_total", &CGROUP_OOM_KILLS),
    container("container_memory_working_set_bytes", &PROCESS_MEMORY_RSS),
    container("container_memory_rss", &PROCESS_MEMORY_ANONYMOUS),
    process("process_resident_memory_bytes", &PROCESS_MEMORY_RSS, 1),
    process("process_open_fds", &PROCESS_OPEN_FDS, 0),
    process("process_files_open_files", &PROCESS_OPEN_FDS, 1),
    process("process_max_fds", &PROCESS_OPEN_FDS_LIMIT, 0),
    process("process_files_max_files", &PROCESS_OPEN_FDS_LIMIT, 1),
    process("process_start_time_seconds", &PROCESS_START_TIME, 0),
    process("process_threads", &PROCESS_THREADS, 0),
    process("process_num_threads", &PROCESS_THREADS, 1),
    process("process_runtime_jvm_threads_count", &PROCESS_THREADS, 4),
    process("jvm_threads_current", &PROCESS_THREADS, 5),
    process("jvm_threads_live_threads", &PROCESS_THREADS, 2),
    // The machine.
    RoleFamily { renamed: &[("mode", "mode")], ..host("node_cpu_seconds_total", &SYSTEM_CPU_TIME) },
    host("node_memory_MemAvailable_bytes", &SYSTEM_MEMORY_AVAILABLE),
    host("node_memory_MemTotal_bytes", &SYSTEM_MEMORY_TOTAL),
    host("node_memory_SwapTotal_bytes", &SYSTEM_SWAP_USED),
    RoleFamily { scale: -1.0, ..host("node_memory_SwapFree_bytes", &SYSTEM_SWAP_USED) },
    host("node_vmstat_oom_kill", &SYSTEM_OOM_KILLS),
    pressure("node_pressure_cpu_waiting_seconds_total", &[("resource", "cpu")]),
    pressure("node_pressure_memory_waiting_seconds_total", &[("resource", "memory")]),
    pressure("node_pressure_io_waiting_seconds_total", &[("resource", "io")]),
    RoleFamily {
        renamed: &[("device", "device")],
        ..host("node_disk_io_time_seconds_total", &SYSTEM_DISK_BUSY)
    },
    traffic("node_network_receive_bytes_total", &[("direction", "receive")]),
    traffic("node_network_transmit_bytes_total", &[("direction", "transmit")]),
    RoleFamily {
        renamed: &[("device", "interface")],
        zero_is_none: true,
        ..host("node_network_speed_bytes", &SYSTEM_NETWORK_LINK)
    },
    host("node_netstat_Tcp_RetransSegs", &SYSTEM_TCP_RETRANSMITS),
    host("node_netstat_Tcp_OutSegs", &SYSTEM_TCP_SEGMENTS),
    host("node_netstat_TcpExt_ListenDrops", &SYSTEM_TCP_LISTEN_DROPS),
    host("node_sockstat_TCP_tw", &SYSTEM_TCP_TIME_WAIT),
    host("node_nf_conntrack_entries", &SYSTEM_CONNTRACK_ENTRIES),
    host("node_nf_conntrack_entries_limit", &SYSTEM_CONNTRACK_LIMIT),
    // The database's own container, or its processes as process-exporter groups them.
    RoleFamily {
        only: &[("container", "!"), ("container", "!POD")],
        ..database("container_cpu_usage_seconds_total", &DB_CPU_TIME, 0)
    },
    RoleFamily {
        only: &[("groupname", "postgres")],
        ..database("namedprocess_namegroup_cpu_seconds_total", &DB_CPU_TIME, 1)
    },
    // PostgreSQL.
    RoleFamily {
        renamed: &[
            ("application_name", "app"),
            ("state", "state"),
            ("wait_event_type", "wait_type"),
            ("wait_event", "wait_event"),
        ],
        zero_is_none: true,
        ..database("pg_stat_activity_count", &DB_SESSIONS, 0)
    },
    database("pg_stat_database_numbackends", &DB_CONNECTIONS, 0),
    database("pg_settings_max_connections", &DB_CONNECTIONS_LIMIT, 0),
    RoleFamily {
        scale: -1.0,
        ..database("pg_settings_superuser_reserved_connections", &DB_CONNECTIONS_LIMIT, 0)
    },
    database("pg_stat_database_xact_commit", &DB_TRANSACTIONS, 0),
    database("pg_stat_database_xact_rollback", &DB_TRANSACTIONS, 0),
    database("pg_stat_database_blks_read", &DB_BLOCKS_READ, 0),
    database("pg_stat_database_blks_hit", &DB_BLOCKS_HIT, 0),
    database("pg_stat_database_tup_returned", &DB_ROWS_READ, 0),
    database("pg_stat_database_tup_fetched", &DB_ROWS_READ, 0),
    database("pg_stat_database_temp_bytes", &DB_TEMP_BYTES, 0),
    database("pg_stat_database_temp_files", &DB_TEMP_FILES, 0),
    database("pg_stat_database_deadlocks", &DB_DEADLOCKS, 0),
    database("pg_stat_statements_calls_total", &DB_STATEMENT_CALLS, 0),
    database("pg_stat_statements_calls", &DB_STATEMENT_CALLS, 1),
    database("pg_stat_statements_seconds_total", &DB_STATEMENT_TIME, 0),
    database("pg_stat_statements_total_exec_time_seconds", &DB_STATEMENT_TIME, 1),
    database("pg_stat_statements_total_time_seconds", &DB_STATEMENT_TIME, 2),
    // MySQL.
    database("mysql_global_status_threads_connected", &DB_CONNECTIONS, 1),
    database("mysql_global_variables_max_connections", &DB_CONNECTIONS_LIMIT, 1),
    database("mysql_global_status_queries", &DB_STATEMENT_CALLS, 2),
];

impl RoleFamily {
    /// The shared labels of a series of this family; `None` where it does not count. `owner` is what
    /// the label `process` says.
    pub(super) fn labels(&self, stored: &LabelSet, owner: &str) -> Option<Labels> {
        let get = |name: &str| stored.get(name).map_or("", String::as_str);
        let fits = self.only.iter().all(|(name, wanted)| match wanted.strip_prefix('!') {
            Some(other) => get(name) != other,
            None => get(name) == *wanted,
        });
        if !fits {
            return None;
        }
        let mut labels = Labels::none();
        for (from, to) in self.renamed {
            let value = match (*to, get(from)) {
                ("mode", mode) => cpu_mode(mode)?,
                ("wait_type" | "wait_event", "") => "none",
                ("interface", "lo") => return None,
                (_, value) => value,
            };
            labels = labels.with(to, value);
        }
        for (name, value) in self.fixed {
            labels = labels.with(name, *value);
        }
        if self.role == Role::Target {
            labels = labels.with("process", owner);
        }
        Some(labels)
    }

    /// Whether a family stands before another one of the same shared metric, so that the other does
    /// not count.
    pub(super) fn outranks(&self, other: &RoleFamily) -> bool {
        self.metric.name == other.metric.name && self.place < other.place
    }
}

/// kneepoint's name for a mode of node_exporter. Time of guests is in that of user processes.
fn cpu_mode(mode: &str) -> Option<&'static str> {
    Some(match mode {
        "user" | "nice" => "user",
        "system" => "system",
        "iowait" => "iowait",
        "irq" | "softirq" => "irq",
        "steal" => "steal",
        "idle" => "idle",
        _ => return None,
    })
}

/// The option that selects the series of a role, and the exporter that usually has them.
pub(super) fn told(role: Role) -> (&'static str, &'static str) {
    match role {
        Role::Target => ("--match", "cAdvisor or the service's client library"),
        Role::Host => ("--host", "node_exporter"),
        Role::Database => ("--database", "postgres_exporter"),
        Role::Downstream => ("--downstream", "the service's client library"),
    }
}

/// Name of the collector under which a shared metric is recorded: the one that reads it in a run.
pub(super) fn collector(role: Role) -> &'static str {
    match role {
        Role::Target => "process",
        Role::Host => "host",
        Role::Database => "postgres",
        Role::Downstream => "prometheus",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::timeline::{Kind, Unit};

    fn family(name: &str) -> &'static RoleFamily {
        ROLE_FAMILIES.iter().find(|family| family.name == name).unwrap()
    }

    fn labels(pairs: &[(&str, &str)]) -> LabelSet {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn kinds_and_units_agree_with_the_names() {
        for family in ROLE_FAMILIES {
            let is_time = family.name.contains("_seconds");
            assert!(!is_time || family.metric.unit == Unit::Seconds, "{}", family.name);
            let grows = family.name.ends_with("_total");
            assert!(!grows || family.metric.kind == Kind::Counter, "{}", family.name);
        }
    }

    #[test]
    fn containers_are_told_from_what_lies_around_them() {
        let cpu = family("container_cpu_usage_seconds_total");
        let of = |container: &str| cpu.labels(&labels(&[("container", container)]), "shop-1");
        assert_eq!(of("app").unwrap().to_string(), "process=shop-1");
        assert_eq!((of(""), of("POD")), (None, None));
        assert!(cpu.outranks(family("process_cpu_seconds_total")));
    }

    #[test]
    fn sessions_and_modes_have_kneepoints_words() {
        let sessions = family("pg_stat_activity_count");
        let stored = labels(&[("state", "active"), ("wait_event_type", "Lock"), ("datname", "x")]);
        let shared = sessions.labels(&stored, "db").unwrap();
        assert_eq!(shared.to_string(), "app=,state=active,wait_event=none,wait_type=Lock");
        let cpu = family("node_cpu_seconds_total");
        let mode =
            |mode: &str| cpu.labels(&labels(&[("mode", mode)]), "h").map(|it| it.to_string());
        assert_eq!(mode("softirq").as_deref(), Some("mode=irq"));
        assert_eq!(mode("guest"), None);
    }
}
