//! The metric families of well-known pools, servers and runtimes, and the shared metric that each
//! of them maps to.
//!
//! To add one, add a line to its system's list, or a new [`System`]. Names are exact, as the
//! endpoint spells them, including the suffix. If two names of this table map to the same shared
//! series, the first in the table counts. Samples of one name that differ in other labels are
//! summed.

use crate::timeline::MetricSpec;
use crate::timeline::names::*;

/// A library or server with its families.
pub(super) struct System {
    /// Name in reports, and value of the shared label if a sample has none.
    pub name: &'static str,
    /// The shared label: `pool`, `runtime` or `peer`.
    pub label: &'static str,
    /// The scraped labels that may hold the value of the shared label, best first.
    pub sources: &'static [&'static str],
    /// Skip this system if the endpoint has this metric, because that metric's system has more
    /// detail.
    pub unless: Option<&'static str>,
    /// Its metrics.
    pub families: &'static [Family],
}

/// One metric of a system.
pub(super) struct Family {
    /// Name of its samples.
    pub name: &'static str,
    /// The shared metric it maps to.
    pub metric: &'static MetricSpec,
    /// Where the shared label `state` comes from.
    pub state: State,
    /// A label and the value that a sample must have for it.
    pub only: Option<(&'static str, &'static str)>,
    /// The scraped labels that may hold the status of a response; it becomes the label `class`.
    pub class: &'static [&'static str],
    /// Factor that converts the value to the shared metric's unit.
    pub scale: f64,
}

/// Where the shared label `state` comes from.
pub(super) enum State {
    /// There is no such label.
    None,
    /// The name implies it.
    Fixed(&'static str),
    /// One of these labels holds it.
    Labelled(&'static [&'static str]),
}

const fn is(name: &'static str, metric: &'static MetricSpec) -> Family {
    Family { name, metric, state: State::None, only: None, class: &[], scale: 1.0 }
}

const fn used(name: &'static str) -> Family {
    Family { state: State::Fixed("used"), ..is(name, &POOL_CONNECTIONS) }
}

const fn idle(name: &'static str) -> Family {
    Family { state: State::Fixed("idle"), ..is(name, &POOL_CONNECTIONS) }
}

const fn by_state(name: &'static str, labels: &'static [&'static str]) -> Family {
    Family { state: State::Labelled(labels), ..is(name, &POOL_CONNECTIONS) }
}

const fn millis(name: &'static str, metric: &'static MetricSpec) -> Family {
    Family { scale: 1e-3, ..is(name, metric) }
}

const fn nanos(name: &'static str, metric: &'static MetricSpec) -> Family {
    Family { scale: 1e-9, ..is(name, metric) }
}

const fn by_status(name: &'static str, metric: &'static MetricSpec) -> Family {
    Family { class: STATUS, ..is(name, metric) }
}

const fn only(
    name: &'static str,
    metric: &'static MetricSpec,
    label: &'static str,
    value: &'static str,
) -> Family {
    Family { only: Some((label, value)), ..is(name, metric) }
}

const fn system(
    name: &'static str,
    label: &'static str,
    sources: &'static [&'static str],
    families: &'static [Family],
) -> System {
    System { name, label, sources, unless: None, families }
}

const OTEL_POOL: &[&str] =
    &["db_client_connection_pool_name", "db_client_connections_pool_name", "pool_name"];
const OTEL_STATE: &[&str] = &["db_client_connection_state", "db_client_connections_state", "state"];
const STATUS: &[&str] = &["http_response_status_code", "http_status_code", "status", "code"];
const HTTP_PEER: &[&str] =
    &["server_address", "client_name", "clientName", "net_peer_name", "host"];

/// Every family that is recognised.
pub(super) static SYSTEMS: &[System] = &[
    // Pools of database connections.
    system(
        "HikariCP",
        "pool",
        &["pool"],
        &[
            used("hikaricp_connections_active"),
            idle("hikaricp_connections_idle"),
            is("hikaricp_connections_max", &POOL_LIMIT),
            is("hikaricp_connections_pending", &POOL_PENDING),
            is("hikaricp_connections_acquire_seconds_sum", &POOL_WAIT_TIME),
            is("hikaricp_connections_acquire_seconds_count", &POOL_ACQUIRES),
            is("hikaricp_connections_usage_seconds_sum", &POOL_USE_TIME),
            is("hikaricp_connections_timeout_total", &POOL_TIMEOUTS),
            // HikariCP's own exporter.
            used("hikaricp_active_connections"),
            idle("hikaricp_idle_connections"),
            is("hikaricp_max_connections", &POOL_LIMIT),
            is("hikaricp_pending_threads", &POOL_PENDING),
            nanos("hikaricp_connection_acquired_nanos_sum", &POOL_WAIT_TIME),
            is("hikaricp_connection_acquired_nanos_count", &POOL_ACQUIRES),
            millis("hikaricp_connection_usage_millis_sum", &POOL_USE_TIME),
            is("hikaricp_connection_timeout_total", &POOL_TIMEOUTS),
        ],
    ),
    System {
        unless: Some("hikaricp_connections_active"),
        ..system(
            "JDBC data source",
            "pool",
            &["name"],
            &[
                used("jdbc_connections_active"),
                idle("jdbc_connections_idle"),
                is("jdbc_connections_max", &POOL_LIMIT),
            ],
        )
    },
    system(
        "OpenTelemetry database client",
        "pool",
        OTEL_POOL,
        &[
            by_state("db_client_connection_count", OTEL_STATE),
            is("db_client_connection_max", &POOL_LIMIT),
            is("db_client_connection_pending_requests", &POOL_PENDING),
            is("db_client_connection_wait_time_seconds_sum", &POOL_WAIT_TIME),
            is("db_client_connection_wait_time_seconds_count", &POOL_ACQUIRES),
            is("db_client_connection_use_time_seconds_sum", &POOL_USE_TIME),
            is("db_client_connection_timeouts_total", &POOL_TIMEOUTS),
            // Before version 1.26 of the semantic conventions.
            by_state("db_client_connections_usage", OTEL_STATE),
            is("db_client_connections_max", &POOL_LIMIT),
            is("db_client_connections_pending_requests", &POOL_PENDING),
            millis("db_client_connections_wait_time_milliseconds_sum", &POOL_WAIT_TIME),
            is("db_client_connections_wait_time_milliseconds_count", &POOL_ACQUIRES),
            millis("db_client_connections_use_time_milliseconds_sum", &POOL_USE_TIME),
            is("db_client_connections_timeouts_total", &POOL_TIMEOUTS),
        ],
    ),
    system(
        "Go database/sql",
        "pool",
        &["db_name"],
        &[
            // client_golang's collector. Its wait count counts waits, not acquisitions.
            used("go_sql_in_use_connections"),
            idle("go_sql_idle_connections"),
            is("go_sql_max_open_connections", &POOL_LIMIT),
            is("go_sql_wait_duration_seconds_total", &POOL_WAIT_TIME),
            // The package sqlstats.
            used("go_sql_stats_connections_in_use"),
            idle("go_sql_stats_connections_idle"),
            is("go_sql_stats_connections_max_open", &POOL_LIMIT),
            is("go_sql_stats_connections_blocked_seconds", &POOL_WAIT_TIME),
        ],
    ),
    system(
        "pgxpool",
        "pool",
        &["db_name", "pool"],
        &[
            used("pgxpool_acquired_conns"),
            idle("pgxpool_idle_conns"),
            is("pgxpool_max_conns", &POOL_LIMIT),
            nanos("pgxpool_acquire_duration_ns", &POOL_WAIT_TIME),
            is("pgxpool_acquire_duration_seconds_total", &POOL_WAIT_TIME),
            is("pgxpool_acquire_count", &POOL_ACQUIRES),
            is("pgxpool_acquire_count_total", &POOL_ACQUIRES),
        ],
    ),
    system(
        "PgBouncer",
        "pool",
        &["database"],
        &[
            used("pgbouncer_pools_server_active_connections"),
            idle("pgbouncer_pools_server_idle_connections"),
            is("pgbouncer_databases_pool_size", &POOL_LIMIT),
            is("pgbouncer_pools_client_waiting_connections", &POOL_PENDING),
            is("pgbouncer_stats_client_wait_seconds_total", &POOL_WAIT_TIME),
            is("pgbouncer_stats_client_wait_seconds", &POOL_WAIT_TIME),
            is("pgbouncer_stats_sql_transactions_pooled_total", &POOL_ACQUIRES),
            is("pgbouncer_stats_server_in_transaction_seconds_total", &POOL_USE_TIME),
            is("pgbouncer_stats_server_in_transaction_seconds", &POOL_USE_TIME),
        ],
    ),
    system(
        "Agroal",
        "pool",
        &["datasource"],
        &[
            used("agroal_active_count"),
            idle("agroal_available_count"),
            is("agroal_awaiting_count", &POOL_PENDING),
            is("agroal_acquire_count_total", &POOL_ACQUIRES),
        ],
    ),
    system(
        "R2DBC pool",
        "pool",
        &["name"],
        &[
            used("r2dbc_pool_acquired_connections"),
            idle("r2dbc_pool_idle_connections"),
            is("r2dbc_pool_max_allocated_connections", &POOL_LIMIT),
            is("r2dbc_pool_pending_connections", &POOL_PENDING),
        ],
    ),
    system(
        "Prisma",
        "pool",
        &[],
        &[
            used("prisma_pool_connections_busy"),
            idle("prisma_pool_connections_idle"),
            is("prisma_client_queries_wait", &POOL_PENDING),
            millis("prisma_client_queries_wait_histogram_ms_sum", &POOL_WAIT_TIME),
            is("prisma_client_queries_wait_histogram_ms_count", &POOL_ACQUIRES),
        ],
    ),
    system(
        "Active Record",
        "pool",
        &["pool_name"],
        &[
            used("ruby_active_record_connection_pool_busy"),
            idle("ruby_active_record_connection_pool_idle"),
            is("ruby_active_record_connection_pool_size", &POOL_LIMIT),
            is("ruby_active_record_connection_pool_waiting", &POOL_PENDING),
            used("active_record_connection_pool_busy"),
            idle("active_record_connection_pool_idle"),
            is("active_record_connection_pool_size", &POOL_LIMIT),
            is("active_record_connection_pool_waiting", &POOL_PENDING),
        ],
    ),
    // Pools of connections to other services.
    system(
        "Apache HttpClient",
        "pool",
        &["httpclient"],
        &[
            by_state("httpcomponents_httpclient_pool_total_connections", &["state"]),
            is("httpcomponents_httpclient_pool_total_max", &POOL_LIMIT),
            is("httpcomponents_httpclient_pool_total_pending", &POOL_PENDING),
        ],
    ),
    system(
        "Reactor Netty",
        "pool",
        &["name"],
        &[
            used("reactor_netty_connection_provider_active_connections"),
            idle("reactor_netty_connection_provider_idle_connections"),
            is("reactor_netty_connection_provider_max_connections", &POOL_LIMIT),
            is("reactor_netty_connection_provider_pending_connections", &POOL_PENDING),
        ],
    ),
    system(
        "Envoy",
        "pool",
        &["envoy_cluster_name"],
        &[is("envoy_cluster_upstream_rq_pending_active", &POOL_PENDING)],
    ),
    // Workers and their queues.
    system(
        "Tomcat",
        "pool",
        &["name"],
        &[
            is("tomcat_threads_busy_threads", &WORKERS_BUSY),
            is("tomcat_threads_config_max_threads", &WORKERS_LIMIT),
        ],
    ),
    system(
        "Jetty",
        "pool",
        &["name"],
        &[
            is("jetty_threads_busy", &WORKERS_BUSY),
            is("jetty_threads_config_max", &WORKERS_LIMIT),
            is("jetty_threads_jobs", &WORKERS_QUEUE),
        ],
    ),
    system(
        "Java executor",
        "pool",
        &["name"],
        &[
            is("executor_active_threads", &WORKERS_BUSY),
            is("executor_pool_max_threads", &WORKERS_LIMIT),
            is("executor_queued_tasks", &WORKERS_QUEUE),
        ],
    ),
    system(
        "Quarkus worker pool",
        "pool",
        &["pool_name"],
        &[is("worker_pool_active", &WORKERS_BUSY), is("worker_pool_queue_size", &WORKERS_QUEUE)],
    ),
    system(
        "Puma",
        "pool",
        &[],
        &[
            is("ruby_puma_busy_threads", &WORKERS_BUSY),
            is("ruby_puma_max_threads", &WORKERS_LIMIT),
            is("ruby_puma_request_backlog", &WORKERS_QUEUE),
            is("puma_busy_threads", &WORKERS_BUSY),
            is("puma_max_threads", &WORKERS_LIMIT),
            is("puma_request_backlog", &WORKERS_QUEUE),
            is("puma_backlog", &WORKERS_QUEUE),
        ],
    ),
    system(
        "PHP-FPM",
        "pool",
        &["pool"],
        &[is("phpfpm_active_processes", &WORKERS_BUSY), is("phpfpm_listen_queue", &WORKERS_QUEUE)],
    ),
    system("Apache httpd", "pool", &[], &[only("apache_workers", &WORKERS_BUSY, "state", "busy")]),
    system(
        "HAProxy",
        "pool",
        &["proxy", "backend"],
        &[is("haproxy_backend_current_queue", &WORKERS_QUEUE)],
    ),
    system(
        ".NET thread pool",
        "pool",
        &[],
        &[
            is("dotnet_thread_pool_queue_length_total", &WORKERS_QUEUE),
            is("dotnet_thread_pool_queue_length", &WORKERS_QUEUE),
            is("process_runtime_dotnet_thread_pool_queue_length", &WORKERS_QUEUE),
        ],
    ),
    // Runtimes.
    system(
        "JVM",
        "runtime",
        &[],
        &[
            is("jvm_gc_pause_seconds_sum", &RUNTIME_GC_TIME),
            is("jvm_gc_pause_seconds_count", &RUNTIME_GC_COUNT),
            is("jvm_gc_collection_seconds_sum", &RUNTIME_GC_TIME),
            is("jvm_gc_collection_seconds_count", &RUNTIME_GC_COUNT),
            is("jvm_gc_duration_seconds_sum", &RUNTIME_GC_TIME),
            is("jvm_gc_duration_seconds_count", &RUNTIME_GC_COUNT),
            only("jvm_memory_used_bytes", &RUNTIME_HEAP_USED, "area", "heap"),
            only("jvm_memory_max_bytes", &RUNTIME_HEAP_LIMIT, "area", "heap"),
            only("jvm_memory_used_bytes", &RUNTIME_HEAP_USED, "jvm_memory_type", "heap"),
            only("jvm_memory_limit_bytes", &RUNTIME_HEAP_LIMIT, "jvm_memory_type", "heap"),
            only("jvm_memory_bytes_used", &RUNTIME_HEAP_USED, "area", "heap"),
            only("jvm_memory_bytes_max", &RUNTIME_HEAP_LIMIT, "area", "heap"),
        ],
    ),
    system(
        "Go",
        "runtime",
        &[],
        &[
            is("go_gc_duration_seconds_sum", &RUNTIME_GC_TIME),
            is("go_gc_duration_seconds_count", &RUNTIME_GC_COUNT),
            is("go_memstats_heap_inuse_bytes", &RUNTIME_HEAP_USED),
            is("go_gc_gomemlimit_bytes", &RUNTIME_HEAP_LIMIT),
        ],
    ),
    system(
        "Node.js",
        "runtime",
        &[],
        &[
            is("nodejs_gc_duration_seconds_sum", &RUNTIME_GC_TIME),
            is("nodejs_gc_duration_seconds_count", &RUNTIME_GC_COUNT),
            is("v8js_gc_duration_seconds_sum", &RUNTIME_GC_TIME),
            is("v8js_gc_duration_seconds_count", &RUNTIME_GC_COUNT),
            is("nodejs_heap_size_used_bytes", &RUNTIME_HEAP_USED),
            is("v8js_memory_heap_used_bytes", &RUNTIME_HEAP_USED),
            is("v8js_memory_heap_limit_bytes", &RUNTIME_HEAP_LIMIT),
            // The first is measured at the scrape; the means include the timer's resolution.
            is("nodejs_eventloop_lag_seconds", &RUNTIME_LOOP_LAG),
            is("nodejs_eventloop_lag_mean_seconds", &RUNTIME_LOOP_LAG),
            is("nodejs_eventloop_delay_mean_seconds", &RUNTIME_LOOP_LAG),
        ],
    ),
    system(
        "Python",
        "runtime",
        &[],
        &[
            is("python_gc_collections_total", &RUNTIME_GC_COUNT),
            is("cpython_gc_collections_total", &RUNTIME_GC_COUNT),
        ],
    ),
    system(
        ".NET",
        "runtime",
        &[],
        &[
            is("dotnet_gc_pause_time_seconds_total", &RUNTIME_GC_TIME),
            is("dotnet_gc_collections_total", &RUNTIME_GC_COUNT),
        ],
    ),
    // Calls to other services.
    system(
        "HTTP client",
        "peer",
        HTTP_PEER,
        &[
            is("http_client_request_duration_seconds_sum", &CLIENT_CALL_TIME),
            by_status("http_client_request_duration_seconds_count", &CLIENT_CALLS),
            is("http_client_requests_seconds_sum", &CLIENT_CALL_TIME),
            by_status("http_client_requests_seconds_count", &CLIENT_CALLS),
            millis("http_client_duration_milliseconds_sum", &CLIENT_CALL_TIME),
            by_status("http_client_duration_milliseconds_count", &CLIENT_CALLS),
        ],
    ),
    system(
        "gRPC client",
        "peer",
        &["grpc_service"],
        &[
            is("grpc_client_handling_seconds_sum", &CLIENT_CALL_TIME),
            is("grpc_client_handling_seconds_count", &CLIENT_CALLS),
        ],
    ),
    system(
        "Envoy upstream",
        "peer",
        &["envoy_cluster_name"],
        &[
            millis("envoy_cluster_upstream_rq_time_sum", &CLIENT_CALL_TIME),
            is("envoy_cluster_upstream_rq_time_count", &CLIENT_CALLS),
        ],
    ),
];
