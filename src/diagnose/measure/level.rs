//! The mean of a count over a span, and how sure it is.

use crate::diagnose::terms::operand::{Operand, Over};
use crate::diagnose::terms::stats;
use crate::timeline::{Kind, Moment, Selector, Timeline, Window, names};

use super::facts::Facts;
use super::mean::{MeanLevel, mean_between};

/// The mean of all series of `selector` together; `None` where nobody looked.
pub fn level(facts: &Facts, selector: &Selector, windows: &[Window]) -> Option<MeanLevel> {
    let is_total = names::find(&selector.metric).is_some_and(|spec| spec.kind == Kind::Counter);
    if is_total {
        let value = facts.level_of(selector, Over::Sum, windows, &[])?;
        return Some(MeanLevel { value, error: 0.0 });
    }
    let operand = Operand { selectors: vec![selector.clone()], over: Over::Sum, by: None };
    let (mut area, mut variance, mut seconds) = (0.0, 0.0, 0.0);
    for window in windows {
        let (from, to) = (window.begin.secs(), window.end.secs());
        let looks = facts.looks_at(&operand, *window, &[]).into_values();
        let mean = |looks: Vec<(Moment, f64)>| {
            let curve: Vec<_> = looks.into_iter().map(|(at, value)| (at.secs(), value)).collect();
            mean_between(&curve, from, to)
        };
        let means: Vec<MeanLevel> = looks.filter_map(mean).collect();
        if means.is_empty() {
            continue;
        }
        let length = window.secs();
        area += means.iter().map(|mean| mean.value).sum::<f64>() * length;
        variance += means.iter().map(|mean| (mean.error * length).powi(2)).sum::<f64>();
        seconds += length;
    }
    (seconds > 0.0).then(|| MeanLevel { value: area / seconds, error: variance.sqrt() / seconds })
}

/// Mean of all looks at the gauges of `selector`, on the timeline alone: for what is judged before
/// there are facts.
pub fn gauge(timeline: &Timeline, selector: &Selector, window: Window) -> Option<f64> {
    let values: Vec<f64> = timeline
        .select(selector)
        .filter(|(_, series)| series.kind == Kind::Gauge)
        .flat_map(|(_, series)| series.within(window))
        .map(|point| point.value)
        .collect();
    stats::mean(&values)
}
