//! Kill it, starve it, feed it garbage: nothing that was recorded is lost, the words are clear,
//! and no secret is in anything that is left behind.

mod recordings;
#[allow(dead_code, reason = "other tests use more of it")]
#[path = "../target/mod.rs"]
mod target;

use std::fs::{self, File};
use std::io::Read;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use kneepoint::demo::{self, Launcher, Running};
use kneepoint::recording::{self, ReadNote, Recording, StopReason};
use kneepoint::timeline::{LoadTick, ResponseClass};
use target::{KNEEPOINT, Server, kneepoint, write_plan};

/// A run of the program that goes on while the test does something to it.
struct Run {
    child: Child,
    out: PathBuf,
    began: Instant,
}

impl Run {
    /// Starts a run and waits until it records.
    fn start(directory: &Path, plan: &str, more: &[&str]) -> Self {
        Self::start_as(directory, plan, more, |_| {})
    }

    fn start_as(
        directory: &Path,
        plan: &str,
        more: &[&str],
        prepare: impl FnOnce(&mut Command),
    ) -> Self {
        let out = directory.join("out");
        let mut command = Command::new(KNEEPOINT);
        command.arg("run").arg(write_plan(directory, plan)).arg("--out").arg(&out).args(more);
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        prepare(&mut command);
        let child = command.spawn().expect("the program starts");
        let mut run = Self { child, out, began: Instant::now() };
        while !run.recording().exists() {
            let ended = run.child.try_wait().expect("own child");
            assert_eq!(ended, None, "it ended early: {}", said(&mut run.child));
            std::thread::sleep(Duration::from_millis(20));
        }
        run.began = Instant::now();
        run
    }

    fn recording(&self) -> PathBuf {
        self.out.join("recording.jsonl.zst")
    }

    /// Waits until the run is so old.
    fn reach(&self, age: Duration) {
        std::thread::sleep(age.saturating_sub(self.began.elapsed()));
    }

    fn signal(&self, signal: i32) {
        let pid = i32::try_from(self.child.id()).expect("a process id");
        // SAFETY: sends a signal to an own child that was not waited for.
        assert_eq!(unsafe { libc::kill(pid, signal) }, 0);
    }

    fn end(self) -> Output {
        self.child.wait_with_output().expect("own child")
    }
}

fn said(child: &mut Child) -> String {
    let mut text = String::new();
    if let Some(stderr) = &mut child.stderr {
        stderr.read_to_string(&mut text).expect("UTF-8");
    }
    text
}

fn constant(url: &str, rate: u32, seconds: u32, more: &str) -> String {
    format!(
        "[target]\nurl = \"{url}\"\ntimeout = \"2s\"\n\
         [[request]]\npath = \"/\"\n\
         [load]\nexecutor = \"constant-arrival-rate\"\nrate = \"{rate}/s\"\n\
         duration = \"{seconds}s\"\n{more}"
    )
}

fn read(path: &Path) -> (Recording, Vec<ReadNote>) {
    let bytes = fs::read(path).expect("a recording");
    recording::read(bytes.as_slice()).expect("it can be read")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn stop_reason(recording: &Recording) -> Option<&StopReason> {
    recording.stop.as_ref().map(|stop| &stop.reason)
}

fn last_second(recording: &Recording) -> f64 {
    recording.timeline.ticks.last().map_or(0.0, |tick| tick.window.end.secs())
}

#[track_caller]
fn assert_reports(out: &Path) {
    for name in ["report.html", "report.json", "report.md", "recording.jsonl.zst", "charts"] {
        assert!(out.join(name).exists(), "no {name} in {}", out.display());
    }
}

#[track_caller]
fn assert_exit(output: &Output, code: i32) {
    let (stdout, stderr) = (text(&output.stdout), text(&output.stderr));
    assert_eq!(output.status.code(), Some(code), "{stdout}\n{stderr}");
    assert!(!stderr.contains("panicked"), "{stderr}");
}

#[test]
fn a_target_that_dies_ends_the_run_with_what_there_was() {
    let directory = tempfile::tempdir().expect("a directory");
    let server = Server::start();
    let run = Run::start(directory.path(), &constant(&server.url(), 20, 90, ""), &[]);
    run.reach(Duration::from_secs(5));
    server.kill();
    let out = run.out.clone();
    let output = run.end();
    assert_exit(&output, 123);
    let shown = text(&output.stdout);
    assert!(
        shown.contains("the target went away") && shown.contains("failed to connect"),
        "{shown}"
    );
    assert_reports(&out);
    let (recording, notes) = read(&out.join("recording.jsonl.zst"));
    assert_eq!(notes, []);
    assert!(matches!(stop_reason(&recording), Some(StopReason::TargetGone(_))));
    let refused = |tick: &&LoadTick| {
        tick.endpoints.iter().any(|endpoint| endpoint.class == ResponseClass::Connect)
    };
    let ticks = &recording.timeline.ticks;
    let died = ticks.iter().find(refused).expect("refused connections").window.begin;
    let stopped = recording.stop.as_ref().expect("an end").at;
    assert!(stopped.since(died) < Duration::from_secs(15), "{died} to {stopped}");
    assert!(ticks.iter().map(LoadTick::succeeded).sum::<u64>() > 20);
}

#[test]
fn ctrl_c_and_sigterm_end_a_run_with_verdict_and_reports() {
    let server = Server::start();
    for signal in [libc::SIGINT, libc::SIGTERM] {
        let directory = tempfile::tempdir().expect("a directory");
        let run = Run::start(directory.path(), &constant(&server.url(), 20, 90, ""), &[]);
        run.reach(Duration::from_secs(5));
        run.signal(signal);
        let out = run.out.clone();
        let output = run.end();
        assert_exit(&output, 105);
        assert!(text(&output.stdout).contains("interrupted"), "{}", text(&output.stdout));
        assert_reports(&out);
        let (recording, notes) = read(&out.join("recording.jsonl.zst"));
        assert_eq!((stop_reason(&recording), notes), (Some(&StopReason::Interrupted), Vec::new()));
        // To look at it again is no interruption.
        let again = kneepoint(&["diagnose"]).arg(&out).output().expect("it starts");
        assert_ne!(again.status.code(), Some(105));
    }
}

#[test]
fn a_second_ctrl_c_ends_at_once() {
    let directory = tempfile::tempdir().expect("a directory");
    let server = Server::start();
    let plan = constant(&server.url(), 20, 90, "").replace("path = \"/\"", "path = \"/slow\"");
    let run = Run::start(directory.path(), &plan, &[]);
    run.reach(Duration::from_secs(4));
    run.signal(libc::SIGINT);
    // Two signals that wait at the same time are one. Requests in flight hold the end up.
    std::thread::sleep(Duration::from_millis(100));
    run.signal(libc::SIGINT);
    let recording = run.recording();
    let output = run.end();
    assert_exit(&output, 130);
    assert!(output.stdout.is_empty(), "{}", text(&output.stdout));
    read(&recording);
}

#[test]
fn a_kill_switch_ends_a_run_and_one_that_is_there_keeps_it_from_starting() {
    let directory = tempfile::tempdir().expect("a directory");
    let server = Server::start();
    let switch = directory.path().join("stop");
    let more = ["--kill-switch", switch.to_str().expect("UTF-8"), "--quiet"];
    let plan = constant(&server.url(), 20, 90, "");
    let run = Run::start(directory.path(), &plan, &more);
    run.reach(Duration::from_secs(4));
    fs::write(&switch, "").expect("own directory");
    let out = run.out.clone();
    let output = run.end();
    assert_exit(&output, 105);
    assert_eq!(text(&output.stderr), "", "--quiet");
    assert_reports(&out);
    let before = server.requests();
    let output = kneepoint(&["run"])
        .arg(directory.path().join("plan.toml"))
        .args(more)
        .output()
        .expect("the program starts");
    assert_exit(&output, 106);
    assert!(text(&output.stderr).contains("already exists"), "{}", text(&output.stderr));
    assert_eq!(server.requests(), before);
}

#[test]
fn a_full_disk_ends_the_run_with_its_verdict() {
    let directory = tempfile::tempdir().expect("a directory");
    let server = Server::start();
    let plan = constant(&server.url(), 40, 90, "");
    let run = Run::start_as(directory.path(), &plan, &[], |command| {
        // SAFETY: both calls may be made between fork and exec.
        unsafe {
            command.pre_exec(|| {
                let limit = libc::rlimit { rlim_cur: 12_000, rlim_max: 12_000 };
                libc::signal(libc::SIGXFSZ, libc::SIG_IGN);
                match libc::setrlimit(libc::RLIMIT_FSIZE, &raw const limit) {
                    0 => Ok(()),
                    _ => Err(std::io::Error::last_os_error()),
                }
            });
        }
    });
    let (path, out) = (run.recording(), run.out.clone());
    let output = run.end();
    assert_exit(&output, 1);
    let stderr = text(&output.stderr);
    assert!(stderr.contains("the run ended early: cannot write the recording"), "{stderr}");
    assert!(stderr.contains("report.html`: File too large"), "{stderr}");
    assert!(!output.stdout.is_empty(), "no verdict: {stderr}");
    assert!(!out.join("report.html").exists(), "a torn report");
    let (recording, _) = read(&path);
    assert!(recording.timeline.ticks.len() >= 2);
}

#[test]
fn a_run_that_was_stopped_goes_on_and_ends_in_time() {
    let directory = tempfile::tempdir().expect("a directory");
    let server = Server::start();
    let run = Run::start(directory.path(), &constant(&server.url(), 20, 4, ""), &[]);
    run.reach(Duration::from_secs(3));
    run.signal(libc::SIGSTOP);
    run.reach(Duration::from_secs(12));
    run.signal(libc::SIGCONT);
    let path = run.recording();
    let output = run.end();
    assert!(matches!(output.status.code(), Some(0 | 123)), "{}", text(&output.stderr));
    let (recording, notes) = read(&path);
    assert_eq!((stop_reason(&recording), notes), (Some(&StopReason::Completed), Vec::new()));
    assert_eq!(recording.timeline.stages.len(), 1);
    assert!(recording.timeline.stages[0].window.secs() < 4.001);
    // What was due meanwhile is accounted for, and nothing beyond it was sent.
    let offered: u64 = recording.timeline.ticks.iter().map(|tick| tick.offered).sum();
    assert_eq!(offered, 80);
}

#[test]
fn every_request_that_was_due_is_accounted_for() {
    let directory = tempfile::tempdir().expect("a directory");
    let server = Server::start();
    // 4 in flight at 400 ms each carry 10/s.
    let plan = constant(&server.url(), 50, 4, "[limits]\nmax_in_flight = 4\n")
        .replace("path = \"/\"", "path = \"/slow\"");
    let run = Run::start(directory.path(), &plan, &["--format", "json"]);
    let path = run.recording();
    let output = run.end();
    let (recording, _) = read(&path);
    let sum = |of: fn(&LoadTick) -> u64| recording.timeline.ticks.iter().map(of).sum::<u64>();
    let (offered, sent, held_back) =
        (sum(|tick| tick.offered), sum(|tick| tick.sent), sum(|tick| tick.held_back));
    let backlog = recording.timeline.ticks.last().expect("ticks").backlog;
    assert_eq!(offered, 200, "50/s for 4 s");
    assert_eq!(offered, sent + held_back + backlog, "{sent} + {held_back} + {backlog}");
    assert!(held_back > 50, "{held_back}");
    // And what the target saw is what was sent, with the one request of the preflight.
    assert_eq!(server.requests(), sent + 1);
    let value: serde_json::Value =
        serde_json::from_slice(&output.stdout).expect("JSON and nothing else");
    assert!(value["diagnosis"]["outcome"]["kind"].is_string(), "{value}");
}

#[test]
fn results_that_cannot_be_written_are_told_before_any_load() {
    let directory = tempfile::tempdir().expect("a directory");
    let server = Server::start();
    let file = directory.path().join("a-file");
    fs::write(&file, "").expect("own directory");
    let plan = write_plan(directory.path(), &constant(&server.url(), 20, 3, ""));
    let output = kneepoint(&["run"])
        .arg(plan)
        .arg("--out")
        .arg(file.join("out"))
        .output()
        .expect("the program starts");
    assert_exit(&output, 1);
    assert!(text(&output.stderr).contains("another directory with `--out`"));
    assert_eq!(server.requests(), 1, "the one of the preflight");
}

/// The sample shop with its PostgreSQL; none, with a printed reason, where it is not installed.
#[expect(clippy::print_stderr, reason = "a skipped test has to say so")]
fn shop() -> Option<Running> {
    if demo::find_postgres().is_none() {
        eprintln!("skipped: {}", demo::install_hint());
        return None;
    }
    let launcher = Launcher::new().expect("own path").with_program(KNEEPOINT);
    Some(launcher.start(demo::find("none").expect("a fault"), None).expect("the shop starts"))
}

/// Parent and name of a process.
fn parent_and_name(pid: u32) -> Option<(u32, String)> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (name, rest) = stat.split_once('(')?.1.rsplit_once(')')?;
    Some((rest.split_whitespace().nth(1)?.parse().ok()?, name.to_owned()))
}

/// One of the server's own processes: PostgreSQL restarts when such a one is killed.
fn process_of_postgres(guard: u32) -> u32 {
    let all: Vec<u32> = fs::read_dir("/proc")
        .expect("Linux")
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .collect();
    let child_of = |parent: u32| {
        all.iter().copied().find(|pid| {
            parent_and_name(*pid)
                .is_some_and(|(of, name)| of == parent && name.starts_with("postgres"))
        })
    };
    child_of(child_of(guard).expect("a server")).expect("a process of the server")
}

#[test]
fn a_database_that_restarts_is_a_gap_and_the_run_goes_on() {
    let Some(shop) = shop() else { return };
    let directory = tempfile::tempdir().expect("a directory");
    let url = shop.postgres_url.clone().expect("with PostgreSQL");
    let plan = constant(&shop.url, 10, 10, &format!("[collect.postgres]\nurl = \"{url}\"\n"))
        .replace("path = \"/\"", "path = \"/health\"");
    let run = Run::start(directory.path(), &plan, &[]);
    run.reach(Duration::from_secs(2));
    let victim = i32::try_from(process_of_postgres(shop.guard_pid())).expect("a process id");
    // SAFETY: sends a signal to a process of this test's own database.
    assert_eq!(unsafe { libc::kill(victim, libc::SIGKILL) }, 0);
    let path = run.recording();
    let output = run.end();
    assert_exit(&output, 0);
    let (recording, notes) = read(&path);
    assert_eq!((stop_reason(&recording), notes), (Some(&StopReason::Completed), Vec::new()));
    let gaps: Vec<_> =
        recording.timeline.gaps.iter().filter(|gap| gap.collector == "postgres").collect();
    let last = gaps.last().unwrap_or_else(|| panic!("no gap: {:?}", recording.events));
    assert!(!last.reason.is_empty());
    let after = recording
        .timeline
        .series
        .iter()
        .filter(|(key, _)| key.metric.starts_with("db."))
        .flat_map(|(_, series)| &series.points)
        .any(|point| point.at > last.window.end);
    assert!(after, "nothing was read after {last:?}");
}

#[test]
fn no_secret_is_left_behind() {
    let Some(shop) = shop() else { return };
    let directory = tempfile::tempdir().expect("a directory");
    let server = Server::start();
    let database = shop.postgres_url.clone().expect("with PostgreSQL");
    let password = database.split_once('@').expect("credentials").0.rsplit(':').next();
    let password = password.expect("a password").to_owned();
    let plan = format!(
        "[target]\nurl = \"{url}\"\n\
         [[request]]\npath = \"/a?api_key=s3cret-query&x=1\"\n\
         headers = {{ authorization = \"Bearer s3cret-header\", x-other = \"${{KP_HEADER}}\" }}\n\
         [[request]]\nmethod = \"POST\"\nname = \"post\"\npath = \"/b?t={{token}}&u={{free}}\"\n\
         body = \"${{KP_BODY}}\"\n\
         [data.token]\nlist = [\"s3cret-data\"]\n\
         [data.free]\nlist = [\"${{KP_LIST}}\"]\n\
         [load]\nexecutor = \"steps\"\nrates = [\"10/s\", \"20/s\"]\nhold = \"2s\"\n\
         [collect.postgres]\nurl = \"{database}\"\n\
         [collect.prometheus]\nbearer_token = \"s3cret-bearer\"\n\
         url = \"http://u:s3cret-basic@127.0.0.1:{port}/metrics/failing?token=s3cret-param\"\n\
         [[collect.process]]\nport = {port}\n",
        url = server.url(),
        port = server.port,
    );
    let run = Run::start_as(directory.path(), &plan, &[], |command| {
        command.env("KP_HEADER", "s3cret-env").env("KP_BODY", "s3cret-body");
        command.env("KP_LIST", "s3cret-list");
    });
    run.reach(Duration::from_millis(2500));
    // The database goes away for good: its errors must not name the password either.
    shop.stop();
    let out = run.out.clone();
    let output = run.end();
    let (recording, _) = read(&out.join("recording.jsonl.zst"));
    for collector in ["postgres", "prometheus"] {
        let gap = recording.timeline.gaps.iter().find(|gap| gap.collector == collector);
        assert!(gap.is_some(), "`{collector}` did not fail: {}", text(&output.stderr));
    }
    let mut left = vec![
        ("stdout".to_owned(), text(&output.stdout)),
        ("stderr".to_owned(), text(&output.stderr)),
    ];
    let file = File::open(out.join("recording.jsonl.zst")).expect("a recording");
    let mut lines = String::new();
    zstd::Decoder::new(file).expect("zstd").read_to_string(&mut lines).expect("UTF-8");
    left.push(("recording".to_owned(), lines));
    for format in ["terminal", "json", "html", "svg", "markdown"] {
        let output = kneepoint(&["report", "--format", &format!("{format}=-")])
            .arg(&out)
            .output()
            .expect("the program starts");
        assert_exit(&output, 0);
        left.push((format.to_owned(), text(&output.stdout)));
    }
    for (place, content) in left {
        assert!(!content.is_empty(), "{place}");
        for secret in ["s3cret", password.as_str()] {
            let found = content.find(secret).map(|at| {
                let from = content.floor_char_boundary(at.saturating_sub(60));
                let to = content.floor_char_boundary(at + 40);
                &content[from..to]
            });
            assert_eq!(found, None, "{place} has a secret");
        }
    }
}
