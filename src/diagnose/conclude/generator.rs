//! Gate 1 of a diagnosis: was kneepoint itself, or its machine, the limit?
//!
//! Where target and generator share a machine, a saturated target makes the generator late. So
//! lateness alone condemns nothing: it has to explain what was measured, and not be the target's
//! own doing. A stage that is condemned leaves those below it as they are.

use crate::diagnose::curve::knee::{self, KneeVerdict};
use crate::diagnose::curve::stages::Tally;
use crate::diagnose::measure::facts::bare;
use crate::diagnose::measure::level::gauge;
use crate::diagnose::terms::model::{GeneratorHealth, StageSummary};
use crate::recording::Recording;
use crate::timeline::{Timeline, Window, names};

/// Share of the schedule that may be missed.
const MISSED: f64 = 0.01;
/// Requests that the edges of a stage may seem to lose.
const EDGE_REQUESTS: f64 = 5.0;
/// p99 lateness in seconds below which it is never material: a few scheduler slices.
const LATE_SECONDS: f64 = 0.010;
/// Share of a response time, or where it has grown of its growth, from which on lateness explains
/// it: the larger half.
const LATE_SHARE: f64 = 0.5;
/// A service time has not grown that is no longer than so many times the unloaded response time:
/// the target has room for more than the connections that it is asked over.
const UNGROWN: f64 = 1.5;
/// Share of the machine's CPU in use at which threads wait for a core.
const FULL_MACHINE: f64 = 0.93;
/// Share of the CPU in use from which on it is the target that fills the machine.
const TARGETS_SHARE: f64 = 0.5;
/// Cores of one thread at which it has none to spare.
const BUSY_THREAD: f64 = 0.95;
/// Descriptors that must be left.
const SPARE_DESCRIPTORS: f64 = 8.0;
/// Words with which every reason starts that blames the generator.
const BLAME: &str = "the generator ";

/// From where on the generator, not the target, explains the picture.
#[derive(Clone, Debug, PartialEq)]
pub struct Limited {
    /// Offered load in requests per second from which on the schedule was not kept.
    pub from_rate: f64,
    /// The signs of it, as a sentence fragment.
    pub why: String,
}

/// Why a stage measured the generator instead of the target; `base` is the unloaded mean response
/// time in seconds.
pub(crate) fn fault(
    tally: &Tally,
    summary: &StageSummary,
    base: f64,
    timeline: &Timeline,
) -> Option<String> {
    let offered = tally.offered as f64;
    if tally.missed > (MISSED * offered).max(EDGE_REQUESTS) {
        let share = 100.0 * tally.missed / offered;
        return Some(format!("{BLAME}did not send {share:.1} % of the requests that were due"));
    }
    let window = tally.window?;
    if let Some(cores) = busiest(timeline, window).filter(|cores| *cores >= BUSY_THREAD) {
        return Some(format!("{BLAME}had a thread at {cores:.2} of a core"));
    }
    if descriptors_left(timeline, window).is_some_and(|left| left <= SPARE_DESCRIPTORS) {
        return Some(format!("{BLAME}ran out of file descriptors (raise `ulimit -n`)"));
    }
    let late = tally.lateness.mean().unwrap_or(0.0);
    let response = summary.response.map_or(0.0, |response| response.mean);
    let grown = response > 2.0 * base;
    let allowed = LATE_SHARE * if grown { response - base } else { response };
    let service = summary.service.map_or(f64::INFINITY, |service| service.mean);
    // Where the backlog grows, those who wait in it are yet to be among those who were answered.
    let waited = (tally.waited / tally.completed.max(1) as f64).min(response - service);
    if waited > allowed && service <= UNGROWN * base {
        return Some(format!(
            "{BLAME}had no connection free: requests waited {:.1} ms on average for one, of a mean \
             response time of {:.1} ms, and the target answered as quickly as unloaded (raise \
             `max_connections`, or `max_in_flight`)",
            waited * 1e3,
            response * 1e3
        ));
    }
    let material = summary.lateness_p99 > LATE_SECONDS && response > 0.0 && late > allowed;
    (material && !target_fills_machine(timeline, window)).then(|| {
        format!(
            "{BLAME}sent its requests {:.1} ms late on average (p99 {:.1} ms), of a mean response \
             time of {:.1} ms",
            late * 1e3,
            summary.lateness_p99 * 1e3,
            response * 1e3
        )
    })
}

/// Whether the machine is full and it is the target that fills it: a generator that is late there
/// waits for a core that the target has, which shows the target's limit and not its own.
fn target_fills_machine(timeline: &Timeline, window: Window) -> bool {
    let mean = |metric| gauge(timeline, &bare(metric), window);
    let targets: f64 = timeline
        .select(&bare(&names::PROCESS_CPU_TIME))
        .filter_map(|(_, series)| series.rate(window))
        .sum();
    let used = mean(&names::SYSTEM_CPU_UTILIZATION).filter(|used| *used >= FULL_MACHINE);
    used.zip(mean(&names::SYSTEM_CPU_CORES))
        .is_some_and(|(used, cores)| targets >= TARGETS_SHARE * used * cores)
}

/// Whether the reason for which a stage does not count is the generator.
pub fn blames_generator(stage: &StageSummary) -> bool {
    stage.invalid.as_deref().is_some_and(|why| why.starts_with(BLAME))
}

fn busiest(timeline: &Timeline, window: Window) -> Option<f64> {
    gauge(timeline, &bare(&names::GENERATOR_THREAD_BUSIEST), window)
}

fn descriptors_left(timeline: &Timeline, window: Window) -> Option<f64> {
    let extreme = |metric, pick: fn(f64, f64) -> f64| {
        timeline
            .select(&bare(metric))
            .flat_map(|(_, series)| series.within(window))
            .map(|point| point.value)
            .reduce(pick)
    };
    let open = extreme(&names::GENERATOR_OPEN_FDS, f64::max)?;
    Some(extreme(&names::GENERATOR_OPEN_FDS_LIMIT, f64::min)? - open)
}

/// How well the generator did over the whole run.
pub fn health(recording: &Recording, stages: &[StageSummary]) -> GeneratorHealth {
    let timeline = &recording.timeline;
    let measured = || stages.iter().filter(|stage| stage.role.is_measured());
    let knee = match knee::find(stages, timeline) {
        KneeVerdict::Found(knee) => knee.high,
        _ => f64::INFINITY,
    };
    let lateness_p99 = measured()
        .filter(|stage| stage.offered <= knee)
        .map(|stage| stage.lateness_p99)
        .fold(0.0, f64::max);
    let cpu_cores = measured().filter_map(|stage| cores(timeline, stage.window)).reduce(f64::max);
    let mut remarks = Vec::new();
    if recording.environment.target_is_local {
        remarks.push("target and generator share one machine and compete for its cores".into());
    }
    let held_back: u64 =
        measured().filter(|stage| !blames_generator(stage)).map(|stage| stage.held_back).sum();
    if held_back > 0 {
        remarks.push(format!(
            "{held_back} requests were given up because all connections were in use that the plan \
             allows (`max_in_flight`, `max_connections`): the target was slow, not the generator"
        ));
    }
    let faults: Vec<&StageSummary> = measured().filter(|stage| blames_generator(stage)).collect();
    let squeezed = measured().find(|stage| {
        stage.lateness_p99 > LATE_SECONDS && target_fills_machine(timeline, stage.window)
    });
    if let Some(stage) = squeezed {
        remarks.push(format!(
            "from {:.0}/s on the target has taken the cores that it shares with kneepoint, which \
             therefore sends late (p99 {:.1} ms there): a sign of the target's limit",
            stage.offered,
            stage.lateness_p99 * 1e3
        ));
    }
    for stage in &faults {
        let why = stage.invalid.as_deref().unwrap_or_default();
        remarks.push(format!("at {:.0}/s {why}", stage.offered));
    }
    GeneratorHealth { healthy: faults.is_empty(), lateness_p99, cpu_cores, remarks }
}

fn cores(timeline: &Timeline, window: Window) -> Option<f64> {
    timeline
        .select(&bare(&names::GENERATOR_CPU_TIME))
        .filter_map(|(_, series)| series.rate(window))
        .reduce(f64::max)
}

/// Whether the generator was the limit, so that nothing can be said of the target: it failed at
/// the highest loads, and the stages in which it did not fail show no knee.
pub fn limited(recording: &Recording, stages: &[StageSummary]) -> Option<Limited> {
    let mut measured: Vec<&StageSummary> =
        stages.iter().filter(|stage| stage.role.is_measured()).collect();
    measured.sort_by(|a, b| a.offered.total_cmp(&b.offered));
    let from = measured.iter().rposition(|stage| !blames_generator(stage)).map_or(0, |at| at + 1);
    let first = measured.get(from)?;
    if matches!(knee::find(stages, &recording.timeline), KneeVerdict::Found(_)) {
        return None;
    }
    Some(Limited { from_rate: first.offered, why: first.invalid.clone().unwrap_or_default() })
}
