//! The mean of a count over a span, and how sure it is.
//!
//! While a queue grows, the mean of the looks depends on where in the span they happen to lie: the
//! parts are read by different collectors at different moments, and would not add up. So a count is
//! taken as a curve through its looks and integrated over exactly the same span for all of them.

use std::collections::BTreeMap;

use crate::diagnose::terms::operand::{Operand, Over};
use crate::diagnose::terms::stats;
use crate::timeline::{Kind, Selector, Timeline, Window, names};

use super::facts::Facts;

/// Fewer looks than this tell nothing of how they rise and scatter.
const FEW: usize = 4;
/// Looks are never taken for more alike than this: an error of nothing would be a lie.
const MOST_ALIKE: f64 = 0.9;

/// The mean of a count or a level over some windows.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct MeanLevel {
    /// The mean.
    pub value: f64,
    /// Its standard error, of what the looks scatter; 0 for running totals, which miss nothing.
    pub error: f64,
}

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
        let mut curves: BTreeMap<&str, Vec<(f64, f64)>> = BTreeMap::new();
        for ((collector, at), value) in facts.looks_at(&operand, *window, &[]) {
            curves.entry(collector).or_default().push((at.secs(), value));
        }
        let (from, to) = (window.begin.secs(), window.end.secs());
        let means: Vec<MeanLevel> =
            curves.values().filter_map(|curve| mean_between(curve, from, to)).collect();
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

/// The mean of the curve through `points` (seconds and value, in order) between two moments;
/// `None` without a point between them. From the outermost points to the ends it goes on as it
/// rises or falls on the whole: what lies outside may belong to another load.
fn mean_between(points: &[(f64, f64)], from: f64, to: f64) -> Option<MeanLevel> {
    let first = points.partition_point(|point| point.0 < from);
    let last = points.partition_point(|point| point.0 < to);
    let inside = points.get(first..last)?;
    let (begin, end) = (inside.first()?, inside.last()?);
    let (x, y): (Vec<f64>, Vec<f64>) = inside.iter().copied().unzip();
    let slope = match stats::line(&x, &y) {
        Some(line) if inside.len() >= FEW => line.slope,
        _ => 0.0,
    };
    let edge = |point: &(f64, f64), at: f64| (at, (point.1 + slope * (at - point.0)).max(0.0));
    let knots =
        [edge(begin, from)].into_iter().chain(inside.iter().copied()).chain([edge(end, to)]);
    let mut area = 0.0;
    let mut previous: Option<(f64, f64)> = None;
    for knot in knots {
        if let Some(previous) = previous {
            area += (knot.0 - previous.0) * (knot.1 + previous.1) / 2.0;
        }
        previous = Some(knot);
    }
    let value = if to > from { area / (to - from) } else { begin.1 };
    Some(MeanLevel { value, error: error(&x, &y) })
}

/// Standard error of the mean of looks that resemble their neighbours, a steady rise aside:
/// s · √((1 + r) / ((1 − r) · n)) with the autocorrelation r.
fn error(x: &[f64], y: &[f64]) -> f64 {
    let Some(line) = stats::line(x, y).filter(|_| x.len() >= FEW) else { return 0.0 };
    let rest: Vec<f64> =
        x.iter().zip(y).map(|(x, y)| y - line.intercept - line.slope * x).collect();
    let alike = stats::autocorrelation(&rest).clamp(0.0, MOST_ALIKE);
    (stats::variance(&rest) * (1.0 + alike) / ((1.0 - alike) * rest.len() as f64)).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_growing_count_has_the_same_mean_whenever_it_is_looked_at() {
        let line = |at: f64| (at, 10.0 + 20.0 * at);
        for (offset, step) in [(0.0, 1.0), (0.3, 1.0), (0.9, 1.0), (0.05, 0.1), (0.2, 0.7)] {
            let points: Vec<_> = (0..200).map(|i| line(offset + step * f64::from(i))).collect();
            let mean = mean_between(&points, 2.7, 6.7).unwrap();
            assert!((mean.value - line(4.7).1).abs() < 1e-9, "{offset} {step}: {mean:?}");
            assert!(mean.error < 1e-6, "a steady rise is no scatter: {mean:?}");
        }
    }

    #[test]
    fn what_was_not_looked_at_is_unknown_and_what_lies_outside_is_another_load() {
        assert_eq!(mean_between(&[], 0.0, 1.0), None);
        assert_eq!(mean_between(&[(2.0, 5.0)], 0.0, 1.0), None);
        assert_eq!(mean_between(&[(0.5, 5.0)], 0.0, 1.0).unwrap().value, 5.0);
        let jump: Vec<_> = (0..20).map(|at| (f64::from(at), f64::from(at / 10) * 100.0)).collect();
        assert_eq!(mean_between(&jump, 4.5, 9.5).unwrap().value, 0.0);
        assert_eq!(mean_between(&jump, 9.5, 14.5).unwrap().value, 100.0);
        let falling: Vec<_> = (0..9).map(|at| (f64::from(at), f64::from(8 - at))).collect();
        assert!(mean_between(&falling, 0.0, 20.0).unwrap().value >= 0.0);
    }

    #[test]
    fn scatter_is_told_as_an_error_that_falls_with_the_looks() {
        let noisy = |count: u32| {
            let points: Vec<_> = (0..count)
                .map(|i| (f64::from(i), f64::from((i.wrapping_mul(2_654_435_761) >> 16) % 8)))
                .collect();
            mean_between(&points, -1.0, f64::from(count)).unwrap().error
        };
        let (few, many) = (noisy(50), noisy(1250));
        // 25 times the looks, a fifth of the error; their likeness differs a little.
        assert!((0.2..1.0).contains(&few), "{few}");
        assert!(many > 0.0 && many < 0.4 * few, "{few} {many}");
    }
}
