//! Where a run was recorded, and by which version.

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
    /// The target at preflight: address, `Server` header, status.
    pub target: String,
    /// Whether the target runs on the machine that makes the load.
    pub target_is_local: bool,
    /// The collectors of the run, with what each watches.
    pub collectors: Vec<CollectorNote>,
    /// The generators of the load, if several made it together. Each made an equal part.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub generators: Vec<GeneratorNote>,
    /// The agents of the run.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub agents: Vec<AgentNote>,
}

impl Environment {
    /// Names of the generators that made the load together. Empty if there was one.
    pub fn generator_names(&self) -> Vec<String> {
        self.generators.iter().map(|generator| generator.name.clone()).collect()
    }
}

/// One of several generators.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct GeneratorNote {
    /// Its name in ticks.
    pub name: String,
    /// Name of its machine.
    pub host: String,
    /// Cores of that machine.
    pub cores: u32,
    /// Seconds by which its moments may differ from those of the recording, at the start.
    pub clock_error: f64,
}

/// An agent of a run.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct AgentNote {
    /// Its name, which the label `agent` of its series repeats.
    pub name: String,
    /// Name of its machine.
    pub host: String,
    /// Kernel name and release.
    #[serde(default)]
    pub kernel: String,
    /// Cores of that machine.
    #[serde(default)]
    pub cores: u32,
    /// Memory of that machine in bytes.
    #[serde(default)]
    pub memory_bytes: u64,
    /// Version of kneepoint there.
    #[serde(default)]
    pub kneepoint: String,
    /// Whether the target runs there, so that what it reads of the host is the target's.
    pub is_target: bool,
    /// Whether that is the machine that makes the load.
    #[serde(default)]
    pub is_same_machine: bool,
}

/// One collector of a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CollectorNote {
    /// Name of the collector.
    pub name: String,
    /// Distinguishes several collectors of that name.
    pub instance: String,
    /// What it watches, in words, such as `pid 4242 (shop) and 3 children`.
    pub watches: String,
    /// Seconds between two readings.
    pub interval_secs: f64,
}
