//! The numbers of the whole run.

use jiff::Timestamp;
use serde::Serialize;

use super::findings::causes;
use super::stages::counting;
use crate::diagnose::{Confidence, Diagnosis};
use crate::recording::Recording;

/// The numbers of the whole run, for programs. Rates per second, times in seconds.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(in crate::report) struct Summary {
    pub started: Option<String>,
    pub duration_seconds: f64,
    pub requests_offered: u64,
    pub requests_sent: u64,
    pub requests_completed: u64,
    pub requests_failed: u64,
    pub error_ratio: Option<f64>,
    pub knee_rate: Option<f64>,
    pub knee_low: Option<f64>,
    pub knee_high: Option<f64>,
    pub capacity_good: Option<f64>,
    pub capacity_bad: Option<f64>,
    pub peak_goodput: Option<f64>,
    /// Cores that all collectors used together.
    pub watching_cores: f64,
    pub unloaded_p50_seconds: Option<f64>,
    pub unloaded_p99_seconds: Option<f64>,
    pub cause: Option<String>,
    pub confidence: Option<Confidence>,
}

impl Summary {
    pub(super) fn new(recording: &Recording, diagnosis: &Diagnosis) -> Self {
        let ticks = &recording.timeline.ticks;
        let completed: u64 = ticks.iter().map(|tick| tick.completed()).sum();
        let succeeded: u64 = ticks.iter().map(|tick| tick.succeeded()).sum();
        let stages = counting(diagnosis);
        let unloaded = stages.first().and_then(|stage| stage.response);
        let knee = diagnosis.knee.as_ref();
        let peak = stages.iter().map(|stage| stage.goodput).max_by(f64::total_cmp);
        let cause = causes(diagnosis).next();
        Summary {
            started: started(recording.environment.started_unix)
                .map(|at| at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()),
            duration_seconds: recording.timeline.end().secs(),
            requests_offered: ticks.iter().map(|tick| tick.offered).sum(),
            requests_sent: ticks.iter().map(|tick| tick.sent).sum(),
            requests_completed: completed,
            requests_failed: completed - succeeded,
            error_ratio: (completed > 0).then(|| (completed - succeeded) as f64 / completed as f64),
            knee_rate: knee.map(|knee| knee.rate),
            knee_low: knee.map(|knee| knee.low),
            knee_high: knee.map(|knee| knee.high),
            capacity_good: diagnosis.capacity.map(|capacity| capacity.good),
            capacity_bad: diagnosis.capacity.and_then(|capacity| capacity.bad),
            watching_cores: diagnosis.overhead.iter().map(|cost| cost.cores).sum(),
            peak_goodput: knee.map(|knee| knee.peak_goodput).or(peak),
            unloaded_p50_seconds: unloaded.map(|response| response.p50),
            unloaded_p99_seconds: unloaded.map(|response| response.p99),
            cause: cause.map(|cause| cause.rule.clone()),
            confidence: cause.map(|cause| cause.confidence),
        }
    }
}

/// The start, where the recording knows it.
pub(in crate::report) fn started(unix: f64) -> Option<Timestamp> {
    (unix > 0.0).then(|| Timestamp::from_second(unix as i64).ok()).flatten()
}
