//! One time grid for every line, so that all panels share an axis and a crosshair: series are
//! brought to it by mean (gauges, census) or by rate (counters).

use std::collections::BTreeMap;

use crate::timeline::{Kind, Moment, Selector, Series, Timeline};

/// The most points that a line has.
const MOST_POINTS: usize = 600;
/// A hole this many intervals wide is a gap and stays one; a smaller one is jitter.
const GAP_INTERVALS: f64 = 2.5;

/// Equal steps of whole seconds from the start of a run to its end.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Grid {
    /// Seconds of one step.
    pub step: f64,
    /// Number of steps.
    pub len: usize,
}

impl Grid {
    /// The finest grid of whole seconds that covers `end` seconds.
    pub fn new(end: f64) -> Self {
        let step = (end / MOST_POINTS as f64).ceil().max(1.0);
        Self { step, len: (end / step).ceil().max(0.0) as usize }
    }

    /// The middle of each step in seconds.
    pub fn times(&self) -> Vec<f64> {
        (0..self.len).map(|index| (index as f64 + 0.5) * self.step).collect()
    }

    /// The step that `moment` falls into.
    pub fn index(&self, moment: Moment) -> Option<usize> {
        let index = (moment.secs() / self.step) as usize;
        (index < self.len).then_some(index)
    }

    /// Sum over all series that `selector` names: levels for gauges and census, growth per second
    /// for counters. `None` where nothing was read; no values at all where the recording has no
    /// such series.
    pub fn sum(&self, timeline: &Timeline, selector: &Selector) -> Option<Vec<Option<f64>>> {
        let mut total: Option<Vec<Option<f64>>> = None;
        let mut levels: BTreeMap<&str, BTreeMap<Moment, f64>> = BTreeMap::new();
        for (_, series) in timeline.select(selector) {
            match series.kind {
                Kind::Counter => add(&mut total, self.rate(series)),
                Kind::Gauge | Kind::Census => {
                    let sums = levels.entry(&series.collector).or_insert_with(|| {
                        let looks = timeline.readings.get(&series.collector);
                        let looks = looks.filter(|_| series.kind == Kind::Census);
                        looks.into_iter().flatten().map(|at| (*at, 0.0)).collect()
                    });
                    for point in &series.points {
                        *sums.entry(point.at).or_default() += point.value;
                    }
                }
            }
        }
        for points in levels.values() {
            add(&mut total, self.mean(points));
        }
        total
    }

    /// Mean of the points in each step.
    fn mean(&self, points: &BTreeMap<Moment, f64>) -> Vec<Option<f64>> {
        let mut sums = vec![(0.0, 0u32); self.len];
        for (at, value) in points {
            if let Some(index) = self.index(*at) {
                sums[index].0 += value;
                sums[index].1 += 1;
            }
        }
        let values = sums.iter().map(|(sum, count)| (*count > 0).then(|| sum / f64::from(*count)));
        let mut values: Vec<_> = values.collect();
        let moments: Vec<_> = points.keys().copied().collect();
        let widest = (usual_interval(&moments) * GAP_INTERVALS / self.step) as usize;
        bridge(&mut values, widest);
        values
    }

    /// Growth per second of a counter in each step, weighted by time.
    fn rate(&self, series: &Series) -> Vec<Option<f64>> {
        let moments: Vec<_> = series.points.iter().map(|point| point.at).collect();
        let longest = usual_interval(&moments) * GAP_INTERVALS;
        let mut sums = vec![(0.0, 0.0); self.len];
        for pair in series.points.windows(2) {
            let seconds = pair[1].at.since(pair[0].at).as_secs_f64();
            if seconds <= 0.0 || seconds > longest {
                continue;
            }
            let step = pair[1].value - pair[0].value;
            // A fall is a restart of the source, which counts from zero.
            let rate = if step >= 0.0 { step } else { pair[1].value } / seconds;
            let (from, to) = (pair[0].at.secs(), pair[1].at.secs());
            let first = (from / self.step) as usize;
            for (index, sum) in sums.iter_mut().enumerate().skip(first) {
                let begin = index as f64 * self.step;
                if begin >= to {
                    break;
                }
                let overlap = to.min(begin + self.step) - from.max(begin);
                if overlap > 0.0 {
                    sum.0 += rate * overlap;
                    sum.1 += overlap;
                }
            }
        }
        sums.into_iter().map(|(sum, time)| (time > 0.0).then(|| sum / time)).collect()
    }
}

/// Median distance of neighbours in seconds; zero with fewer than two.
fn usual_interval(moments: &[Moment]) -> f64 {
    let mut steps: Vec<_> =
        moments.windows(2).map(|pair| pair[1].since(pair[0]).as_secs_f64()).collect();
    steps.sort_by(f64::total_cmp);
    steps.get(steps.len() / 2).copied().unwrap_or(0.0)
}

/// Fills holes of at most `widest` steps with a straight line.
fn bridge(values: &mut [Option<f64>], widest: usize) {
    let known: Vec<_> =
        values.iter().enumerate().filter_map(|(index, v)| v.map(|v| (index, v))).collect();
    for pair in known.windows(2) {
        let ((from, a), (to, b)) = (pair[0], pair[1]);
        if to - from > 1 && to - from <= widest {
            for (step, value) in values[from + 1..to].iter_mut().enumerate() {
                let share = (step + 1) as f64 / (to - from) as f64;
                *value = Some(a + (b - a) * share);
            }
        }
    }
}

/// Adds values to a total; where one of the two is missing the other stands.
pub(super) fn add(total: &mut Option<Vec<Option<f64>>>, values: Vec<Option<f64>>) {
    match total {
        None => *total = Some(values),
        Some(total) => {
            for (sum, value) in total.iter_mut().zip(values) {
                *sum = match (*sum, value) {
                    (Some(sum), Some(value)) => Some(sum + value),
                    (sum, value) => sum.or(value),
                };
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::timeline::names::{DB_SESSIONS, PROCESS_CPU_TIME};
    use crate::timeline::{Batch, BatchBuilder, Labels, Window};

    fn timeline(looks: &[(f64, Option<f64>, f64)]) -> Timeline {
        let mut timeline = Timeline::default();
        for (at, census, counter) in looks {
            let mut batch = BatchBuilder::new();
            if let Some(census) = census {
                batch.push_labelled(&DB_SESSIONS, Labels::none().with("state", "active"), *census);
            }
            batch.push(&PROCESS_CPU_TIME, *counter);
            let at = Moment::from_secs_f64(*at);
            timeline.push_batch(Batch {
                collector: "x".into(),
                window: Window::new(at, at),
                readings: batch.finish(),
            });
        }
        timeline
    }

    fn sum(timeline: &Timeline, metric: &str) -> Option<Vec<Option<f64>>> {
        Grid::new(6.0).sum(timeline, &metric.parse().unwrap())
    }

    #[test]
    fn absence_from_a_census_means_none_and_a_missing_look_means_unknown() {
        let looks =
            [(0.5, Some(2.0), 0.0), (1.5, None, 1.0), (2.5, Some(4.0), 2.0), (5.5, None, 5.0)];
        let got = sum(&timeline(&looks), "db.sessions").unwrap();
        assert_eq!(got, [Some(2.0), Some(0.0), Some(4.0), None, None, Some(0.0)]);
        assert_eq!(sum(&timeline(&looks), "db.blocked"), None);
    }

    #[test]
    fn counters_become_rates_and_restarts_count_from_zero() {
        let looks = [(0.0, None, 10.0), (2.0, None, 14.0), (4.0, None, 1.0), (5.0, None, 1.0)];
        let got = sum(&timeline(&looks), "process.cpu.time").unwrap();
        assert_eq!(got, [Some(2.0), Some(2.0), Some(0.5), Some(0.5), Some(0.0), None]);
    }

    #[test]
    fn long_runs_keep_to_the_most_points() {
        for end in [0.0, 0.3, 599.5, 600.0, 601.0, 86_400.0] {
            let grid = Grid::new(end);
            assert!(grid.len <= MOST_POINTS, "{end}: {}", grid.len);
            assert!(grid.len as f64 * grid.step >= end, "{end}");
        }
    }
}
