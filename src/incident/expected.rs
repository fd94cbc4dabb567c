//! Bad times that are no incident: what the load, the mix of requests or the hour explains, and what
//! passes by itself.

use std::collections::BTreeMap;

use super::bins::{Bins, LoadBin};
use super::model::SymptomKind;
use super::shift::FEWEST;
use super::symptoms::{BASELINE, Episode, Track};
use crate::diagnose::stats;
use crate::timeline::{Histogram, LoadTick, Moment, Timeline, Window, names};

/// Values that differ by less than this many times are alike.
const ALIKE: f64 = 1.25;
/// Loads that differ by at most this share are alike.
const SAME_LOAD: f64 = 0.1;
/// Fewest requests of one name that tell its response time or its failures,
const FEWEST_REQUESTS: u64 = 30;
/// and the share of all requests whose names must be known from before.
const MOST_KNOWN: f64 = 0.9;
/// Seconds of a day.
const DAY: f64 = 86_400.0;
/// Fewest other days that tell what is usual at an hour, and how many are looked at.
const FEWEST_DAYS: usize = 2;
const MOST_DAYS: usize = 14;
/// A job that runs each day begins within this many seconds of the same time.
const PUNCTUAL: f64 = 1200.0;
/// What fades by itself within this many seconds was a cold cache or the like.
const FADES_WITHIN: f64 = 1800.0;
/// It fades where the last quarter of it is at most this share of the first one,
const FADED: f64 = 0.5;
/// or at most this one, and something of it is left afterwards: what stops at once was stopped.
const FADES: f64 = 0.75;
const LEFT_OVER: f64 = 0.1;
/// Response times of new processes settle within this many seconds.
const WARM_UP: f64 = 600.0;
/// In a long recording, an episode of fewer bins than this must be twice as bad to count: there are
/// very many short ones by chance.
const SHORT: usize = 2 * FEWEST;
const LONG_RECORDING: usize = 1500;

/// What is usual in a recording.
pub(super) struct Usual<'t> {
    timeline: &'t Timeline,
    bins: &'t Bins,
    load: &'t [LoadBin],
    /// When processes started.
    starts: Vec<Moment>,
}

/// The requests of one name in a time.
#[derive(Default)]
struct Requests {
    all: u64,
    failed: u64,
    seconds: f64,
    good: Histogram,
}

impl<'t> Usual<'t> {
    /// What is usual in a timeline whose load in each bin is `load`.
    pub(super) fn of(timeline: &'t Timeline, bins: &'t Bins, load: &'t [LoadBin]) -> Self {
        let own = ["process_start_time_seconds", names::PROCESS_START_TIME.name];
        let series = own.into_iter().flat_map(|name| timeline.series_of(name));
        let mut starts: Vec<Moment> = series
            .flat_map(|(_, series)| series.points.windows(2))
            .filter(|pair| pair[1].value > pair[0].value + 1.0)
            .map(|pair| pair[1].at)
            .collect();
        starts.sort();
        Self { timeline, bins, load, starts }
    }

    /// Why an episode is no incident; `None` where it may be one.
    pub(super) fn explains(&self, track: &Track, episode: &Episode) -> Option<&'static str> {
        let is_short = episode.to - episode.from < SHORT && self.bins.count > LONG_RECORDING;
        if is_short && episode.weight < 2.0 {
            return Some("it was short");
        }
        if self.is_of_the_load(track, episode) {
            return Some("response times are as long at other times with the same load");
        }
        if self.is_of_the_hour(track, episode) {
            return Some("other days have it at the same time");
        }
        if self.is_of_the_mix(episode) {
            return Some(
                "other requests were made than before, each as quick and as good as before",
            );
        }
        if self.is_warm_up(episode) {
            return Some("processes had just started, and it passed by itself");
        }
        self.fades(track, episode).then_some("it faded by itself, as a cold cache does")
    }

    fn is_of_the_load(&self, track: &Track, episode: &Episode) -> bool {
        if !matches!(episode.kind, SymptomKind::MeanTime | SymptomKind::P99) {
            return false;
        }
        let rate = |bin: usize| self.load.get(bin).and_then(LoadBin::rate);
        let rates: Vec<f64> = (episode.from..episode.to).filter_map(rate).collect();
        let Some(usual) = stats::median(&rates) else { return false };
        let inside = |bin: usize| (episode.from..episode.to).contains(&bin);
        let is_alike = |bin: usize| {
            rate(bin).is_some_and(|it| (it - usual).abs() <= SAME_LOAD * usual) && !inside(bin)
        };
        let alike: Vec<f64> =
            track.known().filter(|(bin, _)| is_alike(*bin)).map(|(_, value)| value).collect();
        alike.len() >= FEWEST
            && stats::median(&alike).is_some_and(|time| episode.during < ALIKE * time)
    }

    /// Whether most other days have the same at the same time.
    fn is_of_the_hour(&self, track: &Track, episode: &Episode) -> bool {
        let bins_of = |seconds: f64| (seconds / self.bins.step).round() as i64;
        let (day, late) = (bins_of(DAY), bins_of(PUNCTUAL) / 2);
        if day as usize >= self.bins.count {
            return false;
        }
        let (from, to) = (episode.from as i64, episode.to as i64);
        let before =
            |from: usize| stats::median(track.between(from.saturating_sub(4 * FEWEST), from));
        let worst = |days: i64| -> Option<f64> {
            let at = |shift: i64| -> Option<f64> {
                let begin = usize::try_from(from + days * day + shift).ok()?;
                let end = usize::try_from(to + days * day + shift).ok()?;
                let is_apart = end <= episode.from || begin >= episode.to;
                let values = track.between(begin, end);
                let is_known = 2 * values.len() >= episode.to - episode.from;
                let level = stats::median(values).filter(|_| is_apart && is_known)?;
                match episode.kind {
                    // As low as on another day, or fallen by as much: days differ in their load.
                    SymptomKind::Throughput => {
                        Some((level / before(begin)?).min(level / episode.before))
                    }
                    _ => Some(level),
                }
            };
            let values = [-2, -1, 0, 1, 2].into_iter().filter_map(|part| at(part * late));
            match episode.kind {
                SymptomKind::Throughput => values.reduce(f64::min),
                _ => values.reduce(f64::max),
            }
        };
        let days = (1..=MOST_DAYS as i64).flat_map(|days| [-days, days]);
        let others: Vec<f64> = days.filter_map(worst).collect();
        let is_alike = |value: &&f64| match episode.kind {
            SymptomKind::Throughput => **value * episode.before < ALIKE * episode.during,
            _ => episode.during < ALIKE * **value,
        };
        others.len() >= FEWEST_DAYS && 2 * others.iter().filter(is_alike).count() > others.len()
    }

    /// Whether each request is as it was, only their shares are other ones: what users see of all
    /// requests together then changes without a fault.
    fn is_of_the_mix(&self, episode: &Episode) -> bool {
        if episode.kind == SymptomKind::Throughput {
            return false;
        }
        let hour = ((BASELINE / self.bins.step).ceil() as usize).max(FEWEST);
        let before = self.requests(episode.from.saturating_sub(hour), episode.from);
        let during = self.requests(episode.from, episode.to);
        let all: u64 = during.values().map(|it| it.all).sum();
        let known: Vec<(&Requests, &Requests)> = during
            .iter()
            .filter_map(|(name, now)| Some((before.get(name)?, now)))
            .filter(|(then, now)| then.all.min(now.all) >= FEWEST_REQUESTS)
            .collect();
        let counted: u64 = known.iter().map(|(_, now)| now.all).sum();
        if known.len() < 2 || (counted as f64) < MOST_KNOWN * all as f64 {
            return false;
        }
        let together = |value: &dyn Fn(&Requests, &Requests) -> f64| -> f64 {
            known.iter().map(|(then, now)| value(then, now)).sum()
        };
        match episode.kind {
            SymptomKind::Errors => {
                let expected =
                    together(&|then, now| then.failed as f64 / then.all as f64 * now.all as f64);
                let failed = together(&|_, now| now.failed as f64);
                failed < ALIKE * expected
            }
            SymptomKind::MeanTime => {
                let expected =
                    together(&|then, now| then.seconds / then.all as f64 * now.all as f64);
                together(&|_, now| now.seconds) < ALIKE * expected
            }
            _ => known.iter().all(|(then, now)| {
                let p99 = |it: &Requests| it.good.quantile(0.99);
                p99(then).zip(p99(now)).is_some_and(|(then, now)| now < ALIKE * then)
            }),
        }
    }

    fn requests(&self, from: usize, to: usize) -> BTreeMap<&'t str, Requests> {
        let window: Window = self.bins.window(from, to);
        let ticks = &self.timeline.ticks;
        let first = ticks.partition_point(|tick| tick.window.begin < window.begin);
        let inside = |tick: &&LoadTick| tick.window.begin < window.end;
        let mut requests: BTreeMap<&str, Requests> = BTreeMap::new();
        for tick in ticks.iter().skip(first).take_while(inside) {
            for endpoint in &tick.endpoints {
                let count = endpoint.response_time.count();
                let entry = requests.entry(endpoint.endpoint.as_str()).or_default();
                entry.all += count;
                entry.seconds += endpoint.response_time.sum();
                match endpoint.class.is_success() {
                    true => entry.good.merge(&endpoint.response_time),
                    false => entry.failed += count,
                }
            }
        }
        requests
    }

    /// Whether response times were long only while new processes settled.
    fn is_warm_up(&self, episode: &Episode) -> bool {
        let is_time = matches!(episode.kind, SymptomKind::MeanTime | SymptomKind::P99);
        let window = self.bins.window(episode.from.saturating_sub(2), episode.to);
        let is_over = episode.to < self.bins.count && window.secs() <= WARM_UP;
        is_time && is_over && self.starts.iter().any(|at| window.contains(*at))
    }

    /// Whether it became less from its beginning on, and went on becoming less after half of it
    /// was undone.
    fn fades(&self, track: &Track, episode: &Episode) -> bool {
        let is_time = matches!(episode.kind, SymptomKind::MeanTime | SymptomKind::P99);
        // The place of its end may be a few bins off.
        let half = f64::midpoint(episode.before, episode.during);
        let is_bad =
            |bin: &usize| track.between(*bin, *bin + 1).first().is_some_and(|value| *value > half);
        let Some(last) = (episode.from..episode.to).rev().find(is_bad) else { return false };
        let to = last + 1;
        let length = to - episode.from;
        let quarter = length.div_ceil(4).max(2);
        let seconds = length as f64 * self.bins.step;
        if !is_time || seconds > FADES_WITHIN || to + quarter > self.bins.count {
            return false;
        }
        let more = |from: usize| {
            let level = stats::median(track.between(from, from + quarter))?;
            Some(level - episode.before)
        };
        let parts = (more(episode.from), more(to.saturating_sub(quarter)), more(to));
        let (Some(first), Some(last), Some(after)) = parts else { return false };
        let goes_on = last <= FADES * first && after > LEFT_OVER * first;
        first > 0.0 && after < last && (last <= FADED * first || goes_on)
    }
}
