//! `kneepoint gate`, `baseline` and `calibrate`, with real servers that the commands start.

#[allow(dead_code, reason = "other tests use more of it")]
mod target;

use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use target::kneepoint;

/// Tells the server of this file where to listen, how long to wait and how many of its first requests
/// fail: `PORT MILLISECONDS FAILURES`.
const SERVE: &str = "KNEEPOINT_TEST_SERVE";

/// No test but the build that a gate starts: it answers each request after a time.
#[test]
#[ignore = "a server for the other tests"]
fn serve() {
    let Ok(order) = std::env::var(SERVE) else { return };
    let [port, millis, failures] = order.split(' ').collect::<Vec<_>>()[..] else {
        panic!("a port, a time and a number")
    };
    let delay = Duration::from_millis(millis.parse().expect("milliseconds"));
    TO_FAIL.store(failures.parse().expect("a number"), Ordering::Relaxed);
    let listener = TcpListener::bind(format!("127.0.0.1:{port}")).expect("a free port");
    for stream in listener.incoming().flatten() {
        thread::spawn(move || answer(stream, delay));
    }
}

/// How many requests the server still fails.
static TO_FAIL: AtomicUsize = AtomicUsize::new(0);

fn answer(mut stream: TcpStream, delay: Duration) {
    let mut request = [0; 4096];
    while stream.read(&mut request).is_ok_and(|length| length > 0) {
        thread::sleep(delay);
        let one_less = |left: usize| left.checked_sub(1);
        let fails = TO_FAIL.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_less).is_ok();
        let status = if fails { "404 Not Found" } else { "200 OK" };
        let response = format!("HTTP/1.1 {status}\r\nContent-Length: 2\r\n\r\nok");
        if stream.write_all(response.as_bytes()).is_err() {
            break;
        }
    }
}

/// The command that starts this server.
fn command(port: u16, millis: u64) -> String {
    failing_first(0, port, millis)
}

/// The same, which first fails some requests.
fn failing_first(failures: usize, port: u16, millis: u64) -> String {
    let program = std::env::current_exe().expect("own path");
    format!(
        "{SERVE}='{port} {millis} {failures}' exec '{}' --ignored --exact serve",
        program.display()
    )
}

fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.local_addr().expect("its address").port()
}

/// A directory with a plan for a server at this port.
fn plan(port: u16, gate: &str) -> (tempfile::TempDir, PathBuf) {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("plan.toml");
    let text = format!(
        "name = \"small\"\n[target]\nurl = \"http://127.0.0.1:{port}\"\n[[request]]\nname = \"home\"\n\
         path = \"/\"\n[load]\nexecutor = \"breakpoint\"\nstart = \"100/s\"\n[gate]\n{gate}\n"
    );
    fs::write(&path, text).expect("own directory");
    (directory, path)
}

fn run(directory: &Path, arguments: &[&str]) -> Output {
    let mut command = kneepoint(arguments);
    for name in ["GITHUB_HEAD_REF", "GITHUB_REF_NAME", "CI_COMMIT_REF_NAME", "BRANCH_NAME"] {
        command.env_remove(name);
    }
    command.current_dir(directory).output().expect("the program starts")
}

fn text(output: &Output) -> String {
    let (out, error) = (&output.stdout, &output.stderr);
    format!("{}{}", String::from_utf8_lossy(out), String::from_utf8_lossy(error))
}

const QUICK: &str = "rate = \"150/s\"\nduration = \"3s\"\nruns = 3";

#[test]
fn a_slower_build_is_worse_and_says_where() {
    let port = free_port();
    let (directory, _) = plan(port, QUICK);
    let (base, candidate) = (command(port, 2), command(port, 9));
    let arguments =
        ["gate", "plan.toml", "--base-command", &base, "--candidate-command", &candidate];
    let output = run(directory.path(), &[&arguments[..], &["--quiet"]].concat());
    let said = text(&output);
    assert_eq!(output.status.code(), Some(122), "{said}");
    assert!(said.contains("Worse: p50 of all requests rose"), "{said}");
    assert!(said.contains("run 6 of 6: candidate"), "{said}");
    assert!(directory.path().join("kneepoint-gate/comparison.json").exists(), "{said}");
    assert!(directory.path().join("kneepoint-gate/base-3/recording.jsonl.zst").exists(), "{said}");
    assert!(TcpStream::connect(("127.0.0.1", port)).is_err(), "a build still runs");
}

#[test]
fn a_run_that_cannot_start_is_tried_once_more() {
    let port = free_port();
    let (directory, _) = plan(port, QUICK);
    let gate = |failures: usize| {
        let (base, candidate) = (command(port, 2), failing_first(failures, port, 2));
        let builds = ["--base-command", &base, "--candidate-command", &candidate];
        let arguments = ["gate", "plan.toml", "--quiet", "--runs", "2"];
        run(directory.path(), &[&arguments[..], &builds].concat())
    };
    // The first request asks whether the build is there, the second whether the path is right.
    let said = text(&gate(2));
    assert!(said.contains("this run of the candidate is tried once more"), "{said}");
    assert!(said.contains("run 4 of 4"), "{said}");
    assert!(directory.path().join("kneepoint-gate/comparison.json").exists(), "{said}");
    let output = gate(1000);
    assert_eq!(output.status.code(), Some(106), "{}", text(&output));
}

#[test]
fn a_build_that_cannot_be_measured_is_refused_with_its_words() {
    let port = free_port();
    let (directory, _) = plan(port, QUICK);
    let gate = |base: &str| {
        let arguments =
            ["gate", "plan.toml", "--base-command", base, "--candidate-command", "true"];
        run(directory.path(), &[&arguments[..], &["--quiet"]].concat())
    };
    let dies = gate("echo cannot read settings.toml >&2; exit 3");
    assert_eq!(dies.status.code(), Some(106), "{}", text(&dies));
    assert!(text(&dies).contains("cannot read settings.toml"), "{}", text(&dies));
    let taken = TcpListener::bind(("127.0.0.1", port)).expect("a free port");
    let refused = gate("true");
    drop(taken);
    assert_eq!(refused.status.code(), Some(106), "{}", text(&refused));
    assert!(text(&refused).contains("something already answers"), "{}", text(&refused));
}

/// What was started ends with kneepoint, even where that is killed.
#[test]
fn a_killed_gate_leaves_no_build_behind() {
    let port = free_port();
    let (directory, _) = plan(port, "rate = \"50/s\"\nduration = \"20s\"");
    let build = command(port, 1);
    let mut gate = Command::new(target::KNEEPOINT)
        .args(["gate", "plan.toml", "--quiet", "--base-command", &build])
        .args(["--candidate-command", &build])
        .current_dir(directory.path())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("the program starts");
    let is_up = || TcpStream::connect(("127.0.0.1", port)).is_ok();
    let wait = |wanted: bool| {
        let ended = Instant::now() + Duration::from_secs(30);
        while is_up() != wanted && Instant::now() < ended {
            thread::sleep(Duration::from_millis(50));
        }
        assert_eq!(is_up(), wanted);
    };
    wait(true);
    gate.kill().expect("it runs");
    gate.wait().expect("own child");
    wait(false);
}

#[test]
fn what_is_wrong_with_a_gate_is_told_with_its_line_before_any_load() {
    let (directory, _) = plan(free_port(), "rate = \"0/s\"\nruns = 0\nmax_wors = \"5%\"");
    let output = run(directory.path(), &["gate", "plan.toml", "--branch", "x"]);
    let said = text(&output);
    assert_eq!(output.status.code(), Some(104), "{said}");
    for wanted in ["plan.toml:11", "plan.toml:12", "plan.toml:13", "`max_worse`"] {
        assert!(said.contains(wanted), "no {wanted} in {said}");
    }
}

/// A store with runs of a branch: recordings of the repository, which are alike.
fn store(directory: &Path, branch: &str, times: usize) {
    let recording = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/recordings/none.jsonl.zst");
    for time in 0..times {
        let commit = format!("commit-{time}");
        let recording = recording.display().to_string();
        let added = run(
            directory,
            &["baseline", "add", &recording, "--branch", branch, "--commit", &commit],
        );
        assert!(added.status.success(), "{}", text(&added));
    }
}

#[test]
fn a_store_keeps_lists_shows_accepts_and_forgets_runs() {
    let directory = tempfile::tempdir().expect("a directory");
    let at = directory.path();
    let empty = run(at, &["baseline", "list"]);
    assert_eq!(empty.status.code(), Some(104), "{}", text(&empty));
    store(at, "main", 3);
    store(at, "feature/new cart", 1);
    let listed = text(&run(at, &["baseline", "list"]));
    assert!(listed.contains("main") && listed.contains("feature/new cart"), "{listed}");
    let shown = text(&run(at, &["baseline", "show"]));
    assert!(shown.contains("commit-0") && shown.contains("commit-2"), "{shown}");
    let unknown = run(at, &["baseline", "show", "mian"]);
    assert!(text(&unknown).contains("did you mean `main`"), "{}", text(&unknown));

    let recording = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/recordings/none.jsonl.zst");
    let recording = recording.display().to_string();
    let accept = ["baseline", "accept", &recording, "--branch", "main", "--commit", "wanted"];
    let accepted = run(at, &[&accept[..], &["--reason", "the new index"]].concat());
    assert!(accepted.status.success(), "{}", text(&accepted));
    let shown = text(&run(at, &["baseline", "show", "main"]));
    assert!(shown.contains("accepted: the new index"), "{shown}");
    assert!(!shown.contains("commit-0"), "what came before is no baseline: {shown}");

    let dry = text(&run(at, &["baseline", "prune", "--keep", "1", "--dry-run"]));
    assert_eq!(dry.matches("would remove").count(), 3, "{dry}");
    let pruned = text(&run(at, &["baseline", "prune", "--keep", "1"]));
    assert_eq!(pruned.matches("removed ").count(), 3, "{pruned}");
    assert!(text(&run(at, &["baseline", "show", "main"])).contains("the new index"));
}

/// Every file below a directory.
fn files(directory: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).expect("own").map(|entry| entry.expect("own").path());
    let of = |path: PathBuf| if path.is_dir() { files(&path) } else { vec![path] };
    entries.flat_map(of).collect()
}

#[test]
fn a_damaged_file_of_a_store_is_told_and_the_others_stand() {
    let directory = tempfile::tempdir().expect("a directory");
    let at = directory.path();
    store(at, "main", 2);
    fs::write(at.join(".kneepoint/half.json"), "{\"kneepoint_baseline\": 1, \"key\"").expect("own");
    fs::write(at.join(".kneepoint/new.json"), "{\"kneepoint_baseline\": 99}").expect("own");
    // A response time beyond any would ask for the memory of a whole machine.
    let kept = files(&at.join(".kneepoint"));
    let whole = fs::read_to_string(&kept[0]).expect("own");
    let (before, after) = whole.split_once("\"times\":[[").expect("response times");
    let after = &after[after.find(',').expect("a place and a count")..];
    let huge = format!("{before}\"times\":[[4294967295{after}");
    fs::write(at.join(".kneepoint/huge.json"), huge).expect("own");
    let output = run(at, &["baseline", "list"]);
    let said = text(&output);
    assert!(output.status.success() && said.contains("main"), "{said}");
    assert!(said.contains("huge.json") && said.contains("longer than any"), "{said}");
    assert!(said.contains("half.json") && said.contains("newer kneepoint"), "{said}");
}

#[test]
fn a_run_is_compared_with_the_baseline_of_a_branch() {
    let directory = tempfile::tempdir().expect("a directory");
    store(directory.path(), "main", 2);
    let recording = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/recordings/none.jsonl.zst");
    let recording = recording.display().to_string();
    let output = run(directory.path(), &["compare", ".kneepoint", "--with", &recording]);
    let said = text(&output);
    assert!(!said.contains("Worse"), "{said}");
    assert!(said.contains("2 runs of the base and 1 run of the candidate"), "{said}");
    let other = run(
        directory.path(),
        &["compare", ".kneepoint", "--with", &recording, "--against", "release"],
    );
    assert_eq!(other.status.code(), Some(104), "{}", text(&other));
    assert!(text(&other).contains("of branch `release`"), "{}", text(&other));
}

#[test]
fn a_calibration_says_what_this_machine_can_see() {
    let port = free_port();
    let gate = "rate = \"150/s\"\nduration = \"3s\"\nruns = 2\n[objectives]\n\
                \"http_req_duration\" = \"p(95) < 1ms\"";
    let (directory, _) = plan(port, gate);
    let build = command(port, 2);
    let output = run(directory.path(), &["calibrate", "plan.toml", "--command", &build, "--quiet"]);
    let said = text(&output);
    assert!(output.status.success(), "{said}");
    assert!(said.contains("4 runs of one build") && said.contains("visible from"), "{said}");
    let measured = directory.path().join("kneepoint-calibration/comparison.json");
    let noise = measured.display().to_string();
    let runs = directory.path().join("kneepoint-calibration");
    let (one, two) = (runs.join("run-1"), runs.join("run-2"));
    let paths = [one.display().to_string(), two.display().to_string()];
    let compare = |more: &[&str]| {
        let output = run(directory.path(), &[&["compare", &paths[0], &paths[1]], more].concat());
        // Lines are broken at the width of the page.
        let said = text(&output).split_whitespace().collect::<Vec<_>>().join(" ");
        (said, output.status.code())
    };
    let (said, code) = compare(&["--noise", &noise]);
    assert!(said.contains("comparison.json` measured it"), "{said}");
    assert_eq!(code, Some(99), "each response takes longer than the objective allows: {said}");
    // What was stored is used by itself, for this plan and this class of machine alone.
    let (said, _) = compare(&[]);
    assert!(said.contains("`kneepoint calibrate` measured it on"), "{said}");
    assert!(said.contains("with 4 runs on"), "{said}");
    for unknown in [["--noise", "none"], ["--machine", "another"], ["--store", "elsewhere"]] {
        let (said, _) = compare(&unknown);
        assert!(!said.contains("measured it"), "{unknown:?}: {said}");
        assert!(said.contains("does not show how much runs differ"), "{unknown:?}: {said}");
    }
    let stored: Vec<PathBuf> = files(&directory.path().join(".kneepoint"));
    assert_eq!(stored.len(), 1, "{stored:?}");
    let whole = fs::read_to_string(&stored[0]).expect("own");
    fs::write(&stored[0], whole.replace("\"kneepoint_noise\": 1", "\"kneepoint_noise\": 9"))
        .expect("own");
    let (said, _) = compare(&[]);
    assert!(said.contains("newer kneepoint") && !said.contains("measured it on"), "{said}");
}
