//! What grows without an end, and when the target's processes started anew.

use crate::diagnose::leaks::leak::{self, LeakVerdict};
use crate::diagnose::leaks::soak;
use crate::diagnose::measure::signal::{Over, Span};
use crate::recording::Recording;
use crate::timeline::{Labels, Moment, Point, Selector, Window, names};

use super::{Facts, Narrow, bare, is_census};

/// Runtimes that let their heap grow far before they first collect all of it, by the name of the
/// process.
pub(super) const LAZY_RUNTIMES: [&str; 2] = ["java", "dotnet"];

/// Requests queue where at least so many are in flight, and so many times as many as are in the
/// least busy fifth of the run;
const QUEUED: f64 = 50.0;
const QUEUES: f64 = 10.0;
/// they do for much of a run from this share of it on.
const MUCH: f64 = 0.1;

impl Facts<'_> {
    /// Growth per second, at its lower bound, of the series that leaks fastest; 0 where none
    /// leaks; `None` where there is none, or that cannot be told.
    pub fn leak(&self, selector: &Selector, narrow: &[Narrow]) -> Option<f64> {
        let throughput = bare(&names::LOAD_OFFERED);
        let load: Vec<Point> = self
            .matching(&throughput, &[])
            .first()
            .map(|(_, _, series)| series.points.clone())
            .unwrap_or_default();
        let restarts = self.restarts();
        let mut worst: Option<f64> = None;
        for (_, _, series) in self.matching(selector, narrow) {
            let context = leak::Context {
                load: &load,
                limit: self.limit_of(&selector.metric),
                restarts: &restarts,
                uncollected: is_memory(&selector.metric)
                    && self.is_uncollected(&self.windows(Span::Run)),
            };
            let points = match is_memory(&selector.metric) {
                true => self.before_queue(&series.points),
                false => &series.points,
            };
            let slope = match leak::verdict(points, &context) {
                LeakVerdict::Leak { low, .. } => low,
                LeakVerdict::NoLeak { .. } => 0.0,
                LeakVerdict::Undecided { .. } => continue,
            };
            worst = Some(worst.map_or(slope, |worst| worst.max(slope)));
        }
        // A census that never found one has no series, and nothing has leaked.
        let run = self.windows(Span::Run);
        let none = self.matching(selector, narrow).is_empty()
            && is_census(&selector.metric)
            && self.looks(&selector.metric, &run) > 0;
        if none { Some(0.0) } else { worst }
    }

    /// The points up to the first moment at which requests queued, where they did for much of the
    /// run: each that waits takes memory, and allocators keep it for the next.
    pub fn before_queue<'p>(&self, points: &'p [Point]) -> &'p [Point] {
        let in_flight = bare(&names::LOAD_IN_FLIGHT);
        let levels = self.matching(&in_flight, &[]);
        let Some((_, _, levels)) = levels.first() else { return points };
        let mut sorted: Vec<f64> = levels.points.iter().map(|point| point.value).collect();
        sorted.sort_by(f64::total_cmp);
        let usual = sorted.get(sorted.len() / 5).copied().unwrap_or(0.0);
        let bound = (QUEUES * usual).max(QUEUED);
        let mut queued = levels.points.iter().filter(|point| point.value >= bound);
        let first = queued.next().map(|point| point.at);
        let is_much = (queued.count() + 1) as f64 >= MUCH * sorted.len() as f64;
        match first.filter(|_| is_much) {
            Some(first) => &points[..points.partition_point(|point| point.at < first)],
            None => points,
        }
    }

    /// Whether a runtime owns the target's memory that was not seen to collect all of it in
    /// `windows`: what it has not collected may be garbage.
    pub fn is_uncollected(&self, windows: &[Window]) -> bool {
        let collections = self
            .level_of(&major_collections(), Over::Sum, windows, &[])
            .or_else(|| self.metric(&names::RUNTIME_GC_COUNT, windows));
        collections.map_or(self.is_lazy_runtime, |rate| rate == 0.0)
    }

    /// Moments in `window` by which a runtime had collected all of its heap once more.
    pub fn collections(&self, window: Window) -> Vec<Moment> {
        let told = |selector: &Selector| {
            let mut moments = self.changed_at(selector, &[]);
            moments.retain(|at| window.contains(*at));
            moments.sort_unstable();
            moments
        };
        let major = major_collections();
        match self.matching(&major, &[]).is_empty() {
            true => told(&bare(&names::RUNTIME_GC_COUNT)),
            false => told(&major),
        }
    }

    /// Moments at which the target's process started anew.
    pub fn restarts(&self) -> Vec<Moment> {
        self.changed_at(&bare(&names::PROCESS_START_TIME), &[])
    }

    /// Moments at which a series had another value than at the look before, by more than rounding.
    fn changed_at(&self, selector: &Selector, narrow: &[Narrow]) -> Vec<Moment> {
        self.matching(selector, narrow)
            .into_iter()
            .flat_map(|(_, _, series)| series.points.windows(2))
            .filter(|pair| (pair[1].value - pair[0].value).abs() > 0.5)
            .map(|pair| pair[1].at)
            .collect()
    }

    /// How often a series had another value than at the look before, in all of `windows`.
    pub fn changes(
        &self,
        selector: &Selector,
        windows: &[Window],
        narrow: &[Narrow],
    ) -> Option<f64> {
        let within = |at: &Moment| windows.iter().any(|window| window.contains(*at));
        let is_read = !self.matching(selector, narrow).is_empty();
        let changes = self.changed_at(selector, narrow).into_iter().filter(within).count();
        is_read.then_some(changes as f64)
    }

    /// Where a series is exhausted, by the table of what can run out.
    fn limit_of(&self, metric: &str) -> Option<f64> {
        let run = self.windows(Span::Run);
        soak::limits_of(metric).iter().find_map(|limit| self.metric(limit, &run))
    }
}

/// Whether the watched processes run on a runtime that collects late, by their names.
pub(super) fn is_lazy_runtime(recording: &Recording) -> bool {
    let processes = recording.environment.collectors.iter().filter(|it| it.name == "process");
    let mut words = processes.flat_map(|it| it.watches.split(|c: char| !c.is_alphanumeric()));
    words.any(|word| LAZY_RUNTIMES.contains(&word))
}

fn is_memory(metric: &str) -> bool {
    metric.starts_with("process.memory.") || metric == names::RUNTIME_HEAP_USED.name
}

/// Young collections come soon and say nothing of what is old.
fn major_collections() -> Selector {
    let kind = Labels::none().with("kind", "major");
    Selector { labels: kind, ..bare(&names::JVM_GC_COUNT) }
}
