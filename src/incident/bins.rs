//! The recording on one grid of time: load and series, one value for each bin.

use std::collections::BTreeMap;

use crate::timeline::{Histogram, Kind, LoadTick, Moment, Series, Timeline, Window};

/// Most bins of a recording: a week of scrapes each six seconds.
const MOST_BINS: usize = 100_000;
/// Length of a bin in seconds where nothing tells it.
const USUAL: f64 = 15.0;

/// The grid.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Bins {
    /// Begin of the first bin, in seconds.
    begin: f64,
    /// Length of a bin in seconds.
    pub(super) step: f64,
    /// How many.
    pub(super) count: usize,
}

/// The load in one bin.
#[derive(Clone, Debug, Default)]
pub(super) struct LoadBin {
    /// Seconds that ticks cover, by their generator: they run beside each other.
    seconds: BTreeMap<String, f64>,
    completed: u64,
    failed: u64,
    time: f64,
    good: Histogram,
}

impl Bins {
    /// The grid of a timeline: as fine as its ticks, or its readings where it has none.
    pub(super) fn of(timeline: &Timeline) -> Self {
        let end = timeline.end().secs();
        let mut lengths: Vec<f64> = timeline.ticks.iter().map(|tick| tick.window.secs()).collect();
        lengths.retain(|length| *length > 0.0);
        lengths.sort_by(f64::total_cmp);
        let step = lengths.get(lengths.len() / 2).copied().unwrap_or(USUAL);
        let begin = timeline.ticks.first().map_or(0.0, |tick| tick.window.begin.secs());
        let wanted = ((end - begin) / step).ceil().max(1.0);
        let merged = (wanted / MOST_BINS as f64).ceil().max(1.0);
        let step = step * merged;
        Self { begin, step, count: ((end - begin) / step).ceil().max(1.0) as usize }
    }

    /// The bin of a moment.
    pub(super) fn at(&self, moment: Moment) -> Option<usize> {
        let place = (moment.secs() - self.begin) / self.step;
        (place >= 0.0 && (place as usize) < self.count).then_some(place as usize)
    }

    /// Begin of a bin.
    pub(super) fn begin(&self, bin: usize) -> Moment {
        Moment::from_secs_f64(self.begin + bin as f64 * self.step)
    }

    /// The span of the bins from one up to another one, without that.
    pub(super) fn window(&self, from: usize, to: usize) -> Window {
        Window::new(self.begin(from), self.begin(to))
    }

    /// The load in each bin.
    pub(super) fn load(&self, ticks: &[LoadTick]) -> Vec<LoadBin> {
        let mut bins = vec![LoadBin::default(); self.count];
        for tick in ticks {
            let Some(bin) = self.at(tick.window.middle()).and_then(|at| bins.get_mut(at)) else {
                continue;
            };
            *bin.seconds.entry(tick.generator.clone()).or_default() += tick.window.secs();
            for endpoint in &tick.endpoints {
                let count = endpoint.response_time.count();
                bin.completed += count;
                bin.time += endpoint.response_time.sum();
                match endpoint.class.is_success() {
                    true => bin.good.merge(&endpoint.response_time),
                    false => bin.failed += count,
                }
            }
        }
        bins
    }

    /// The values of a series in the bins from one up to another one: means of a level, changes per
    /// second of a running total.
    pub(super) fn series(&self, series: &Series, from: usize, to: usize) -> Vec<Option<f64>> {
        let mut sums = vec![(0.0, 0_u32); to.saturating_sub(from)];
        let mut add = |at: Moment, value: f64| {
            let place = self.at(at).and_then(|bin| bin.checked_sub(from));
            if let Some(bin) = place.and_then(|place| sums.get_mut(place)) {
                *bin = (bin.0 + value, bin.1 + 1);
            }
        };
        // The point before the first bin too: the change of a running total begins there.
        let window = self.window(from, to);
        let first = series.points.partition_point(|point| point.at < window.begin);
        let last = series.points.partition_point(|point| point.at <= window.end);
        let last = (last + 1).min(series.points.len());
        let points = series.points.get(first.saturating_sub(1)..last).unwrap_or_default();
        match series.kind {
            Kind::Counter => {
                for pair in points.windows(2) {
                    let seconds = pair[1].at.since(pair[0].at).as_secs_f64();
                    // A fall is a restart of the source, which then counts from zero.
                    let step = pair[1].value - pair[0].value;
                    let step = if step < 0.0 { pair[1].value } else { step };
                    if seconds > 0.0 {
                        // It grew between the two, as the requests of a tick ended within it.
                        add(Window::new(pair[0].at, pair[1].at).middle(), step / seconds);
                    }
                }
            }
            Kind::Gauge | Kind::Census => {
                points.iter().for_each(|point| add(point.at, point.value));
            }
        }
        let mean = |(sum, count): (f64, u32)| (count > 0).then(|| sum / f64::from(count));
        sums.into_iter().map(mean).collect()
    }
}

impl LoadBin {
    /// Requests per second that ended; `None` where nobody looked.
    pub(super) fn rate(&self) -> Option<f64> {
        let seconds = self.seconds.values().copied().fold(0.0, f64::max);
        (seconds > 0.0).then(|| self.completed as f64 / seconds)
    }

    /// Share of them that failed.
    pub(super) fn errors(&self) -> Option<f64> {
        (self.completed > 0).then(|| self.failed as f64 / self.completed as f64)
    }

    /// Mean response time in seconds.
    pub(super) fn mean_time(&self) -> Option<f64> {
        (self.completed > 0).then(|| self.time / self.completed as f64)
    }

    /// Response time that 99 % of the successful requests do not exceed, in seconds.
    pub(super) fn p99(&self) -> Option<f64> {
        self.good.quantile(0.99)
    }
}
