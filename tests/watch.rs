//! `kneepoint watch` and `import --into`: the load of other tools, beside what the collectors see.
//!
//! This file is its own load tool: under the name `jmeter`, it sends requests and writes a JTL file
//! as JMeter does.

#[allow(dead_code, reason = "other tests use more of it")]
mod target;

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Output;
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde_json::Value;
use target::{Server, kneepoint};

/// Tells the load tool of this file what to do: `PORT SECONDS FILE`; `-` for no file.
const LOAD: &str = "KNEEPOINT_TEST_LOAD";
const USERS: usize = 4;

/// No test but the load tool that a watch starts: four users, each on a connection of its own, with
/// 10 ms between two requests.
#[test]
#[ignore = "a load tool for the other tests"]
fn load_tool() {
    let Ok(order) = std::env::var(LOAD) else { return };
    let mut words = order.splitn(3, ' ');
    let mut word = || words.next().expect("a word").to_owned();
    let (port, seconds, file) = (word(), word(), word());
    let end = Instant::now() + Duration::from_secs_f64(seconds.parse().expect("seconds"));
    let port: u16 = port.parse().expect("a port");
    let users: Vec<_> = (0..USERS).map(|_| thread::spawn(move || requests(port, end))).collect();
    let rows: Vec<String> =
        users.into_iter().flat_map(|user| user.join().expect("a user")).collect();
    if file != "-" {
        let header = "timeStamp,elapsed,label,responseCode,success,grpThreads,allThreads\n";
        fs::write(file, format!("{header}{}", rows.concat())).expect("the results");
    }
}

fn requests(port: u16, end: Instant) -> Vec<String> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).expect("the server listens");
    let mut rows = Vec::new();
    let mut response = [0; 4096];
    while Instant::now() < end {
        let unix = SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock").as_millis();
        let begin = Instant::now();
        stream.write_all(b"GET / HTTP/1.1\r\nHost: it\r\n\r\n").expect("a request");
        assert!(stream.read(&mut response).expect("a response") > 0, "the server closed");
        let elapsed = begin.elapsed().as_millis();
        rows.push(format!("{unix},{elapsed},home,200,true,{USERS},{USERS}\n"));
        thread::sleep(Duration::from_millis(10));
    }
    rows
}

/// A directory with a program `jmeter` that is the load tool of this file.
fn jmeter(port: u16, seconds: f64) -> (tempfile::TempDir, PathBuf) {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("jmeter");
    let own = std::env::current_exe().expect("own path");
    let script = format!(
        "#!/bin/sh\nwhile [ \"$1\" != -l ]; do shift; done\n{LOAD}=\"{port} {seconds} $2\" exec '{}' \
         --ignored --exact load_tool --quiet\n",
        own.display()
    );
    fs::write(&path, script).expect("own directory");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("own file");
    (directory, path)
}

fn run(directory: &Path, arguments: &[&str]) -> Output {
    kneepoint(arguments).current_dir(directory).output().expect("the program starts")
}

fn text(output: &Output) -> String {
    let (out, error) = (&output.stdout, &output.stderr);
    format!("{}{}", String::from_utf8_lossy(out), String::from_utf8_lossy(error))
}

fn report(directory: &Path) -> Value {
    let path = directory.join("kneepoint-out/report.json");
    serde_json::from_slice(&fs::read(path).expect("a report")).expect("JSON")
}

#[test]
fn the_load_of_a_known_tool_is_joined_with_what_was_collected() {
    let server = Server::start();
    let (directory, program) = jmeter(server.port, 6.0);
    let program = program.display().to_string();
    let url = server.url();
    let arguments = ["watch", "--target", &url, "--lenient", "--", &program, "-n", "-t", "a.jmx"];
    let output = run(directory.path(), &arguments);
    let said = text(&output);
    assert!(said.contains("jmeter writes it into"), "{said}");
    let report = report(directory.path());
    let stage = &report["diagnosis"]["stages"][0];
    assert_eq!(stage["vus"], 4.0, "{stage}");
    assert_eq!(report["summary"]["requests_completed"], server.requests());
    let watched = report["environment"]["collectors"].to_string();
    assert!(watched.contains("the command that it runs"), "{watched}");
}

#[test]
fn an_unknown_tool_is_seen_by_the_targets_sockets() {
    let server = Server::start();
    let directory = tempfile::tempdir().expect("a directory");
    let own = std::env::current_exe().expect("own path").display().to_string();
    let load = format!("{} 6 -", server.port);
    let url = server.url();
    let arguments =
        ["watch", "--target", &url, "--lenient", "--", &own, "--ignored", "--exact", "load_tool"];
    let output = kneepoint(&arguments)
        .env(LOAD, load)
        .current_dir(directory.path())
        .output()
        .expect("the program starts");
    let said = text(&output);
    assert!(said.contains("as the target's sockets show it"), "{said}");
    let report = report(directory.path());
    // The connections come and go within the first and the last second.
    let stages = report["diagnosis"]["stages"].as_array().expect("stages");
    let users = stages.iter().filter_map(|stage| stage["vus"].as_f64()).fold(0.0, f64::max);
    assert!((users - 4.0).abs() < 0.5, "{stages:?}");
    let completed = report["summary"]["requests_completed"].as_f64().expect("a count");
    let share = completed / server.requests() as f64;
    assert!((0.8..=1.02).contains(&share), "{completed} of {}", server.requests());
}

#[test]
fn results_that_cannot_be_read_leave_the_recording_and_a_later_import_joins_them() {
    let server = Server::start();
    let (directory, program) = jmeter(server.port, 5.0);
    let program = program.display().to_string();
    let url = server.url();
    // The sockets of the target are not seen either: another process is watched.
    let mut other = std::process::Command::new("sleep").arg("100").spawn().expect("a process");
    let pid = other.id().to_string();
    let arguments = [
        "watch",
        "--target",
        &url,
        "--pid",
        &pid,
        "--results",
        "missing.csv",
        "--",
        &program,
        "-l",
        "late.jtl",
    ];
    let output = run(directory.path(), &arguments);
    other.kill().and_then(|()| other.wait()).expect("it was started here");
    let said = text(&output);
    assert!(said.contains("cannot read `missing.csv`"), "{said}");
    assert!(said.contains("--results"), "{said}");
    let before = fs::read(directory.path().join("kneepoint-out/recording.jsonl.zst")).expect("it");
    assert!(said.contains("there is no load to judge"), "{said}");
    assert_eq!(output.status.code(), Some(123), "{said}");
    let arguments = ["import", "late.jtl", "--into", "kneepoint-out", "--out", "joined"];
    let output = run(directory.path(), &arguments);
    assert!(directory.path().join("joined/report.json").exists(), "{}", text(&output));
    let after = fs::read(directory.path().join("joined/recording.jsonl.zst")).expect("it");
    assert!(after.starts_with(&before), "the recording is continued");
    let again =
        run(directory.path(), &["import", "late.jtl", "--into", "joined", "--out", "again"]);
    assert_eq!(again.status.code(), Some(104));
    assert!(text(&again).contains("has a load already"), "{}", text(&again));
}

#[test]
fn the_exit_code_of_the_command_is_kept() {
    let server = Server::start();
    let directory = tempfile::tempdir().expect("a directory");
    let url = server.url();
    let output = run(
        directory.path(),
        &["watch", "--target", &url, "--lenient", "--", "sh", "-c", "exit 7"],
    );
    assert_eq!(output.status.code(), Some(7), "{}", text(&output));
    assert!(text(&output).contains("the command ended with exit code 7"), "{}", text(&output));
}

#[test]
fn what_is_wrong_is_said_before_anything_starts() {
    let directory = tempfile::tempdir().expect("a directory");
    for (arguments, said) in [
        (&["watch", "--target", "http://127.0.0.1:1/"][..], "there is no command to run"),
        (&["watch", "--", "no-such-program"], "there is no program `no-such-program`"),
        (&["watch", "--", "sleep", "9"], "it is not clear which service is under load"),
        (&["watch", "--from", "k7", "--", "wrk", "http://127.0.0.1:1/"], "there is no"),
    ] {
        let output = run(directory.path(), arguments);
        assert!(text(&output).contains(said), "{}", text(&output));
        assert!(!output.status.success());
    }
}
