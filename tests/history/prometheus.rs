//! A Prometheus of the test's own. It is ended by its process id.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;

const START_WITHIN: Duration = Duration::from_secs(30);

pub struct Prometheus {
    port: u16,
    child: Child,
    _directory: TempDir,
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        let _gone = self.child.kill().is_err();
        let _reaped = self.child.wait().is_err();
    }
}

impl Prometheus {
    /// One that scrapes a service each second; `None` where there is none on this machine.
    pub fn start(service: u16) -> Option<Self> {
        Self::start_with(service, &[])
    }

    /// The same with further options.
    pub fn start_with(service: u16, options: &[&str]) -> Option<Self> {
        let Some(program) = program() else {
            skipped();
            return None;
        };
        let directory = tempfile::tempdir().unwrap();
        let config = directory.path().join("prometheus.yml");
        let job = |name: &str, path: &str| {
            format!(
                "  - job_name: {name}\n    metrics_path: {path}\n    static_configs:\n      - \
                 targets: ['127.0.0.1:{service}']\n"
            )
        };
        let text = format!(
            "global:\n  scrape_interval: 1s\n  scrape_timeout: 1s\nscrape_configs:\n{}{}",
            job("shop", "/metrics"),
            job("db", "/db")
        );
        fs::write(&config, text).unwrap();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let child = Command::new(program)
            .args(options)
            .arg(format!("--config.file={}", config.display()))
            .arg(format!("--storage.tsdb.path={}", directory.path().join("data").display()))
            .arg(format!("--web.listen-address=127.0.0.1:{port}"))
            .stdout(Stdio::null())
            .stderr(File::create(directory.path().join("log")).unwrap())
            .spawn()
            .unwrap();
        let mut prometheus = Self { port, child, _directory: directory };
        prometheus.wait();
        Some(prometheus)
    }

    fn wait(&mut self) {
        let begin = Instant::now();
        while begin.elapsed() < START_WITHIN {
            assert!(self.child.try_wait().unwrap().is_none(), "Prometheus ended at once");
            if self.get("/-/ready").is_some_and(|answer| answer.starts_with("HTTP/1.0 200")) {
                return;
            }
            thread::sleep(Duration::from_millis(100));
        }
        panic!("Prometheus is not ready after {START_WITHIN:?}");
    }

    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// The whole answer to a request for `path`.
    pub fn get(&self, path: &str) -> Option<String> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).ok()?;
        let head = format!("GET {path} HTTP/1.0\r\nHost: 127.0.0.1\r\n\r\n");
        stream.write_all(head.as_bytes()).ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        Some(answer)
    }

    /// By how much a counter grew between its first and its last stored sample within the two times.
    pub fn increase(&self, metric: &str, (from, to): (&str, &str)) -> u64 {
        let path = format!("/api/v1/query?query={metric}[10m]");
        let answer = self.get(&path).unwrap();
        let body = answer.split_once("\r\n\r\n").unwrap().1;
        let answer: serde_json::Value = serde_json::from_str(body).unwrap();
        let values = answer["data"]["result"][0]["values"].as_array().unwrap();
        let within = from.parse::<f64>().unwrap()..=to.parse::<f64>().unwrap();
        let value = |pair: &serde_json::Value| pair[1].as_str().unwrap().parse::<f64>().unwrap();
        let inside: Vec<f64> = values
            .iter()
            .filter(|pair| within.contains(&pair[0].as_f64().unwrap()))
            .map(value)
            .collect();
        (inside.last().unwrap() - inside.first().unwrap()) as u64
    }
}

#[expect(clippy::print_stderr, reason = "a test that did not run says so")]
fn skipped() {
    eprintln!("SKIPPED: there is no `prometheus` here: install it, or run `tests/run`, which does");
}

fn program() -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let places = std::env::split_paths(&path).chain(["/usr/local/bin".into(), "/usr/bin".into()]);
    places.map(|place| place.join("prometheus")).find(|file| file.is_file())
}
