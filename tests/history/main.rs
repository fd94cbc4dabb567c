//! Histories of a real Prometheus, which scrapes a service of the test through an incident that the
//! test makes, and of a hostile server, which fails as servers do.

#![allow(clippy::unwrap_used, reason = "a test that cannot start its servers has failed")]

mod beside;
mod hostile;
mod native;
#[path = "../nginx/server.rs"]
#[allow(dead_code, reason = "other tests use the rest of it")]
mod nginx;
mod postgres;
mod prometheus;
mod service;
mod tls;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::BufReader;
use std::path::Path;
use std::process::Output;
use std::thread::sleep;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use assert_cmd::Command;
use hostile::Hostile;
use kneepoint::history::{Access, HistoryError, Keep, Question, Summary, record, record_kept};
use kneepoint::recording::{self, Recording};
use kneepoint::timeline::LoadTick;
use prometheus::Prometheus;
use service::Service;

/// Seconds of the good time, and of the bad one.
const GOOD: u64 = 26;
const BAD: u64 = 18;
const TOKEN: &str = "hunter2-and-more";

fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs_f64()
}

fn kneepoint(arguments: &[&str]) -> Output {
    let mut command = Command::cargo_bin("kneepoint").unwrap();
    command.args(arguments).env("TOKEN", TOKEN).output().unwrap()
}

fn told(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

fn read(directory: &Path) -> Recording {
    let file = File::open(directory.join("recording.jsonl.zst")).unwrap();
    recording::read(BufReader::new(file)).unwrap().0
}

fn completed(recording: &Recording) -> u64 {
    recording.timeline.ticks.iter().map(LoadTick::completed).sum()
}

/// A pool of database connections fills while the response times rise: read from Prometheus, the
/// incident has its moment and its cause.
#[test]
fn an_incident_that_a_real_prometheus_saw_is_explained() {
    let service = Service::start();
    let Some(prometheus) = Prometheus::start(service.port) else { return };
    sleep(Duration::from_secs(GOOD));
    let broken_at = now();
    service.fill_the_pool();
    sleep(Duration::from_secs(BAD));
    let directory = tempfile::tempdir().unwrap();
    let out = directory.path().join("night");
    let out = out.to_str().unwrap();
    // A second ago: what is scraped meanwhile is in neither of the two counts.
    let (from, to) = (format!("{:.3}", broken_at - GOOD as f64), format!("{:.3}", now() - 1.0));
    let url = prometheus.url();
    let arguments = [
        "import",
        "prometheus",
        "--url",
        &url,
        "--match",
        "{job=\"shop\"}",
        "--database",
        "{job=\"db\"}",
        "--from",
        &from,
        "--to",
        &to,
        "--bearer",
        "${TOKEN}",
        "--header",
        "X-Scope-OrgID: a",
        "--out",
        out,
    ];
    let imported = kneepoint(&arguments);
    assert!(imported.status.success(), "{}", told(&imported));
    let recording = read(Path::new(out));
    let counted = prometheus.increase("http_server_request_duration_seconds_count", (&from, &to));
    assert_eq!(completed(&recording), counted, "{}", told(&imported));
    let bytes = std::fs::read(Path::new(out).join("recording.jsonl.zst")).unwrap();
    let text = zstd::stream::decode_all(bytes.as_slice()).unwrap();
    let has_token = text.windows(TOKEN.len()).any(|part| part == TOKEN.as_bytes());
    assert!(!has_token, "the token stands in the recording");

    let found = kneepoint(&["incident", out, "--format", "json"]);
    assert!(found.status.success(), "{}", told(&found));
    let found: serde_json::Value = serde_json::from_slice(&found.stdout).unwrap();
    let cause = &found["incident"]["findings"][0]["finding"];
    assert_eq!(cause["rule"], "db-pool-too-small", "{found:#}");
    let onset = found["incident"]["onset"]["at"].as_f64().unwrap() / 1e9;
    let onset = found["started_unix"].as_f64().unwrap() + onset;
    assert!((onset - broken_at).abs() <= 3.0, "found at {onset}, made at {broken_at}");

    let read = kneepoint(&["incident", out]);
    let text = told(&read);
    for part in ["What users saw", "mean response time", "Why", "Coverage:"] {
        assert!(text.contains(part), "no `{part}` in\n{text}");
    }
    let diagnosed = kneepoint(&["diagnose", out]);
    assert!(!told(&diagnosed).contains("panicked"), "{}", told(&diagnosed));
    let wrong = [&arguments[..5], &["{job=\"shpo\"}"], &arguments[8..]].concat();
    let wrong = kneepoint(&wrong);
    assert!(told(&wrong).contains("did you mean `shop`?"), "{}", told(&wrong));
}

fn question(hostile: &Hostile) -> Question {
    Question {
        access: Access { url: hostile.url(), ..Access::default() },
        target: vec!["{job=\"shop\"}".to_owned()],
        from: hostile::BEGIN,
        to: hostile::BEGIN + hostile::LENGTH,
        ..Question::default()
    }
}

fn import(hostile: &Hostile) -> Result<(Recording, Summary), HistoryError> {
    let mut bytes = Vec::new();
    let summary = record(&question(hostile), "test", &mut bytes, &mut |_| {})?;
    Ok((recording::read(bytes.as_slice()).unwrap().0, summary))
}

/// What the hostile server's counter grows by, whatever it does in between.
fn assert_whole(recording: &Recording) {
    assert_eq!(completed(recording), hostile::requests());
}

#[test]
fn a_server_that_fails_now_and_then_is_asked_again() {
    for wrong in [hostile::Wrong::Fails(2), hostile::Wrong::CutsOff(2)] {
        let hostile = Hostile::start(wrong);
        let (recording, _) = import(&hostile).unwrap();
        assert_whole(&recording);
    }
}

/// Slices in memory.
#[derive(Default)]
struct Kept(RefCell<BTreeMap<String, Vec<u8>>>);

impl Keep for Kept {
    fn get(&self, name: &str) -> Option<Vec<u8>> {
        self.0.borrow().get(name).cloned()
    }

    fn put(&self, name: &str, bytes: &[u8]) {
        self.0.borrow_mut().insert(name.to_owned(), bytes.to_vec());
    }
}

#[test]
fn an_import_that_was_interrupted_asks_only_for_what_is_missing() {
    let hostile = Hostile::start(hostile::Wrong::Nothing);
    let kept = Kept::default();
    let question = question(&hostile);
    let read = |kept: &Kept| {
        let mut bytes = Vec::new();
        record_kept(&question, "test", &mut bytes, &mut |_| {}, Some(kept)).unwrap();
        bytes
    };
    let whole = read(&kept);
    let slices = kept.0.borrow().len();
    assert!(slices >= 1);
    let asked = hostile.asked();
    assert_eq!(read(&kept), whole, "what is kept gives the same recording");
    assert_eq!(hostile.asked(), asked, "nothing is asked again");
    // Damage is read again.
    kept.0.borrow_mut().values_mut().for_each(|bytes| bytes.truncate(10));
    assert_eq!(read(&kept), whole);
    assert!(hostile.asked() > asked);
}

#[test]
fn a_server_that_always_fails_is_told_with_what_it_said() {
    let hostile = Hostile::start(hostile::Wrong::Fails(usize::MAX));
    let error = import(&hostile).unwrap_err();
    assert!(error.to_string().contains("status 500"), "{error}");
    assert!(error.to_string().contains("disk on fire"), "{error}");
    let cut = Hostile::start(hostile::Wrong::CutsOff(usize::MAX));
    let error = import(&cut).unwrap_err();
    assert!(error.to_string().contains("only a part of its answer"), "{error}");
    assert!(error.hint().is_some());
}

#[test]
fn what_is_too_much_at_a_time_is_read_in_parts() {
    let hostile = Hostile::start(hostile::Wrong::Limits);
    let (recording, _) = import(&hostile).unwrap();
    assert_whole(&recording);
}

#[test]
fn a_server_without_range_selectors_is_asked_otherwise_and_that_is_told() {
    let hostile = Hostile::start(hostile::Wrong::RefusesRanges);
    let (recording, summary) = import(&hostile).unwrap();
    assert_whole(&recording);
    assert!(summary.notes.iter().any(|note| note.contains("query_range")), "{:?}", summary.notes);
}

#[test]
fn values_that_are_none_are_left_out_and_a_restart_counts_from_zero() {
    let hostile = Hostile::start(hostile::Wrong::NotNumbers);
    let (recording, _) = import(&hostile).unwrap();
    let values = recording.timeline.series.values().flat_map(|series| &series.points);
    assert!(values.into_iter().all(|point| point.value.is_finite()));
    let nan = recording.timeline.series.keys().any(|key| key.metric == "only_nan");
    assert!(!nan, "a series of NaN has no readings");
    let restarted = Hostile::start(hostile::Wrong::Restarts);
    let (recording, _) = import(&restarted).unwrap();
    // The increment across the restart is what the new process counted.
    assert_eq!(completed(&recording), hostile::requests() - hostile::EACH + hostile::EACH);
}

#[test]
fn an_address_that_is_not_a_prometheus_says_so() {
    let hostile = Hostile::start(hostile::Wrong::IsAPage);
    let error = import(&hostile).unwrap_err();
    assert!(error.hint().is_some_and(|hint| hint.contains("/api/v1")), "{error}");
    let nobody = Question {
        access: Access { url: "http://127.0.0.1:9".to_owned(), ..Access::default() },
        ..question(&hostile)
    };
    let error = record(&nobody, "test", &mut Vec::new(), &mut |_| {}).unwrap_err();
    assert!(error.to_string().contains("cannot be read"), "{error}");
}

#[test]
fn a_range_before_the_retention_is_told_apart_from_a_wrong_selector() {
    let hostile = Hostile::start(hostile::Wrong::Forgot);
    let error = import(&hostile).unwrap_err();
    assert!(error.to_string().contains("none has samples between"), "{error}");
    assert!(error.hint().is_some_and(|hint| hint.contains("retention")), "{error}");
}

/// What an incident of now would tell, from the metrics that a real Prometheus has of the service.
#[test]
fn coverage_says_what_the_stored_metrics_could_tell() {
    let service = Service::start();
    let Some(prometheus) = Prometheus::start(service.port) else { return };
    sleep(Duration::from_secs(6));
    let url = prometheus.url();
    let ask = |more: &[&str]| -> serde_json::Value {
        let base =
            ["coverage", "--prometheus", &url, "--match", "{job=\"shop\"}", "--format", "json"];
        let output = kneepoint(&[&base[..], more].concat());
        assert!(output.status.success(), "{}", told(&output));
        serde_json::from_slice(&output.stdout).unwrap()
    };
    let known = |document: &serde_json::Value, rule: &str| {
        document["diagnosable"].as_array().unwrap().iter().any(|one| one["rule"] == rule)
    };
    let without = ask(&[]);
    assert!(known(&without, "pool-leak"), "{without:#}");
    assert!(!known(&without, "db-lock-wait"), "{without:#}");
    let open = without["open"].as_array().unwrap();
    let of_database = open.iter().find(|one| one["add"].as_str().unwrap().contains("--database"));
    let causes = of_database.unwrap()["causes"].to_string();
    assert!(causes.contains("db-lock-wait"), "{without:#}");
    let with = ask(&["--database", "{job=\"db\"}"]);
    assert!(known(&with, "db-lock-wait") && known(&with, "db-pool-too-small"), "{with:#}");
    let nothing = kneepoint(&["coverage", "--prometheus", &url, "--match", "{job=\"nobody\"}"]);
    assert_eq!(nothing.status.code(), Some(104), "{}", told(&nothing));
}
