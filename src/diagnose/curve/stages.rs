//! Each stage as numbers: what was offered, what came back, how long it took, whether the queue
//! grew, and whether the stage says anything of the target at all.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::diagnose::conclude::generator;
use crate::diagnose::terms::model::{Quantiles, StageSummary};
use crate::diagnose::terms::stats;
use crate::recording::{PlanSummary, Recording};
use crate::timeline::{Histogram, LoadTick, Moment, Stage, StageRole, Timeline, Window};

use super::objectives;

/// Share of a stage in which the system settles to its load.
const SETTLING_SHARE: f64 = 0.15;
/// The longest settling time, in seconds.
const SETTLING_SECONDS: f64 = 5.0;
/// Share of a tick by which it may last longer than its stage.
const MIXED_SHARE: f64 = 0.05;
/// Shortest slice of a stage whose rate moves, in seconds.
const SLICE_SECONDS: f64 = 5.0;
/// Most slices of one stage: more would leave too few requests in each.
const SLICES: usize = 40;
/// A stage declared constant whose offered load moves by more than this share is one that ramps.
const MOVING: f64 = 0.3;
/// Share of the requests that the run's own limit may hold up before a stage says nothing.
const CAPPED_SHARE: f64 = 0.01;
/// A system has collapsed where more than this share of the requests fails.
const COLLAPSED: f64 = 0.5;
/// Share of the offered load by which completions must exceed it to be a backlog that is worked
/// off.
const WORKED_OFF: f64 = 0.05;

/// Summarises every stage of a recording, in the order they were held.
pub fn summarize(recording: &Recording) -> Vec<StageSummary> {
    summarize_timeline(&recording.timeline, &recording.plan)
}

/// The same of a timeline that is still growing.
///
/// A stage whose rate moves is cut into slices of equal steps of the rate, five seconds each or
/// more, so that a knee can be found in one long ramp; a slice has the role of its stage.
pub fn summarize_timeline(timeline: &Timeline, plan: &PlanSummary) -> Vec<StageSummary> {
    let mut spans = Vec::new();
    for stage in &timeline.stages {
        cut(stage, timeline, &mut spans);
    }
    let mut tallies: Vec<Tally> =
        spans.iter().map(|(_, window, _)| Tally::of(timeline, *window)).collect();
    let base = tallies
        .iter()
        .zip(&spans)
        .filter(|(_, (stage, _, _))| stage.role.is_measured())
        .filter_map(|(tally, _)| tally.response.mean())
        .reduce(f64::min)
        .unwrap_or(0.0);
    let per_user = per_user(&spans, &tallies);
    let mut summaries: Vec<StageSummary> = spans
        .iter()
        .zip(&mut tallies)
        .map(|((stage, window, climb), tally)| {
            let mut summary = tally.summary(stage, *window, *climb);
            summary.vus = vus_in(stage, *window);
            if let (Some(vus), Some(per_user)) = (summary.vus, per_user)
                && stage.is_closed()
            {
                summary.offered = vus * per_user;
            }
            if stage.role.is_measured() {
                summary.broken_objectives = objectives::broken(timeline, *window, plan);
            }
            summary.invalid = invalid(stage, &summary, tally, base, timeline);
            summary
        })
        .collect();
    leave_out_collapsed(&mut summaries, timeline);
    summaries
}

/// Requests per second that one virtual user makes of a target that is not loaded: those of the
/// closed stage with the fewest of them.
///
/// So many users times this is what they would offer if the response time stayed as it is there:
/// the sloping one of the asymptotic bounds of a closed system (Denning & Buzen 1978, section 8),
/// `X <= N / (R + Z)`. Throughput follows it up to the saturation point, as it follows the offered
/// load of an open one up to the knee.
fn per_user(spans: &[(&Stage, Window, f64)], tallies: &[Tally]) -> Option<f64> {
    let closed = spans.iter().zip(tallies).filter_map(|((stage, window, _), tally)| {
        let vus = vus_in(stage, *window).filter(|_| stage.is_closed() && stage.role.is_measured());
        let per_second = tally.completed as f64 / tally.seconds();
        Some((vus?, per_second)).filter(|(vus, rate)| *vus > 0.0 && rate.is_finite() && *rate > 0.0)
    });
    closed.min_by(|a, b| a.0.total_cmp(&b.0)).map(|(vus, per_second)| per_second / vus)
}

/// Mean number of virtual users within a part of a stage; `None` where it has none.
fn vus_in(stage: &Stage, window: Window) -> Option<f64> {
    let span = stage.window.secs();
    let middle = window.middle().since(stage.window.begin).as_secs_f64();
    let share = if span > 0.0 { (middle / span).clamp(0.0, 1.0) } else { 0.5 };
    (stage.vus() > 0.0).then_some(stage.vus_from + (stage.vus_to - stage.vus_from) * share)
}

/// Leaves out stages that show a collapse from which the system had not come back (a metastable
/// failure, Bronson et al. 2021): at little load, which it had carried before, most requests still
/// failed at the end of a drain. What then fails too fails whatever load it has.
fn leave_out_collapsed(summaries: &mut [StageSummary], timeline: &Timeline) {
    let still_fails = |summary: &StageSummary| {
        if summary.role != StageRole::Drain {
            return false;
        }
        let window = summary.window;
        let late = Tally::of(timeline, Window::new(window.middle(), window.end));
        fails(late.succeeded, late.completed)
    };
    let Some(at) = summaries.iter().position(still_fails) else { return };
    let (before, after) = summaries.split_at_mut(at + 1);
    let little = before.last().map_or(0.0, |drain| drain.offered);
    let carried = |summary: &StageSummary| {
        summary.role.is_measured() && summary.offered >= little && summary.error_ratio < 0.1
    };
    if !before.iter().any(carried) {
        return;
    }
    let collapsed = |summary: &&mut StageSummary| {
        summary.role.is_measured() && summary.invalid.is_none() && summary.error_ratio > COLLAPSED
    };
    for summary in after.iter_mut().filter(collapsed) {
        summary.invalid = Some(format!(
            "the system had not come back from the overload before it: even at {little:.0}/s, \
             which it had carried, most requests failed"
        ));
    }
}

fn fails(succeeded: u64, completed: u64) -> bool {
    completed > 0 && (succeeded as f64) < (1.0 - COLLAPSED) * completed as f64
}

/// Why the stage says nothing of the target.
fn invalid(
    stage: &Stage,
    summary: &StageSummary,
    tally: &Tally,
    base: f64,
    timeline: &Timeline,
) -> Option<String> {
    if tally.bins.is_empty() {
        return Some("nothing was recorded in it".into());
    }
    if !stage.role.is_measured() {
        return None;
    }
    if let Some(fault) = generator::fault(tally, summary, base, timeline) {
        return Some(fault);
    }
    if tally.capped as f64 > CAPPED_SHARE * tally.offered as f64 {
        return Some(format!(
            "the run's own `max_rate` made {} of {} requests wait",
            tally.capped, tally.offered
        ));
    }
    let surplus = tally.completed as f64 - tally.offered as f64;
    let noise = 3.0 * (tally.offered as f64).sqrt();
    (surplus > noise.max(WORKED_OFF * tally.offered as f64)).then(|| {
        format!(
            "it still answered the backlog of the stage before it: {:.0} responses more than \
             requests were due",
            surplus
        )
    })
}

/// Appends the spans that count of one stage: the stage, its window without the settling time,
/// and by how much the offered rate climbs per second inside it.
fn cut<'a>(stage: &'a Stage, timeline: &Timeline, spans: &mut Vec<(&'a Stage, Window, f64)>) {
    let whole = stage.window;
    let seconds = whole.secs();
    let climb = climb(stage, timeline);
    let slices = ((seconds / SLICE_SECONDS) as usize).min(SLICES);
    if (climb == 0.0 && !stage.is_ramping()) || slices < 2 {
        spans.push((stage, settled(whole, timeline), climb));
        return;
    }
    let edge = |slice: usize| whole.begin + span(seconds * slice as f64 / slices as f64);
    for slice in 0..slices {
        spans.push((stage, Window::new(edge(slice), edge(slice + 1)), climb));
    }
}

/// By how many requests per second the offered rate climbs each second; 0 for a constant level.
fn climb(stage: &Stage, timeline: &Timeline) -> f64 {
    let seconds = stage.window.secs();
    if seconds <= 0.0 {
        return 0.0;
    }
    if stage.is_ramping() && !stage.is_closed() {
        return (stage.rate_to - stage.rate_from) / seconds;
    }
    // Imported recordings may know the load only from their ticks, and what virtual users ask for
    // depends on the answers.
    let bins = bins(timeline, stage.window);
    if !stage.role.is_measured() || bins.len() < 30 {
        return 0.0;
    }
    let rate = |part: &[Bin]| {
        part.iter().map(|bin| bin.offered).sum::<f64>()
            / part.iter().map(|bin| bin.seconds).sum::<f64>()
    };
    let quarter = bins.len() / 4;
    let (first, last) = (rate(&bins[..quarter]), rate(&bins[bins.len() - quarter..]));
    let change = (last - first) / first.max(last).max(f64::MIN_POSITIVE);
    if change.abs() > MOVING { (last - first) / (0.75 * seconds) } else { 0.0 }
}

/// `whole` without the time in which the system settles, and without a last tick that goes on into
/// the next stage and counts its load; it keeps two ticks where it has them.
fn settled(whole: Window, timeline: &Timeline) -> Window {
    let bins = bins(timeline, whole);
    let tick = bins.first().map_or(1.0, |bin| bin.seconds);
    let settling = (SETTLING_SHARE * whole.secs()).min(SETTLING_SECONDS).max(tick);
    let begin = whole.begin + span(settling);
    let mixed = bins.last().filter(|bin| {
        let end = bin.middle + span(bin.seconds / 2.0);
        end > whole.end + span(MIXED_SHARE * bin.seconds)
    });
    let pure = mixed.map_or(whole.end, |bin| whole.end.min(bin.middle));
    let keeps_two =
        |window: &Window| bins.iter().filter(|bin| window.contains(bin.middle)).nth(1).is_some();
    [(begin, pure), (whole.begin, pure), (begin, whole.end)]
        .into_iter()
        .filter(|(begin, end)| begin < end)
        .map(|(begin, end)| Window::new(begin, end))
        .find(keeps_two)
        .unwrap_or(whole)
}

fn span(seconds: f64) -> Duration {
    Duration::from_nanos((seconds.max(0.0) * 1e9) as u64)
}

/// One tick, summed over the generators.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bin {
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
pub(crate) fn bins(timeline: &Timeline, window: Window) -> Vec<Bin> {
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
pub(crate) struct Tally {
    pub bins: Vec<Bin>,
    pub window: Option<Window>,
    pub offered: u64,
    held_back: u64,
    /// Requests that the run's own highest rate made wait.
    capped: u64,
    /// Requests that were due and never begun: see [`missed`].
    pub missed: f64,
    /// Seconds that requests waited for a connection, all together.
    pub waited: f64,
    pub completed: u64,
    pub succeeded: u64,
    pub lateness: Histogram,
    pub response: Histogram,
    service: Histogram,
    failures: Histogram,
    errors: BTreeMap<String, u64>,
}

impl Tally {
    fn of(timeline: &Timeline, window: Window) -> Self {
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

    fn summary(&self, stage: &Stage, window: Window, climb: f64) -> StageSummary {
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

/// Requests of one generator that were due in `now`, neither given up nor waiting for a free
/// connection, and not sent.
fn unsent(before: &LoadTick, now: &LoadTick) -> f64 {
    let waiting = now.backlog as f64 - before.backlog as f64;
    now.offered as f64 - now.held_back as f64 - waiting - now.sent as f64
}

/// The same from the middle of `before` to that of `now`, by flow balance: what was due and
/// neither ended nor is in flight.
fn unbegun(before: &LoadTick, now: &LoadTick) -> f64 {
    let surplus =
        |tick: &LoadTick| tick.offered as f64 - tick.held_back as f64 - tick.completed() as f64;
    let waiting = now.backlog as f64 - before.backlog as f64;
    f64::midpoint(surplus(before), surplus(now)) - (now.in_flight - before.in_flight) - waiting
}

/// Requests that were due in `window` and that the generator never began. What waits for the
/// target to take its connection is in flight and not sent: that is the target's doing, as where
/// its listen queue is full and the kernel drops the SYN. So both accounts have to lack a request.
/// Each generator's first tick is left out: what waited before it is not known.
fn missed(timeline: &Timeline, window: Window) -> f64 {
    let mut last: BTreeMap<&str, &LoadTick> = BTreeMap::new();
    let (mut not_sent, mut not_begun) = (0.0, 0.0);
    for now in timeline.ticks_within(window) {
        if let Some(before) = last.insert(&now.generator, now) {
            not_sent += unsent(before, now);
            not_begun += unbegun(before, now);
        }
    }
    f64::min(not_sent, not_begun)
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

#[cfg(test)]
mod tests;
