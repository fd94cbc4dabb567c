//! Whether the target stopped serving for good: from some request on nearly everything fails, at
//! loads too that it had carried before.
//!
//! Overload passes when there is less load, and a crash ends the process. Something that is taken and
//! never given back does neither: it is gone after so many requests, at whatever rate they come.

use crate::diagnose::leaks::exhausted::{self, RanOut};
use crate::diagnose::measure::facts::Facts;
use crate::diagnose::terms::model::{Outcome, StageSummary};
use crate::diagnose::terms::operand::bare;
use crate::diagnose::terms::span::Span;
use crate::timeline::{LoadTick, Moment, StageRole, Timeline, Window, names};

/// Fewest seconds and due requests of the time in which everything fails.
const FAILS_SECONDS: f64 = 10.0;
const FAILS_REQUESTS: u64 = 30;
/// Share of the due requests that may still succeed then, and share that may fail before.
const STILL_SUCCEEDS: f64 = 0.1;
const FAILS_BEFORE: f64 = 0.3;
/// A stage was carried where at least this share of its offered load succeeded.
const CARRIED: f64 = 0.9;
/// Share of a carried load at which a target that was only overloaded comes back.
const LOWER: f64 = 0.5;
/// Seconds by which a resource may be seen to run out after the first failures.
const SEEN_LATE: f64 = 15.0;
/// Seconds without a process from which on the process has ended.
const GONE_SECONDS: f64 = 3.0;

/// The end of all success.
struct Onset {
    at: Moment,
    /// Requests that succeeded before.
    after_requests: u64,
    /// Share of the due requests that did not succeed since.
    failing: f64,
}

/// Whether everything fails from some request on and why; `has_knee` tells that another limit was
/// found, which only something that ran out may outrank.
pub fn find(
    timeline: &Timeline,
    stages: &[StageSummary],
    facts: &Facts,
    has_knee: bool,
) -> Option<Outcome> {
    let onset = onset(timeline)?;
    if has_ended(facts) {
        return None;
    }
    let ran_out: Vec<RanOut> = exhausted::ran_out(facts)
        .into_iter()
        .filter(|it| it.at.secs() <= onset.at.secs() + SEEN_LATE)
        .collect();
    let carried = stages
        .iter()
        .filter(|stage| stage.window.end <= onset.at)
        .filter(|stage| stage.goodput >= CARRIED * stage.offered)
        .map(|stage| stage.offered)
        .reduce(f64::max);
    let also_at = carried.and_then(|carried| failing_at(timeline, onset.at, carried));
    if ran_out.is_empty() && (has_knee || also_at.is_none()) {
        return None;
    }
    Some(Outcome::FailsForGood {
        after_requests: onset.after_requests,
        at: onset.at,
        failing: onset.failing,
        also_at,
        ran_out: ran_out.into_iter().map(|it| it.what).collect(),
    })
}

/// When success ended, where it did for long enough to the end of the load.
fn onset(timeline: &Timeline) -> Option<Onset> {
    let is_load = |tick: &&LoadTick| tick.offered > 0 || tick.completed() > 0;
    let ticks: Vec<&LoadTick> = timeline.ticks.iter().filter(is_load).collect();
    let good = |tick: &LoadTick| {
        let succeeded = tick.succeeded();
        succeeded > 0 && 2 * succeeded >= tick.completed()
    };
    let last_good = ticks.iter().rposition(|tick| good(tick))?;
    let (before, since) = ticks.split_at(last_good + 1);
    let sum = |ticks: &[&LoadTick], of: &dyn Fn(&LoadTick) -> u64| -> u64 {
        ticks.iter().map(|tick| of(tick)).sum()
    };
    let at = since.first()?.window.begin;
    let seconds = since.last()?.window.end.since(at).as_secs_f64();
    let due = sum(since, &|tick| tick.offered);
    let failing = 1.0 - sum(since, &LoadTick::succeeded) as f64 / due.max(1) as f64;
    let (succeeded, completed) =
        (sum(before, &LoadTick::succeeded), sum(before, &LoadTick::completed));
    let failed_before = 1.0 - succeeded as f64 / completed.max(1) as f64;
    let is_end = seconds >= FAILS_SECONDS && due >= FAILS_REQUESTS;
    (is_end && failing >= 1.0 - STILL_SUCCEEDS && failed_before <= FAILS_BEFORE).then_some(Onset {
        at,
        after_requests: succeeded,
        failing,
    })
}

/// The lowest load that was held long enough after `at` and is well below what was `carried` before.
fn failing_at(timeline: &Timeline, at: Moment, carried: f64) -> Option<f64> {
    let held = timeline.stages.iter().filter(|stage| stage.role != StageRole::Recovery);
    let lower = |rate: f64| rate > 0.0 && rate <= LOWER * carried;
    let lowest = held
        .filter(|stage| stage.window.begin >= at && lower(stage.rate()))
        .filter(|stage| {
            Window::new(at, timeline.end()).secs() >= FAILS_SECONDS + stage.window.secs()
        })
        .map(crate::timeline::Stage::rate)
        .reduce(f64::min)?;
    Some(lowest)
}

/// Whether the process ended or was replaced: that is a crash.
fn has_ended(facts: &Facts) -> bool {
    let windows = facts.windows(Span::Run);
    let silent = facts.silent_secs(&bare(&names::PROCESS_START_TIME), &windows, &[]);
    !facts.restarts().is_empty() || silent.is_some_and(|seconds| seconds >= GONE_SECONDS)
}

#[cfg(test)]
mod tests;
