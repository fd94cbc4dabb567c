//! What holds for every format.

use super::fixture::{bare, diagnosis, empty, outcomes, recording};
use super::*;

fn rendered(format: &FormatSpec, report: &Report) -> String {
    let mut bytes = Vec::new();
    (format.render)(report, &mut bytes).unwrap();
    String::from_utf8(bytes).unwrap()
}

fn sample() -> Report {
    let recording = recording();
    Report::new(&recording, &diagnosis(&recording))
}

/// Writes every format of the sample where `KNEEPOINT_SAMPLES` says, to be looked at.
#[test]
fn samples_to_look_at() {
    let Some(dir) = std::env::var_os("KNEEPOINT_SAMPLES") else { return };
    let dir = std::path::PathBuf::from(dir);
    for format in FORMATS {
        let file = dir.join(format!("report.{}", format.extension));
        std::fs::write(file, rendered(format, &sample())).unwrap();
    }
}

#[test]
fn every_format_renders_every_outcome_twice_alike() {
    let recording = recording();
    for outcome in outcomes() {
        for recording in [&recording, &empty()] {
            let full = crate::diagnose::Diagnosis {
                outcome: outcome.clone(),
                ..diagnosis(&super::fixture::recording())
            };
            for diagnosis in [bare(outcome.clone()), full] {
                let report = Report::new(recording, &diagnosis);
                for format in FORMATS {
                    let text = rendered(format, &report);
                    assert!(!text.trim().is_empty(), "{}: {outcome:?}", format.name);
                    assert_eq!(text, rendered(format, &report), "{}", format.name);
                }
                charts(&report);
            }
        }
    }
}
