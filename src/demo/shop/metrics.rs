//! The shop's own metrics, with the names of OpenTelemetry's conventions as its Prometheus exporter
//! writes them.

use std::time::Duration;

use deadpool_postgres::Pool;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

use crate::demo::system::PoolGauges;

/// Upper bounds of the histograms' buckets in seconds, as OpenTelemetry's conventions for HTTP
/// recommend them.
const BUCKETS_SECONDS: [f64; 14] =
    [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0];

/// Name of the pool of database connections.
const POOL_NAME: &str = "catalogue";

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ServerLabels {
    http_request_method: &'static str,
    http_route: &'static str,
    http_response_status_code: u16,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ClientLabels {
    server_address: String,
    server_port: u16,
    /// Empty if there was no response.
    http_response_status_code: Option<u16>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct PoolLabels {
    pool_name: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct PoolStateLabels {
    pool_name: &'static str,
    state: &'static str,
}

/// The shop's metrics.
pub(super) struct Metrics {
    registry: Registry,
    requests: Family<ServerLabels, Histogram, fn() -> Histogram>,
    calls: Family<ClientLabels, Histogram, fn() -> Histogram>,
    peer: (String, u16),
    pool: Option<PoolMetrics>,
}

enum PoolMetrics {
    Conventional {
        pool: Pool,
        connections: Family<PoolStateLabels, Gauge>,
        limit: Family<PoolLabels, Gauge>,
        pending: Family<PoolLabels, Gauge>,
    },
    OwnNames {
        pool: Pool,
        checked_out: Gauge,
        size: Gauge,
        waiting: Gauge,
    },
}

impl Metrics {
    /// Metrics of a shop that calls payments at `peer` and has this pool.
    pub fn new(peer: (String, u16), pool: Option<Pool>, gauges: PoolGauges) -> Self {
        let mut registry = Registry::default();
        let histogram: fn() -> Histogram = || Histogram::new(BUCKETS_SECONDS);
        let requests = Family::new_with_constructor(histogram);
        registry.register(
            "http_server_request_duration_seconds",
            "Duration of HTTP server requests",
            requests.clone(),
        );
        let calls: Family<ClientLabels, Histogram, fn() -> Histogram> =
            Family::new_with_constructor(histogram);
        registry.register(
            "http_client_request_duration_seconds",
            "Duration of HTTP client requests",
            calls.clone(),
        );
        let pool = pool.map(|pool| PoolMetrics::new(pool, gauges, &mut registry));
        let metrics = Self { registry, requests, calls, peer, pool };
        // Created at the start, so that the first call is visible as an increase.
        drop(metrics.calls.get_or_create(&metrics.client_labels(Some(200))));
        metrics
    }

    /// Counts one answered request.
    pub fn answered(&self, method: &'static str, route: &'static str, status: u16, took: Duration) {
        let labels = ServerLabels {
            http_request_method: method,
            http_route: route,
            http_response_status_code: status,
        };
        self.requests.get_or_create(&labels).observe(took.as_secs_f64());
    }

    /// Counts one call to the payments service, with its status if there was a response.
    pub fn charged(&self, status: Option<u16>, took: Duration) {
        self.calls.get_or_create(&self.client_labels(status)).observe(took.as_secs_f64());
    }

    fn client_labels(&self, status: Option<u16>) -> ClientLabels {
        let (server_address, server_port) = self.peer.clone();
        ClientLabels { server_address, server_port, http_response_status_code: status }
    }

    /// All metrics in the text format.
    pub fn text(&self) -> Result<String, std::fmt::Error> {
        if let Some(pool) = &self.pool {
            pool.update();
        }
        let mut text = String::new();
        encode(&mut text, &self.registry)?;
        Ok(text)
    }
}

impl PoolMetrics {
    fn new(pool: Pool, gauges: PoolGauges, registry: &mut Registry) -> Self {
        if gauges == PoolGauges::OwnNames {
            let [checked_out, size, waiting] = [
                ("store_handles_checked_out", "Handles of the store that somebody has"),
                ("store_handles_size", "Handles of the store that there can be"),
                ("store_handles_waiting", "Who waits for a handle of the store"),
            ]
            .map(|(name, help)| {
                let gauge: Gauge = Gauge::default();
                registry.register(name, help, gauge.clone());
                gauge
            });
            return Self::OwnNames { pool, checked_out, size, waiting };
        }
        let (connections, limit, pending) =
            (Family::default(), Family::default(), Family::default());
        registry.register(
            "db_client_connection_count",
            "Connections that are currently in the state that the label names",
            Family::clone(&connections),
        );
        registry.register(
            "db_client_connection_max",
            "Maximum number of open connections allowed",
            Family::clone(&limit),
        );
        registry.register(
            "db_client_connection_pending_requests",
            "Pending requests for an open connection",
            Family::clone(&pending),
        );
        Self::Conventional { pool, connections, limit, pending }
    }

    fn update(&self) {
        let number = |number: usize| i64::try_from(number).unwrap_or(i64::MAX);
        let (Self::Conventional { pool, .. } | Self::OwnNames { pool, .. }) = self;
        let status = pool.status();
        let used = status.size.saturating_sub(status.available);
        match self {
            Self::Conventional { connections, limit, pending, .. } => {
                for (state, count) in [("used", used), ("idle", status.available)] {
                    let labels = PoolStateLabels { pool_name: POOL_NAME, state };
                    connections.get_or_create(&labels).set(number(count));
                }
                let labels = PoolLabels { pool_name: POOL_NAME };
                limit.get_or_create(&labels).set(number(status.max_size));
                pending.get_or_create(&labels).set(number(status.waiting));
            }
            Self::OwnNames { checked_out, size, waiting, .. } => {
                checked_out.set(number(used));
                size.set(number(status.max_size));
                waiting.set(number(status.waiting));
            }
        }
    }
}
