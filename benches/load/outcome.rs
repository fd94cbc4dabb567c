//! The result of making load, the same for every tool.

use serde::{Deserialize, Serialize};

/// The result.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Outcome {
    pub requests: u64,
    pub failed: u64,
    /// p50, p99 and the longest, in microseconds.
    pub lateness: [f64; 3],
    /// In seconds, from the intended start.
    pub p50: f64,
    pub p99: f64,
}
