//! A run of the program against an nginx, seen from both sides.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::process::Output;

use kneepoint::recording::{self, Recording};
use kneepoint::timeline::{LoadTick, Phases, ResponseClass};

use super::server::{Entry, Nginx};
use super::target::{kneepoint, write_plan};

/// The requests of the preflight are over before moment zero, those of the load come 1.5 s later.
const BETWEEN: f64 = 0.7;

/// A plan with even arrivals.
pub fn plan(url: &str, target: &str, requests: &str, (rate, seconds): (u32, u32)) -> String {
    format!(
        "[target]\nurl = \"{url}\"\n{target}\n{requests}\n\
         [load]\nexecutor = \"constant-arrival-rate\"\nrate = \"{rate}/s\"\n\
         duration = \"{seconds}s\"\n"
    )
}

/// Both sides of a run.
pub struct RunResults {
    pub recording: Recording,
    /// The JSON report.
    pub report: serde_json::Value,
    /// What nginx saw of the load.
    pub log: Vec<Entry>,
}

fn call(nginx: &Nginx, plan: &str, out: &Path) -> Output {
    let plan = write_plan(nginx.directory(), plan);
    let mut command = kneepoint(&["run", "--quiet"]);
    command.arg(plan).arg("--out").arg(out).output().expect("the program starts")
}

/// Runs a plan to its end.
pub fn run(nginx: &Nginx, plan: &str) -> RunResults {
    let before = nginx.log().len();
    let out = tempfile::tempdir().expect("a directory");
    let output = call(nginx, plan, out.path());
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(matches!(output.status.code(), Some(0 | 123)), "{:?}\n{said}", output.status);
    assert!(!said.contains("panicked"), "{said}");
    let bytes = fs::read(out.path().join("recording.jsonl.zst")).expect("a recording");
    let (recording, notes) = recording::read(bytes.as_slice()).expect("it can be read");
    assert_eq!(notes, []);
    let report = fs::read(out.path().join("report.json")).expect("a report");
    let begin = recording.environment.started_unix + BETWEEN;
    let log = nginx.log().into_iter().skip(before).filter(|entry| entry.at > begin).collect();
    RunResults { recording, report: serde_json::from_slice(&report).expect("JSON"), log }
}

/// What a plan is refused with before any load: nginx has seen the preflight's requests alone.
pub fn refused(nginx: &Nginx, plan: &str, requests: usize) -> String {
    let before = nginx.log().len();
    let output = call(nginx, plan, &nginx.directory().join("out"));
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(106), "{said}");
    assert!(said.contains("no load was sent"), "{said}");
    assert_eq!(nginx.log().len() - before, requests, "{said}");
    said
}

impl RunResults {
    /// Of all ticks.
    pub fn sum(&self, of: impl Fn(&LoadTick) -> u64) -> u64 {
        self.recording.timeline.ticks.iter().map(of).sum()
    }

    /// How the requests ended.
    pub fn classes(&self) -> BTreeMap<ResponseClass, u64> {
        let mut classes = BTreeMap::new();
        for endpoint in self.recording.timeline.ticks.iter().flat_map(|tick| &tick.endpoints) {
            *classes.entry(endpoint.class).or_default() += endpoint.response_time.count();
        }
        classes
    }

    /// How often each check failed.
    pub fn failed_checks(&self) -> BTreeMap<&str, u64> {
        let mut failed = BTreeMap::new();
        for tick in &self.recording.timeline.ticks {
            for (check, count) in &tick.journeys.failed_checks {
                *failed.entry(check.as_str()).or_default() += count;
            }
        }
        failed
    }

    /// Where the time of all requests went.
    pub fn phases(&self) -> Phases {
        let mut phases = Phases::default();
        self.recording.timeline.ticks.iter().for_each(|tick| phases.merge(&tick.phases));
        phases
    }

    /// What nginx logged, counted by `of`.
    pub fn logged<K: Ord>(&self, of: impl Fn(&Entry) -> K) -> BTreeMap<K, u64> {
        let mut counts = BTreeMap::new();
        self.log.iter().for_each(|entry| *counts.entry(of(entry)).or_default() += 1);
        counts
    }

    /// The connections that nginx saw, each of which kneepoint counted.
    #[track_caller]
    pub fn connections(&self) -> u64 {
        let seen = self.log.iter().map(|entry| entry.connection).collect::<BTreeSet<_>>().len();
        assert_eq!(self.sum(|tick| tick.connects), seen as u64, "{:?}", self.log);
        seen as u64
    }

    /// Asserts that `count` requests were sent, that nginx saw each once with the status that was
    /// counted, and that all say what they are.
    #[track_caller]
    pub fn assert_agreed(&self, count: u64) {
        assert_eq!(self.sum(|tick| tick.sent), count);
        let logged = self.logged(|entry| ResponseClass::Status(entry.status));
        assert_eq!(self.classes(), logged);
        assert_eq!(logged.values().sum::<u64>(), count);
        assert!(self.log.iter().all(|entry| entry.mark == "synthetic"), "{:?}", self.log);
    }

    /// The same, where all goes well.
    #[track_caller]
    pub fn assert_good(&self, count: u64) {
        self.assert_agreed(count);
        assert_eq!(self.classes(), BTreeMap::from([(ResponseClass::Status(200), count)]));
    }
}
