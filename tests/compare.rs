//! `kneepoint compare` on real recordings of the sample shop.

#[allow(dead_code, reason = "other tests use more of it")]
mod target;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;

use kneepoint::compare::{Answer, Comparison, Fate, Measure, Verdict};
use target::kneepoint;

fn recording(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/recordings/{name}.jsonl.zst"))
}

fn run(paths: &[PathBuf], more: &[&str]) -> Output {
    let mut command = kneepoint(&["compare"]);
    command.args(paths).args(more).output().expect("the program starts")
}

fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// The comparison of two recordings of the repository, and the exit code.
fn compared(base: &str, candidate: &str) -> (Comparison, Option<i32>) {
    let output = run(&[recording(base), recording(candidate)], &["--format", "json"]);
    let document: serde_json::Value =
        serde_json::from_slice(&output.stdout).unwrap_or_else(|why| panic!("{why}: {output:?}"));
    let comparison = serde_json::from_value(document["comparison"].clone()).expect("the model");
    (comparison, output.status.code())
}

fn answer(comparison: &Comparison, measure: &Measure) -> Option<Verdict> {
    let found = comparison.quantities.iter().find(|it| it.measure == *measure);
    found.map(|it| it.answer.verdict())
}

#[test]
fn a_recording_is_not_worse_than_itself() {
    let (comparison, code) = compared("none", "none");
    assert_eq!(code, Some(123), "one run each");
    for quantity in &comparison.quantities {
        let verdict = quantity.answer.verdict();
        assert!(matches!(verdict, Verdict::Same | Verdict::CannotTell), "{quantity:?}");
        if let Answer::CannotTell { exceeds_noise, .. } = quantity.answer {
            assert!(!exceeds_noise, "{quantity:?}");
        }
    }
    assert!(comparison.quantities.len() > 5, "{:#?}", comparison.quantities);
    assert!(comparison.why.causes.is_empty());
    assert!(comparison.differences[0].contains("is on both sides"), "{:?}", comparison.differences);
    let more = ["--noise", "1%", "--format", "json"];
    let known = run(&[recording("leak"), recording("leak")], &more);
    let document: serde_json::Value = serde_json::from_slice(&known.stdout).expect("JSON");
    let known: Comparison =
        serde_json::from_value(document["comparison"].clone()).expect("the model");
    // The same rate for 75 s shows the noise within a run.
    assert_eq!(answer(&known, &Measure::StatementsPerRequest), Some(Verdict::Same));
    assert_eq!(answer(&known, &Measure::ErrorRatio), Some(Verdict::Same));
    assert!(known.answered(Verdict::Worse).next().is_none());
}

#[test]
fn a_knee_that_falls_is_worse_and_its_cause_is_new() {
    let (comparison, code) = compared("none", "slow-query");
    assert_eq!(code, Some(122));
    assert_eq!(answer(&comparison, &Measure::Knee), Some(Verdict::Worse));
    let came: Vec<&str> = comparison
        .why
        .causes
        .iter()
        .filter(|cause| cause.fate == Fate::Came)
        .map(|cause| cause.rule.as_str())
        .collect();
    assert_eq!(came, ["db-queries-slow"]);
    let text = stdout(&run(&[recording("none"), recording("slow-query")], &[]));
    assert!(text.starts_with("Worse: knee fell by at least"), "{text}");
    assert!(text.contains("New cause (db-queries-slow)"), "{text}");
    let (back, code) = compared("slow-query", "none");
    assert_eq!(answer(&back, &Measure::Knee), Some(Verdict::Better));
    assert_ne!(code, Some(122));
    assert!(back.why.causes.iter().any(|cause| cause.fate == Fate::Went));
}

/// The base carried 200 requests/s, all that was asked of it, and the candidate's knee is at 192:
/// that is no proof of a fall of more than a tenth.
#[test]
fn a_knee_near_the_highest_load_of_the_base_is_not_called_worse() {
    let (comparison, _) = compared("none", "pool-small");
    assert_ne!(answer(&comparison, &Measure::Knee), Some(Verdict::Better));
    let causes = &comparison.why.causes;
    assert!(causes.iter().any(|it| it.rule == "db-pool-too-small" && it.fate == Fate::Came));
    let differences = comparison.differences.join("\n");
    assert!(differences.contains("the candidate is beyond its knee"), "{differences}");
    assert!(differences.contains("the plans mix requests differently"), "{differences}");
}

#[test]
fn several_runs_show_the_noise_that_a_later_comparison_uses() {
    let directory = tempfile::tempdir().expect("a directory");
    let inside = |path: &str| directory.path().join(path);
    for (side, name) in [("before", "compute"), ("after", "compute")] {
        for run in ["1", "2", "3"] {
            let folder = inside(side).join(run);
            fs::create_dir_all(&folder).expect("own directory");
            fs::copy(recording(name), folder.join("recording.jsonl.zst")).expect("a copy");
        }
    }
    let out = inside("out");
    let out = out.to_str().expect("plain");
    let after = inside("after");
    let with = ["--with", after.to_str().expect("plain"), "--out", out];
    let calibration = run(&[inside("before")], &with);
    let text = stdout(&calibration);
    assert_eq!(calibration.status.code(), Some(0), "{text}{}", stderr(&calibration));
    assert!(text.starts_with("No difference above 10 %"), "{text}");
    assert!(text.contains("3 runs of each build"), "{text}");
    for file in ["comparison.md", "comparison.html", "comparison.junit.xml", "charts/"] {
        assert!(text.contains(file), "{file}: {text}");
    }
    let page = fs::read_to_string(inside("out").join("comparison.html")).expect("the page");
    assert!(page.contains("<figure id=\"chart-p99\">"), "both builds on one axis");
    let charts = fs::read_dir(inside("out").join("charts")).expect("the charts").count();
    assert!(charts >= 4, "{charts} charts");
    let noise = format!("{out}/comparison.json");
    let one = run(&[recording("compute"), recording("compute")], &["--noise", &noise]);
    assert_eq!(one.status.code(), Some(123), "{}{}", stdout(&one), stderr(&one));
    assert!(stdout(&one).contains("blocks of time are drawn again"), "{}", stdout(&one));
    let alone = run(&[recording("none"), recording("none")], &["--format", "json"]);
    fs::write(inside("alone.json"), &alone.stdout).expect("own directory");
    let noise = inside("alone.json");
    let refused =
        run(&[recording("none"), recording("none")], &["--noise", noise.to_str().expect("plain")]);
    assert_eq!(refused.status.code(), Some(104));
    assert!(stderr(&refused).contains("one run of each build"), "{}", stderr(&refused));
}

#[test]
fn the_same_recordings_give_the_same_bytes() {
    for format in ["terminal", "json", "markdown", "html", "junit", "github", "gitlab"] {
        let bytes =
            || run(&[recording("none"), recording("row-lock")], &["--format", format]).stdout;
        let first = bytes();
        assert!(!first.is_empty());
        assert_eq!(first, bytes(), "{format}");
    }
}

/// Allows no field that the schema does not name, so that a new one is published with it.
fn tighten(schema: &mut serde_json::Value) {
    if let Some(map) = schema.as_object_mut() {
        if map.contains_key("properties") {
            map.insert("additionalProperties".into(), false.into());
        }
        map.values_mut().for_each(tighten);
    } else if let Some(items) = schema.as_array_mut() {
        items.iter_mut().for_each(tighten);
    }
}

#[test]
fn json_is_what_the_published_schema_says() {
    let text = include_str!("../reports/schema/comparison.v1.schema.json");
    let mut schema: serde_json::Value = serde_json::from_str(text).expect("JSON");
    tighten(&mut schema);
    let validator = jsonschema::validator_for(&schema).expect("a schema");
    for (base, candidate) in [("none", "slow-query"), ("leak", "leak"), ("none", "row-lock")] {
        let output = run(&[recording(base), recording(candidate)], &["--format", "json"]);
        let document = serde_json::from_slice(&output.stdout).expect("JSON");
        let told =
            |error: jsonschema::ValidationError| format!("{}: {error}", error.instance_path());
        let errors: Vec<String> = validator.iter_errors(&document).map(told).collect();
        assert_eq!(errors, [""; 0], "{base} and {candidate}");
    }
}

#[test]
fn every_mistake_is_told_at_once() {
    let directory = tempfile::tempdir().expect("a directory");
    let text = directory.path().join("notes.txt");
    fs::write(&text, "not a recording").expect("own directory");
    let output = run(
        &[PathBuf::from("no-such-run"), directory.path().to_owned(), text],
        &["--max-worse", "ten", "--noise", "no-such-file"],
    );
    assert_eq!(output.status.code(), Some(104));
    let told = stderr(&output);
    for says in [
        "there is no `no-such-run`",
        "holds no recording",
        "`--max-worse`: `ten` is not a share",
        "`--noise`: `no-such-file`",
        "this is not a recording",
        "--with CANDIDATE",
    ] {
        assert!(told.contains(says), "not told: {says}\n{told}");
    }
    assert!(output.stdout.is_empty());
}
