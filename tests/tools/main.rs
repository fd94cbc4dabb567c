//! `kneepoint watch` with the real load tools, against the sample shop with a fault: the cause that is
//! built in, and the tool's own count and mean response time.
//!
//! Tools are not a part of the tests' needs, and each run takes about two minutes, so nothing runs
//! unless it is asked for:
//!
//! | variable | what it does |
//! |---|---|
//! | `KNEEPOINT_TOOLS` | tools to run, or `all`; those that are not installed are named and left out |
//! | `KNEEPOINT_TOOLS_FAULTS` | faults of the shop (`app-lock downstream pool-small`) |
//! | `KNEEPOINT_TOOLS_KEEP` | directory that keeps scripts, outputs and recordings |
//! | `KNEEPOINT_BIN` | the program to run, such as a release build |
//!
//! Tools with a ramp of their own are recognised and asked for their results. The others are run at
//! several levels one after the other by `levels.sh`, and the load is what the sockets show.
//!
//! To install: `pip install locust`, `npm install autocannon`, `npm install --ignore-scripts artillery`
//! (its scripts load a browser), `cargo install oha drill`, `apt-get install wrk apache2-utils hey`,
//! `debian-jmeter.sh` for JMeter, and `goose.rs` for goose.
#![expect(clippy::print_stderr, reason = "the table is for whoever runs the tests by hand")]

mod own;
#[path = "../program/mod.rs"]
mod program;
mod shop;

use std::fmt;
use std::fs::{self, File};
use std::io::BufReader;
use std::path::{Path, PathBuf};
use std::process::Command;

use kneepoint::demo;
use kneepoint::recording;
use kneepoint::timeline::ResponseClass;
use serde_json::Value;

use own::{TOOLS, Tool};
use shop::Shop;

/// Share by which count and mean may differ from the tool's own.
const NEAR: f64 = 0.03;
/// The same for a load that the sockets alone show: they do not see what the client waits for, and
/// a tenth of a second at both ends of each level is not its load.
const NEAR_BY_SOCKETS: f64 = 0.05;

/// How many requests ended, and their mean response time in seconds.
#[derive(Clone, Copy, Debug)]
struct Figures {
    requests: f64,
    mean: f64,
}

/// One tool and one fault.
struct Case {
    tool: &'static Tool,
    fault: &'static demo::Fault,
    folder: PathBuf,
}

/// What came of a case.
struct Outcome {
    name: String,
    verdict: String,
    cause: String,
    is_right: bool,
    own: Option<Figures>,
    seen: Figures,
    near: f64,
}

impl Outcome {
    fn is_near(&self) -> bool {
        let differs = |a: f64, b: f64| (a / b - 1.0).abs() > self.near;
        self.own.is_none_or(|own| {
            !differs(self.seen.requests, own.requests) && !differs(self.seen.mean, own.mean)
        })
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let own = self.own.unwrap_or(Figures { requests: f64::NAN, mean: f64::NAN });
        write!(
            f,
            "{:<24} {:<22} {:<5} {:>8} {:>8} {:>8.2} {:>8.2}  {}",
            self.name,
            self.cause,
            if self.is_right { "right" } else { "WRONG" },
            own.requests,
            self.seen.requests,
            own.mean * 1e3,
            self.seen.mean * 1e3,
            self.verdict
        )
    }
}

impl Case {
    /// Runs the tool under watch, and compares.
    fn run(&self) -> Outcome {
        fs::create_dir_all(&self.folder).expect("a folder");
        let shop = Shop::start(self.fault.name, &self.folder);
        let orders = self.fault.name == "downstream";
        let words = self.tool.command(&self.folder, &shop.url, orders);
        let out = self.folder.join("out");
        let output = Command::new(program::program())
            .arg("watch")
            .arg("--plan")
            .arg(self.folder.join("shop/plan.toml"))
            .arg("--out")
            .arg(&out)
            .arg("--")
            .args(&words)
            .env("SHOP", if orders { "orders" } else { "products" })
            .env("TARGET", &shop.url)
            .current_dir(&self.folder)
            .output()
            .expect("the program starts");
        drop(shop);
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        fs::write(self.folder.join("said.txt"), &output.stdout).expect("own folder");
        fs::write(self.folder.join("errors.txt"), &output.stderr).expect("own folder");
        let report = fs::read(out.join("report.json")).unwrap_or_default();
        let report: Value = serde_json::from_slice(&report).unwrap_or_default();
        let cause = report["summary"]["cause"].as_str().unwrap_or("-").to_owned();
        Outcome {
            name: format!("{} {}", self.tool.name, self.fault.name),
            verdict: report["verdict"]["headline"].as_str().unwrap_or("no report").to_owned(),
            is_right: self.fault.truth.rules.contains(&cause.as_str()),
            cause,
            own: (self.tool.figures)(&out, &said),
            seen: seen(&out),
            near: if self.tool.own_ramp.is_none() { NEAR_BY_SOCKETS } else { NEAR },
        }
    }
}

/// The figures of a recording: all requests, and the mean response time of those that were answered.
/// Artillery gives no time for the others.
fn seen(out: &Path) -> Figures {
    let nothing = Figures { requests: 0.0, mean: 0.0 };
    let Ok(file) = File::open(out.join("recording.jsonl.zst")) else { return nothing };
    let Ok((recording, _)) = recording::read(BufReader::new(file)) else { return nothing };
    let (mut requests, mut answered, mut time) = (0.0, 0.0, 0.0);
    for ended in recording.timeline.ticks.iter().flat_map(|tick| &tick.endpoints) {
        let count = ended.response_time.count() as f64;
        requests += count;
        if matches!(ended.class, ResponseClass::Status(_)) {
            answered += count;
            time += count * ended.response_time.mean().unwrap_or(0.0);
        }
    }
    Figures { requests, mean: time / f64::max(answered, 1.0) }
}

fn words(variable: &str, default: &str) -> Vec<String> {
    let text = std::env::var(variable).unwrap_or_else(|_| default.to_owned());
    text.split_whitespace().map(str::to_owned).collect()
}

// One test for all: two loads at once would take each other's CPU.
#[test]
fn real_tools_get_the_cause_that_is_built_in() {
    let wanted = words("KNEEPOINT_TOOLS", "");
    if wanted.is_empty() {
        eprintln!("left out: set KNEEPOINT_TOOLS to `all` or to tools to run");
        return;
    }
    let kept = std::env::var_os("KNEEPOINT_TOOLS_KEEP").map(PathBuf::from);
    let own = tempfile::tempdir().expect("a directory");
    let folder = kept.unwrap_or_else(|| own.path().to_owned());
    let folder = std::path::absolute(folder).expect("a path");
    let faults = words("KNEEPOINT_TOOLS_FAULTS", "app-lock downstream pool-small");
    let mut bad = Vec::new();
    eprintln!(
        "{:<24} {:<28} {:>8} {:>8} {:>8} {:>8}",
        "", "first cause", "its own", "seen", "mean ms", "seen"
    );
    for tool in TOOLS.iter().filter(|it| wanted == ["all"] || wanted.iter().any(|w| w == it.name)) {
        if !own::is_there(tool.program) {
            eprintln!("{}: left out: there is no program `{}`", tool.name, tool.program);
            continue;
        }
        for name in &faults {
            let fault = demo::find(name).unwrap_or_else(|| panic!("no fault `{name}`"));
            if let Some(why) = demo::lacking(fault) {
                eprintln!("{name}: left out: {why}");
                continue;
            }
            let folder = folder.join(format!("{}-{name}", tool.name));
            let outcome = Case { tool, fault, folder }.run();
            eprintln!("{outcome}");
            if !outcome.is_right || !outcome.is_near() {
                bad.push(outcome.to_string());
            }
        }
    }
    assert!(bad.is_empty(), "not as the tool saw it:\n{}", bad.join("\n"));
}
