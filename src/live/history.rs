//! The seconds of a run so far, for the charts: few enough points that a page can draw them and a
//! new viewer can be sent them, however long the run is.

use serde::Serialize;

use super::{PANELS, PanelSpec};
use crate::report::wording;
use crate::timeline::{Histogram, LoadTick, Moment, Window};

/// The most points of a chart. One more makes pairs of them one point each.
const MOST_POINTS: usize = 1200;

/// What happened in one step of the charts.
#[derive(Clone, Debug)]
pub(super) struct Point {
    pub(super) window: Window,
    offered: u64,
    completed: u64,
    succeeded: u64,
    /// Integral of the requests in flight over time.
    in_flight_seconds: f64,
    backlog: u64,
    times: Histogram,
    cores: Vec<Option<f64>>,
    /// The stage.
    label: String,
}

impl Point {
    pub(super) fn new(tick: &LoadTick, cores: Vec<Option<f64>>, label: String) -> Self {
        let mut times = Histogram::new();
        tick.successes().for_each(|each| times.merge(each));
        times.compact();
        Self {
            window: tick.window,
            offered: tick.offered,
            completed: tick.completed(),
            succeeded: tick.succeeded(),
            in_flight_seconds: tick.in_flight * tick.window.secs(),
            backlog: tick.backlog,
            times,
            cores,
            label,
        }
    }

    pub(super) fn per_second(&self, count: u64) -> Option<f64> {
        let seconds = self.window.secs();
        (seconds > 0.0).then(|| count as f64 / seconds)
    }

    pub(super) fn offered(&self) -> Option<f64> {
        self.per_second(self.offered)
    }

    pub(super) fn completed(&self) -> Option<f64> {
        self.per_second(self.completed)
    }

    pub(super) fn succeeded(&self) -> Option<f64> {
        self.per_second(self.succeeded)
    }

    pub(super) fn failed(&self) -> Option<f64> {
        self.per_second(self.completed.saturating_sub(self.succeeded))
    }

    /// Quantile of the response times of successful requests, in seconds.
    pub(super) fn time(&self, quantile: f64) -> Option<f64> {
        self.times.quantile(quantile)
    }

    pub(super) fn in_flight(&self) -> Option<f64> {
        let seconds = self.window.secs();
        (seconds > 0.0).then(|| self.in_flight_seconds / seconds)
    }

    pub(super) fn backlog(&self) -> f64 {
        self.backlog as f64
    }

    /// Values in the order of [`PANELS`] and their lines.
    fn values(&self) -> Vec<Option<f64>> {
        let mut values = vec![self.offered(), self.completed(), self.succeeded()];
        values.extend([0.5, 0.95, 0.99].map(|quantile| self.time(quantile)));
        values.push(self.failed());
        values.extend([self.in_flight(), Some(self.backlog())]);
        values.extend(self.cores.iter().copied());
        values
    }

    pub(super) fn append(&mut self, later: &Point) {
        let share = self.window.secs() / (self.window.secs() + later.window.secs()).max(1e-9);
        for (core, later) in self.cores.iter_mut().zip(&later.cores) {
            *core = match (*core, *later) {
                (Some(a), Some(b)) => Some(a * share + b * (1.0 - share)),
                (a, b) => a.or(b),
            };
        }
        self.window = Window::new(
            self.window.begin.min(later.window.begin),
            self.window.end.max(later.window.end),
        );
        self.offered += later.offered;
        self.completed += later.completed;
        self.succeeded += later.succeeded;
        self.in_flight_seconds += later.in_flight_seconds;
        self.backlog = later.backlog;
        self.times.merge(&later.times);
        self.times.compact();
    }

    /// The point as a viewer gets it, on an axis with steps of so many seconds.
    fn now(&self, step: f64) -> PointNow {
        let at = ((self.window.middle().secs() / step).floor() + 0.5) * step;
        let values = self.values();
        let panels = PANELS.iter().flat_map(|panel| panel.lines.iter().map(move |_| panel));
        let texts = panels.zip(&values).map(|(panel, value)| text(panel, *value)).collect();
        let label = match self.label.as_str() {
            "" => String::new(),
            label => format!(", {label}"),
        };
        PointNow { at, text: format!("{}{label}", wording::duration(at.floor())), values, texts }
    }
}

fn text(panel: &PanelSpec, value: Option<f64>) -> String {
    value.map_or_else(|| "-".to_owned(), panel.text)
}

/// One place on the axis of all charts.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PointNow {
    /// The middle of its step, in seconds since the start. A point that grows keeps it.
    pub at: f64,
    /// When that is, and which stage was held.
    pub text: String,
    /// The value of each line of each chart, in their order.
    pub values: Vec<Option<f64>>,
    /// How each reads.
    pub texts: Vec<String>,
}

/// All points so far, for a viewer who has just come.
#[derive(Clone, Debug, Serialize)]
pub struct Past {
    /// The charts.
    pub panels: &'static [PanelSpec],
    /// Seconds of each point.
    pub step: f64,
    /// The points, the oldest first.
    pub points: Vec<PointNow>,
}

#[derive(Debug)]
pub(super) struct History {
    step: f64,
    points: Vec<Point>,
}

impl History {
    pub(super) fn new() -> Self {
        Self { step: 1.0, points: Vec::new() }
    }

    pub(super) fn push(&mut self, point: Point) {
        self.add(point);
        if self.points.len() > MOST_POINTS {
            self.step *= 2.0;
            for point in std::mem::take(&mut self.points) {
                self.add(point);
            }
        }
    }

    fn add(&mut self, point: Point) {
        let place = |at: Moment| (at.secs() / self.step) as u64;
        match self.points.last_mut() {
            Some(last) if place(last.window.middle()) == place(point.window.middle()) => {
                last.append(&point);
            }
            _ => self.points.push(point),
        }
    }

    pub(super) fn newest(&self) -> Option<PointNow> {
        self.points.last().map(|point| point.now(self.step))
    }

    pub(super) fn size(&self) -> (usize, f64) {
        (self.points.len(), self.step)
    }

    pub(super) fn past(&self) -> Past {
        let points = self.points.iter().map(|point| point.now(self.step)).collect();
        Past { panels: &PANELS, step: self.step, points }
    }

    /// The newest values of the line at this place of [`Point::values`], the oldest first.
    pub(super) fn recent(&self, place: usize, most: usize) -> Vec<Option<f64>> {
        let from = self.points.len().saturating_sub(most);
        self.points[from..]
            .iter()
            .map(|point| point.values().get(place).copied().flatten())
            .collect()
    }
}
