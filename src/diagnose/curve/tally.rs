//! All that the ticks of a window add up to.

use std::collections::BTreeMap;

use crate::diagnose::terms::model::{Quantiles, StageSummary};
use crate::diagnose::terms::stats;
use crate::timeline::{Account, Histogram, LoadTick, Moment, Stage, Timeline, Window};

/// One tick, summed over the generators.
#[derive(Clone, Copy, Debug)]
pub struct Bin {
    /// Middle of the tick.
    pub middle: Moment,
    /// Its length in seconds.
    pub seconds: f64,
    /// Requests due.
    pub offered: f64,
    /// Responses and failures.
    pub completed: f64,
    /// Successful responses.
    pub succeeded: f64,
    /// Mean requests in flight, and those that waited for a connection at its end.
    pub queue: f64,
}

/// The ticks inside `window`, those of several generators added up in their order.
pub fn bins(timeline: &Timeline, window: Window) -> Vec<Bin> {
    let mut by_generator: BTreeMap<&str, Vec<&LoadTick>> = BTreeMap::new();
    for tick in timeline.ticks_within(window) {
        by_generator.entry(&tick.generator).or_default().push(tick);
    }
    let length = by_generator.values().map(Vec::len).min().unwrap_or(0);
    (0..length)
        .map(|index| {
            let ticks = || by_generator.values().map(|ticks| ticks[index]);
            let first = by_generator.values().next().map(|ticks| ticks[index].window);
            let first = first.unwrap_or(window);
            Bin {
                middle: first.middle(),
                seconds: first.secs(),
                offered: ticks().map(|tick| tick.offered as f64).sum(),
                completed: ticks().map(|tick| tick.completed() as f64).sum(),
                succeeded: ticks().map(|tick| tick.succeeded() as f64).sum(),
                queue: ticks().map(|tick| tick.in_flight + tick.backlog as f64).sum(),
            }
        })
        .collect()
}

/// All that the ticks of one window add up to.
#[derive(Debug, Default)]
pub struct Tally {
    pub bins: Vec<Bin>,
    pub window: Option<Window>,
    pub offered: u64,
    pub held_back: u64,
    /// Requests that the run's own highest rate made wait.
    pub capped: u64,
    /// Requests that were due and never begun: see [`missed_of`].
    pub missed: f64,
    /// Seconds that requests waited for a connection, all together.
    pub waited: f64,
    pub completed: u64,
    pub succeeded: u64,
    pub lateness: Histogram,
    pub response: Histogram,
    pub service: Histogram,
    failures: Histogram,
    errors: BTreeMap<String, u64>,
}

impl Tally {
    /// Adds up the ticks inside `window`.
    pub fn of(timeline: &Timeline, window: Window) -> Self {
        let mut tally = Self {
            bins: bins(timeline, window),
            window: Some(window),
            lateness: Histogram::of_many(),
            response: Histogram::of_many(),
            service: Histogram::of_many(),
            ..Self::default()
        };
        tally.missed = missed(timeline, window);
        for tick in timeline.ticks_within(window) {
            tally.offered += tick.offered;
            tally.held_back += tick.held_back;
            tally.capped += tick.journeys.capped;
            tally.waited += tick.backlog as f64 * tick.window.secs();
            tally.lateness.merge(&tick.lateness);
            for endpoint in &tick.endpoints {
                let count = endpoint.response_time.count();
                tally.completed += count;
                if endpoint.class.is_success() {
                    tally.succeeded += count;
                    tally.response.merge(&endpoint.response_time);
                    tally.service.merge(&endpoint.service_time);
                } else {
                    tally.failures.merge(&endpoint.response_time);
                    *tally.errors.entry(endpoint.class.to_string()).or_default() += count;
                }
            }
        }
        for sum in [&mut tally.lateness, &mut tally.response, &mut tally.service] {
            sum.compact();
        }
        tally
    }

    /// Seconds that the ticks cover.
    pub fn seconds(&self) -> f64 {
        self.bins.iter().map(|bin| bin.seconds).sum()
    }

    /// The stage as numbers; the offered rate climbs by `climb` per second in it.
    pub fn summary(&self, stage: &Stage, window: Window, climb: f64) -> StageSummary {
        let seconds = self.seconds();
        let per_second = |count: u64| if seconds > 0.0 { count as f64 / seconds } else { 0.0 };
        let failed = self.completed - self.succeeded;
        let mut errors: Vec<(String, u64)> =
            self.errors.iter().map(|(class, count)| (class.clone(), *count)).collect();
        errors.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
        let queue: f64 = self.bins.iter().map(|bin| bin.queue * bin.seconds).sum();
        StageSummary {
            role: stage.role,
            window,
            offered: if seconds > 0.0 { per_second(self.offered) } else { stage.rate() },
            throughput: per_second(self.completed),
            goodput: per_second(self.succeeded),
            error_ratio: failed as f64 / self.completed.max(1) as f64,
            errors,
            response: quantiles(&self.response),
            service: quantiles(&self.service),
            failures: quantiles(&self.failures),
            in_flight: if seconds > 0.0 { queue / seconds } else { 0.0 },
            in_flight_slope: self.queue_slope(climb),
            held_back: self.held_back,
            lateness_p99: self.lateness.quantile(0.99).unwrap_or(0.0),
            broken_objectives: Vec::new(),
            invalid: None,
            vus: None,
        }
    }

    /// Growth of the queue per second with its 95 % interval. Where the offered rate climbs, the
    /// growth that Little's law expects of it at an unchanged response time is taken off.
    ///
    /// The interval is that of the drift of a random walk, from the scatter of the queue's steps:
    /// near saturation a queue is one, and residuals around a line would depend on each other.
    fn queue_slope(&self, climb: f64) -> (f64, f64, f64) {
        let at: Vec<f64> = self.bins.iter().map(|bin| bin.middle.secs()).collect();
        let queue: Vec<f64> = self.bins.iter().map(|bin| bin.queue).collect();
        let steps: Vec<f64> = self
            .bins
            .windows(2)
            .map(|pair| {
                let apart = pair[1].middle.since(pair[0].middle).as_secs_f64();
                (pair[1].queue - pair[0].queue) / apart.max(f64::MIN_POSITIVE)
            })
            .collect();
        let Some(line) = stats::line(&at, &queue) else {
            return (0.0, f64::NEG_INFINITY, f64::INFINITY);
        };
        let slope = line.slope - climb * self.response.quantile(0.5).unwrap_or(0.0);
        if steps.len() < 2 {
            // Two ticks have a slope, and nothing to tell its scatter by.
            return (slope, f64::NEG_INFINITY, f64::INFINITY);
        }
        let error = (stats::variance(&steps) / steps.len() as f64).sqrt();
        let spread = stats::student(1.96, steps.len() - 1) * error;
        (slope, slope - spread, slope + spread)
    }
}

/// Requests that were due in a tick, neither given up nor waiting for a free connection, and not
/// sent.
fn unsent(before: &Account, now: &Account) -> f64 {
    now.offered - now.held_back - (now.backlog - before.backlog) - now.sent
}

/// The same from the middle of the tick before to that of `now`, by flow balance: what was due and
/// neither ended nor is in flight.
fn unbegun(before: &Account, now: &Account) -> f64 {
    let surplus = |tick: &Account| tick.offered - tick.held_back - tick.completed;
    let waiting = now.backlog - before.backlog;
    f64::midpoint(surplus(before), surplus(now)) - (now.in_flight - before.in_flight) - waiting
}

/// Requests that were due in the ticks of some generators, each with its index or name, and that
/// were never begun. What waits for the target to take its connection is in flight and not sent:
/// that is the target's doing, as where its listen queue is full and the kernel drops the SYN. So
/// both accounts have to lack a request. Each generator's first tick is left out: what waited before
/// it is not known.
pub fn missed_of<G: Ord>(ticks: impl Iterator<Item = (G, Account)>) -> f64 {
    let mut last: BTreeMap<G, Account> = BTreeMap::new();
    let (mut not_sent, mut not_begun) = (0.0, 0.0);
    for (generator, now) in ticks {
        if let Some(before) = last.insert(generator, now) {
            not_sent += unsent(&before, &now);
            not_begun += unbegun(&before, &now);
        }
    }
    f64::min(not_sent, not_begun)
}

fn missed(timeline: &Timeline, window: Window) -> f64 {
    let ticks = timeline.ticks_within(window);
    missed_of(ticks.map(|tick| (tick.generator.as_str(), Account::of(tick))))
}

fn quantiles(histogram: &Histogram) -> Option<Quantiles> {
    let at = |share| histogram.quantile(share);
    Some(Quantiles {
        mean: histogram.mean()?,
        p50: at(0.5)?,
        p90: at(0.9)?,
        p95: at(0.95)?,
        p99: at(0.99)?,
        max: histogram.max()?,
    })
}
