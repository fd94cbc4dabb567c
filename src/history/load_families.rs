//! The metric families in which services, proxies and gateways report the requests that they
//! answered.
//!
//! Names are exact, as the libraries export them: OpenTelemetry's semantic conventions, Micrometer,
//! the Prometheus client libraries' middlewares, ASP.NET Core, Envoy, Istio, Traefik, Caddy and the
//! NGINX ingress controller. Of several that one endpoint has, the first in the table counts.

use std::collections::BTreeMap;

use super::answer::LabelSet;
use crate::timeline::{ResponseClass, cut};

/// A histogram or a summary of response times.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct LoadFamily {
    /// Name without `_bucket`, `_sum` and `_count`.
    pub(super) base: &'static str,
    /// Factor that converts its times to seconds.
    pub(super) scale: f64,
    /// Labels that name the request, in the order in which they are shown.
    route: &'static [&'static [&'static str]],
    /// A label and the value that a series must have.
    only: Option<(&'static str, &'static str)>,
    /// Whether a proxy or a gateway reports it, and not the service itself.
    is_proxy: bool,
}

const METHOD: &[&str] = &["http_request_method", "http_method", "method", "request_method", "verb"];
const ROUTE: &[&str] = &[
    "http_route",
    "uri",
    "route",
    "path",
    "handler",
    "endpoint",
    "exported_endpoint",
    "url",
    "view",
    "http_target",
    "action",
    "operation",
];
const BY_ROUTE: &[&[&str]] = &[METHOD, ROUTE];
const STATUS: &[&str] = &[
    "http_response_status_code",
    "http_status_code",
    "status",
    "code",
    "status_code",
    "response_code",
    "envoy_response_code",
    "http_status",
    "response_status",
];

const fn family(base: &'static str, route: &'static [&'static [&'static str]]) -> LoadFamily {
    LoadFamily { base, scale: 1.0, route, only: None, is_proxy: false }
}

const fn millis(base: &'static str, route: &'static [&'static [&'static str]]) -> LoadFamily {
    LoadFamily { scale: 1e-3, ..family(base, route) }
}

const fn proxy(family: LoadFamily) -> LoadFamily {
    LoadFamily { is_proxy: true, ..family }
}

/// Every family that is read as load, best first.
pub(super) static LOAD_FAMILIES: &[LoadFamily] = &[
    family("http_server_request_duration_seconds", BY_ROUTE),
    family("http_server_requests_seconds", BY_ROUTE),
    family("http_server_duration_seconds", BY_ROUTE),
    millis("http_server_duration_milliseconds", BY_ROUTE),
    family("http_request_duration_seconds", BY_ROUTE),
    family("http_requests_duration_seconds", BY_ROUTE),
    millis("http_request_duration_milliseconds", BY_ROUTE),
    millis("http_request_duration_ms", BY_ROUTE),
    family("flask_http_request_duration_seconds", BY_ROUTE),
    family("starlette_request_duration_seconds", BY_ROUTE),
    family("django_http_requests_latency_seconds_by_view_method", BY_ROUTE),
    family("ruby_http_request_duration_seconds", &[&["controller"], &["action"]]),
    family("django_http_requests_latency_including_middlewares_seconds", BY_ROUTE),
    family("rails_request_duration_seconds", &[&["controller"], &["action"]]),
    family("gunicorn_request_duration", BY_ROUTE),
    family("gin_request_duration_seconds", BY_ROUTE),
    family("echo_request_duration_seconds", BY_ROUTE),
    millis("chi_request_duration_milliseconds", BY_ROUTE),
    family("axum_http_requests_duration_seconds", BY_ROUTE),
    family("actix_http_requests_duration_seconds", BY_ROUTE),
    family("ktor_http_server_requests_seconds", BY_ROUTE),
    family("vertx_http_server_response_time_seconds", BY_ROUTE),
    family("http_response_time_seconds", BY_ROUTE),
    family("request_duration_seconds", BY_ROUTE),
    family("request_latency_seconds", BY_ROUTE),
    family("grpc_server_handling_seconds", &[&["grpc_service"], &["grpc_method"]]),
    millis("rpc_server_duration_milliseconds", &[&["rpc_service"], &["rpc_method"]]),
    family("rpc_server_duration_seconds", &[&["rpc_service"], &["rpc_method"]]),
    proxy(family("nginx_http_request_duration_seconds", &[METHOD, &["host"]])),
    proxy(family("nginx_http_response_time_seconds", &[METHOD, &["host"], ROUTE])),
    proxy(millis("kong_request_latency_ms", &[METHOD, &["service"], &["route"]])),
    proxy(LoadFamily {
        only: Some(("direction", "inbound")),
        ..millis("response_latency_ms", &[&["deployment"]])
    }),
    proxy(family("caddy_http_request_duration_seconds", &[METHOD, &["handler"]])),
    proxy(family(
        "nginx_ingress_controller_request_duration_seconds",
        &[METHOD, &["host"], &["path"]],
    )),
    proxy(family("traefik_service_request_duration_seconds", &[METHOD, &["service"]])),
    proxy(LoadFamily {
        only: Some(("reporter", "destination")),
        ..millis("istio_request_duration_milliseconds", &[METHOD, &["destination_service_name"]])
    }),
    proxy(millis("envoy_http_downstream_rq_time", &[&["envoy_http_conn_manager_prefix"]])),
    proxy(millis("envoy_cluster_upstream_rq_time", &[&["envoy_cluster_name"]])),
];

/// Counters of responses by status, for families that do not tell the status.
pub(super) const STATUS_COUNTERS: &[&str] = &[
    "http_requests_total",
    "http_server_requests_total",
    "http_request_total",
    "http_responses_total",
    "http_requests_received_total",
    "flask_http_request_total",
    "starlette_requests_total",
    "django_http_responses_total_by_status_total",
    "ruby_http_requests_total",
];

/// Counters of requests that say nothing of how long they took. They name what is missing.
pub(super) const UNTIMED: &[&str] = &[
    "http_requests_total",
    "nginx_http_requests_total",
    "haproxy_frontend_http_requests_total",
    "envoy_cluster_upstream_rq_total",
    "istio_requests_total",
    "traefik_service_requests_total",
    "nginx_ingress_controller_requests",
];

/// Longest name of a request, in bytes.
const LONGEST_NAME: usize = 200;
/// Paths under which the metrics themselves are read: these requests are the scrapes.
const SCRAPES: &[&str] = &["/metrics", "/actuator/prometheus", "/q/metrics"];

/// What a series of a family holds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Holds {
    /// Requests that took at most so many seconds.
    Bucket(f64),
    /// Seconds of all requests.
    Sum,
    /// Number of all requests.
    Count,
}

/// Names that services put their own before, as a library's namespace.
const PREFIXED: &[&str] = &[
    "http_server_request_duration_seconds",
    "http_server_requests_seconds",
    "http_request_duration_seconds",
    "http_requests_duration_seconds",
    "http_request_duration_milliseconds",
    "http_request_duration_ms",
];
/// Prefixes that tell of other requests than those that the service answers to its users.
const OF_OTHERS: &[&str] =
    &["client", "prometheus", "promhttp", "outgoing", "outbound", "upstream", "kubelet", "rest"];

/// The family that a metric belongs to, and which part of it.
pub(super) fn part_of(name: &str) -> Option<(usize, &'static str)> {
    let parts = ["_bucket", "_sum", "_count"];
    parts.into_iter().find_map(|part| Some((family_of(name.strip_suffix(part)?)?, part)))
}

/// The family of which a series may be a native histogram, which has no parts. One with a quantile is
/// of a summary.
pub(super) fn native_of(name: &str, labels: &LabelSet) -> Option<usize> {
    let place = family_of(name).filter(|_| !labels.contains_key("quantile"))?;
    let only = LOAD_FAMILIES.get(place)?.only;
    only.is_none_or(|(label, value)| labels.get(label).is_some_and(|it| it == value))
        .then_some(place)
}

fn family_of(base: &str) -> Option<usize> {
    let of = |base: &str| LOAD_FAMILIES.iter().position(|family| family.base == base);
    let prefixed = || {
        let known = PREFIXED.iter().find(|known| {
            let before = base.strip_suffix(**known);
            before.is_some_and(|before| {
                before.len() > 1
                    && before.ends_with('_')
                    && !before.split('_').any(|word| OF_OTHERS.contains(&word))
            })
        });
        known.and_then(|known| of(known))
    };
    of(base).or_else(prefixed)
}

impl LoadFamily {
    /// What a series of this family holds; `None` where it does not count.
    pub(super) fn holds(&self, name: &str, labels: &LabelSet) -> Option<Holds> {
        if self.only.is_some_and(|(label, value)| labels.get(label).is_none_or(|it| it != value)) {
            return None;
        }
        // The service's own name may stand before it.
        let (_, part) = name.rsplit_once(self.base)?;
        match part {
            "_bucket" => {
                let bound: f64 = labels.get("le")?.parse().ok()?;
                (bound >= 0.0).then_some(Holds::Bucket(bound * self.scale))
            }
            "_sum" => Some(Holds::Sum),
            "_count" => Some(Holds::Count),
            _ => None,
        }
    }

    /// Name of the request that a series is about; `None` for the scrapes themselves.
    pub(super) fn request(&self, labels: &LabelSet) -> Option<String> {
        let words = self.route.iter().filter_map(|choice| first_of(labels, choice));
        let words: Vec<&str> = words.collect();
        if words.iter().any(|word| SCRAPES.contains(word)) {
            return None;
        }
        // A query of a path may hold a secret.
        let name = words.iter().map(|word| word.split('?').next().unwrap_or_default());
        let name = name.collect::<Vec<_>>().join(" ");
        let name = if name.trim().is_empty() { "all requests".to_owned() } else { name };
        Some(cut(&name, LONGEST_NAME).to_owned())
    }
}

fn first_of<'l>(labels: &'l LabelSet, names: &[&str]) -> Option<&'l str> {
    let values = names.iter().filter_map(|name| labels.get(*name));
    values.map(String::as_str).find(|value| !value.is_empty())
}

/// How the requests of a series ended; `None` where its labels do not tell.
pub(super) fn class(labels: &LabelSet) -> Option<ResponseClass> {
    let status = first_of(labels, STATUS)?;
    if let Ok(code) = status.parse::<u16>() {
        // Envoy writes 0 where the client went away before there was a response.
        return Some(if code == 0 { ResponseClass::Reset } else { ResponseClass::Status(code) });
    }
    let mut chars = status.chars();
    let first = chars.next().and_then(|c| c.to_digit(10)).filter(|first| (1..=5).contains(first));
    if let Some(first) = first
        && status.len() == 3
        && chars.all(|c| matches!(c, 'x' | 'X'))
    {
        return Some(ResponseClass::Status(u16::try_from(first).ok()? * 100));
    }
    let code = match status.to_ascii_uppercase().as_str() {
        "SUCCESS" | "OK" => 200,
        "REDIRECTION" => 300,
        "CLIENT_ERROR" => 400,
        "SERVER_ERROR" | "ERROR" => 500,
        _ => return None,
    };
    Some(ResponseClass::Status(code))
}

/// The best family of those present, by endpoint. Proxies count the requests that the services
/// behind them count too: they are left out where any service tells of its own.
pub(super) fn best<'k>(
    present: impl Iterator<Item = (&'k str, usize)>,
) -> BTreeMap<&'k str, usize> {
    let mut best: BTreeMap<&str, usize> = BTreeMap::new();
    for (endpoint, place) in present {
        let entry = best.entry(endpoint).or_insert(place);
        *entry = (*entry).min(place);
    }
    let is_proxy = |place: &usize| LOAD_FAMILIES.get(*place).is_some_and(|it| it.is_proxy);
    if !best.values().all(is_proxy) {
        best.retain(|_, place| !is_proxy(place));
    }
    best
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(pairs: &[(&str, &str)]) -> LabelSet {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn families_are_known_by_their_parts() {
        let cases = [
            ("http_request_duration_seconds_bucket", Some("_bucket")),
            ("http_server_requests_seconds_count", Some("_count")),
            ("envoy_cluster_upstream_rq_time_sum", Some("_sum")),
            ("http_request_duration_seconds", None),
            ("http_requests_total", None),
            ("shop_http_request_duration_seconds_bucket", Some("_bucket")),
            ("prometheus_http_request_duration_seconds_bucket", None),
            ("shop_http_client_request_duration_seconds_sum", None),
        ];
        for (name, part) in cases {
            assert_eq!(part_of(name).map(|(_, part)| part), part, "{name}");
        }
        let (place, _) = part_of("istio_request_duration_milliseconds_bucket").unwrap();
        let family = &LOAD_FAMILIES[place];
        let inside = labels(&[("reporter", "destination"), ("le", "250")]);
        let name = "istio_request_duration_milliseconds_bucket";
        assert_eq!(family.holds(name, &inside), Some(Holds::Bucket(0.25)));
        let outside = labels(&[("reporter", "source"), ("le", "250")]);
        assert_eq!(family.holds(name, &outside), None, "both sides report one request");
    }

    #[test]
    fn a_request_is_named_by_method_and_route_without_its_query() {
        let family = &LOAD_FAMILIES[0];
        let named = |pairs: &[(&str, &str)]| family.request(&labels(pairs));
        let get = [("http_request_method", "GET"), ("http_route", "/cart?token=hunter2")];
        assert_eq!(named(&get).as_deref(), Some("GET /cart"));
        assert_eq!(named(&[]).as_deref(), Some("all requests"));
        assert_eq!(named(&[("path", "/metrics")]), None, "a scrape is not load");
    }

    #[test]
    fn a_proxy_before_a_service_is_not_counted_twice() {
        let of = |name: &str| part_of(name).unwrap().0;
        let service = of("http_request_duration_seconds_count");
        let proxy = of("traefik_service_request_duration_seconds_count");
        assert_eq!(best([("a", service), ("b", proxy)].into_iter()).len(), 1);
        assert_eq!(best([("b", proxy)].into_iter()).len(), 1, "nothing else counts them");
    }

    #[test]
    fn statuses_are_read_in_every_usual_form() {
        let of = |value: &str| class(&labels(&[("status", value)]));
        assert_eq!(of("503"), Some(ResponseClass::Status(503)));
        assert_eq!(of("5xx"), Some(ResponseClass::Status(500)));
        assert_eq!(of("SERVER_ERROR"), Some(ResponseClass::Status(500)));
        assert_eq!(of("0"), Some(ResponseClass::Reset));
        for unknown in ["", "9xx", "55", "teapot", "5éx"] {
            let expected = if unknown == "55" { Some(ResponseClass::Status(55)) } else { None };
            assert_eq!(of(unknown), expected, "{unknown}");
        }
    }
}
