//! Real programs with a planted lock and a planted hot function: the collector `stacks` has to name
//! both by file and line. A runtime that is not installed is skipped with its reason.

#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "tests")]

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use kneepoint::collect::{Collector, TargetHint, find};
use kneepoint::plan::{CollectorConfig, OptionValue};
use kneepoint::timeline::{BatchBuilder, Labels};

/// Connections that send one request after the other.
const CLIENTS: usize = 24;

fn source(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/stacks").join(name)
}

/// `file:line` of the line that ends with this comment.
fn planted(name: &str, comment: &str) -> String {
    let text = std::fs::read_to_string(source(name)).unwrap();
    let line = text.lines().position(|line| line.trim_end().ends_with(comment)).unwrap() + 1;
    format!("{name}:{line}")
}

/// A program that runs until it is dropped.
struct Server {
    child: Child,
    port: u16,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

fn start(program: &Path, arguments: &[&str]) -> Server {
    let port = free_port();
    let mut command = Command::new(program);
    // Files are shown from the working directory of the program.
    command.current_dir(source("")).args(arguments).arg(port.to_string());
    wait_for(command, port)
}

/// Starts a program and waits until it listens.
fn wait_for(mut command: Command, port: u16) -> Server {
    let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let server = Server { child, port };
    let deadline = Instant::now() + Duration::from_secs(30);
    while TcpStream::connect(("127.0.0.1", port)).is_err() {
        assert!(Instant::now() < deadline, "{command:?} does not listen");
        std::thread::sleep(Duration::from_millis(50));
    }
    server
}

/// Whether a program runs; otherwise says why its test is skipped.
fn is_installed(program: &str, version: &str) -> bool {
    let runs =
        Command::new(program).arg(version).stdout(Stdio::null()).stderr(Stdio::null()).status();
    let runs = runs.is_ok_and(|status| status.success());
    if !runs {
        eprintln!("skipped: `{program}` is not installed");
    }
    runs
}

/// Whether this process may trace others, for a runtime that is read from its memory.
fn may_trace(pid: u32) -> bool {
    let may = std::fs::read(format!("/proc/{pid}/syscall")).is_ok();
    if !may {
        eprintln!(
            "skipped: no right to trace another process (run as root, or with CAP_SYS_PTRACE)"
        );
    }
    may
}

/// Sends requests for `path` on all connections while `watch` runs.
fn under_load<T>(port: u16, path: &str, watch: impl FnOnce() -> T) -> T {
    let stop = Arc::new(AtomicBool::new(false));
    let clients: Vec<_> = (0..CLIENTS)
        .map(|_| {
            let (stop, path) = (Arc::clone(&stop), path.to_owned());
            std::thread::spawn(move || {
                let mut answer = [0; 4096];
                while !stop.load(Ordering::Relaxed) {
                    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
                    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
                    let request =
                        format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
                    stream.write_all(request.as_bytes()).unwrap();
                    while stream.read(&mut answer).is_ok_and(|length| length > 0) {}
                }
            })
        })
        .collect();
    std::thread::sleep(Duration::from_millis(700));
    let seen = watch();
    stop.store(true, Ordering::Relaxed);
    for client in clients {
        client.join().unwrap();
    }
    seen
}

fn open(server: &Server, go: bool) -> Box<dyn Collector> {
    let mut config = CollectorConfig::new("stacks");
    if go {
        let url = format!("http://127.0.0.1:{}/debug/pprof", server.port);
        config = config.with("go", OptionValue::Text(url));
    }
    let process = CollectorConfig::new("process");
    let process = process.with("pid", OptionValue::Integer(u64::from(server.child.id())));
    let hint =
        TargetHint { is_local: true, process_config: Some(process), ..TargetHint::default() };
    (find("stacks").unwrap().open)(&config, &hint).unwrap()
}

/// The sums of all values of a metric over some looks, by labels.
fn look(collector: &mut dyn Collector, metric: &str, looks: usize) -> BTreeMap<Labels, f64> {
    let mut sums = BTreeMap::new();
    for _ in 0..looks {
        let mut batch = BatchBuilder::new();
        collector.sample(&mut batch).unwrap();
        for reading in batch.finish().into_iter().filter(|reading| reading.key.metric == metric) {
            *sums.entry(reading.key.labels).or_default() += reading.value;
        }
        std::thread::sleep(Duration::from_millis(300));
    }
    sums
}

/// Asks for the planted places of a program.
fn names_its_places(server: &Server, file: &str, go: bool, holder: &str) {
    let mark = if file.ends_with("py") { "#" } else { "//" };
    let place = |what: &str| planted(file, &format!("{mark} {what}"));
    let mut collector = open(server, go);
    let threads = under_load(server.port, "/lock", || look(&mut *collector, "stacks.threads", 3));
    let waiting = |labels: &Labels| labels.get("state") == Some("lock");
    let waiting: BTreeMap<_, f64> = threads
        .iter()
        .filter(|(labels, _)| waiting(labels))
        .map(|(labels, count)| (labels, *count))
        .collect();
    // One dump may not show the holder, so the waiters of one place have several sets of labels.
    let heaviest = |name: &str| {
        let mut sums: BTreeMap<&str, f64> = BTreeMap::new();
        for (labels, count) in &waiting {
            if let Some(value) = labels.get(name) {
                *sums.entry(value).or_default() += count;
            }
        }
        sums.into_iter().max_by(|a, b| a.1.total_cmp(&b.1))
    };
    let (at, count) = heaviest("at").unwrap_or_else(|| panic!("nobody waits: {threads:#?}"));
    // The interpreter of the JVM steps on before it takes a monitor, so `jstack` too shows the next
    // line, until the method is compiled.
    let mut lines = vec![place("lock")];
    lines.extend(file.ends_with("java").then(|| place("held")));
    assert!(lines.iter().any(|line| line == at), "{threads:#?}");
    assert!(count >= 3.0 * CLIENTS as f64 / 2.0, "{threads:#?}");
    let holder = heaviest(holder).map(|(holder, _)| holder);
    assert_eq!(holder, Some(place("held").as_str()), "{threads:#?}");
    let cpu = under_load(server.port, "/hot", || look(&mut *collector, "stacks.cpu", 5));
    let all: f64 = cpu.values().sum();
    let hot = |labels: &Labels| labels.get("function").is_some_and(|name| name.ends_with("render"));
    let hot: f64 = cpu.iter().filter(|(labels, _)| hot(labels)).map(|(_, cores)| cores).sum();
    assert!(hot > 0.6 * all && all > 0.2, "{hot} of {all} cores: {cpu:#?}");
}

#[test]
fn java_names_the_planted_lock_and_hot_function() {
    if !is_installed("javac", "-version") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let file = source("Ledger.java");
    let compiled = Command::new("javac").arg("-d").arg(folder.path()).arg(file).status().unwrap();
    assert!(compiled.success());
    let classes = folder.path().to_str().unwrap();
    let server = start(Path::new("java"), &["-Xmx128m", "-cp", classes, "Ledger"]);
    names_its_places(&server, "Ledger.java", false, "held_at");
}

#[test]
fn go_names_the_planted_lock_and_hot_function() {
    if !is_installed("go", "version") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let program = folder.path().join("ledger");
    let built =
        Command::new("go").arg("build").arg("-o").arg(&program).arg(source("ledger.go")).status();
    assert!(built.unwrap().success());
    names_its_places(&start(&program, &[]), "ledger.go", true, "near_at");
}

/// The interpreter itself, not a wrapper that starts it; `None` where its stacks cannot be read.
fn python() -> Option<PathBuf> {
    if !is_installed("python3", "--version") || !may_trace(std::os::unix::process::parent_id()) {
        return None;
    }
    let find = "import os, sys; print(sys.version_info[1], os.path.realpath(sys.executable))";
    let found = Command::new("python3").args(["-c", find]).output().unwrap();
    let found = String::from_utf8(found.stdout).unwrap();
    let (minor, program) = found.trim().split_once(' ').unwrap();
    if !(8..=13).contains(&minor.parse().unwrap()) || program.ends_with('t') {
        eprintln!("skipped: the stacks of `{program}` (3.{minor}) cannot be read");
        return None;
    }
    Some(PathBuf::from(program))
}

#[test]
fn python_names_the_planted_lock_and_hot_function() {
    let Some(program) = python() else { return };
    let server = start(&program, &[source("ledger.py").to_str().unwrap()]);
    names_its_places(&server, "ledger.py", false, "near_at");
}

#[test]
fn the_lock_of_a_service_behind_a_proxy_is_named() {
    let Some(program) = python() else { return };
    if !is_installed("nginx", "-v") {
        return;
    }
    let service = start(&program, &[source("ledger.py").to_str().unwrap()]);
    let folder = tempfile::tempdir().unwrap();
    let proxy = start_proxy(folder.path(), service.port);
    let process = CollectorConfig::new("process");
    let process = process.with("pid", OptionValue::Integer(u64::from(proxy.child.id())));
    let hint =
        TargetHint { is_local: true, process_config: Some(process), ..TargetHint::default() };
    let opened = |name: &str| (find(name).unwrap().open)(&CollectorConfig::new(name), &hint);
    let (mut chain, mut stacks) = (opened("chain").unwrap(), opened("chain_stacks").unwrap());
    let threads = under_load(proxy.port, "/lock", || {
        look(&mut *chain, "chain.service", 3);
        look(&mut *stacks, "chain.stacks.threads", 3)
    });
    let lock = planted("ledger.py", "# lock");
    let waits = |labels: &Labels| {
        labels.get("state") == Some("lock")
            && labels.get("at") == Some(&lock)
            && labels.get("hop").is_some_and(|hop| hop.ends_with(&format!(":{})", service.port)))
    };
    let waiting: f64 = threads.iter().filter(|(labels, _)| waits(labels)).map(|it| it.1).sum();
    assert!(waiting >= 3.0 * CLIENTS as f64 / 2.0, "{threads:#?}");
}

/// An nginx that hands every request to `port`.
fn start_proxy(folder: &Path, port: u16) -> Server {
    let own = free_port();
    let temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .map(|what| format!("{what}_temp_path {what};"))
        .join(" ");
    let text = format!(
        "daemon off; master_process off; pid nginx.pid; error_log stderr crit; events {{ }}
         http {{ access_log off; {temporary} server {{ listen 127.0.0.1:{own}; location / {{
         proxy_pass http://127.0.0.1:{port}; }} }} }}"
    );
    std::fs::write(folder.join("nginx.conf"), text).unwrap();
    let mut command = Command::new("nginx");
    command.arg("-p").arg(folder).args(["-c", "nginx.conf", "-e", "stderr"]);
    wait_for(command, own)
}
