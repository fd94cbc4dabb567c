//! `kneepoint realism` and `check --against` with logs that this test makes, and with the plan that
//! `kneepoint convert` makes of them.

#[allow(dead_code, reason = "other tests use more of it")]
mod target;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;

use serde_json::Value;
use target::{Server, kneepoint};

/// A small generator of numbers, so that the log is the same in each run (Knuth, MMIX).
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, most: u64) -> u64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % most
    }
}

/// A log of 20 minutes: items by popularity, a search, orders, some failures, scanners, one burst.
fn log(directory: &Path) -> PathBuf {
    let mut numbers = Numbers(7);
    let mut text = String::new();
    for second in 0..1200u64 {
        let count = if second == 600 { 60 } else { 3 + numbers.below(5) };
        for _ in 0..count {
            let item = 4000 / (1 + numbers.below(4000));
            let (request, status) = match numbers.below(20) {
                0 => ("POST /order".to_owned(), 201),
                1..4 => (format!("GET /search?q=w{}", numbers.below(300)), 200),
                4 => ("GET /wp-login.php".to_owned(), 404),
                5 => (format!("GET /item/{item}"), 500),
                _ => (format!("GET /item/{item}"), 200),
            };
            let (minute, second) = (second / 60, second % 60);
            let client = numbers.below(400);
            text.push_str(&format!(
                "10.0.{}.{} - - [10/Oct/2026:13:{minute:02}:{second:02} +0000] \"{request} HTTP/1.1\" \
                 {status} 512 \"-\" \"agent\" 0.012\n",
                client / 200,
                client % 200
            ));
        }
    }
    let path = directory.join("access.log");
    fs::write(&path, text).expect("own directory");
    path
}

fn run(arguments: &[&str]) -> Output {
    kneepoint(arguments).output().expect("the program starts")
}

fn told(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

fn gaps(output: &Output) -> Vec<String> {
    let document: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|why| {
        panic!("{why}: {}", told(output));
    });
    let gaps = document["gaps"].as_array().expect("a list");
    gaps.iter().map(|gap| gap["kind"].as_str().expect("a kind").to_owned()).collect()
}

#[test]
fn a_plan_that_was_made_of_the_log_has_no_gap_to_it() {
    let directory = tempfile::tempdir().expect("a directory");
    let log = log(directory.path());
    let log = log.to_str().expect("text");
    for timed in [&[][..], &["--timed"][..]] {
        let out = directory.path().join(format!("plan-{}", timed.len()));
        let out = out.to_str().expect("text");
        let target = ["convert", log, "--target", "http://127.0.0.1:1", "--out", out];
        let made = run(&[&target[..], timed].concat());
        assert!(made.status.success(), "{}", told(&made));
        let plan = format!("{out}/plan.toml");
        let output = run(&["realism", &plan, "--access-log", log, "--format", "json"]);
        assert_eq!(gaps(&output), [""; 0], "{}", told(&output));
        assert_eq!(output.status.code(), Some(0), "{}", told(&output));
        let checked = run(&["check", &plan, "--against", log]);
        assert_eq!(checked.status.code(), Some(0), "{}", told(&checked));
        assert!(
            told(&checked).contains("covers 100 % of production's requests"),
            "{}",
            told(&checked)
        );
    }
}

#[test]
fn a_plan_of_another_world_is_told_and_the_logs_may_be_compressed() {
    let directory = tempfile::tempdir().expect("a directory");
    let log = log(directory.path());
    let packed = directory.path().join("access.log.zst");
    let bytes = fs::read(&log).expect("the log");
    fs::write(&packed, zstd::encode_all(bytes.as_slice(), 1).expect("packed")).expect("own");
    let plan = directory.path().join("plan.toml");
    let text = "[target]\nurl = \"http://127.0.0.1:1\"\n[[request]]\npath = \"/item/{id}\"\nweight = 9\n\
                [[request]]\npath = \"/report\"\n[data.id]\nrange = [1, 3]\n[load]\n\
                executor = \"constant-arrival-rate\"\nrate = \"5/s\"\nduration = \"1m\"\n";
    fs::write(&plan, text).expect("own directory");
    let plan = plan.to_str().expect("text");
    let arguments = ["realism", plan, "--access-log", packed.to_str().expect("text")];
    let output = run(&[&arguments[..], &["--format", "json"]].concat());
    assert_eq!(output.status.code(), Some(119), "{}", told(&output));
    let found = gaps(&output);
    for kind in ["missing-requests", "foreign-requests", "bursts", "keys"] {
        assert!(found.iter().any(|it| it == kind), "{kind}: {}", told(&output));
    }
    let page = run(&arguments);
    assert!(told(&page).contains("none of its bursts"), "{}", told(&page));
    let checked = run(&["check", plan, "--against", log.to_str().expect("text")]);
    assert_eq!(checked.status.code(), Some(119), "{}", told(&checked));
    assert_eq!(run(&["check", plan]).status.code(), Some(0));
}

#[test]
fn what_cannot_be_compared_is_refused_with_a_way_out() {
    let directory = tempfile::tempdir().expect("a directory");
    let plan = directory.path().join("plan.toml");
    fs::write(&plan, "[target]\nurl = \"http://127.0.0.1:1\"\n[[request]]\npath = \"/\"\n")
        .expect("own");
    let plan = plan.to_str().expect("text");
    let production = "postgres://a:hunter2@127.0.0.1:1/b";
    for (more, says) in [
        (&[][..], "nothing to hold the plan against"),
        (&["--access-log", plan][..], "no request that a plan could send"),
        (&["--access-log", "/nowhere/access.log"][..], "cannot read the access log"),
        (&["--production", production][..], "does not name the test's database"),
        (&["--production", "${KNEEPOINT_NOT_SET}", "--test", production][..], "is not set"),
        (&["--production", production, "--test", production][..], "cannot connect to PostgreSQL"),
    ] {
        let output = run(&[&["realism", plan][..], more].concat());
        assert!(told(&output).contains(says), "{more:?}: {}", told(&output));
        assert!(matches!(output.status.code(), Some(104 | 106)), "{more:?}: {}", told(&output));
        assert!(!told(&output).contains("hunter2"), "{}", told(&output));
    }
}

#[test]
fn the_report_of_a_run_says_how_much_of_the_traffic_the_plan_covers() {
    let server = Server::start();
    let directory = tempfile::tempdir().expect("a directory");
    let log = log(directory.path());
    let plan = directory.path().join("plan.toml");
    let text = format!(
        "[target]\nurl = \"{}\"\n[[request]]\npath = \"/item/{{id}}\"\n[data.id]\nrange = [1, 3]\n[load]\n\
         executor = \"constant-arrival-rate\"\nrate = \"20/s\"\nduration = \"2s\"\n",
        server.url()
    );
    fs::write(&plan, text).expect("own directory");
    let (plan, log) = (plan.to_str().expect("text"), log.to_str().expect("text"));
    let out = directory.path().join("out");
    let out = out.to_str().expect("text");
    let run_it = |more: &[&str]| {
        let output =
            run(&[&["run", plan, "--out", out, "--quiet", "--format", "json"][..], more].concat());
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    let with = run_it(&["--against", log]);
    assert!(with.contains("of production's requests, and none of its bursts"), "{with}");
    assert!(!run_it(&[]).contains("production's requests"));
}
