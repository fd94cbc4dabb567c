//! Each stage as numbers: what was offered, what came back, how long it took, whether the queue
//! grew, and whether the stage says anything of the target at all.

use std::time::Duration;

use crate::diagnose::terms::model::StageSummary;
use crate::recording::{PlanSummary, Recording};
use crate::timeline::{Stage, Timeline, Window};

use super::tally::{Bin, Tally, bins};
use super::users::{self, Level};
use super::{objectives, validity};

pub use super::validity::still_fails;

/// Share of a stage in which the system settles to its load.
pub const SETTLING_SHARE: f64 = 0.15;
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
            summary.invalid = validity::invalid(&summary, stage, tally, base, timeline);
            summary
        })
        .collect();
    validity::leave_out_collapsed(&mut summaries, timeline);
    summaries
}

/// The stages that count, in order of offered load.
pub fn by_load(stages: &[StageSummary]) -> Vec<&StageSummary> {
    let mut counted: Vec<&StageSummary> = stages.iter().filter(|stage| stage.counts()).collect();
    counted.sort_by(|a, b| a.offered.total_cmp(&b.offered));
    counted
}

/// Requests per second that one virtual user makes of a target that is not loaded; `None` in the
/// open model.
///
/// So many users times this is what they would offer if the response time stayed as it is there.
/// Throughput follows it up to the saturation point, as it follows the offered load of an open
/// system up to the knee.
fn per_user(spans: &[(&Stage, Window, f64)], tallies: &[Tally]) -> Option<f64> {
    let level = |((stage, window, _), tally): (&(&Stage, Window, f64), &Tally)| {
        let users =
            vus_in(stage, *window).filter(|_| stage.is_closed() && stage.role.is_measured());
        let seconds = tally.seconds();
        let waited: f64 = tally.bins.iter().map(|bin| bin.queue * bin.seconds).sum();
        Some(Level {
            users: users?,
            seconds,
            completed: tally.completed as f64,
            waiting: waited / seconds,
            response: tally.response.mean()?,
        })
    };
    users::per_user(spans.iter().zip(tallies).filter_map(level).collect())
}

/// Mean number of virtual users within a part of a stage; `None` where it has none.
fn vus_in(stage: &Stage, window: Window) -> Option<f64> {
    let span = stage.window.secs();
    let middle = window.middle().since(stage.window.begin).as_secs_f64();
    let share = if span > 0.0 { (middle / span).clamp(0.0, 1.0) } else { 0.5 };
    (stage.vus() > 0.0).then_some(stage.vus_from + (stage.vus_to - stage.vus_from) * share)
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

#[cfg(test)]
mod tests;
