//! Series that nobody recorded and that follow from what was: the load as series, and the requests
//! that the target has read, and the calls over UNIX sockets.

use std::collections::BTreeMap;

use crate::recording::PlanSummary;
use crate::timeline::{
    FailureKind, Histogram, Labels, LoadTick, MetricSpec, Moment, Point, SentenceKind, Series,
    SeriesKey, Timeline, Window, names,
};

use super::unix::Unix;

/// Name under which the load's own series stand, as if a collector had read them.
const LOAD: &str = "load";

/// What several generators did in one second.
#[derive(Default)]
struct LoadSecond {
    ticks: Vec<Window>,
    offered: u64,
    in_flight: f64,
    backlog: u64,
    connects: u64,
    connect_time: Histogram,
    completed: u64,
    succeeded: u64,
    response_time: f64,
    /// Seconds that successful requests were under way, and how many have such a time.
    admitted: f64,
    timed: u64,
    good: Histogram,
    bad: Histogram,
    errors: BTreeMap<String, u64>,
    /// Failures that say something well known, by what they say.
    words: BTreeMap<&'static str, u64>,
}

/// The load as series, and what else follows from `timeline` and its UNIX sockets.
pub fn series(timeline: &Timeline, unix: &Unix) -> Timeline {
    let mut derived = load_series(&timeline.ticks);
    requests_served(timeline, &mut derived);
    for (key, series) in &unix.counted {
        let looks = timeline.readings.get(&series.collector).cloned().unwrap_or_default();
        derived.readings.insert(series.collector.clone(), looks);
        derived.series.insert(key.clone(), series.clone());
    }
    runtime(timeline, &mut derived);
    derived
}

/// Adds what follows from the plan: whether a new connection is a TLS handshake, and how many
/// different requests and reads there can be.
pub fn add_plan(derived: &mut Timeline, plan: &PlanSummary) {
    let connects = derived.series.get(&SeriesKey::bare(names::LOAD_CONNECTS.name));
    let Some(connects) = connects.cloned() else { return };
    // Older recordings do not tell reads from writes.
    let read_variety = if plan.read_share.is_some() { plan.read_variety } else { plan.variety };
    for (spec, constant) in [
        (&names::LOAD_VARIETY, plan.variety),
        (&names::LOAD_READ_SHARE, plan.read_share),
        (&names::LOAD_READ_VARIETY, read_variety),
    ] {
        let Some(value) = constant else { continue };
        let points = connects.points.iter().map(|point| Point { at: point.at, value });
        let series = Series { points: points.collect(), unit: spec.unit, ..connects.clone() };
        derived.series.insert(SeriesKey::bare(spec.name), series);
    }
    let tls = ["https:", "http:"].iter().position(|scheme| plan.target.starts_with(scheme));
    if let Some(plain) = tls {
        let each = |point: &Point| match plain {
            0 => *point,
            _ => Point { value: 0.0, ..*point },
        };
        let points = connects.points.iter().map(each).collect();
        let key = SeriesKey::bare(names::LOAD_TLS_HANDSHAKES.name);
        derived.series.insert(key, Series { points, ..connects });
    }
}

/// Requests in the target that it has read, where the recording has those that it has, and those
/// that it has not read, but not the difference: look by look the one less the other.
fn requests_served(timeline: &Timeline, derived: &mut Timeline) {
    let of = |metric: &'static MetricSpec| timeline.series_of(metric.name);
    if of(&names::TCP_REQUESTS_SERVED).next().is_some() {
        return;
    }
    for (key, all) in of(&names::TCP_REQUESTS) {
        let unread: BTreeMap<Moment, f64> = of(&names::TCP_UNREAD)
            .filter(|(other, _)| other.labels.get("port") == key.labels.get("port"))
            .filter(|(other, _)| other.labels.get("role") == Some("inbound"))
            .flat_map(|(_, series)| &series.points)
            .map(|point| (point.at, point.value))
            .collect();
        let left = |point: &Point| {
            let waiting = unread.get(&point.at).copied().unwrap_or(0.0);
            Point { at: point.at, value: (point.value - waiting).max(0.0) }
        };
        let looks = timeline.readings.get(&all.collector).cloned().unwrap_or_default();
        derived.readings.insert(all.collector.clone(), looks);
        let points = all.points.iter().map(left).collect();
        let served = SeriesKey::new(names::TCP_REQUESTS_SERVED.name, key.labels.clone());
        derived.series.insert(served, Series { points, ..all.clone() });
    }
}

/// What the JVMs say of their heaps, as what any runtime says, where no runtime says it itself.
fn runtime(timeline: &Timeline, derived: &mut Timeline) {
    let pairs = [
        (&names::JVM_GC_TIME, &names::RUNTIME_GC_TIME),
        (&names::JVM_GC_COUNT, &names::RUNTIME_GC_COUNT),
        (&names::JVM_OLD_USED, &names::RUNTIME_HEAP_USED),
        (&names::JVM_OLD_LIMIT, &names::RUNTIME_HEAP_LIMIT),
    ];
    for (jvm, general) in pairs {
        if timeline.series_of(general.name).next().is_some() {
            continue;
        }
        for (key, series) in timeline.series_of(jvm.name) {
            let looks = timeline.readings.get(&series.collector).cloned().unwrap_or_default();
            derived.readings.insert(series.collector.clone(), looks);
            let key = SeriesKey::new(general.name, key.labels.clone().with("runtime", "jvm"));
            derived.series.insert(key, series.clone());
        }
    }
}

/// The load as series, so that rules can name it like any other.
fn load_series(ticks: &[LoadTick]) -> Timeline {
    let mut seconds: BTreeMap<u64, LoadSecond> = BTreeMap::new();
    let mut known: BTreeMap<&FailureKind, Vec<&'static str>> = BTreeMap::new();
    for tick in ticks {
        // Ticks of several generators share a second, not its exact begin.
        let second = seconds.entry(tick.window.begin.secs().round() as u64).or_default();
        second.ticks.push(tick.window);
        second.offered += tick.offered;
        second.in_flight += tick.in_flight;
        second.backlog += tick.backlog;
        second.connects += tick.connects;
        second.connect_time.merge(&tick.connect_time);
        second.completed += tick.completed();
        second.succeeded += tick.succeeded();
        for failure in &tick.failures {
            let words = known.entry(&failure.kind).or_insert_with(|| words_of(&failure.kind));
            for word in words {
                *second.words.entry(word).or_default() += failure.count;
            }
        }
        for endpoint in &tick.endpoints {
            second.response_time += endpoint.response_time.sum();
            if endpoint.class.is_success() {
                second.good.merge(&endpoint.response_time);
                second.admitted += endpoint.service_time.sum();
                second.timed += endpoint.service_time.count();
            } else {
                second.bad.merge(&endpoint.response_time);
                *second.errors.entry(endpoint.class.to_string()).or_default() +=
                    endpoint.response_time.count();
            }
        }
    }
    let mut load = Timeline::default();
    for second in seconds.into_values() {
        push_second(&mut load, &second);
    }
    load
}

/// What a kind of failure says: its well-known sentence, and what its headers announce.
fn words_of(kind: &FailureKind) -> Vec<&'static str> {
    let mut words: Vec<&'static str> =
        kind.sentence().map(SentenceKind::name).into_iter().collect();
    let has = |prefix: &str| kind.headers.iter().any(|(name, _)| name.starts_with(prefix));
    if has("retry-after") {
        words.push("retry_after");
    }
    if has("x-ratelimit") || has("x-rate-limit") || has("ratelimit") {
        words.push("rate_limit_headers");
    }
    words
}

fn push_second(load: &mut Timeline, second: &LoadSecond) {
    let Some(window) = second.ticks.first() else { return };
    let length = window.secs();
    if length <= 0.0 {
        return;
    }
    let at = window.middle();
    load.readings.entry(LOAD.to_owned()).or_default().push(at);
    let mut push = |metric: &MetricSpec, labels: Labels, value: f64| {
        let series =
            load.series.entry(SeriesKey::new(metric.name, labels)).or_insert_with(|| Series {
                unit: metric.unit,
                kind: metric.kind,
                collector: LOAD.to_owned(),
                points: Vec::new(),
            });
        series.points.push(Point { at, value });
    };
    let completed = second.completed as f64;
    push(&names::LOAD_OFFERED, Labels::none(), second.offered as f64 / length);
    push(&names::LOAD_THROUGHPUT, Labels::none(), completed / length);
    push(&names::LOAD_GOODPUT, Labels::none(), second.succeeded as f64 / length);
    push(&names::LOAD_IN_FLIGHT, Labels::none(), second.in_flight);
    push(&names::LOAD_BACKLOG, Labels::none(), second.backlog as f64);
    push(&names::LOAD_CONNECTS, Labels::none(), second.connects as f64 / length);
    if second.timed >= second.succeeded {
        push(&names::LOAD_ADMITTED, Labels::none(), second.admitted / length);
    }
    if let Some(mean) = second.connect_time.mean() {
        push(&names::LOAD_CONNECT_TIME, Labels::none(), mean);
    }
    if completed > 0.0 {
        push(&names::LOAD_RESPONSE_TIME, Labels::none(), second.response_time / completed);
        for (class, count) in &second.errors {
            let labels = Labels::none().with("class", class.as_str());
            push(&names::LOAD_ERRORS, labels, *count as f64 / completed);
        }
    }
    for (word, count) in &second.words {
        let labels = Labels::none().with("kind", *word).with("source", "responses");
        push(&names::WORDS_SEEN, labels, *count as f64 / length);
    }
    if let Some(p50) = second.good.quantile(0.5) {
        push(&names::LOAD_RESPONSE_TIME_P50, Labels::none(), p50);
    }
    if let Some(p50) = second.bad.quantile(0.5) {
        push(&names::LOAD_FAILURE_TIME_P50, Labels::none(), p50);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::timeline::{Batch, BatchBuilder};

    /// Two looks at requests in the target and at those unread, of two ports.
    fn looks(served: bool) -> Timeline {
        let mut timeline = Timeline::default();
        for (second, requests, unread) in [(1, 8.0, None), (2, 30.0, Some(22.0))] {
            let mut batch = BatchBuilder::new();
            let port = |port: &str| Labels::none().with("port", port);
            batch.push_labelled(&names::TCP_REQUESTS, port("80"), requests);
            batch.push_labelled(&names::TCP_REQUESTS, port("81"), 1.0);
            if let Some(unread) = unread {
                let inbound = port("80").with("role", "inbound");
                batch.push_labelled(&names::TCP_UNREAD, inbound, unread);
            }
            if served {
                batch.push_labelled(&names::TCP_REQUESTS_SERVED, port("80"), 5.0);
            }
            let at = Moment::START + Duration::from_secs(second);
            let window = Window::new(at, at);
            let readings = batch.finish();
            timeline.push_batch(Batch { collector: "tcp".into(), window, readings });
        }
        timeline
    }

    #[test]
    fn requests_served_are_those_in_the_target_less_those_unread() {
        let derived = series(&looks(false), &Unix::default());
        let values = |port: &str| -> Vec<f64> {
            let key =
                SeriesKey::new(names::TCP_REQUESTS_SERVED.name, Labels::none().with("port", port));
            derived.series[&key].points.iter().map(|point| point.value).collect()
        };
        assert_eq!(values("80"), [8.0, 8.0]);
        assert_eq!(values("81"), [1.0, 1.0]);
        assert_eq!(derived.readings["tcp"].len(), 2);
    }

    #[test]
    fn requests_served_are_left_as_recorded() {
        assert!(series(&looks(true), &Unix::default()).series.is_empty());
    }
}
