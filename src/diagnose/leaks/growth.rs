//! What a rule asks of a leak: how fast the series of a selector grow without end.

use crate::diagnose::measure::facts::{Facts, Narrow};
use crate::diagnose::terms::operand::{bare, is_census};
use crate::diagnose::terms::span::Span;
use crate::timeline::{Point, Selector, names};

use super::collections::is_uncollected;
use super::leak::{self, LeakVerdict};
use super::resources::limits_of;

/// Growth per second, at its lower bound, of the series that leaks fastest; 0 where none leaks;
/// `None` where there is none, or that cannot be told.
pub fn fastest(facts: &Facts, selector: &Selector, narrow: &[Narrow]) -> Option<f64> {
    let run = facts.windows(Span::Run);
    let series = facts.series(selector, narrow);
    // A census that never found one has no series, and nothing has leaked.
    if series.is_empty() && is_census(&selector.metric) && facts.looks(&selector.metric, &run) > 0 {
        return Some(0.0);
    }
    let load: &[Point] = match facts.series(&bare(&names::LOAD_OFFERED), &[]).first() {
        Some(load) => &load.points,
        None => &[],
    };
    let is_memory = is_memory(&selector.metric);
    let restarts = facts.restarts();
    let context = leak::Context {
        load,
        limit: limits_of(&selector.metric).iter().find_map(|limit| facts.metric(limit, &run)),
        restarts: &restarts,
        uncollected: is_memory && is_uncollected(facts, &run),
    };
    let lower_bound = |points: &[Point]| match leak::verdict(points, &context) {
        LeakVerdict::Leak { low, .. } => Some(low),
        LeakVerdict::NoLeak { .. } => Some(0.0),
        LeakVerdict::Undecided { .. } => None,
    };
    let judged = series.into_iter().map(|series| match is_memory {
        true => facts.before_queue(&series.points),
        false => &series.points[..],
    });
    judged.filter_map(lower_bound).reduce(f64::max)
}

fn is_memory(metric: &str) -> bool {
    metric.starts_with("process.memory.") || metric == names::RUNTIME_HEAP_USED.name
}
