//! The other tools: how to ask each for the same work, and where to find its figures.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};

use crate::process::{Cost, measure};
use crate::{CONNECTIONS, MEMORY_SECS, SECS, STALL_RATE, STALL_SECS};

/// Another tool.
pub struct Peer {
    pub name: &'static str,
    /// How to install it.
    pub install: &'static str,
    /// It has a runtime that starts slowly. It runs once and longer, so that its start is a small
    /// part of what is counted.
    pub is_slow: bool,
    run: Option<fn(&Task<'_>) -> Option<Run>>,
}

/// What a tool has to do.
pub struct Task<'t> {
    pub port: u16,
    pub work: Work,
    /// For its scripts and results.
    pub directory: &'t Path,
}

#[derive(Clone, Copy, PartialEq)]
pub enum Work {
    /// As fast as it can, over [`CONNECTIONS`] connections.
    FlatOut,
    /// This many users or connections, with one request a second each where the tool can do that.
    Users(usize),
    /// The constant rate of the stall, in the open model.
    Stall,
    /// This many requests a second, at even distances where the tool can do that.
    Pace(u64),
}

/// What a tool used, and what it reports.
pub struct Run {
    pub requests: u64,
    /// In seconds.
    pub p50: Option<f64>,
    pub p99: Option<f64>,
    pub cost: Cost,
}

pub static PEERS: [Peer; 8] = [
    Peer { name: "wrk", install: "apt-get install wrk", is_slow: false, run: Some(wrk) },
    Peer { name: "wrk2", install: "no package has it", is_slow: false, run: Some(wrk2) },
    Peer { name: "oha", install: "cargo install oha", is_slow: false, run: Some(oha) },
    Peer { name: "hey", install: "apt-get install hey", is_slow: false, run: Some(hey) },
    Peer { name: "vegeta", install: "no package of Debian has it", is_slow: false, run: None },
    Peer { name: "k6", install: "no package of Debian has it", is_slow: true, run: None },
    Peer {
        name: "locust",
        install: "pip install locust, in a virtual environment on PATH",
        is_slow: true,
        run: Some(locust),
    },
    Peer {
        name: "artillery",
        install: "npm install artillery, with node_modules/.bin on PATH",
        is_slow: true,
        run: Some(artillery),
    },
];

impl Peer {
    /// Why it is not measured.
    pub fn absence(&self) -> Option<String> {
        match (self.run, find(self.name)) {
            (Some(_), Some(_)) => None,
            (Some(_), None) => Some(format!("{} is not installed: {}", self.name, self.install)),
            (None, _) => Some(format!("{} is not to be had here: {}", self.name, self.install)),
        }
    }

    /// `None` if it is not installed or cannot do that.
    pub fn run(&self, task: &Task<'_>) -> Option<Run> {
        find(self.name)?;
        self.run?(task)
    }
}

/// Where a program is on `PATH`.
fn find(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|part| part.join(program)).find(|file| file.is_file())
}

impl Task<'_> {
    fn url(&self) -> String {
        format!("http://127.0.0.1:{}/", self.port)
    }

    fn secs(&self) -> u64 {
        match self.work {
            Work::FlatOut | Work::Pace(_) => SECS,
            Work::Users(_) => MEMORY_SECS,
            Work::Stall => STALL_SECS,
        }
    }

    fn connections(&self) -> usize {
        match self.work {
            Work::FlatOut | Work::Pace(_) => CONNECTIONS,
            Work::Users(users) => users,
            Work::Stall => STALL_RATE as usize * 2,
        }
    }

    fn measure(&self, command: &mut Command) -> Option<(String, Cost)> {
        measure(command, Duration::from_secs(self.secs() * 3 + 40))
    }

    fn write(&self, name: &str, text: &str) -> Option<PathBuf> {
        let path = self.directory.join(name);
        std::fs::write(&path, text).ok().map(|()| path)
    }
}

/// It cannot keep a rate: with many connections it is flat out too.
fn wrk(task: &Task<'_>) -> Option<Run> {
    if matches!(task.work, Work::Stall | Work::Pace(_)) {
        return None;
    }
    let (connections, secs) = (task.connections().to_string(), format!("{}s", task.secs()));
    let arguments = ["-t1", "-c", &connections, "-d", &secs, &task.url()];
    let (output, cost) = task.measure(Command::new("wrk").args(arguments))?;
    Some(Run { requests: wrk_requests(&output)?, p50: None, p99: None, cost })
}

/// Of the line `12345 requests in 3.00s, 1.23MB read`.
fn wrk_requests(output: &str) -> Option<u64> {
    let line = output.lines().find(|line| line.contains(" requests in "))?;
    line.split_whitespace().next()?.parse().ok()
}

/// It can only keep a rate.
fn wrk2(task: &Task<'_>) -> Option<Run> {
    let rate = match task.work {
        Work::FlatOut | Work::Users(_) => return None,
        Work::Stall => STALL_RATE as u64,
        Work::Pace(rate) => rate,
    };
    let (connections, secs) = (task.connections().to_string(), format!("{}s", task.secs()));
    let (rate, url) = (rate.to_string(), task.url());
    let arguments = ["-t1", "-c", &connections, "-d", &secs, "-R", &rate, "--latency", &url];
    let (output, cost) = task.measure(Command::new("wrk2").args(arguments))?;
    // The lines ` 99.000%    1.23ms`.
    let quantile = |name: &str| {
        let line = output.lines().find_map(|line| line.trim().strip_prefix(name))?;
        let time = line.trim();
        let digits = time.find(|letter: char| letter.is_alphabetic())?;
        let unit = match &time[digits..] {
            "us" => 1e-6,
            "ms" => 1e-3,
            "s" => 1.0,
            _ => return None,
        };
        Some(time[..digits].parse::<f64>().ok()? * unit)
    };
    let (p50, p99) = (quantile("50.000%"), quantile("99.000%"));
    Some(Run { requests: wrk_requests(&output)?, p50, p99, cost })
}

fn oha(task: &Task<'_>) -> Option<Run> {
    let mut command = Command::new("oha");
    command.env("TOKIO_WORKER_THREADS", "1").args(["--no-tui", "--output-format", "json"]);
    command.args(["-c", &task.connections().to_string(), "-z", &format!("{}s", task.secs())]);
    let rate = match task.work {
        Work::FlatOut => None,
        Work::Users(users) => Some(users as u64),
        Work::Stall => Some(STALL_RATE as u64),
        Work::Pace(rate) => Some(rate),
    };
    if let Some(rate) = rate {
        command.args(["-q", &rate.to_string()]);
    }
    if matches!(task.work, Work::Stall | Work::Pace(_)) {
        command.args(["--latency-correction", "-w"]);
    }
    let (output, cost) = task.measure(command.arg(task.url()))?;
    let report: Value = serde_json::from_str(&output).ok()?;
    let requests = report["statusCodeDistribution"]["200"].as_u64()?;
    let [p50, p99] = ["p50", "p99"].map(|name| report["latencyPercentiles"][name].as_f64());
    Some(Run { requests, p50, p99, cost })
}

/// Its rate is that of one worker, which waits for each response: not an open model.
fn hey(task: &Task<'_>) -> Option<Run> {
    let mut command = Command::new("hey");
    command.args(["-cpus", "1", "-c", &task.connections().to_string()]);
    command.args(["-z", &format!("{}s", task.secs())]);
    match task.work {
        Work::FlatOut => {}
        Work::Users(_) => drop(command.args(["-q", "1"])),
        Work::Pace(rate) => {
            let each = rate as f64 / task.connections() as f64;
            command.args(["-q", &each.to_string()]);
        }
        Work::Stall => return None,
    }
    let (output, cost) = task.measure(command.arg(task.url()))?;
    let line = |begin: &str| output.lines().find_map(|line| line.trim().strip_prefix(begin));
    // The lines `[200]\t12345 responses` and `99% in 0.0012 secs`.
    let number = |begin: &str| line(begin)?.split_whitespace().next();
    let requests = number("[200]")?.parse().ok()?;
    let [p50, p99] = ["50% in", "99% in"].map(|begin| number(begin)?.parse().ok());
    Some(Run { requests, p50, p99, cost })
}

/// How long a slow tool runs flat out.
const SLOW_SECS: u64 = 10;

/// Users with a constant throughput of one request a second equal the open model as long as no
/// response takes longer than a second.
fn locust(task: &Task<'_>) -> Option<Run> {
    let (wait_time, users, secs) = match task.work {
        Work::FlatOut => ("constant(0)", CONNECTIONS, SLOW_SECS),
        Work::Users(users) => ("constant(1)", users, MEMORY_SECS),
        Work::Stall => ("constant_throughput(1)", STALL_RATE as usize, STALL_SECS),
        Work::Pace(_) => return None,
    };
    let script = format!(
        "from locust import FastHttpUser, constant, constant_throughput, task\n\n\
         class User(FastHttpUser):\n    wait_time = {wait_time}\n\n    @task\n    \
         def home(self):\n        self.client.get(\"/\")\n"
    );
    let script = task.write("locustfile.py", &script)?;
    let mut command = Command::new("locust");
    command.arg("-f").arg(script).args(["--headless", "--json", "--loglevel", "ERROR"]);
    command.args(["--host", task.url().trim_end_matches('/'), "-t", &format!("{secs}s")]);
    command.args(["-u", &users.to_string(), "-r", &users.to_string()]);
    let (output, cost) = task.measure(&mut command)?;
    let report: Value = serde_json::from_str(&output).ok()?;
    let home = report.get(0)?;
    let mut times = Vec::new();
    for (millis, count) in home["response_times"].as_object()? {
        times.push((millis.parse::<f64>().ok()?, count.as_u64()?));
    }
    let requests = home["num_requests"].as_u64()?;
    Some(Run { requests, p50: None, p99: quantile(times, 0.99).map(|millis| millis / 1e3), cost })
}

/// Of values with their counts.
fn quantile(mut values: Vec<(f64, u64)>, quantile: f64) -> Option<f64> {
    values.sort_by(|a, b| a.0.total_cmp(&b.0));
    let count: u64 = values.iter().map(|(_, count)| count).sum();
    let mut left = (count as f64 * quantile).ceil() as u64;
    values.into_iter().find_map(|(value, count)| {
        left = left.saturating_sub(count);
        (left == 0).then_some(value)
    })
}

/// How many requests each of its users sends flat out. The tool has no other way to end.
const ARTILLERY_REQUESTS: usize = 200;

fn artillery(task: &Task<'_>) -> Option<Run> {
    let get = json!({ "get": { "url": "/" } });
    let (phase, flow) = match task.work {
        Work::FlatOut => (
            json!({ "duration": 1, "arrivalCount": CONNECTIONS }),
            json!([{ "loop": [get], "count": ARTILLERY_REQUESTS }]),
        ),
        Work::Users(users) => (
            json!({ "duration": 3, "arrivalCount": users }),
            json!([{ "loop": [get, { "think": 1 }], "count": MEMORY_SECS - 1 }]),
        ),
        Work::Stall => {
            (json!({ "duration": STALL_SECS, "arrivalRate": STALL_RATE as u64 }), json!([get]))
        }
        Work::Pace(_) => return None,
    };
    let script = json!({
        "config": { "target": task.url().trim_end_matches('/'), "phases": [phase] },
        "scenarios": [{ "flow": flow }],
    });
    let script = task.write("artillery.json", &script.to_string())?;
    let results = task.directory.join("artillery-results.json");
    let mut command = Command::new("artillery");
    command.env("ARTILLERY_DISABLE_TELEMETRY", "true").args(["run", "--quiet", "--output"]);
    let (_, cost) = task.measure(command.arg(&results).arg(script))?;
    let report: Value = serde_json::from_slice(&std::fs::read(results).ok()?).ok()?;
    let report = &report["aggregate"];
    let requests = report["counters"]["http.codes.200"].as_u64()?;
    let p99 = report["summaries"]["http.response_time"]["p99"].as_f64();
    Some(Run { requests, p50: None, p99: p99.map(|millis| millis / 1e3), cost })
}
