//! Whether a stage says anything of the target, or only of kneepoint, its machine or the stage
//! before it.
//!
//! Where target and generator share a machine, a saturated target makes the generator late. So
//! lateness alone proves nothing: it has to explain what was measured, and the target must not be
//! what causes it. A stage that does not count leaves those below it as they are.

use crate::diagnose::measure::level::gauge;
use crate::diagnose::terms::invalid::{GeneratorFault, Invalid};
use crate::diagnose::terms::model::StageSummary;
use crate::diagnose::terms::operand::bare;
use crate::timeline::{Stage, StageRole, Timeline, Window, names};

use super::parts;
use super::tally::Tally;

/// Share of the schedule that may be missed.
const MISSED: f64 = 0.01;
/// Requests that the edges of a stage may seem to lose.
const EDGE_REQUESTS: f64 = 5.0;
/// p99 lateness in seconds below which it is never material: a few scheduler slices.
pub const LATE_SECONDS: f64 = 0.010;
/// Share of a response time, or where it has grown of its growth, from which on lateness explains
/// it: the larger half.
const LATE_SHARE: f64 = 0.5;
/// A service time has not grown while it is at most this many times the unloaded response time:
/// then the target could serve more connections than it was given.
const UNGROWN: f64 = 1.5;
/// Share of the machine's CPU in use at which threads wait for a core.
const FULL_MACHINE: f64 = 0.93;
/// Share of the CPU in use from which on it is the target that fills the machine.
const TARGETS_SHARE: f64 = 0.5;
/// Cores of one thread at which it has none to spare.
const BUSY_THREAD: f64 = 0.95;
/// Share of the time for which a quota may stop the generator: so many responses wait until it goes
/// on, which is measured as theirs. From here on the p95 is that of the quota.
const STOPPED: f64 = 0.05;
/// Descriptors that must be left.
const SPARE_DESCRIPTORS: f64 = 8.0;
/// Share of the requests that `max_rate` may delay before a stage stops counting.
const CAPPED_SHARE: f64 = 0.01;
/// A system has collapsed where more than this share of the requests fails.
const COLLAPSED: f64 = 0.5;
/// A load was carried where at most this share fails.
const CARRIED: f64 = 0.1;
/// Share of the offered load by which completions must exceed it to be a backlog that is worked
/// off.
const WORKED_OFF: f64 = 0.05;

/// Why the stage with this `tally` says nothing of the target; `base` is the unloaded mean response
/// time in seconds.
pub fn invalid(
    summary: &StageSummary,
    stage: &Stage,
    tally: &Tally,
    base: f64,
    timeline: &Timeline,
) -> Option<Invalid> {
    if tally.bins.is_empty() {
        return Some(Invalid::Empty);
    }
    if !summary.role.is_measured() {
        return None;
    }
    if let Some(lacking) = parts::lacking(timeline, stage, summary.window) {
        return Some(Invalid::OneGenerator { name: lacking.name, fault: lacking.fault });
    }
    if let Some((name, fault)) = fault(tally, summary, base, timeline) {
        return Some(match name {
            Some(name) => Invalid::OneGenerator { name, fault },
            None => Invalid::Generator(fault),
        });
    }
    if tally.capped as f64 > CAPPED_SHARE * tally.offered as f64 {
        return Some(Invalid::Capped { waited: tally.capped, due: tally.offered });
    }
    let surplus = tally.completed as f64 - tally.offered as f64;
    let noise = 3.0 * (tally.offered as f64).sqrt();
    (surplus > noise.max(WORKED_OFF * tally.offered as f64))
        .then_some(Invalid::WorkedOff { surplus })
}

/// Why a stage measured the generator instead of the target, and which of several it was.
fn fault(
    tally: &Tally,
    summary: &StageSummary,
    base: f64,
    timeline: &Timeline,
) -> Option<(Option<String>, GeneratorFault)> {
    let offered = tally.offered as f64;
    if tally.missed > (MISSED * offered).max(EDGE_REQUESTS) {
        return Some((None, GeneratorFault::Unsent { share: tally.missed / offered }));
    }
    let window = tally.window?;
    if let Some((name, cores)) = parts::busiest(timeline, window)
        && cores >= BUSY_THREAD
    {
        return Some((name, GeneratorFault::BusyThread { cores }));
    }
    if let Some((name, share)) = parts::most_throttled(timeline, window)
        && share >= STOPPED
        && !target_is_throttled(timeline, window)
    {
        return Some((name, GeneratorFault::Throttled { share }));
    }
    if let Some((name, left)) = parts::descriptors_left(timeline, window)
        && left <= SPARE_DESCRIPTORS
    {
        return Some((name, GeneratorFault::Descriptors));
    }
    // The latest of several generators counts: the mean of all would hide it.
    let (name, late, p99) = match parts::latest(timeline, window) {
        Some((name, late)) => (Some(name), late.mean, late.p99),
        None => (None, tally.lateness.mean().unwrap_or(0.0), summary.lateness_p99),
    };
    let response = summary.response.map_or(0.0, |response| response.mean);
    let grown = response > 2.0 * base;
    let allowed = LATE_SHARE * if grown { response - base } else { response };
    let service = summary.service.map_or(f64::INFINITY, |service| service.mean);
    // Where the backlog grows, those who wait in it are yet to be among those who were answered.
    let waited = (tally.waited / tally.completed.max(1) as f64).min(response - service);
    if waited > allowed && service <= UNGROWN * base {
        return Some((None, GeneratorFault::NoConnection { waited, response }));
    }
    let material = p99 > LATE_SECONDS && response > 0.0 && late > allowed;
    (material && !target_fills_machine(timeline, window))
        .then_some((name, GeneratorFault::Late { mean: late, p99, response }))
}

/// Whether a quota stops the target, too. It may be the same one, and then it is the target that uses
/// it up.
fn target_is_throttled(timeline: &Timeline, window: Window) -> bool {
    timeline
        .select(&bare(&names::CGROUP_CPU_THROTTLED_TIME))
        .filter_map(|(_, series)| series.rate(window))
        .any(|share| share >= STOPPED)
}

/// Whether the machine is full and it is the target that fills it: a generator that is late there
/// waits for a core that the target has, which shows the target's limit and not its own.
pub fn target_fills_machine(timeline: &Timeline, window: Window) -> bool {
    let mean = |metric| gauge(timeline, &bare(metric), window);
    let targets: f64 = timeline
        .select(&bare(&names::PROCESS_CPU_TIME))
        .filter_map(|(_, series)| series.rate(window))
        .sum();
    let used = mean(&names::SYSTEM_CPU_UTILIZATION).filter(|used| *used >= FULL_MACHINE);
    used.zip(mean(&names::SYSTEM_CPU_CORES))
        .is_some_and(|(used, cores)| targets >= TARGETS_SHARE * used * cores)
}

/// Leaves out stages that show a collapse from which the system had not come back (a metastable
/// failure, Bronson et al. 2021): at little load, which it had carried before, most requests still
/// failed at the end of the drain before them. What then fails too fails whatever load it has.
pub fn leave_out_collapsed(summaries: &mut [StageSummary], timeline: &Timeline) {
    let mut collapsed_at = None;
    let mut carried: f64 = 0.0;
    for summary in summaries {
        if summary.role == StageRole::Drain {
            let is_collapsed = carried >= summary.offered && still_fails(timeline, summary.window);
            collapsed_at = is_collapsed.then_some(summary.offered);
        } else if summary.role.is_measured() {
            match collapsed_at {
                Some(load) if summary.invalid.is_none() && summary.error_ratio > COLLAPSED => {
                    summary.invalid = Some(Invalid::Collapsed { load });
                }
                _ if summary.error_ratio < CARRIED => carried = carried.max(summary.offered),
                _ => {}
            }
        }
    }
}

/// Whether most requests still failed at the end of a drain.
pub fn still_fails(timeline: &Timeline, drain: Window) -> bool {
    let late = Tally::of(timeline, Window::new(drain.middle(), drain.end));
    fails(late.succeeded, late.completed)
}

fn fails(succeeded: u64, completed: u64) -> bool {
    completed > 0 && (succeeded as f64) < (1.0 - COLLAPSED) * completed as f64
}
