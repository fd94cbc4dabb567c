//! A comparison as GitLab's report of code quality: what is worse stands beside a merge request.

use std::io;

use serde::Serialize;
use sha2::{Digest, Sha256};

use super::format::ComparisonFormat;
use super::view::ComparisonReport;
use crate::compare::Verdict;

pub(super) static SPEC: ComparisonFormat = ComparisonFormat {
    name: "gitlab",
    summary: "GitLab's report of code quality: an issue for each quantity that is worse",
    file_name: "gl-code-quality-report.json",
    is_left_as_file: true,
    render,
};

/// The file of an issue where the caller names none: GitLab refuses an issue without one.
const USUAL_FILE: &str = "plan.toml";

#[derive(Serialize)]
struct Issue<'a> {
    description: &'a str,
    check_name: &'a str,
    fingerprint: String,
    severity: &'static str,
    location: Location<'a>,
}

#[derive(Serialize)]
struct Location<'a> {
    path: &'a str,
    lines: Lines,
}

#[derive(Serialize)]
struct Lines {
    begin: u32,
}

fn render(report: &ComparisonReport, w: &mut dyn io::Write) -> io::Result<()> {
    // GitLab finds a file only by its path from the root of the repository, without `./`.
    let path = report.plan_file.as_deref().unwrap_or(USUAL_FILE);
    let path = path.trim_start_matches("./");
    let issue = |description, check_name, key: &str, severity| Issue {
        description,
        check_name,
        fingerprint: fingerprint(key),
        severity,
        location: Location { path, lines: Lines { begin: 1 } },
    };
    let mut issues = Vec::new();
    for row in &report.rows {
        let severity = match row.verdict {
            Verdict::Worse => "major",
            Verdict::CannotTell if row.exceeds_noise => "info",
            Verdict::CannotTell | Verdict::Better | Verdict::Same => continue,
        };
        issues.push(issue(row.message.as_str(), row.name.as_str(), &row.key, severity));
    }
    for row in report.objectives.iter().filter(|objective| objective.is_broken) {
        let key = format!("objective {}", row.text);
        issues.push(issue(&row.sentence, &row.text, &key, "major"));
    }
    serde_json::to_writer_pretty(&mut *w, &issues)?;
    writeln!(w)
}

/// The same for the same quantity in every comparison, so that GitLab tells what is new.
fn fingerprint(key: &str) -> String {
    let digest = Sha256::digest(key.as_bytes());
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}
