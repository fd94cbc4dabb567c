//! The series that moved when the symptom began, apart from what the load explains.

use std::collections::BTreeSet;

use super::bins::{Bins, LoadBin};
use super::model::{Onset, Order, Shift};
use super::shift::{self, FEWEST};
use super::symptoms;
use crate::diagnose::stats;
use crate::timeline::{Kind, Series, SeriesKey, Timeline};

/// Robust standard deviations from which on a series has moved.
const MOVED: f64 = 4.0;
/// Smallest standard deviation, as a share of the larger of both levels.
const LEAST_SPREAD: f64 = 0.05;
/// The load explains a series where they correlate at least so much in the good time,
const EXPLAINED: f64 = 0.5;
/// and the load varied by at least this share there.
const VARIED: f64 = 0.1;
/// Most series whose own onset is looked for: that takes two hundred times as long.
const PLACED: usize = 300;

/// Most bins before and behind the begin of the symptom in which movements are looked for.
const NEAR: usize = 500;

/// The bins of the good and the bad time.
#[derive(Clone, Copy, Debug)]
pub(super) struct Span {
    /// First bin of the good time.
    pub(super) good: usize,
    /// First bin of the bad time.
    pub(super) bad: usize,
    /// The bin after the last bad one.
    pub(super) end: usize,
}

impl Span {
    /// The part of it around the begin of the bad time, in which series are looked for that moved:
    /// what moves long after it is not its cause, and the search takes time.
    fn near(self) -> Self {
        Self {
            good: self.good.max(self.bad.saturating_sub(NEAR)),
            end: self.end.min(self.bad + NEAR),
            ..self
        }
    }
}

/// A series that moved, before its own onset is known.
struct Moved<'t> {
    key: &'t SeriesKey,
    series: &'t Series,
    before: f64,
    during: f64,
    z: f64,
    bins: Vec<usize>,
    residuals: Vec<f64>,
}

/// The series that moved, the strongest first.
pub(super) fn movers(
    timeline: &Timeline,
    bins: &Bins,
    load: &[LoadBin],
    span: Span,
    symptom: &Onset,
) -> Vec<Shift> {
    let span = span.near();
    let mut moved: Vec<Moved> = timeline
        .series
        .iter()
        .filter(|(key, _)| !is_the_load_itself(&key.metric))
        .filter_map(|(key, series)| moved(key, series, bins, load, span))
        .collect();
    moved.sort_by(|a, b| b.z.abs().total_cmp(&a.z.abs()).then_with(|| a.key.cmp(b.key)));
    moved.truncate(PLACED);
    let seeds = 1..;
    let mut shifts: Vec<Shift> = moved
        .into_iter()
        .zip(seeds)
        .filter_map(|(it, seed)| {
            let onset = placed(&it, bins, seed)?;
            Some(Shift {
                series: it.key.to_string(),
                unit: it.series.unit,
                per_second: it.series.kind == Kind::Counter,
                before: it.before,
                during: it.during,
                z: it.z,
                order: order(&onset, symptom),
                onset,
            })
        })
        .collect();
    drop_twins(&mut shifts);
    // What moved first may be why; among those, what moved furthest.
    let rank = |shift: &Shift| match shift.order {
        Order::Before | Order::Together => 0,
        Order::After | Order::Unknown => 1,
    };
    let times = |shift: &Shift| {
        let (low, high) = (shift.before.abs(), shift.during.abs());
        low.max(high) / low.min(high).max(f64::MIN_POSITIVE)
    };
    shifts.sort_by(|a, b| {
        let far = b.z.abs().round().total_cmp(&a.z.abs().round());
        rank(a).cmp(&rank(b)).then(far).then(times(b).total_cmp(&times(a)))
    });
    shifts
}

/// Leaves out series that kneepoint has under a name of its own as well.
fn drop_twins(shifts: &mut Vec<Shift>) {
    let is_own =
        |shift: &Shift| shift.series.split('{').next().is_some_and(|metric| metric.contains('.'));
    let values = |shift: &Shift| (shift.before.to_bits(), shift.during.to_bits(), shift.onset.at);
    let own: BTreeSet<_> = shifts.iter().filter(|it| is_own(it)).map(values).collect();
    shifts.retain(|shift| is_own(shift) || !own.contains(&values(shift)));
}

/// When one series moved, whatever the load explains of it; `None` if it did not.
pub(super) fn moved_at(timeline: &Timeline, bins: &Bins, span: Span, name: &str) -> Option<Onset> {
    let metric = name.split('{').next().unwrap_or_default();
    let (key, series) = timeline.series_of(metric).find(|(key, _)| key.to_string() == name)?;
    let it = moved(key, series, bins, &[], span.near())?;
    placed(&it, bins, 1)
}

fn placed(it: &Moved, bins: &Bins, seed: u64) -> Option<Onset> {
    let (at, low, high) = shift::place(&it.residuals, seed)?;
    let bin = |place: usize| it.bins.get(place).copied();
    Some(symptoms::onset(bins, bin(at)?, bin(low)?, bin(high)?))
}

/// How a moment lies to the symptom's begin.
pub(super) fn order(onset: &Onset, symptom: &Onset) -> Order {
    if onset.is_after(symptom) {
        Order::After
    } else if symptom.is_after(onset) {
        Order::Before
    } else {
        Order::Together
    }
}

fn moved<'t>(
    key: &'t SeriesKey,
    series: &'t Series,
    bins: &Bins,
    load: &[LoadBin],
    span: Span,
) -> Option<Moved<'t>> {
    let values = bins.series(series, span.good, span.end);
    let known: Vec<(usize, f64)> =
        (span.good..).zip(values).filter_map(|(bin, value)| Some((bin, value?))).collect();
    let split = known.partition_point(|(bin, _)| *bin < span.bad);
    let (good, bad) = known.split_at(split);
    if good.len() < FEWEST || bad.len() < FEWEST {
        return None;
    }
    let rate = |bin: usize| load.get(bin).and_then(LoadBin::rate);
    let (slope, usual) = explained(good, &rate);
    let residual =
        |(bin, value): &(usize, f64)| value - slope * (rate(*bin).unwrap_or(usual) - usual);
    let (of_good, of_bad): (Vec<f64>, Vec<f64>) =
        (good.iter().map(residual).collect(), bad.iter().map(residual).collect());
    let level = |values: &[(usize, f64)]| {
        stats::median(&values.iter().map(|(_, value)| *value).collect::<Vec<_>>())
    };
    let (before, during) = (level(good)?, level(bad)?);
    let floor = LEAST_SPREAD * before.abs().max(during.abs());
    let scale = shift::spread(&of_good)?.max(floor);
    let z = (stats::median(&of_bad)? - stats::median(&of_good)?) / scale;
    if !z.is_finite() || z.abs() < MOVED {
        return None;
    }
    let bins = known.iter().map(|(bin, _)| *bin).collect();
    let residuals = [of_good, of_bad].concat();
    Some(Moved { key, series, before, during, z, bins, residuals })
}

/// How much a series rises with a request per second, and the usual load.
fn explained(good: &[(usize, f64)], rate: &dyn Fn(usize) -> Option<f64>) -> (f64, f64) {
    let pairs = good.iter().filter_map(|(bin, value)| Some((rate(*bin)?, *value)));
    let (rates, values): (Vec<f64>, Vec<f64>) = pairs.unzip();
    let usual = stats::median(&rates).unwrap_or(0.0);
    let varied = stats::relative_spread(&rates).is_some_and(|spread| spread >= VARIED);
    if !varied || stats::correlation(&rates, &values).abs() < EXPLAINED {
        return (0.0, usual);
    }
    // A sample of the pairs is enough, and a few hundred pairs are quick.
    const MOST: usize = 240;
    let every = rates.len().div_ceil(MOST).max(1);
    let thin = |values: &[f64]| values.iter().step_by(every).copied().collect::<Vec<_>>();
    (stats::theil_sen(&thin(&rates), &thin(&values)).unwrap_or(0.0), usual)
}

/// Whether a series only says once more what users felt: the requests of the target itself, the
/// scrapes, and times of day.
fn is_the_load_itself(metric: &str) -> bool {
    let is_of_requests = metric.contains("http_") && !metric.contains("client")
        || metric.starts_with("grpc_server_")
        || metric.starts_with("envoy_http_downstream_")
        || metric.starts_with("istio_request");
    is_of_requests
        || metric.starts_with("scrape_")
        || metric.ends_with("_timestamp_seconds")
        || metric.ends_with("_start_time_seconds")
        || metric.ends_with("_created")
        || metric == "process.start_time"
}
