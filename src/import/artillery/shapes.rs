//! The shapes of Artillery's reports, each made into the same intervals.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::Value;

use super::quantiles::Times;

/// Seconds of an interval: Artillery's own, which no setting changes.
pub(super) const INTERVAL: i64 = 10;
/// Prefix of what the plugin for endpoints counts.
const BY_ENDPOINT: &str = "plugins.metrics-by-endpoint.";
/// Percentiles of Artillery 2 by their names.
const PERCENTILES: &[(&str, f64)] = &[
    ("min", 0.0),
    ("p50", 0.5),
    ("median", 0.5),
    ("p75", 0.75),
    ("p90", 0.9),
    ("p95", 0.95),
    ("p99", 0.99),
    ("p999", 0.999),
    ("max", 1.0),
];

/// What ended in an interval at one endpoint.
#[derive(Debug, Default)]
pub(super) struct Group {
    /// Its name, where the report has endpoints.
    pub(super) endpoint: Option<String>,
    /// Answers by status.
    pub(super) codes: BTreeMap<u16, u64>,
    /// Requests without an answer, by their error.
    pub(super) errors: BTreeMap<String, u64>,
    /// Response times of the answers.
    pub(super) times: Times,
}

/// An interval, or the whole run.
#[derive(Debug, Default)]
pub(super) struct Period {
    /// Its first second, and the one after its last, since 1970.
    pub(super) seconds: (i64, i64),
    /// Requests that were sent.
    pub(super) sent: u64,
    /// What ended.
    pub(super) groups: Vec<Group>,
}

impl Period {
    /// Answers of all endpoints.
    pub(super) fn answers(&self) -> u64 {
        total(self.groups.iter().flat_map(|group| group.codes.values().copied()))
    }

    /// Errors of all endpoints.
    pub(super) fn errors(&self) -> impl Iterator<Item = (&String, u64)> {
        self.groups.iter().flat_map(|group| &group.errors).map(|(text, count)| (text, *count))
    }

    /// Whether there are requests of HTTP.
    pub(super) fn has_http(&self) -> bool {
        self.sent > 0 || self.answers() > 0
    }
}

/// The sum of counts, of which a damaged file may have too large ones.
pub(super) fn total(counts: impl Iterator<Item = u64>) -> u64 {
    counts.fold(0, u64::saturating_add)
}

/// A report of Artillery 2.
#[derive(Deserialize)]
pub(super) struct V2 {
    aggregate: PeriodV2,
    intermediate: Vec<PeriodV2>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct PeriodV2 {
    counters: BTreeMap<String, Value>,
    #[serde(default)]
    summaries: BTreeMap<String, BTreeMap<String, Value>>,
    /// Milliseconds since 1970, in some versions as a text.
    #[serde(default)]
    period: Value,
    #[serde(default)]
    first_counter_at: Option<f64>,
    #[serde(default)]
    last_counter_at: Option<f64>,
}

/// The whole run and the intervals of a report of Artillery 2.
pub(super) fn periods_of_v2(report: V2) -> (Period, Vec<Period>) {
    let begins: Vec<i64> = report.intermediate.iter().map(PeriodV2::begin).collect();
    let first = begins.iter().min().copied().unwrap_or(0);
    let last = begins.iter().max().copied().unwrap_or(0);
    let periods = report.intermediate.into_iter().zip(begins).map(|(period, begin)| {
        let second = |millis: Option<f64>| millis.map(|millis| millis / 1e3);
        let (mut from, mut to) = (begin, begin.saturating_add(INTERVAL));
        // The first begins, and the last ends, within its ten seconds.
        if begin == first {
            from = second(period.first_counter_at).map_or(from, |at| at.floor() as i64);
            from = from.clamp(begin, begin.saturating_add(INTERVAL - 1));
        }
        if begin == last {
            to = second(period.last_counter_at).map_or(to, |at| at.ceil() as i64);
            to = to.clamp(from.saturating_add(1), begin.saturating_add(INTERVAL));
        }
        period.into_period((from, to))
    });
    let periods = periods.collect();
    (report.aggregate.into_period((0, 1)), periods)
}

impl PeriodV2 {
    /// Its first second.
    fn begin(&self) -> i64 {
        let millis = match &self.period {
            Value::String(text) => text.parse().ok(),
            value => value.as_f64(),
        };
        let millis: Option<f64> = millis.or(self.first_counter_at);
        (millis.unwrap_or(0.0) / 1e3).floor() as i64
    }

    fn into_period(self, seconds: (i64, i64)) -> Period {
        let count = |name: &str| {
            let early = format!("engine.{name}");
            let value = self.counters.get(name).or_else(|| self.counters.get(&early));
            value.and_then(Value::as_u64).unwrap_or(0)
        };
        let mut all = Group::default();
        let mut endpoints: BTreeMap<String, Group> = BTreeMap::new();
        for (name, value) in &self.counters {
            let Some(count) = value.as_u64().filter(|count| *count > 0) else { continue };
            if let Some(rest) = name.strip_prefix(BY_ENDPOINT) {
                if let Some((endpoint, what)) = split(rest) {
                    // A query varies, and may hold secrets.
                    let endpoint = endpoint.split('?').next().unwrap_or_default();
                    endpoints.entry(endpoint.to_owned()).or_default().add(what, count);
                }
                continue;
            }
            let name = name.strip_prefix("engine.").unwrap_or(name);
            all.add(name.strip_prefix("http.").unwrap_or(name), count);
        }
        let mut groups = Vec::new();
        for (endpoint, mut group) in endpoints {
            all.subtract(&group);
            let own = format!("{BY_ENDPOINT}response_time.{endpoint}");
            group.times = self.times(&[&own, "http.response_time", "engine.http.response_time"]);
            group.endpoint = Some(endpoint);
            groups.push(group);
        }
        all.times = self.times(&["http.response_time", "engine.http.response_time"]);
        if !all.codes.is_empty() || !all.errors.is_empty() {
            groups.push(all);
        }
        Period { seconds, sent: count("http.requests"), groups }
    }

    /// The first of these summaries that is there.
    fn times(&self, names: &[&str]) -> Times {
        let Some(summary) = names.iter().find_map(|name| self.summaries.get(*name)) else {
            return Times::default();
        };
        Times::of_percentiles(
            PERCENTILES
                .iter()
                .filter_map(|(name, share)| Some((*share, summary.get(*name)?.as_f64()? / 1e3))),
        )
    }
}

/// `NAME.codes.503` or `NAME.errors.ETIMEDOUT`: the name, and the rest.
fn split(text: &str) -> Option<(&str, &str)> {
    let at = text.rfind(".codes.").or_else(|| text.find(".errors."))?;
    Some((&text[..at], &text[at + 1..]))
}

impl Group {
    /// Adds what a counter named `codes.N` or `errors.E` says.
    fn add(&mut self, name: &str, count: u64) {
        if let Some(code) = name.strip_prefix("codes.").and_then(|code| code.parse().ok()) {
            let known = self.codes.entry(code).or_default();
            *known = known.saturating_add(count);
        } else if let Some(error) = name.strip_prefix("errors.") {
            let known = self.errors.entry(error.to_owned()).or_default();
            *known = known.saturating_add(count);
        }
    }

    /// Takes away what belongs to an endpoint.
    fn subtract(&mut self, other: &Self) {
        for (code, count) in &other.codes {
            if let Some(known) = self.codes.get_mut(code) {
                *known = known.saturating_sub(*count);
            }
        }
        for (error, count) in &other.errors {
            if let Some(known) = self.errors.get_mut(error) {
                *known = known.saturating_sub(*count);
            }
        }
        self.codes.retain(|_, count| *count > 0);
        self.errors.retain(|_, count| *count > 0);
    }
}

/// A report of Artillery 1.
#[derive(Deserialize)]
pub(super) struct V1 {
    aggregate: PeriodV1,
    pub(super) intermediate: Vec<PeriodV1>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct PeriodV1 {
    /// The end of the interval.
    timestamp: String,
    #[serde(default)]
    rps: Rps,
    #[serde(default)]
    codes: BTreeMap<u16, u64>,
    #[serde(default)]
    errors: BTreeMap<String, u64>,
    #[serde(default)]
    latency: BTreeMap<String, Value>,
    #[serde(default)]
    pub(super) latencies: Vec<Latency>,
}

#[derive(Default, Deserialize)]
struct Rps {
    count: u64,
}

/// A response time in nanoseconds; up to 1.5 a list of time, id, nanoseconds and status.
#[derive(Deserialize)]
#[serde(untagged)]
pub(super) enum Latency {
    Nanos(f64),
    Row(Vec<Value>),
}

/// The whole run and the intervals of a report of Artillery 1.
pub(super) fn periods_of_v1(mut report: V1) -> Result<(Period, Vec<Period>), String> {
    let mut ends = Vec::new();
    for (place, period) in report.intermediate.iter().enumerate() {
        let end: Timestamp = period
            .timestamp
            .parse()
            .map_err(|_| format!("interval {} has no `timestamp` that is a time", place + 1))?;
        ends.push(end.as_second());
    }
    let mut sorted = ends.clone();
    sorted.sort_unstable();
    let mut periods = Vec::new();
    for (period, end) in report.intermediate.drain(..).zip(ends) {
        // The last interval, and only that, is shorter than the others.
        let before = sorted.partition_point(|other| *other < end).checked_sub(1);
        let before = before.map_or(end - INTERVAL, |place| sorted[place].max(end - INTERVAL));
        periods.push(period.into_period((before.min(end - 1), end)));
    }
    Ok((report.aggregate.into_period((0, 1)), periods))
}

impl PeriodV1 {
    fn into_period(self, seconds: (i64, i64)) -> Period {
        let nanos = self.latencies.iter().filter_map(|latency| match latency {
            Latency::Nanos(nanos) => Some(*nanos),
            Latency::Row(row) => row.get(2)?.as_f64(),
        });
        let nanos: Vec<f64> =
            nanos.filter(|nanos| *nanos >= 0.0).map(|nanos| nanos / 1e9).collect();
        let times = match nanos.is_empty() {
            false => Times::of_all(nanos),
            true => Times::of_percentiles(PERCENTILES.iter().filter_map(|(name, share)| {
                Some((*share, self.latency.get(*name)?.as_f64()? / 1e3))
            })),
        };
        let (codes, errors) = (self.codes, self.errors);
        let group = Group { endpoint: None, codes, errors, times };
        Period { seconds, sent: self.rps.count, groups: vec![group] }
    }
}
