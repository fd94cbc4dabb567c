//! From a raw series to its floors: one life of the process, without start-up and without what
//! follows the load.

use crate::diagnose::terms::stats;
use crate::timeline::{Moment, Point};

/// Share of a series in which the process warms up.
const STARTUP: f64 = 0.2;
/// Share of a series up to which a strong step still belongs to the start-up.
const STARTUP_STEP: f64 = 1.0 / 3.0;
/// Most floors that are looked at: two minutes each in two hours.
const FLOORS: usize = 48;
/// Fewest samples of one floor.
const FLOOR_SAMPLES: usize = 4;
/// The quantile that is a floor.
const FLOOR_QUANTILE: f64 = 0.1;
/// Share of the detrended range that a sharp reset falls by, and the share of the series within
/// which it does (a minute of two hours).
const RESET_FALL: f64 = 0.4;
const RESET_WITHIN: f64 = 1.0 / 120.0;
/// A reset also stands out of the sample-to-sample noise by this factor.
const RESET_NOISE: f64 = 10.0;
/// Resets from which on the minima after them are the floors.
pub const MANY_RESETS: usize = 5;

/// A series as times in seconds and values.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Track {
    pub at: Vec<f64>,
    pub value: Vec<f64>,
}

impl Track {
    pub fn len(&self) -> usize {
        self.at.len()
    }

    /// Seconds from the first to the last point.
    pub fn seconds(&self) -> f64 {
        match (self.at.first(), self.at.last()) {
            (Some(first), Some(last)) => last - first,
            _ => 0.0,
        }
    }

    /// The points from the share `from` (0 to 1) of its length on.
    pub fn tail(&self, from: f64) -> Track {
        let begin = self.at.first().copied().unwrap_or(0.0) + from * self.seconds();
        let skip = self.at.partition_point(|at| *at < begin);
        Track { at: self.at[skip..].to_vec(), value: self.value[skip..].to_vec() }
    }

    /// The points from this index on.
    pub fn starting_at(&self, index: usize) -> Track {
        let skip = index.min(self.len());
        Track { at: self.at[skip..].to_vec(), value: self.value[skip..].to_vec() }
    }

    /// The first and the second half of its points.
    pub fn halves(&self) -> (Track, Track) {
        let (first, second) = self.at.split_at(self.len() / 2);
        let (below, above) = self.value.split_at(self.len() / 2);
        let track = |at: &[f64], value: &[f64]| Track { at: at.to_vec(), value: value.to_vec() };
        (track(first, below), track(second, above))
    }
}

/// Each life of the process, in order.
pub fn lives(points: &[Point], restarts: &[Moment]) -> Vec<Track> {
    let mut lives = vec![Track::default()];
    let mut restarts = restarts.iter().peekable();
    for point in points.iter().filter(|point| point.value.is_finite()) {
        while restarts.next_if(|restart| **restart <= point.at).is_some() {
            lives.push(Track::default());
        }
        if let Some(life) = lives.last_mut() {
            life.at.push(point.at.secs());
            life.value.push(point.value);
        }
    }
    lives
}

/// The longest life, the last of equals.
pub fn longest(lives: Vec<Track>) -> Track {
    lives.into_iter().max_by(|a, b| a.seconds().total_cmp(&b.seconds())).unwrap_or_default()
}

/// The smallest change between two readings in a row: 1 for a count.
pub fn resolution(points: &[Point]) -> f64 {
    let changes = points.windows(2).map(|pair| (pair[1].value - pair[0].value).abs());
    changes.filter(|change| *change > 0.0).reduce(f64::min).unwrap_or(0.0)
}

/// The life without its start-up: its first fifth, or up to a strong step in the first third.
pub fn without_startup(life: &Track) -> Track {
    let range = spread(&life.value);
    let third = (STARTUP_STEP * life.len() as f64) as usize;
    let reach = (life.len() / 60).max(2);
    let level = |part: &[f64]| stats::median(part).unwrap_or(0.0);
    let end = (third + reach).min((life.len() + 1).saturating_sub(reach)).max(reach);
    let step = (reach..end)
        .rfind(|&at| {
            let before = level(&life.value[at - reach..at]);
            let after = level(&life.value[at..at + reach]);
            (after - before).abs() > 0.3 * range
        })
        .map_or(0.0, |at| (at + reach) as f64 / life.len() as f64);
    life.tail(STARTUP.max(step))
}

/// Central range of the values.
fn spread(values: &[f64]) -> f64 {
    let at = |share| stats::quantile(values, share).unwrap_or(0.0);
    at(0.99) - at(0.01)
}

/// Another series at the times of `track`, by linear interpolation; empty where it is.
pub fn value_at(track: &Track, other: &[Point]) -> Vec<f64> {
    let value = |at: f64| {
        let next = other.partition_point(|point| point.at.secs() < at);
        let (left, right) = (&other[next.saturating_sub(1)], &other[next.min(other.len() - 1)]);
        let apart = right.at.secs() - left.at.secs();
        let share = if apart > 0.0 { (at - left.at.secs()) / apart } else { 0.0 };
        left.value + (right.value - left.value) * share.clamp(0.0, 1.0)
    };
    if other.is_empty() { Vec::new() } else { track.at.iter().map(|at| value(*at)).collect() }
}

/// The track without what a linear dependence on the load explains beside time, and how much that
/// is per unit of load; `None` where nothing was taken off.
pub fn without_load(track: &Track, load: &[f64]) -> (Track, Option<f64>) {
    let ones = vec![1.0; track.len()];
    let fitted = stats::least_squares(&[ones, centred(&track.at), centred(load)], &track.value);
    let Some((coefficients, _)) = fitted.filter(|_| load.len() == track.len()) else {
        return (track.clone(), None);
    };
    // Less memory under more load does not follow the load.
    let share = coefficients[2].max(0.0);
    let value = track.value.iter().zip(centred(load)).map(|(value, load)| value - share * load);
    (Track { at: track.at.clone(), value: value.collect() }, Some(share))
}

fn centred(values: &[f64]) -> Vec<f64> {
    let mean = stats::mean(values).unwrap_or(0.0);
    values.iter().map(|value| value - mean).collect()
}

/// The lower edge of a series.
#[derive(Clone, Debug, PartialEq)]
pub struct Floors {
    pub track: Track,
    /// How often the series fell sharply, as a collector of garbage makes it.
    pub resets: usize,
    /// Whether the floors are the minima after those falls.
    pub after_resets: bool,
}

/// The floors: minima after sharp resets where there are enough, otherwise low quantiles.
pub fn floors(track: &Track) -> Floors {
    let resets = resets(track);
    if resets.len() >= MANY_RESETS {
        let floor = |&at: &usize| (track.at[at], track.value[at]);
        let (at, value) = resets.iter().map(floor).unzip();
        let track = Track { at, value };
        return Floors { track, resets: resets.len(), after_resets: true };
    }
    Floors { track: quantiles(track), resets: resets.len(), after_resets: false }
}

fn quantiles(track: &Track) -> Track {
    let count = (track.len() / FLOOR_SAMPLES).clamp(1, FLOORS);
    let edge = |index: usize| index * track.len() / count;
    let mut floors = Track::default();
    for index in 0..count {
        let part = edge(index)..edge(index + 1);
        floors.at.extend(stats::mean(&track.at[part.clone()]));
        floors.value.extend(stats::quantile(&track.value[part], FLOOR_QUANTILE));
    }
    floors
}

/// Indices of the minima right after sharp falls.
fn resets(track: &Track) -> Vec<usize> {
    let Some(line) = stats::line(&track.at, &track.value) else { return Vec::new() };
    let flat: Vec<f64> =
        track.at.iter().zip(&track.value).map(|(at, value)| value - line.slope * at).collect();
    let steps: Vec<f64> = flat.windows(2).map(|pair| pair[1] - pair[0]).collect();
    // Around the median step: the climb between two resets is no noise.
    let climb = stats::median(&steps).unwrap_or(0.0);
    let off: Vec<f64> = steps.iter().map(|step| (step - climb).abs()).collect();
    let noise = 1.4826 * stats::median(&off).unwrap_or(0.0);
    let fall = (RESET_FALL * spread(&flat)).max(RESET_NOISE * noise);
    let within = ((RESET_WITHIN * track.len() as f64 / (1.0 - STARTUP)) as usize).max(1);
    let mut found = Vec::new();
    let mut at = 0;
    while at + within < flat.len() && fall > 0.0 {
        let window = at + 1..=at + within;
        let lowest = window.min_by(|a, b| flat[*a].total_cmp(&flat[*b])).unwrap_or(at);
        if flat[at] - flat[lowest] > fall {
            found.push(lowest);
            at = lowest + within;
        } else {
            at += 1;
        }
    }
    found
}
