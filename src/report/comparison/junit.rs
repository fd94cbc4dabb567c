//! A comparison as test results, for the CI systems that show those: each judged quantity and each
//! objective is a test.

use std::io;

use quick_junit::{TestCase, TestCaseStatus};

use super::super::test_results::{self, case, failure, skipped};
use super::format::ComparisonFormat;
use super::objectives::ObjectiveRow;
use super::rows::QuantityRow;
use super::view::ComparisonReport;
use crate::compare::Verdict;

pub(super) static SPEC: ComparisonFormat = ComparisonFormat {
    name: "junit",
    summary: "test results: a test for each quantity and objective, failed where it is worse",
    file_name: "comparison.junit.xml",
    is_left_as_file: true,
    render,
};

/// Name of the suite, and what the class of every test begins with.
const SUITE: &str = "kneepoint compare";
/// Kind of a failure.
const WORSE: &str = "worse";

fn render(report: &ComparisonReport, w: &mut dyn io::Write) -> io::Result<()> {
    let because: Vec<&str> = report.why().map(String::as_str).collect();
    let because = because.join("\n");
    let cases = report
        .rows
        .iter()
        .map(|row| quantity(row, &because))
        .chain(report.objectives.iter().map(objective));
    let told = std::iter::once(&report.headline).chain(&report.details);
    test_results::write(SUITE, cases, told, w)
}

fn quantity(row: &QuantityRow, because: &str) -> TestCase {
    let status = match row.verdict {
        Verdict::Worse => failure(WORSE, &row.message, because),
        Verdict::CannotTell => skipped(&row.message),
        Verdict::Better | Verdict::Same => TestCaseStatus::success(),
    };
    let is_passed = matches!(row.verdict, Verdict::Better | Verdict::Same);
    let mut case = case(SUITE, &row.group, &row.name, status);
    if is_passed {
        case.set_system_out(row.message.as_str());
    }
    case
}

fn objective(row: &ObjectiveRow) -> TestCase {
    let status = match row.is_broken {
        true => failure(WORSE, &row.sentence, ""),
        false if !row.is_known => skipped(&row.sentence),
        false => TestCaseStatus::success(),
    };
    case(SUITE, "objectives", &row.text, status)
}
