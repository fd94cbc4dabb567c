//! What a rule asks of a leak: how fast the series of a selector grow without end.

use crate::diagnose::measure::facts::{Facts, Narrow};
use crate::diagnose::terms::bounds::MOST;
use crate::diagnose::terms::operand::{Over, bare, is_census};
use crate::diagnose::terms::span::Span;
use crate::timeline::{Labels, Point, Selector, SeriesKey, Window, names};

use super::collections::is_uncollected;
use super::exhausted::{self, descriptors_ran_out};
use super::held::{Held, value_at};
use super::leak::{self, LeakVerdict};
use super::resources::limits_of;
use super::restarts::restarts;

/// Labels by which a limit belongs to the series that it limits.
const OWN_LIMIT_BY: [&str; 3] = ["process", "pool", "mount"];

/// Growth per second, at its lower bound, of the series that leaks fastest; 0 where none leaks;
/// `None` where there is none, or that cannot be told.
pub fn fastest(facts: &Facts, selector: &Selector, narrow: &[Narrow]) -> Option<f64> {
    let run = facts.windows(Span::Run);
    let series = facts.named_series(selector, narrow);
    // A census that never found one has no series, and nothing has leaked.
    if series.is_empty() && is_census(&selector.metric) && facts.looks(&selector.metric, &run) > 0 {
        return Some(0.0);
    }
    let whole = run.first().copied()?;
    series
        .iter()
        .filter_map(|(key, series)| of_series(facts, key, &series.points, whole))
        .reduce(f64::max)
}

/// The same of one series.
fn of_series(facts: &Facts, key: &SeriesKey, points: &[Point], whole: Window) -> Option<f64> {
    let metric = key.metric.as_str();
    let load = facts.series(&bare(&names::LOAD_OFFERED), &[]);
    let load: &[Point] = load.first().map_or(&[], |load| &load.points);
    let is_memory = is_memory(metric);
    let restarts = restarts(facts);
    let limit = limit_of(facts, key, whole);
    let held = Held::of(facts, metric, key.labels.get("process"), whole);
    let used_up = if metric == names::POOL_CONNECTIONS.name {
        exhausted::never_given_back(facts, key.labels.get("pool"))
    } else if metric == names::PROCESS_OPEN_FDS.name {
        let until = exhausted::from_start(exhausted::load_end(facts));
        limit.and_then(|limit| exhausted::used_up(within(points, until), limit, &held))
    } else {
        None
    };
    if let Some(used_up) = used_up {
        return Some(used_up.pace);
    }
    let unclosed = metric == names::TCP_CLOSE_WAIT.name;
    let mut judged = if is_memory { facts.before_queue(points) } else { points };
    if let Some((at, opened)) = descriptors_ran_out(facts).filter(|_| unclosed) {
        // Connections that cannot be accepted pile up too, but only then.
        judged = &points[..points.partition_point(|point| point.at < at)];
        let rose = value_at(judged, at) - judged.first()?.value;
        let seconds = at.since(judged.first()?.at).as_secs_f64();
        if rose >= MOST.value * opened && seconds > 0.0 {
            return Some(rose / seconds);
        }
    }
    let context = leak::Context {
        load,
        limit,
        restarts: &restarts,
        uncollected: is_memory && is_uncollected(facts, &[whole]),
        ..leak::Context::default()
    };
    let mut verdict = held.analyse(judged, &context).verdict;
    if is_memory && matches!(verdict, LeakVerdict::Leak { .. }) {
        // Once something else ran out, requests only pile up.
        let first = exhausted::ran_out(facts).into_iter().map(|it| it.at).min();
        if let Some(at) = first {
            let before = &judged[..judged.partition_point(|point| point.at < at)];
            verdict = held.analyse(before, &context).verdict;
        }
    }
    match verdict {
        LeakVerdict::Leak { low, .. } => Some(low),
        LeakVerdict::NoLeak { .. } => Some(0.0),
        LeakVerdict::Undecided { .. } => None,
    }
}

/// Where a series is exhausted: its own limit, or one that all share.
fn limit_of(facts: &Facts, key: &SeriesKey, whole: Window) -> Option<f64> {
    limits_of(&key.metric).iter().find_map(|limit| {
        let shared = bare(limit);
        let of_same = |labels: Labels, label: &&str| match key.labels.get(label) {
            Some(value) => labels.with(label, value),
            None => labels,
        };
        let labels = OWN_LIMIT_BY.iter().fold(Labels::none(), of_same);
        let own = Selector { labels, ..shared.clone() };
        let level = |selector: &Selector| facts.level_of(selector, Over::Sum, &[whole], &[]);
        level(&own).or_else(|| level(&shared)).filter(|limit| *limit > 0.0)
    })
}

fn within(points: &[Point], window: Window) -> &[Point] {
    let at = |moment| points.partition_point(|point| point.at < moment);
    &points[at(window.begin)..at(window.end)]
}

fn is_memory(metric: &str) -> bool {
    metric.starts_with("process.memory.") || metric == names::RUNTIME_HEAP_USED.name
}
