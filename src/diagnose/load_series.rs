//! The load as series on the timeline, so that rules can name it like what collectors read.

use std::collections::BTreeMap;

use crate::timeline::{
    Histogram, Labels, LoadTick, MetricSpec, Point, Series, SeriesKey, Timeline, Window, names,
};

/// Name under which the load's own series stand, as if a collector had read them.
const LOAD: &str = "load";

/// What several generators did in one second.
#[derive(Default)]
struct Second {
    ticks: Vec<Window>,
    offered: u64,
    in_flight: f64,
    backlog: u64,
    connects: u64,
    completed: u64,
    succeeded: u64,
    response_time: f64,
    good: Histogram,
    bad: Histogram,
    errors: BTreeMap<String, u64>,
}

/// The load as series, so that rules can name it like any other.
pub(super) fn load_series(ticks: &[LoadTick]) -> Timeline {
    let mut seconds: BTreeMap<u64, Second> = BTreeMap::new();
    for tick in ticks {
        // Ticks of several generators share a second, not its exact begin.
        let second = seconds.entry(tick.window.begin.secs().round() as u64).or_default();
        second.ticks.push(tick.window);
        second.offered += tick.offered;
        second.in_flight += tick.in_flight;
        second.backlog += tick.backlog;
        second.connects += tick.connects;
        second.completed += tick.completed();
        second.succeeded += tick.succeeded();
        for endpoint in &tick.endpoints {
            second.response_time += endpoint.response_time.sum();
            if endpoint.class.is_success() {
                second.good.merge(&endpoint.response_time);
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

fn push_second(load: &mut Timeline, second: &Second) {
    let Some(window) = second.ticks.first() else { return };
    let length = window.secs();
    if length <= 0.0 {
        return;
    }
    let at = window.begin + window.end.since(window.begin) / 2;
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
    if completed > 0.0 {
        push(&names::LOAD_RESPONSE_TIME, Labels::none(), second.response_time / completed);
        for (class, count) in &second.errors {
            let labels = Labels::none().with("class", class.as_str());
            push(&names::LOAD_ERRORS, labels, *count as f64 / completed);
        }
    }
    if let Some(p50) = second.good.quantile(0.5) {
        push(&names::LOAD_RESPONSE_TIME_P50, Labels::none(), p50);
    }
    if let Some(p50) = second.bad.quantile(0.5) {
        push(&names::LOAD_FAILURE_TIME_P50, Labels::none(), p50);
    }
}
