//! Everything measured in a run, with queries by window.

use std::collections::BTreeMap;

use super::{
    Batch, Gap, GeneratorTick, Kind, LoadTick, Moment, Quote, Refill, Selector, SeriesKey, Stage,
    Unit, Window,
};

/// One value at one moment.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Point {
    /// The middle of its reading.
    pub at: Moment,
    /// The value, in the series' unit.
    pub value: f64,
}

/// One metric with one set of labels over time.
#[derive(Clone, Debug, PartialEq)]
pub struct Series {
    /// Unit of the values.
    pub unit: Unit,
    /// How the values behave over time.
    pub kind: Kind,
    /// Name of the collector that read it.
    pub collector: String,
    /// Values in order of time.
    pub points: Vec<Point>,
}

impl Series {
    /// The points inside `window`.
    pub fn within(&self, window: Window) -> &[Point] {
        let from = self.points.partition_point(|point| point.at < window.begin);
        let to = self.points.partition_point(|point| point.at < window.end);
        &self.points[from..to]
    }

    /// Growth of a counter inside `window`, and the seconds between its first and last point there.
    /// A fall is a restart of the source: the counter then starts at zero, as in Prometheus.
    pub fn increase(&self, window: Window) -> Option<(f64, f64)> {
        let points = self.within(window);
        let (first, last) = (points.first()?, points.last()?);
        let seconds = last.at.since(first.at).as_secs_f64();
        if seconds <= 0.0 {
            return None;
        }
        let increase = points
            .windows(2)
            .map(|pair| match pair[1].value - pair[0].value {
                step if step >= 0.0 => step,
                _ => pair[1].value,
            })
            .sum();
        Some((increase, seconds))
    }

    /// Growth per second of a counter inside `window`; `None` with fewer than two points.
    pub fn rate(&self, window: Window) -> Option<f64> {
        self.increase(window).map(|(increase, seconds)| increase / seconds)
    }
}

/// Everything measured in a run, on one clock.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Timeline {
    /// Stages in the order they were held.
    pub stages: Vec<Stage>,
    /// What was reported of the load, in order of time: by each generator, or by all of
    /// `generators` together.
    pub ticks: Vec<LoadTick>,
    /// Names of the generators that made one load together. Empty if there was one.
    pub generators: Vec<String>,
    /// What each of them did, in the order in which it was reported.
    pub parts: Vec<GeneratorTick>,
    /// Those that were lost, and whose parts the others took.
    pub refills: Vec<Refill>,
    /// Collected series by identity.
    pub series: BTreeMap<SeriesKey, Series>,
    /// When each collector took its readings (the middle of each).
    pub readings: BTreeMap<String, Vec<Moment>>,
    /// Readings that are missing, with the reason.
    pub gaps: Vec<Gap>,
    /// Original words behind series.
    pub quotes: Vec<Quote>,
}

impl Timeline {
    /// Adds one reading of a collector.
    pub fn push_batch(&mut self, batch: Batch) {
        let at = batch.at();
        self.readings.entry(batch.collector.clone()).or_default().push(at);
        for reading in batch.readings {
            let series = self.series.entry(reading.key).or_insert_with(|| Series {
                unit: reading.unit,
                kind: reading.kind,
                collector: batch.collector.clone(),
                points: Vec::new(),
            });
            series.points.push(Point { at, value: reading.value });
        }
    }

    /// All series of a metric, ordered by their labels.
    pub fn series_of<'a, 'm>(
        &'a self,
        metric: &'m str,
    ) -> impl Iterator<Item = (&'a SeriesKey, &'a Series)> + use<'a, 'm> {
        let from = SeriesKey::bare(metric);
        self.series.range(from..).take_while(move |(key, _)| key.metric == metric)
    }

    /// The series that match `selector`, ordered by their labels.
    pub fn select<'a>(
        &'a self,
        selector: &'a Selector,
    ) -> impl Iterator<Item = (&'a SeriesKey, &'a Series)> {
        self.series_of(&selector.metric).filter(|(key, _)| selector.matches(key))
    }

    /// The collector of `metric` in this run, if the metric was read.
    pub fn collector_of(&self, metric: &str) -> Option<&str> {
        let (key, series) = self.series.range(SeriesKey::bare(metric)..).next()?;
        (key.metric == metric).then_some(series.collector.as_str())
    }

    /// How many readings `collector` took inside `window`.
    pub fn looks(&self, collector: &str, window: Window) -> usize {
        self.looks_within(collector, window).len()
    }

    /// When `collector` took readings inside `window`.
    pub fn looks_within(&self, collector: &str, window: Window) -> &[Moment] {
        let moments = self.readings.get(collector).map_or(&[][..], Vec::as_slice);
        let from = moments.partition_point(|at| *at < window.begin);
        let to = moments.partition_point(|at| *at < window.end);
        &moments[from..to]
    }

    /// The load ticks whose middle lies inside `window`.
    pub fn ticks_within(&self, window: Window) -> impl Iterator<Item = &LoadTick> {
        self.ticks.iter().filter(move |tick| window.contains(tick.window.middle()))
    }

    /// The end of the last stage, tick or reading.
    pub fn end(&self) -> Moment {
        let ticks = self.ticks.last().map(|tick| tick.window.end);
        let stages = self.stages.last().map(|stage| stage.window.end);
        let readings = self.readings.values().filter_map(|moments| moments.last().copied()).max();
        [ticks, stages, readings].into_iter().flatten().max().unwrap_or(Moment::START)
    }
}
