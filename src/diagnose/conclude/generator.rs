//! Gate 1 of a diagnosis: was kneepoint, or its machine, the limit? And how well did it keep its
//! schedule over the whole run? `curve::validity` judges single stages.

use crate::diagnose::curve::knee::KneeVerdict;
use crate::diagnose::curve::parts::own_metric;
use crate::diagnose::curve::validity::{LATE_SECONDS, target_fills_machine};
use crate::diagnose::terms::invalid::Invalid;
use crate::diagnose::terms::model::{GeneratorHealth, StageSummary};
use crate::diagnose::terms::wording;
use crate::recording::Recording;
use crate::timeline::{Timeline, Window, names};

/// From where on the generator, not the target, explains the picture.
#[derive(Clone, Debug, PartialEq)]
pub struct Limited {
    /// Offered load in requests per second from which on the schedule was not kept.
    pub from_rate: f64,
    /// The signs of it, as a sentence fragment.
    pub why: String,
}

/// How well the generator did over the whole run, in which this was `found` of the knee.
pub fn health(
    recording: &Recording,
    stages: &[StageSummary],
    found: &KneeVerdict,
) -> GeneratorHealth {
    let timeline = &recording.timeline;
    let measured = || stages.iter().filter(|stage| stage.role.is_measured());
    let knee = match found {
        KneeVerdict::Found(knee) => knee.high,
        _ => f64::INFINITY,
    };
    let lateness_p99 = measured()
        .filter(|stage| stage.offered <= knee)
        .map(|stage| stage.lateness_p99)
        .fold(0.0, f64::max);
    let cpu_cores = measured().filter_map(|stage| cores(timeline, stage.window)).reduce(f64::max);
    let mut remarks = Vec::new();
    let environment = &recording.environment;
    let generators = &environment.generators;
    let shares_machine = generators.is_empty()
        || generators.iter().any(|generator| generator.host == environment.host);
    if !generators.is_empty() {
        remarks.push(format!(
            "{} made equal parts of the load: `{}`",
            wording::plural(generators.len() as u64, "generator", "generators"),
            environment.generator_names().join("`, `")
        ));
    }
    for refill in &timeline.refills {
        if let Some(name) = timeline.generators.get(refill.generator) {
            remarks.push(format!(
                "`{name}` was lost at {}, and the others made its part from {} on; what lies between \
                 does not count",
                refill.lost, refill.from
            ));
        }
    }
    if environment.target_is_local && shares_machine {
        remarks.push("target and generator share one machine and compete for its cores".into());
    }
    let held_back: u64 =
        measured().filter(|stage| !is_spoiled(stage)).map(|stage| stage.held_back).sum();
    if held_back > 0 {
        remarks.push(format!(
            "{held_back} requests were given up because every connection that the plan allows \
             (`max_in_flight`, `max_connections`) was in use: the target was slow, not the generator"
        ));
    }
    let faults: Vec<&StageSummary> = measured().filter(|stage| is_spoiled(stage)).collect();
    let squeezed = measured().find(|stage| {
        stage.lateness_p99 > LATE_SECONDS && target_fills_machine(timeline, stage.window)
    });
    if let Some(stage) = squeezed {
        remarks.push(format!(
            "from {} on, the target uses up the cores that it shares with kneepoint, so \
             kneepoint sends late (p99 {:.1} ms): this shows the target's limit",
            wording::rate(stage.offered),
            stage.lateness_p99 * 1e3
        ));
    }
    for stage in &faults {
        let why = stage.invalid.as_ref().map(Invalid::to_string).unwrap_or_default();
        remarks.push(format!("at {} {why}", wording::rate(stage.offered)));
    }
    GeneratorHealth { healthy: faults.is_empty(), lateness_p99, cpu_cores, remarks }
}

/// Whether the generator is why a stage does not count.
fn is_spoiled(stage: &StageSummary) -> bool {
    stage.invalid.as_ref().is_some_and(Invalid::is_generator)
}

fn cores(timeline: &Timeline, window: Window) -> Option<f64> {
    timeline
        .series_of(&own_metric(timeline, &names::GENERATOR_CPU_TIME))
        .filter_map(|(_, series)| series.rate(window))
        .reduce(f64::max)
}

/// Whether the generator was the limit, so that nothing can be said of the target: it failed at
/// the highest loads, and the stages in which it did not fail show no knee.
pub fn limited(stages: &[StageSummary], found: &KneeVerdict) -> Option<Limited> {
    let mut measured: Vec<&StageSummary> =
        stages.iter().filter(|stage| stage.role.is_measured()).collect();
    measured.sort_by(|a, b| a.offered.total_cmp(&b.offered));
    let from = measured.iter().rposition(|stage| !is_spoiled(stage)).map_or(0, |at| at + 1);
    let first = measured.get(from)?;
    if matches!(found, KneeVerdict::Found(_)) {
        return None;
    }
    let why = first.invalid.as_ref().map(Invalid::to_string).unwrap_or_default();
    Some(Limited { from_rate: first.offered, why })
}
