//! The run second by second and endpoint by endpoint, for formats that other programs read.

use std::collections::BTreeMap;

use crate::recording::Recording;
use crate::timeline::{Histogram, LoadTick, ResponseClass};

/// Most places in time of the cumulative histograms: a long run has one every few seconds.
const MOST_PLACES: usize = 600;
/// Upper bounds of the buckets in seconds: the default ones of Prometheus' clients, with two below
/// and three above for quick and slow services.
pub(in crate::report) const BOUNDS: [f64; 16] = [
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 10.0, 30.0,
];

/// The run in numbers.
#[derive(Clone, Debug, Default)]
pub(in crate::report) struct Seconds {
    /// Wall-clock time of moment zero, in seconds since 1970 (UTC).
    pub started_unix: f64,
    pub rows: Vec<SecondRow>,
    /// Requests so far, by endpoint and class, each a few seconds after the one before.
    pub totals: Vec<Totals>,
    /// Response times of all requests, and of the successful ones.
    pub all: Times,
    pub succeeded: Times,
    /// Virtual users: fewest, most, and at the end; none in the open model.
    pub users: Option<(f64, f64, f64)>,
}

/// One second; rates are counts of it, times are in seconds.
#[derive(Clone, Debug)]
pub(in crate::report) struct SecondRow {
    pub begin: f64,
    pub seconds: f64,
    /// Purpose of its stage, and the users in it.
    pub stage: String,
    pub users: Option<f64>,
    pub offered: u64,
    pub sent: u64,
    pub completed: u64,
    pub failed: u64,
    pub in_flight: f64,
    pub times: Times,
}

/// What is known of some response times, in seconds.
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::report) struct Times {
    pub min: Option<f64>,
    pub mean: Option<f64>,
    pub p50: Option<f64>,
    pub p90: Option<f64>,
    pub p95: Option<f64>,
    pub p99: Option<f64>,
    pub max: Option<f64>,
}

/// Requests up to a moment.
#[derive(Clone, Debug)]
pub(in crate::report) struct Totals {
    /// Seconds since the beginning.
    pub at: f64,
    pub endpoints: Vec<EndpointTotal>,
}

/// Requests of one endpoint and class up to a moment.
#[derive(Clone, Debug)]
pub(in crate::report) struct EndpointTotal {
    pub endpoint: String,
    pub class: String,
    pub count: u64,
    /// Sum of their times in seconds.
    pub sum: f64,
    /// How many took at most as long as each of [`BOUNDS`].
    pub within: Vec<u64>,
}

impl Seconds {
    pub(super) fn new(recording: &Recording) -> Self {
        let ticks = &recording.timeline.ticks;
        let (mut all, mut succeeded) = (Histogram::of_many(), Histogram::of_many());
        for endpoint in ticks.iter().flat_map(|tick| &tick.endpoints) {
            all.merge(&endpoint.response_time);
            if endpoint.class.is_success() {
                succeeded.merge(&endpoint.response_time);
            }
        }
        let mut users = recording.timeline.stages.iter().map(|stage| stage.vus());
        let ends =
            users.clone().fold((f64::INFINITY, 0.0_f64), |(a, b), it| (a.min(it), b.max(it)));
        Self {
            started_unix: recording.environment.started_unix,
            rows: ticks.iter().map(|tick| row(tick, recording)).collect(),
            totals: totals(ticks),
            all: Times::of(&all),
            succeeded: Times::of(&succeeded),
            users: users.next_back().filter(|_| ends.1 > 0.0).map(|last| (ends.0, ends.1, last)),
        }
    }
}

fn row(tick: &LoadTick, recording: &Recording) -> SecondRow {
    let stage =
        recording.timeline.stages.iter().find(|it| it.window.contains(tick.window.middle()));
    let mut times = Histogram::of_many();
    for endpoint in &tick.endpoints {
        times.merge(&endpoint.response_time);
    }
    SecondRow {
        begin: tick.window.begin.secs(),
        seconds: tick.window.secs(),
        stage: stage.map_or_else(String::new, |stage| stage.role.to_string()),
        users: stage.map(|stage| stage.vus()).filter(|users| *users > 0.0),
        offered: tick.offered,
        sent: tick.sent,
        completed: tick.completed(),
        failed: tick.completed() - tick.succeeded(),
        in_flight: tick.in_flight,
        times: Times::of(&times),
    }
}

fn totals(ticks: &[LoadTick]) -> Vec<Totals> {
    let step = ticks.len().div_ceil(MOST_PLACES).max(1);
    let mut sums: BTreeMap<(&str, ResponseClass), Histogram> = BTreeMap::new();
    let mut places = Vec::new();
    for (index, tick) in ticks.iter().enumerate() {
        for endpoint in &tick.endpoints {
            let key = (endpoint.endpoint.as_str(), endpoint.class);
            sums.entry(key).or_insert_with(Histogram::of_many).merge(&endpoint.response_time);
        }
        if (index + 1) % step == 0 || index + 1 == ticks.len() {
            let endpoints = sums.iter().map(|((endpoint, class), times)| EndpointTotal {
                endpoint: (*endpoint).to_owned(),
                class: class.to_string(),
                count: times.count(),
                sum: times.sum(),
                within: BOUNDS.iter().map(|it| times.count() - times.count_above(*it)).collect(),
            });
            places.push(Totals { at: tick.window.end.secs(), endpoints: endpoints.collect() });
        }
    }
    places
}

impl Times {
    fn of(times: &Histogram) -> Self {
        Self {
            min: times.quantile(0.0),
            mean: times.mean(),
            p50: times.quantile(0.5),
            p90: times.quantile(0.9),
            p95: times.quantile(0.95),
            p99: times.quantile(0.99),
            max: times.max(),
        }
    }
}
