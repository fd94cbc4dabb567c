//! One system of the lab: started, put under the load of its plan, and diagnosed.

use std::fmt;
use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use kneepoint::demo::{BuiltInKnee, Fault, Launcher, Truth};
use serde_json::Value;

use crate::program::program;
use crate::way::{Place, Way};

/// The broken system of a fault or its healthy twin, and the way to it.
#[derive(Clone, Copy)]
pub struct System {
    pub fault: &'static Fault,
    pub healthy: bool,
    pub way: Way,
}

impl System {
    /// What a right diagnosis of this system says.
    pub fn truth(&self) -> Truth {
        if self.healthy { Truth::HEALTHY } else { self.fault.truth }
    }

    /// Whether the time that one request takes of a resource decides where the knee must lie.
    fn needs_time_alone(&self) -> bool {
        self.truth().knee == Some(BuiltInKnee::OneAtATime)
    }
}

impl fmt::Display for System {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.fault.name, if self.healthy { "healthy" } else { "broken" })?;
        match self.way {
            Way::Here => Ok(()),
            way => write!(f, ":{}", way.name()),
        }
    }
}

/// What a run leaves that a diagnosis starts from.
const RECORDING: &str = "recording.jsonl.zst";
/// What else a run leaves.
const RESULTS: [&str; 3] = ["report.html", "report.json", "charts"];

/// Next to a recording: the seconds that a search kept the database busy before there was load.
const ALONE: &str = "alone.json";

/// How many requests of a kind are sent, one after the other, to learn the time of one.
const REQUESTS_ALONE: usize = 30;

/// Where systems are run.
pub struct Bench {
    program: PathBuf,
    /// Recordings stay here, and those that are here are not made again.
    keep: Option<PathBuf>,
}

impl Bench {
    pub fn new() -> Self {
        Self { program: program(), keep: std::env::var_os("KNEEPOINT_LAB_KEEP").map(PathBuf::from) }
    }

    /// The report of a run, as the program prints it, and the seconds for which a request that was
    /// alone kept the limiting resource busy; those only where they decide where the knee must lie.
    pub fn diagnose(&self, system: &System, seed: u64) -> (Value, Option<f64>) {
        let Some(keep) = &self.keep else {
            let out = tempfile::tempdir().expect("a temporary directory");
            let report = self.run(system, seed, out.path());
            return (report, alone(system, out.path()));
        };
        let out = keep.join(format!("{system}-{seed}").replace(':', "-"));
        let recording = out.join(RECORDING);
        if !recording.exists() {
            fs::create_dir_all(&out).expect("a directory to keep recordings in");
            let report = self.run(system, seed, &out);
            return (report, alone(system, &out));
        }
        let mut command = Command::new(&self.program);
        command.arg("diagnose").arg(recording).args(["--format", "json"]);
        (printed(&mut command, system), alone(system, &out))
    }

    fn run(&self, system: &System, seed: u64, out: &Path) -> Value {
        let launcher = Launcher::new().expect("own path");
        let launcher = if system.healthy { launcher.healthy() } else { launcher };
        let mut place = Place::new(system.way, &self.program);
        let shop = place
            .start(launcher, system.fault)
            .unwrap_or_else(|error| panic!("{system} does not start: {error}"));
        let (url, shop_plan) = place.lead_to(&shop);
        let before = system.needs_time_alone().then(|| measure_alone(&url));
        let plan = out.join("plan.toml");
        // Ahead of the tables, where the name of the plan stands as well.
        fs::write(&plan, format!("seed = {seed}\n{shop_plan}")).expect("the plan is written");
        let mut command = place.kneepoint(out);
        command.arg("run").arg(&plan).args(["--format", "json", "--out"]).arg(out);
        let report = printed(&mut command, system);
        if let Some(before) = before {
            // Other work on the machine makes a search longer and never shorter.
            let seconds = before.min(measure_alone(&url)).as_secs_f64();
            fs::write(out.join(ALONE), seconds.to_string()).expect("own directory");
        }
        shop.stop();
        // There is a password in it.
        fs::remove_file(&plan).expect("own file");
        for file in [RECORDING].iter().chain(&RESULTS) {
            assert!(out.join(file).exists(), "{system}: no {file}");
        }
        report
    }
}

/// What [`Bench::run`] measured before and after the load.
fn alone(system: &System, out: &Path) -> Option<f64> {
    system.needs_time_alone().then(|| {
        let path = out.join(ALONE);
        let text = fs::read_to_string(&path).unwrap_or_else(|error| {
            panic!("{}: {error}; remove the recording to have it made again", path.display())
        });
        text.trim().parse().expect("a number of seconds")
    })
}

/// How long one search keeps the database busy when nothing else is asked of the shop: the median
/// time of a search less that of a product page, which goes the same way and reads one row.
fn measure_alone(url: &str) -> Duration {
    let median = |path: &dyn Fn(usize) -> String| {
        let mut times: Vec<Duration> =
            (1..=REQUESTS_ALONE).map(|number| time_of(url, &path(number))).collect();
        times.sort();
        times[times.len() / 2]
    };
    let search = median(&|number| format!("/search?category=category-{number}"));
    search.saturating_sub(median(&|number| format!("/product/{number}")))
}

/// How long one request takes, with its connection.
fn time_of(url: &str, path: &str) -> Duration {
    let authority = url.strip_prefix("http://").expect("http");
    let begun = Instant::now();
    let mut stream = TcpStream::connect(authority).expect("the shop listens");
    let head = format!("GET {path} HTTP/1.1\r\nHost: {authority}\r\nConnection: close\r\n\r\n");
    stream.write_all(head.as_bytes()).expect("the shop reads");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("the shop answers");
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    begun.elapsed()
}

/// The JSON that a command prints. Its exit status does not matter: a knee is not a failure.
fn printed(command: &mut Command, system: &System) -> Value {
    let output = command.output().expect("the program starts");
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| {
        let stderr = String::from_utf8_lossy(&output.stderr);
        panic!("{system}: stdout is not JSON: {error}\n{stderr}")
    })
}
