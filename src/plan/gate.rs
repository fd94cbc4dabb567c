//! How two builds are compared before one replaces the other.

use std::time::Duration;

use serde::Serialize;

/// The `[gate]` table: short runs of two builds, one after the other.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Gate {
    /// Journeys per second that both builds carry well; `None` for what the load of the plan begins
    /// with.
    pub rate: Option<f64>,
    /// How long each run holds it.
    pub duration: Duration,
    /// Runs of each build.
    pub runs: usize,
    /// The rise that is allowed, as a share: 0.1 is 10 %.
    pub max_worse: f64,
}

impl Gate {
    /// The fewest runs of each build from which a t test stands on its own.
    pub const USUAL_RUNS: usize = 5;
    /// Most runs of each build: more take longer than anybody waits for a gate.
    pub const MOST_RUNS: usize = 50;
    /// What is told from noise with a few runs on a quiet machine, and less than users notice.
    pub const USUAL_BUDGET: f64 = 0.1;
}

impl Default for Gate {
    /// Five runs of each build, 8 s each: ten such runs end within two minutes.
    fn default() -> Self {
        Self {
            rate: None,
            duration: Duration::from_secs(8),
            runs: Self::USUAL_RUNS,
            max_worse: Self::USUAL_BUDGET,
        }
    }
}
