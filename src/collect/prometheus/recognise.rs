//! Records the known parts of a scrape under the names that rules and reports share.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::LazyLock;

use super::families::{Family, SYSTEMS, State, System};
use super::text::Sample;
use crate::timeline::{BatchBuilder, Labels, MetricSpec, SeriesKey, Unit};

/// A family with its system and its place in the table.
type Entry = (usize, &'static System, &'static Family);

static BY_NAME: LazyLock<HashMap<&str, Vec<Entry>>> = LazyLock::new(|| {
    let all = SYSTEMS.iter().flat_map(|system| system.families.iter().map(move |f| (system, f)));
    let mut by_name: HashMap<&str, Vec<Entry>> = HashMap::new();
    for (place, (system, family)) in all.enumerate() {
        by_name.entry(family.name).or_default().push((place, system, family));
    }
    by_name
});

/// Whether the table has a family with this name.
pub(super) fn is_known(name: &str) -> bool {
    BY_NAME.contains_key(name)
}

/// Pushes `samples` under the shared names, with label `endpoint`. Returns the systems that were
/// recognised, in the order of the table.
pub(super) fn recognise(
    samples: &[Sample],
    endpoint: &str,
    batch: &mut BatchBuilder,
) -> Vec<&'static str> {
    let present: HashSet<&str> = samples.iter().map(|sample| sample.name.as_str()).collect();
    let mut shared: BTreeMap<SeriesKey, (usize, &MetricSpec, f64)> = BTreeMap::new();
    let mut systems: BTreeMap<usize, &'static str> = BTreeMap::new();
    for sample in samples {
        for &(place, system, family) in BY_NAME.get(sample.name.as_str()).into_iter().flatten() {
            if system.unless.is_some_and(|name| present.contains(name)) {
                continue;
            }
            let Some(labels) = labels(system, family, sample) else {
                continue;
            };
            systems.insert(place, system.name);
            let key = SeriesKey::new(family.metric.name, labels.with("endpoint", endpoint));
            let entry = shared.entry(key).or_insert((place, family.metric, 0.0));
            if place < entry.0 {
                *entry = (place, family.metric, 0.0);
            }
            if place == entry.0 {
                entry.2 += sample.value * family.scale;
            }
        }
    }
    for (key, (_, metric, value)) in shared {
        batch.push_foreign(key, metric.unit, metric.kind, value);
    }
    let mut names: Vec<&str> = systems.into_values().collect();
    names.dedup();
    names
}

/// The shared labels of a sample; `None` where it does not count.
fn labels(system: &System, family: &Family, sample: &Sample) -> Option<Labels> {
    let get = |wanted: &str| {
        let found = sample.labels.iter().find(|(name, _)| name == wanted);
        found.map(|(_, value)| value.as_str()).filter(|value| !value.is_empty())
    };
    if family.only.is_some_and(|(name, value)| get(name) != Some(value)) {
        return None;
    }
    // Java reports -1 if it does not know the value.
    if !sample.value.is_finite() || sample.value < 0.0 || is_unlimited(family, sample.value) {
        return None;
    }
    let value = system.sources.iter().find_map(|source| get(source)).unwrap_or(system.name);
    let mut labels = Labels::none().with(system.label, value);
    if let Some(class) = family.class.iter().find_map(|source| get(source)) {
        labels = labels.with("class", class);
    }
    match family.state {
        State::None => Some(labels),
        State::Fixed(state) => Some(labels.with("state", state)),
        State::Labelled(sources) => {
            let state = match sources.iter().find_map(|source| get(source))? {
                "used" | "leased" | "active" | "busy" => "used",
                "idle" | "available" => "idle",
                _ => return None,
            };
            Some(labels.with("state", state))
        }
    }
}

/// Whether a limit means "unlimited": Go writes 0, Java its largest number.
fn is_unlimited(family: &Family, value: f64) -> bool {
    const HIGHEST_COUNT: f64 = i32::MAX as f64;
    const HIGHEST_BYTES: f64 = i64::MAX as f64 / 2.0;
    let highest = if family.metric.unit == Unit::Bytes { HIGHEST_BYTES } else { HIGHEST_COUNT };
    family.metric.name.ends_with(".limit") && (value == 0.0 || value >= highest)
}

#[cfg(test)]
mod tests {
    use super::super::text::parse;
    use super::*;
    use crate::timeline::{Kind, Selector};

    fn shared(text: &str) -> (Vec<&'static str>, BTreeMap<String, f64>) {
        let mut batch = BatchBuilder::new();
        let exposition = parse(text);
        assert_eq!(exposition.unread, 0, "{:?}", exposition.first_unread);
        let systems = recognise(&exposition.samples, "app", &mut batch);
        let readings = batch.finish().into_iter();
        (systems, readings.map(|reading| (reading.key.to_string(), reading.value)).collect())
    }

    #[test]
    fn the_table_names_each_family_once_and_in_known_units() {
        let mut seen = HashSet::new();
        for family in SYSTEMS.iter().flat_map(|system| system.families) {
            assert!(seen.insert((family.name, family.only)), "{} is twice in it", family.name);
            let in_seconds = family.metric.unit == Unit::Seconds;
            let scale = match () {
                () if !in_seconds => 1.0,
                () if family.name.contains("milli") || family.name.contains("_ms_") => 1e-3,
                () if family.name.contains("upstream_rq_time") => 1e-3,
                () if family.name.contains("nanos") || family.name.ends_with("_ns") => 1e-9,
                () => 1.0,
            };
            assert_eq!(family.scale, scale, "{}", family.name);
            let has_state = !matches!(family.state, State::None);
            assert_eq!(has_state, family.metric.name == "pool.connections", "{}", family.name);
            let counts = ["_sum", "_count", "_total", "_seconds", "_ns"];
            if family.metric.kind == Kind::Counter {
                let grows = counts.iter().any(|end| family.name.ends_with(end));
                assert!(grows, "{} is not a counter by its name", family.name);
            }
        }
    }

    #[test]
    fn a_spring_service_is_recognised() {
        let (systems, values) = shared(
            r#"hikaricp_connections_active{pool="shop"} 10
hikaricp_connections_idle{pool="shop"} 0
hikaricp_connections_max{pool="shop"} 10
hikaricp_connections_pending{pool="shop"} 37
hikaricp_connections_acquire_seconds_sum{pool="shop"} 4.5
hikaricp_connections_acquire_seconds_count{pool="shop"} 300
jdbc_connections_active{name="dataSource"} 10
tomcat_threads_busy_threads{name="http-nio-8080"} 47
tomcat_threads_config_max_threads{name="http-nio-8080"} 200
jvm_gc_pause_seconds_sum{action="end of minor GC",cause="G1"} 1.5
jvm_gc_pause_seconds_sum{action="end of major GC",cause="G1"} 0.5
jvm_memory_used_bytes{area="heap",id="G1 Eden Space"} 100
jvm_memory_used_bytes{area="heap",id="G1 Old Gen"} 50
jvm_memory_used_bytes{area="nonheap",id="Metaspace"} 7
jvm_memory_max_bytes{area="heap",id="G1 Eden Space"} -1
jvm_memory_max_bytes{area="heap",id="G1 Old Gen"} 1000
executor_pool_max_threads{name="applicationTaskExecutor"} 2.147483647E9
http_client_requests_seconds_sum{client_name="stock",uri="/a/{id}"} 3
http_client_requests_seconds_sum{client_name="stock",uri="/b"} 1
http_client_requests_seconds_count{client_name="stock",status="200",uri="/a/{id}"} 5
http_client_requests_seconds_count{client_name="stock",status="200",uri="/b"} 4
http_client_requests_seconds_count{client_name="stock",status="429",uri="/b"} 2"#,
        );
        assert_eq!(systems, ["HikariCP", "Tomcat", "JVM", "HTTP client"]);
        let expected = [
            ("client.call_time{endpoint=app,peer=stock}", 4.0),
            ("client.calls{class=200,endpoint=app,peer=stock}", 9.0),
            ("client.calls{class=429,endpoint=app,peer=stock}", 2.0),
            ("pool.acquires{endpoint=app,pool=shop}", 300.0),
            ("pool.connections{endpoint=app,pool=shop,state=idle}", 0.0),
            ("pool.connections{endpoint=app,pool=shop,state=used}", 10.0),
            ("pool.limit{endpoint=app,pool=shop}", 10.0),
            ("pool.pending{endpoint=app,pool=shop}", 37.0),
            ("pool.wait_time{endpoint=app,pool=shop}", 4.5),
            ("runtime.gc.time{endpoint=app,runtime=JVM}", 2.0),
            ("runtime.heap.limit{endpoint=app,runtime=JVM}", 1000.0),
            ("runtime.heap.used{endpoint=app,runtime=JVM}", 150.0),
            ("workers.busy{endpoint=app,pool=http-nio-8080}", 47.0),
            ("workers.limit{endpoint=app,pool=http-nio-8080}", 200.0),
        ];
        let expected = expected.map(|(key, value)| (key.to_owned(), value));
        assert_eq!(values, BTreeMap::from(expected));
    }

    #[test]
    fn states_units_and_precedence_are_as_in_the_table() {
        let (_, values) = shared(
            r#"db_client_connection_count{db_client_connection_pool_name="p",db_client_connection_state="used"} 3
db_client_connection_count{db_client_connection_pool_name="p",db_client_connection_state="idle"} 2
db_client_connections_usage{pool_name="p",state="used"} 99
db_client_connections_wait_time_milliseconds_sum{pool_name="q"} 1500
go_sql_max_open_connections{db_name="main"} 0
go_sql_in_use_connections{db_name="main"} 4
pgbouncer_pools_client_waiting_connections{database="shop",user="a"} 2
pgbouncer_pools_client_waiting_connections{database="shop",user="b"} 3
httpcomponents_httpclient_pool_total_connections{httpclient="h",state="leased"} 5
envoy_cluster_upstream_rq_time_sum{envoy_cluster_name="stock"} 2500
nodejs_eventloop_lag_mean_seconds 0.011
nodejs_eventloop_lag_seconds 0.002
go_gc_gomemlimit_bytes 9.223372036854776e+18
hikaricp_connections_max NaN"#,
        );
        let expect = [
            ("pool.connections{pool=p,state=used}", Some(3.0)),
            ("pool.connections{pool=p,state=idle}", Some(2.0)),
            ("pool.wait_time{pool=q}", Some(1.5)),
            ("pool.limit", None),
            ("pool.connections{pool=main,state=used}", Some(4.0)),
            ("pool.pending{pool=shop}", Some(5.0)),
            ("pool.connections{pool=h,state=used}", Some(5.0)),
            ("client.call_time{peer=stock}", Some(2.5)),
            ("runtime.loop_lag", Some(0.002)),
            ("runtime.heap.limit", None),
        ];
        for (selector, value) in expect {
            let parsed: Selector = selector.parse().unwrap();
            let found = values.iter().find(|(key, _)| {
                let key: Selector = key.parse().unwrap();
                parsed.matches(&SeriesKey::new(&key.metric, key.labels))
            });
            assert_eq!(found.map(|(_, value)| *value), value, "{selector}");
        }
    }
}
