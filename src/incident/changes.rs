//! What was changed: restarts, versions, limits, replicas, configurations.

use std::collections::{BTreeMap, BTreeSet};

use super::model::{Change, Onset, Order};
use crate::diagnose::wording;
use crate::recording::Recording;
use crate::timeline::{Moment, Series, SeriesKey, Timeline, Window};

/// Restarts within this many seconds are told as one change: a rollout.
const ROLLOUT: f64 = 300.0;
/// Seconds by which a start time may move without a restart: clocks are set.
const SAME_START: f64 = 1.0;
/// Most changes that are told.
const MOST: usize = 40;

/// Parts of the names of gauges that somebody sets.
const SETTINGS: &[&str] = &[".limit", "_replicas", "_max_connections", "_limit_bytes", "_limits"];
const SETTINGS_ALONE: &[&str] = &["process.cpu.allowed", "cgroup.cpu.quota"];

/// The changes inside `window`, in order of time.
pub(super) fn changes(
    recording: &Recording,
    window: Window,
    symptom: &Onset,
    load: Option<String>,
) -> Vec<Change> {
    let timeline = &recording.timeline;
    let mut found: Vec<(Moment, String)> = Vec::new();
    restarts(timeline, recording.environment.started_unix, &mut found);
    versions(timeline, &mut found);
    settings(timeline, &mut found);
    endpoints(timeline, &mut found);
    let is_restart = |text: &str| text.contains("was restarted");
    let told = recording.events.iter().filter(|event| event.at > Moment::START);
    // Restarts are told by their start times, several at a time.
    let told = told.filter(|event| !is_restart(&event.text));
    found.extend(told.map(|event| (event.at, event.text.clone())));
    found.extend(load.map(|text| (symptom.at, text)));
    found.retain(|(at, _)| window.contains(*at));
    found.sort();
    found.dedup();
    found.truncate(MOST);
    let order = |at: Moment| match at {
        _ if at < symptom.low => Order::Before,
        _ if at > symptom.high => Order::After,
        _ => Order::Together,
    };
    found.into_iter().map(|(at, what)| Change { at, what, order: order(at) }).collect()
}

fn endpoint(key: &SeriesKey) -> &str {
    let labels = ["process", "endpoint"];
    labels.into_iter().find_map(|label| key.labels.get(label)).unwrap_or("a process")
}

/// Processes that started anew, by when they say they did.
fn restarts(timeline: &Timeline, zero_unix: f64, found: &mut Vec<(Moment, String)>) {
    let mut starts: Vec<(Moment, &str)> = Vec::new();
    let mut all: BTreeSet<&str> = BTreeSet::new();
    let of_shared = timeline.series_of("process.start_time");
    let own = timeline.series_of("process_start_time_seconds");
    let shared: Vec<_> = of_shared.collect();
    let series = if shared.is_empty() { own.collect() } else { shared };
    for (key, series) in series {
        all.insert(endpoint(key));
        for pair in series.points.windows(2) {
            if pair[1].value > pair[0].value + SAME_START {
                // The start itself, unless the clocks differ.
                let said = Moment::from_secs_f64(pair[1].value - zero_unix);
                let is_inside = pair[0].at <= said && said <= pair[1].at;
                starts.push((if is_inside { said } else { pair[1].at }, endpoint(key)));
            }
        }
    }
    starts.sort_unstable();
    let mut rest = starts.as_slice();
    while let Some((at, name)) = rest.first() {
        let is_same = |(other, _): &(Moment, &str)| other.since(*at).as_secs_f64() <= ROLLOUT;
        let together = rest.iter().take_while(|it| is_same(it)).count();
        let names: BTreeSet<&str> = rest.iter().take(together).map(|(_, name)| *name).collect();
        let what = match names.len() {
            1 => format!("`{name}` restarted"),
            several => format!("{several} of {} processes restarted", all.len()),
        };
        found.push((*at, what));
        rest = rest.get(together..).unwrap_or_default();
    }
}

/// A metric whose labels are the version: one series ends and another one begins.
fn versions(timeline: &Timeline, found: &mut Vec<(Moment, String)>) {
    let mut builds: BTreeMap<(&str, &str), Vec<(&SeriesKey, &Series)>> = BTreeMap::new();
    for (key, series) in &timeline.series {
        if key.metric.ends_with("_build_info") || key.metric.ends_with("_version_info") {
            let place = (key.metric.as_str(), endpoint(key));
            builds.entry(place).or_default().push((key, series));
        }
    }
    let mut told: BTreeMap<String, (Moment, usize)> = BTreeMap::new();
    for ((metric, _), mut series) in builds {
        series.sort_by_key(|(_, series)| series.points.first().map(|point| point.at));
        for pair in series.windows(2) {
            let ((old, _), (new, begun)) = (pair[0], pair[1]);
            let Some(at) = begun.points.first().map(|point| point.at) else { continue };
            let changed: Vec<String> = new
                .labels
                .iter()
                .filter(|(name, value)| old.labels.get(name) != Some(*value))
                .map(|(name, value)| {
                    format!("{name} {} -> {value}", old.labels.get(name).unwrap_or("none"))
                })
                .collect();
            let what = format!("`{metric}` changed: {}", changed.join(", "));
            let entry = told.entry(what).or_insert((at, 0));
            *entry = (entry.0.min(at), entry.1 + 1);
        }
    }
    found.extend(told.into_iter().map(|(what, (at, count))| match count {
        1 => (at, what),
        _ => (at, format!("{what} ({count} processes)")),
    }));
}

/// Limits and numbers of replicas that were set anew, and configurations that were loaded.
fn settings(timeline: &Timeline, found: &mut Vec<(Moment, String)>) {
    for (key, series) in &timeline.series {
        let name = key.metric.as_str();
        if name.ends_with("config_last_reload_success_timestamp_seconds") {
            let loaded = series.points.windows(2).filter(|pair| pair[1].value > pair[0].value);
            found.extend(
                loaded.map(|pair| {
                    (pair[1].at, format!("`{}` loaded its configuration", endpoint(key)))
                }),
            );
        }
        let is_setting =
            SETTINGS.iter().any(|end| name.ends_with(end)) || SETTINGS_ALONE.contains(&name);
        if is_setting {
            let set = series.points.windows(2).filter(|pair| pair[1].value != pair[0].value);
            found.extend(set.map(|pair| {
                let value = |value: f64| wording::value(value, series.unit);
                let what = format!("`{key}` {} -> {}", value(pair[0].value), value(pair[1].value));
                (pair[1].at, what)
            }));
        }
    }
}

/// Endpoints that came or went.
fn endpoints(timeline: &Timeline, found: &mut Vec<(Moment, String)>) {
    let mut spans: BTreeMap<&str, (Moment, Moment)> = BTreeMap::new();
    for (key, series) in &timeline.series {
        let Some(name) = key.labels.get("endpoint") else { continue };
        let ends = series.points.first().zip(series.points.last());
        let Some((first, last)) = ends else { continue };
        let span = spans.entry(name).or_insert((first.at, last.at));
        *span = (span.0.min(first.at), span.1.max(last.at));
    }
    let begin = spans.values().map(|span| span.0).min().unwrap_or_default();
    let end = spans.values().map(|span| span.1).max().unwrap_or_default();
    for (name, (first, last)) in spans {
        if first.since(begin).as_secs_f64() > ROLLOUT {
            found.push((first, format!("`{name}` has its first sample")));
        }
        if end.since(last).as_secs_f64() > ROLLOUT {
            found.push((last, format!("`{name}` has its last sample")));
        }
    }
}
