//! One gate: the shop before and after a change, started in turn by `kneepoint gate`.

use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;

use kneepoint::demo::{Change, Ports};
use serde_json::Value;

use super::program::program;

/// Names the password of the shop's database, which a plan holds before the shop starts.
const PASSWORD: (&str, &str) = ("KNEEPOINT_DEMO_PASSWORD", "kneepoint-regressions");
/// What a gate leaves last.
const DONE: &str = "comparison.json";
/// Ports that a lane may take.
const PORTS_OF_A_LANE: u16 = 10;
/// Where the ports of all lanes begin: below those that the system hands out by itself.
const FIRST_PORT: u16 = 21_000;
/// Where they end.
const LAST_PORT: u16 = 29_000;

/// How long a gate is.
#[derive(Clone, Copy)]
pub struct Length {
    /// Runs of each build.
    pub runs: usize,
    /// Seconds of a run.
    pub seconds: usize,
}

/// Where gates run.
pub struct Bench {
    program: PathBuf,
    length: Length,
    /// Recordings stay here, and those that are here are not made again.
    keep: Option<PathBuf>,
}

impl Bench {
    pub fn new(length: Length) -> Self {
        let keep = std::env::var_os("KNEEPOINT_REGRESSIONS_KEEP").map(PathBuf::from);
        Self { program: program(), length, keep }
    }

    /// What a gate of this change says, as JSON.
    pub fn gate(&self, change: &Change, time: usize, lane: usize) -> Value {
        let Some(keep) = &self.keep else {
            let out = tempfile::tempdir().expect("a temporary directory");
            return self.run(change, out.path(), lane);
        };
        let out = keep.join(format!("{}-{time}", change.shop.name));
        if !out.join(DONE).exists() {
            fs::create_dir_all(&out).expect("a directory to keep recordings in");
            return self.run(change, &out, lane);
        }
        self.compared(&out)
    }

    /// The comparison of what a gate recorded.
    fn compared(&self, out: &Path) -> Value {
        let runs = |side: &str| -> Vec<PathBuf> {
            let entries = fs::read_dir(out).expect("kept").map(|entry| entry.expect("kept").path());
            let is_its = |path: &PathBuf| {
                path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(side))
            };
            entries.filter(is_its).collect()
        };
        let mut command = Command::new(&self.program);
        command.arg("compare").args(runs("base-")).arg("--with").args(runs("candidate-"));
        printed(command.args(["--format", "json"]))
    }

    fn run(&self, change: &Change, out: &Path, lane: usize) -> Value {
        let port = free_ports(lane);
        let plan = out.join("plan.toml");
        fs::write(&plan, self.plan(change, port)).expect("own directory");
        let shop = |arguments: &str| {
            let program = self.program.display();
            let served = out.join("shop");
            let (name, served) = (change.shop.name, served.display());
            // Without `exec` the shell would end first, and the shop while the next one starts.
            format!(
                "exec '{program}' demo {name}{arguments} --serve --port {port} --out '{served}'"
            )
        };
        let mut command = Command::new(&self.program);
        command.env(PASSWORD.0, PASSWORD.1).arg("gate").arg(&plan);
        command.args(["--base-command", &shop(" --healthy"), "--candidate-command", &shop("")]);
        command.args(["--runs", &self.length.runs.to_string(), "--quiet", "--format", "json"]);
        let printed = printed(command.arg("--out").arg(out));
        // There is a password in it.
        fs::remove_file(&plan).expect("own file");
        printed
    }

    /// The plan of the shop before the change, with the length of this gate.
    fn plan(&self, change: &Change, port: u16) -> String {
        let mut command = Command::new(&self.program);
        command.env(PASSWORD.0, PASSWORD.1);
        command.args(["demo", change.shop.name, "--healthy", "--print-plan"]);
        let output = command.args(["--port", &port.to_string()]).output().expect("it starts");
        let plan = String::from_utf8_lossy(&output.stdout).into_owned();
        let (before, after) = plan.split_once("[gate]\n").unwrap_or_else(|| {
            panic!("no plan: {}{plan}", String::from_utf8_lossy(&output.stderr))
        });
        format!("{before}[gate]\nduration = \"{}s\"\n{after}", self.length.seconds)
    }
}

/// The first of some ports that nobody has.
fn free_ports(lane: usize) -> u16 {
    // Other tests, and this test started twice, look for ports too.
    let process = std::process::id() as usize;
    let places = usize::from((LAST_PORT - FIRST_PORT) / PORTS_OF_A_LANE);
    let is_free = |first: &u16| {
        (*first..=first + Ports::FURTHER).all(|port| TcpListener::bind(("127.0.0.1", port)).is_ok())
    };
    (0..places)
        .map(|try_| (process * 8 + lane + try_ * 97) % places)
        .map(|place| FIRST_PORT + u16::try_from(place).expect("few places") * PORTS_OF_A_LANE)
        .find(is_free)
        .expect("some of the ports are free")
}

/// The JSON that a command prints. Its exit status does not matter: it says what the JSON says.
fn printed(command: &mut Command) -> Value {
    let output = command.output().expect("the program starts");
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| {
        panic!("stdout is not JSON: {error}\n{}", String::from_utf8_lossy(&output.stderr))
    })
}
