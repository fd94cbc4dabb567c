//! One system of the lab: started, put under the load of its plan, and diagnosed.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use kneepoint::demo::{Fault, Launcher};
use serde_json::Value;

/// The broken system of a fault or its healthy twin.
pub struct System {
    pub fault: &'static Fault,
    pub healthy: bool,
}

impl fmt::Display for System {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.fault.name, if self.healthy { "healthy" } else { "broken" })
    }
}

/// What a run leaves that a diagnosis starts from.
const RECORDING: &str = "recording.jsonl.zst";
/// What else a run leaves.
const RESULTS: [&str; 3] = ["report.html", "report.json", "charts"];

/// Where systems are run.
pub struct Bench {
    program: PathBuf,
    /// Recordings stay here, and those that are here are not made again.
    keep: Option<PathBuf>,
}

impl Bench {
    pub fn new() -> Self {
        let program = std::env::var_os("KNEEPOINT_BIN")
            .map_or_else(|| PathBuf::from(env!("CARGO_BIN_EXE_kneepoint")), PathBuf::from);
        Self { program, keep: std::env::var_os("KNEEPOINT_LAB_KEEP").map(PathBuf::from) }
    }

    /// The report of a run, as the program prints it.
    pub fn diagnose(&self, system: &System, seed: u64) -> Value {
        let Some(keep) = &self.keep else {
            let out = tempfile::tempdir().expect("a temporary directory");
            return self.run(system, seed, out.path());
        };
        let out = keep.join(format!("{system}-{seed}").replace(':', "-"));
        let recording = out.join(RECORDING);
        if !recording.exists() {
            fs::create_dir_all(&out).expect("a directory to keep recordings in");
            return self.run(system, seed, &out);
        }
        let mut command = Command::new(&self.program);
        command.arg("diagnose").arg(recording).args(["--format", "json"]);
        printed(&mut command, system)
    }

    fn run(&self, system: &System, seed: u64, out: &Path) -> Value {
        let launcher = Launcher::new().expect("own path").with_program(&self.program);
        let launcher = if system.healthy { launcher.healthy() } else { launcher };
        let shop = launcher
            .start(system.fault, None)
            .unwrap_or_else(|error| panic!("{system} does not start: {error}"));
        let plan = out.join("plan.toml");
        // Ahead of the tables, where the name of the plan stands as well.
        fs::write(&plan, format!("seed = {seed}\n{}", shop.plan)).expect("the plan is written");
        let mut command = Command::new(&self.program);
        command.arg("run").arg(&plan).args(["--format", "json", "--out"]).arg(out);
        let report = printed(&mut command, system);
        shop.stop();
        // There is a password in it.
        fs::remove_file(&plan).expect("own file");
        for file in [RECORDING].iter().chain(&RESULTS) {
            assert!(out.join(file).exists(), "{system}: no {file}");
        }
        report
    }
}

/// The JSON that a command prints; how it ends does not matter, a knee is no failure.
fn printed(command: &mut Command, system: &System) -> Value {
    let output = command.output().expect("the program starts");
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| {
        let stderr = String::from_utf8_lossy(&output.stderr);
        panic!("{system}: stdout is no JSON: {error}\n{stderr}")
    })
}
