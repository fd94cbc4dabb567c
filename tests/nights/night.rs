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

use super::load;
use super::program::program;
use super::servers::{Server, shop_with_process};

/// Seconds until every target was scraped a few times.
const SETTLES: Duration = Duration::from_secs(4);
/// When the load passed the limit, next to a recording that is kept.
const PASSED: &str = "passed";

/// What a night came to.
pub struct Night {
    /// When the load passed the limit, in seconds since 1970.
    pub passed: f64,
    /// What `incident` prints.
    pub found: Value,
}

pub struct Bench {
    program: PathBuf,
    keep: Option<PathBuf>,
}

impl Bench {
    pub fn new() -> Self {
        Self {
            program: program(),
            keep: std::env::var_os("KNEEPOINT_NIGHTS_KEEP").map(PathBuf::from),
        }
    }

    pub fn night(&self, fault: &Fault) -> Night {
        let temporary = tempfile::tempdir().unwrap();
        let directory = match &self.keep {
            Some(keep) => keep.join(fault.name),
            None => temporary.path().join(fault.name),
        };
        fs::create_dir_all(&directory).unwrap();
        let history = directory.join("history");
        if !history.join("recording.jsonl.zst").exists() {
            let passed = self.make(fault, &directory, &history);
            fs::write(directory.join(PASSED), passed.to_string()).unwrap();
        }
        let passed = fs::read_to_string(directory.join(PASSED)).unwrap().parse().unwrap();
        let found = self.run(|command| {
            command.arg("incident").arg(&history).args(["--format", "json"]);
        });
        let found = serde_json::from_slice(&found.stdout).unwrap();
        Night { passed, found }
    }

    fn make(&self, fault: &Fault, directory: &Path, history: &Path) -> f64 {
        let servers = tempfile::tempdir().unwrap();
        let launcher = Launcher::new().unwrap().with_program(&self.program);
        let shop = launcher.start(fault, None).unwrap();
        let node = Server::node_exporter();
        let mut jobs =
            vec![("shop", shop_with_process(&shop.metrics_url, shop.pid)), ("node", node.port)];
        let postgres =
            shop.postgres_url.as_ref().map(|url| Server::postgres_exporter(url, servers.path()));
        jobs.extend(postgres.as_ref().map(|server| ("db", server.port)));
        let prometheus = Server::prometheus(&jobs, servers.path());
        thread::sleep(SETTLES);
        let limit = load::limit(fault);
        let plan = servers.path().join("plan.toml");
        fs::write(&plan, load::plan(&shop.plan, limit)).unwrap();
        let from = now();
        let made = servers.path().join("made");
        let run = self.run(|command| {
            command.arg("run").arg(&plan).arg("--out").arg(&made).arg("--quiet");
        });
        let passed = when_passed(&made, limit).unwrap_or_else(|| panic!("{}", told(&run)));
        thread::sleep(Duration::from_secs(1));
        let url = format!("http://127.0.0.1:{}", prometheus.port);
        let imported = self.run(|command| {
            command
                .args(["import", "prometheus", "--url", &url, "--match", "{job=\"shop\"}"])
                .args(["--host", "{job=\"node\"}"])
                .args(["--from", &format!("{from:.3}"), "--to", &format!("{:.3}", now())])
                .arg("--out")
                .arg(history);
            if postgres.is_some() {
                command.args(["--database", "{job=\"db\"}"]);
            }
        });
        assert!(imported.status.success(), "{}", told(&imported));
        fs::write(directory.join("import.txt"), told(&imported)).unwrap();
        shop.stop();
        passed
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
    let file = File::open(made.join("recording.jsonl.zst")).ok()?;
    let (made, _) = recording::read(BufReader::new(file)).ok()?;
    let tick = made.timeline.ticks.iter().find(|tick| {
        let seconds = tick.window.secs();
        seconds > 0.0 && tick.offered as f64 / seconds > limit
    })?;
    Some(made.environment.started_unix + tick.window.begin.secs())
}
