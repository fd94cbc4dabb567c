//! Where and by what a run was recorded.

use serde::{Deserialize, Serialize};

/// The machine, the program and the clock of a recording.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Environment {
    /// Version of kneepoint.
    pub kneepoint: String,
    /// Name of the machine that made the load.
    pub host: String,
    /// Kernel name and release.
    pub kernel: String,
    /// Cores of that machine.
    pub cores: u32,
    /// Memory of that machine in bytes.
    pub memory_bytes: u64,
    /// Wall-clock time of moment zero, in seconds since 1970 (UTC).
    pub started_unix: f64,
    /// What the target said of itself at preflight: address, `Server` header, status.
    pub target: String,
    /// Whether the target runs on the machine that makes the load.
    pub target_is_local: bool,
    /// The collectors that were opened, with what they found to watch.
    pub collectors: Vec<CollectorNote>,
}

/// One collector of a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CollectorNote {
    /// Name of the collector.
    pub name: String,
    /// Which of several of that name.
    pub instance: String,
    /// What it watches, in words, such as `pid 4242 (shop) and 3 children`.
    pub watches: String,
    /// Seconds between two looks.
    pub interval_secs: f64,
}
