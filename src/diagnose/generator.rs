//! Gate 1 of a diagnosis: was kneepoint itself, or its machine, the limit?

use crate::recording::Recording;

use super::{GeneratorHealth, StageSummary};

/// From where on the generator, not the target, explains the picture.
#[derive(Clone, Debug, PartialEq)]
pub struct Limited {
    /// Offered load in requests per second from which on the schedule was not kept.
    pub from_rate: f64,
    /// The signs of it, as a sentence fragment.
    pub why: String,
}

/// How well the generator did over the whole run.
pub fn health(_recording: &Recording, stages: &[StageSummary]) -> GeneratorHealth {
    let lateness_p99 = stages.iter().map(|stage| stage.lateness_p99).fold(0.0, f64::max);
    GeneratorHealth { healthy: true, lateness_p99, cpu_cores: None, remarks: Vec::new() }
}

/// Whether the generator was the limit, so that nothing can be said of the target.
pub fn limited(_recording: &Recording, _stages: &[StageSummary]) -> Option<Limited> {
    None
}
