//! The mean of a level over a span.
//!
//! While a queue grows, the mean of the looks depends on where in the span they happen to lie: what
//! different collectors read at different moments would not add up, and as many requests would be in
//! work for two thirds as many threads. So a level is taken as a curve through its looks and
//! integrated over exactly the same span for all of them.

use crate::diagnose::terms::stats;
use crate::timeline::{Kind, Moment, Series, Timeline, Window};

/// Fewer looks than this tell nothing of how they scatter,
const FEW: usize = 4;
/// fewer than this nothing of how they rise: a line through two looks is all scatter.
const RISE: usize = 3;
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

/// The level of one series: of a running total its increase per second; of a census what its looks
/// found, and nothing where they found none.
pub fn of_series(timeline: &Timeline, series: &Series, windows: &[Window]) -> Option<f64> {
    let in_each: Vec<(f64, f64)> = match series.kind {
        Kind::Counter => windows.iter().filter_map(|window| series.increase(*window)).collect(),
        Kind::Gauge => areas(windows, |window| {
            series.within(window).iter().map(|point| (point.at.secs(), point.value)).collect()
        }),
        Kind::Census => areas(windows, |window| {
            let found = series.within(window);
            let at = |look: &Moment| {
                let from = found.partition_point(|point| point.at < *look);
                let seen = found[from..].iter().take_while(|point| point.at == *look);
                (look.secs(), seen.map(|point| point.value).sum())
            };
            timeline.looks_within(&series.collector, window).iter().map(at).collect()
        }),
    };
    let (sum, seconds) = in_each.iter().fold((0.0, 0.0), |sum, one| (sum.0 + one.0, sum.1 + one.1));
    (seconds > 0.0).then(|| sum / seconds)
}

/// For each window that was looked into, the area under the curve and the length in seconds.
fn areas(windows: &[Window], curve: impl Fn(Window) -> Vec<(f64, f64)>) -> Vec<(f64, f64)> {
    let area = |window: &Window| {
        let (from, to) = (window.begin.secs(), window.end.secs());
        Some((mean_between(&curve(*window), from, to)?.value * window.secs(), window.secs()))
    };
    windows.iter().filter_map(area).collect()
}

/// The mean of the curve through `points` (seconds and value, in order) between two moments;
/// `None` without a point between them. From the outermost points it goes on as it rises or falls on
/// the whole, for as long as one look usually lies from the next, and is level from there to the ends:
/// what lies outside may belong to another load.
pub fn mean_between(points: &[(f64, f64)], from: f64, to: f64) -> Option<MeanLevel> {
    let first = points.partition_point(|point| point.0 < from);
    let last = points.partition_point(|point| point.0 < to);
    let inside = points.get(first..last)?;
    let (begin, end) = (inside.first()?, inside.last()?);
    let (x, y): (Vec<f64>, Vec<f64>) = inside.iter().copied().unzip();
    let slope = match stats::line(&x, &y) {
        Some(line) if inside.len() >= RISE => line.slope,
        _ => 0.0,
    };
    let apart = (end.0 - begin.0) / (inside.len() - 1).max(1) as f64;
    // A line that falls or rises through nothing does not go on below it.
    let least = y.iter().copied().fold(0.0, f64::min);
    let edge = |point: &(f64, f64), at: f64| {
        let moved = (at - point.0).clamp(-apart, apart);
        let value = (point.1 + slope * moved).max(least);
        [(at, value), (point.0 + moved, value)]
    };
    let knots = edge(begin, from).into_iter().chain(inside.iter().copied());
    let knots = knots.chain(edge(end, to).into_iter().rev());
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
    use crate::timeline::{Batch, BatchBuilder, names};

    /// Two collectors look at queues that grow alike, one of them early and one late in each second.
    #[test]
    fn levels_that_grow_alike_are_alike_whenever_they_are_read() {
        let mut timeline = Timeline::default();
        for at in 0..3_u64 {
            for (metric, collector, millis) in
                [(&names::TCP_REQUESTS, "tcp", 50), (&names::THREADS_ON_FUTEX, "threads", 950)]
            {
                let at = Moment::from_nanos((at * 1000 + millis) * 1_000_000);
                let mut batch = BatchBuilder::new();
                batch.push(metric, 40.0 * at.secs());
                let window = Window { begin: at, end: at };
                let readings = batch.finish();
                timeline.push_batch(Batch { collector: collector.to_owned(), window, readings });
            }
        }
        let window =
            [Window { begin: Moment::from_nanos(0), end: Moment::from_nanos(3_000_000_000) }];
        let means: Vec<f64> = timeline
            .series
            .values()
            .map(|series| of_series(&timeline, series, &window).unwrap())
            .collect();
        assert!((means[0] / means[1] - 1.0).abs() < 0.05, "{means:?}");
    }

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
        // A collector that fell silent says nothing of what the rest of the window was like.
        let silent: Vec<_> = (0..5).map(|at| (f64::from(at), f64::from(at))).collect();
        assert!(mean_between(&silent, 0.0, 100.0).unwrap().value < 5.0);
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
