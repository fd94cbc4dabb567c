//! One night: the systems are started, the load passes the limit, and what Prometheus stored is
//! imported and looked at.

use std::fs::{self, File};
use std::io::BufReader;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use kneepoint::demo::{Fault, Launcher};
use kneepoint::recording;
use serde_json::Value;

use super::http::get;
use super::load::{self, Length};
use super::program::program;
use super::servers::{ACCESS_LOG, Server, shop_with_process};

/// Seconds until every target was scraped a few times.
const SETTLES: Duration = Duration::from_secs(4);
/// What Prometheus stored, and the begin and end of the night and when the load passed the limit, in
/// the directory of a night.
const DATA: &str = "data";
const TIMES: &str = "times";
/// The file of a recording.
const RECORDING: &str = "recording.jsonl.zst";

/// The recordings of a night: of what Prometheus stored alone, and with the access log beside it.
const WAYS: [(&str, bool); 2] = [("metrics", false), ("history", true)];

/// What a night came to, by one of its recordings.
pub struct Night {
    /// When the load passed the limit, in seconds since 1970.
    pub passed: f64,
    /// Whether the access log is in the recording.
    pub has_log: bool,
    /// What `incident` prints.
    pub found: Value,
}

pub struct Bench {
    program: PathBuf,
    keep: Option<PathBuf>,
    length: Length,
}

impl Bench {
    pub fn new(length: Length) -> Self {
        Self {
            program: program(),
            keep: std::env::var_os("KNEEPOINT_NIGHTS_KEEP").map(PathBuf::from),
            length,
        }
    }

    /// Makes a night, unless it is kept, and looks at each of its recordings.
    pub fn night(&self, fault: &Fault) -> Vec<Night> {
        let temporary = tempfile::tempdir().unwrap();
        let directory = match &self.keep {
            Some(keep) => keep.join(fault.name),
            None => temporary.path().join(fault.name),
        };
        fs::create_dir_all(&directory).unwrap();
        if !directory.join(TIMES).exists() {
            self.make(fault, &directory);
        }
        let times: Vec<f64> = fs::read_to_string(directory.join(TIMES))
            .unwrap()
            .split_whitespace()
            .map(|time| time.parse().unwrap())
            .collect();
        let [from, to, passed] = times[..] else { panic!("three times are kept") };
        if WAYS.iter().any(|(name, _)| !directory.join(name).join(RECORDING).exists()) {
            self.import(&directory, from, to);
        }
        let look = |(name, has_log): (&str, bool)| {
            let found = self.run(|command| {
                command.arg("incident").arg(directory.join(name)).args(["--format", "json"]);
            });
            let found = serde_json::from_slice(&found.stdout).unwrap();
            Night { passed, has_log, found }
        };
        WAYS.into_iter().map(look).collect()
    }

    /// What Prometheus and nginx write while the load passes the limit.
    fn make(&self, fault: &Fault, directory: &Path) {
        let servers = tempfile::tempdir().unwrap();
        let launcher = Launcher::new().unwrap().with_program(&self.program);
        let shop = launcher.start(fault, None).unwrap();
        let node = Server::node_exporter();
        let mut jobs =
            vec![("shop", shop_with_process(&shop.metrics_url, shop.pid)), ("node", node.port)];
        let postgres =
            shop.postgres_url.as_ref().map(|url| Server::postgres_exporter(url, servers.path()));
        jobs.extend(postgres.as_ref().map(|server| ("db", server.port)));
        let prometheus = Server::prometheus(&jobs, servers.path(), &directory.join(DATA));
        let front = Server::nginx(&shop.url, directory);
        thread::sleep(SETTLES);
        let limit = load::limit(fault);
        let plan = servers.path().join("plan.toml");
        let shop_plan = shop
            .plan
            .replace(shop.url.trim_end_matches('/'), &format!("http://127.0.0.1:{}", front.port));
        fs::write(&plan, load::plan(&shop_plan, limit, self.length)).unwrap();
        let from = now();
        let made = servers.path().join("made");
        let run = self.run(|command| {
            command.arg("run").arg(&plan).arg("--out").arg(&made).arg("--quiet");
        });
        let passed = when_passed(&made, limit).unwrap_or_else(|| panic!("{}", told(&run)));
        thread::sleep(Duration::from_secs(1));
        let to = now();
        drop((prometheus, front));
        shop.stop();
        fs::write(directory.join(TIMES), format!("{from:.3} {to:.3} {passed:.3}\n")).unwrap();
    }

    /// Makes recordings of what is stored, by a Prometheus that scrapes nothing any more.
    fn import(&self, directory: &Path, from: f64, to: f64) {
        let servers = tempfile::tempdir().unwrap();
        let prometheus = Server::prometheus(&[], servers.path(), &directory.join(DATA));
        let url = format!("http://127.0.0.1:{}", prometheus.port);
        let has_database = get(prometheus.port, "/api/v1/label/job/values")
            .is_some_and(|jobs| jobs.contains("\"db\""));
        for (name, has_log) in WAYS {
            let imported = self.run(|command| {
                command
                    .args(["import", "prometheus", "--url", &url, "--match", "{job=\"shop\"}"])
                    .args(["--host", "{job=\"node\"}"])
                    .args(["--from", &format!("{from:.3}"), "--to", &format!("{to:.3}")])
                    .arg("--out")
                    .arg(directory.join(name));
                if has_database {
                    command.args(["--database", "{job=\"db\"}"]);
                }
                if has_log {
                    // All of this runs by one clock, and a load that is as even as this one fits at
                    // several shifts.
                    command.arg("--access-log").arg(directory.join(ACCESS_LOG));
                    command.args(["--shift-log", "0s"]);
                }
            });
            assert!(imported.status.success(), "{}", told(&imported));
            fs::write(directory.join(format!("{name}.txt")), told(&imported)).unwrap();
        }
    }

    fn run(&self, configure: impl FnOnce(&mut Command)) -> Output {
        let mut command = Command::new(&self.program);
        configure(&mut command);
        command.output().unwrap()
    }
}

fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs_f64()
}

fn told(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

/// When more was offered than the limit, by what made the load.
fn when_passed(made: &Path, limit: f64) -> Option<f64> {
    let file = File::open(made.join(RECORDING)).ok()?;
    let (made, _) = recording::read(BufReader::new(file)).ok()?;
    let tick = made.timeline.ticks.iter().find(|tick| {
        let seconds = tick.window.secs();
        seconds > 0.0 && tick.offered as f64 / seconds > limit
    })?;
    Some(made.environment.started_unix + tick.window.begin.secs())
}
