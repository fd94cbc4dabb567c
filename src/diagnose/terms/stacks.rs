//! Where threads stand and what uses the processor, at low load and at the knee.

use serde::{Deserialize, Serialize};

/// What the stacks of threads say. Counts and cores are means over the looks.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Stacks {
    /// The service behind the target whose threads they are; `None` for the target's own.
    pub service: Option<String>,
    /// How often the stacks were read at low load.
    pub looks_low: u64,
    /// How often they were read at the knee and beyond it.
    pub looks_knee: u64,
    /// Threads with work at low load; `None` where nobody looked.
    pub busy_low: Option<f64>,
    /// Threads with work at the knee: all that stand in code of the application.
    pub busy_knee: f64,
    /// Where they stand, most of them at the knee first.
    pub places: Vec<ThreadPlace>,
    /// Cores used at low load, as the stacks show; `None` where nobody looked.
    pub cores_low: Option<f64>,
    /// The same at the knee.
    pub cores_knee: f64,
    /// What uses the processor, most of it at the knee first.
    pub functions: Vec<HotFunction>,
    /// Stacks that use the processor, for a flame graph.
    pub folded: Vec<FoldedStack>,
}

/// Threads that stand at one place in the code.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ThreadPlace {
    /// `jvm`, `go` or `python`.
    pub runtime: String,
    /// What they do: `running`, `lock`, `interpreter`, `wait`, `io`, `sleep`.
    pub state: String,
    /// Name of the function.
    pub function: String,
    /// File and line, such as `ledger.go:57`.
    pub at: String,
    /// Where the thread stands that holds the lock, as the runtime says.
    pub held_at: Option<String>,
    /// Where a thread in the same function stands that does not wait for a lock.
    pub near_at: Option<String>,
    /// Threads at low load; `None` where nobody looked.
    pub low: Option<f64>,
    /// Threads at the knee.
    pub knee: f64,
}

/// A function that uses the processor, with what it calls in libraries.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct HotFunction {
    /// Name of the function.
    pub function: String,
    /// File and line that use most of it.
    pub at: String,
    /// Cores at low load; `None` where nobody looked.
    pub low: Option<f64>,
    /// Cores at the knee.
    pub knee: f64,
}

/// A stack that uses the processor.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FoldedStack {
    /// Its functions from the outside inwards.
    pub functions: Vec<String>,
    /// Cores at low load; `None` where nobody looked.
    pub low: Option<f64>,
    /// Cores at the knee.
    pub knee: f64,
}

impl Stacks {
    /// Share of the processor time at the knee that is spent on `cores`.
    pub fn share_knee(&self, cores: f64) -> f64 {
        if self.cores_knee > 0.0 { cores / self.cores_knee } else { 0.0 }
    }

    /// The same at low load; `None` where nothing was seen to use the processor.
    pub fn share_low(&self, cores: Option<f64>) -> Option<f64> {
        let all = self.cores_low.filter(|all| *all > 0.0)?;
        Some(cores.unwrap_or(0.0) / all)
    }
}
