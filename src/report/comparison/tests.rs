//! What holds for every format of a comparison.

use std::collections::BTreeSet;

use super::fixture::{comparison, empty, hostile, limit};
use super::*;
use crate::compare::{Answer, Comparison, Verdict};

/// What a target or a plan may name its requests to break out of a format.
const EVIL: &str = "]]>\n::error::a%0A</title><script>alert(1)</script>\u{1b}[31m\"'&|`";

fn rendered(name: &str, comparison: &Comparison) -> String {
    let mut bytes = Vec::new();
    (find(name).unwrap().render)(&ComparisonReport::new(comparison), &mut bytes).unwrap();
    String::from_utf8(bytes).unwrap()
}

/// Writes every format of the sample where `KNEEPOINT_SAMPLES` says, to be looked at.
#[test]
fn samples_to_look_at() {
    let Some(dir) = std::env::var_os("KNEEPOINT_SAMPLES") else { return };
    let dir = std::path::PathBuf::from(dir);
    for format in FORMATS {
        std::fs::write(dir.join(format.file_name), rendered(format.name, &comparison())).unwrap();
    }
}

#[test]
fn formats_have_names_of_their_own() {
    let unique = |pick: fn(&ComparisonFormat) -> &'static str| {
        FORMATS.iter().map(|format| pick(format)).collect::<BTreeSet<_>>().len()
    };
    assert_eq!(unique(|format| format.name), FORMATS.len());
    assert_eq!(unique(|format| format.file_name), FORMATS.len());
    for format in FORMATS {
        assert!(!format.summary.is_empty() && !format.summary.ends_with('.'), "{}", format.name);
    }
}

#[test]
fn every_format_renders_everything_and_nothing_twice_alike() {
    for comparison in [comparison(), empty(), hostile(EVIL)] {
        for format in FORMATS {
            let text = rendered(format.name, &comparison);
            assert!(!text.trim().is_empty(), "{}", format.name);
            assert_eq!(text, rendered(format.name, &comparison), "{}", format.name);
        }
    }
}

#[test]
fn formats_for_programs_stay_as_they_are() {
    for name in ["junit", "github", "gitlab", "markdown"] {
        insta::assert_snapshot!(name, rendered(name, &comparison()));
    }
}

#[test]
fn texts_from_outside_are_no_markup_and_no_escape_sequence() {
    for format in FORMATS {
        let text = rendered(format.name, &hostile(EVIL));
        assert!(!text.contains('\u{1b}'), "{}", format.name);
        // JSON has it inside a string.
        let is_json = matches!(format.name, "json" | "gitlab" | "github");
        assert!(is_json || !text.contains("<script"), "{}: {text}", format.name);
    }
    for (_, svg) in charts(&ComparisonReport::new(&hostile(EVIL))) {
        assert!(!svg.contains("<script") && svg.matches("</title>").count() == 1, "{svg}");
    }
}

#[test]
fn no_name_begins_a_workflow_command() {
    let text = rendered("github", &hostile(EVIL));
    let levels = ["::error title=", "::warning title=", "::notice title="];
    for line in text.lines() {
        assert!(levels.iter().any(|level| line.starts_with(level)), "{line}");
        let (properties, _) = line[2..].split_once("::").unwrap();
        let (_, title) = properties.split_once("title=").unwrap();
        assert!(!title.contains([':', ',', '\n']), "{title}");
    }
    assert!(text.contains("a%250A"), "a percent sign stays one: {text}");
}

#[test]
fn a_reader_of_junit_gets_every_quantity_back() {
    for comparison in [comparison(), hostile(EVIL)] {
        let text = rendered("junit", &comparison);
        let report = quick_junit::Report::deserialize_from_str(&text).unwrap();
        let [suite] = &report.test_suites[..] else { panic!("one suite") };
        let of = |wanted| comparison.answered(wanted).count();
        assert_eq!(suite.tests, comparison.quantities.len() + comparison.objectives.len());
        assert_eq!(suite.failures, of(Verdict::Worse) + 1, "and one objective");
        assert_eq!(suite.skipped, of(Verdict::CannotTell));
        let names: BTreeSet<(&str, &str)> = suite
            .test_cases
            .iter()
            .map(|case| (case.classname.as_ref().map_or("", |class| class.as_str()), &*case.name))
            .collect();
        assert_eq!(names.len(), suite.tests, "{names:?}");
    }
    let text = rendered("junit", &comparison());
    for says in ["+30 % to +46 %", "10 % is allowed", "New cause (db-lock-wait"] {
        assert!(text.contains(says), "{says}: {text}");
    }
}

#[test]
fn an_issue_of_gitlab_has_a_file_and_the_same_fingerprint_in_every_comparison() {
    let issues = |report: &ComparisonReport| -> Vec<serde_json::Value> {
        let mut bytes = Vec::new();
        (find("gitlab").unwrap().render)(report, &mut bytes).unwrap();
        serde_json::from_slice(&bytes).unwrap()
    };
    let all = issues(&ComparisonReport::new(&comparison()));
    let prints: BTreeSet<&str> =
        all.iter().map(|issue| issue["fingerprint"].as_str().unwrap()).collect();
    assert_eq!(prints.len(), all.len());
    assert!(prints.iter().all(|print| print.len() == 64));
    assert!(all.iter().all(|issue| issue["location"]["path"] == "plan.toml"));
    let severities = ["info", "minor", "major", "critical", "blocker"];
    assert!(all.iter().all(|issue| severities.iter().any(|known| issue["severity"] == *known)));
    let mut later = comparison();
    later.quantities[2].candidate = Some(0.05);
    let mut report = ComparisonReport::new(&later);
    report.plan_file = Some("./load/plan.toml".to_owned());
    let later = issues(&report);
    assert!(later.iter().all(|issue| issue["location"]["path"] == "load/plan.toml"));
    let again: BTreeSet<&str> =
        later.iter().map(|issue| issue["fingerprint"].as_str().unwrap()).collect();
    assert_eq!(prints, again);
}

#[test]
fn the_page_loads_nothing_and_has_every_chart() {
    let page = rendered("html", &comparison());
    let loads = [" src=", " href=\"http", "url(", "@import", " style=", " onclick", "<script"];
    for loads in loads {
        assert!(!page.contains(loads), "{loads}");
    }
    assert!(page.contains("default-src 'none'"));
    for chart in ["p50", "p99", "answered", "errors", "parts"] {
        assert_eq!(page.matches(&format!("<figure id=\"chart-{chart}\">")).count(), 1, "{chart}");
    }
    // News come first, and the rest is folded.
    let (before, folded) = page.split_once("<details>").unwrap();
    assert!(before.contains("p99 of `order`") && !before.contains("p50 of `order`"));
    assert!(folded.contains("p50 of `order`"));
    let files: Vec<String> =
        charts(&ComparisonReport::new(&comparison())).into_iter().map(|file| file.0).collect();
    let expected =
        ["p50", "p99", "answered", "errors", "parts"].map(|id| format!("comparison-{id}"));
    assert_eq!(files, expected);
}

#[test]
fn one_load_makes_no_curve_and_no_failures_no_chart() {
    let ids = |comparison: &Comparison| -> Vec<String> {
        charts(&ComparisonReport::new(comparison)).into_iter().map(|file| file.0).collect()
    };
    let mut calm = comparison();
    for curve in [&mut calm.curves.base, &mut calm.curves.candidate] {
        for point in &mut curve.points {
            point.error_ratio.high = 0.0;
        }
    }
    assert!(!ids(&calm).contains(&"comparison-errors".to_owned()));
    calm.curves.base.points.truncate(1);
    calm.curves.candidate.points.truncate(1);
    assert_eq!(ids(&calm), ["comparison-parts"]);
    assert!(ids(&empty()).is_empty());
}

#[test]
fn objectives_are_told_in_every_format() {
    let said = "met in 2 of 2 runs of the base and 0 of 2 of the candidate";
    for name in ["markdown", "junit", "github", "gitlab"] {
        assert!(rendered(name, &comparison()).contains(said), "{name}");
    }
    assert!(rendered("html", &comparison()).contains("met in 0 of 2 runs"));
    let report = ComparisonReport::new(&comparison());
    let mut bytes = Vec::new();
    let style = super::super::TerminalStyle { colour: false, width: 100, files: &[] };
    render_terminal(&report, &style, &mut bytes).unwrap();
    let text = String::from_utf8(bytes).unwrap();
    assert!(text.contains("! Objective `p(95) < 25ms`: met in 2 of 2 runs"), "{text}");
    assert!(text.is_ascii());
}

#[test]
fn json_is_what_the_published_schema_says() {
    let text = include_str!("../../../reports/schema/comparison.v1.schema.json");
    let mut undecided = comparison();
    undecided.quantities[2].answer = Answer::Same;
    super::super::tests::assert_fits(
        text,
        [comparison(), undecided, empty(), hostile(EVIL)]
            .map(|comparison| rendered("json", &comparison)),
    );
}

#[test]
fn json_of_before_there_were_curves_is_still_read() {
    let mut value = serde_json::to_value(comparison()).unwrap();
    let fields = value.as_object_mut().unwrap();
    assert!(fields.remove("curves").is_some() && fields.remove("objectives").is_some());
    let read: Comparison = serde_json::from_value(value).unwrap();
    assert!(read.curves.base.points.is_empty() && read.objectives.is_empty());
}

#[test]
fn a_limit_says_whether_these_runs_can_show_what_it_costs() {
    let told = |limits, knee: Option<f64>| {
        let mut comparison = comparison();
        comparison.why.limits = vec![limits];
        for run in &mut comparison.candidate {
            run.knee = knee;
        }
        rendered("markdown", &comparison).replace('\\', "")
    };
    let idle = told(limit(16.0, 3.0, 2.0), None);
    assert!(
        idle.contains("fell from 16 to 3 connections; at most 2 were in use, so nothing waited"),
        "{idle}"
    );
    let searched = told(limit(16.0, 3.0, 2.0), Some(200.0));
    assert!(
        searched.contains("at most 2 were in use.") && !searched.contains("--full"),
        "{searched}"
    );
    assert!(told(limit(16.0, 2.0, 2.0), None).contains("at times all of them were in use"));
    assert!(told(limit(3.0, 16.0, 3.0), None).contains("rose from 3 to 16 connections."));
}

#[test]
fn noise_that_was_known_is_told_with_what_it_raises() {
    let mut known = comparison();
    known.noise = Some("`kneepoint calibrate` measured it on Monday".to_owned());
    let text = rendered("json", &known);
    assert!(text.contains("measured it on Monday. It does not raise what is allowed"), "{text}");
    known.quantities[1].is_raised_by_noise = true;
    known.quantities[1].allowed = 0.24;
    let text = rendered("json", &known);
    assert!(text.contains("because less would be chance: 24 % of p95."), "{text}");
}
