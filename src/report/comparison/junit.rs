//! A comparison as test results, for the CI systems that show those: each judged quantity and each
//! objective is a test.

use std::io;

use quick_junit::{NonSuccessKind, Report, TestCase, TestCaseStatus, TestSuite};

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

fn render(report: &ComparisonReport, w: &mut dyn io::Write) -> io::Result<()> {
    let because: Vec<&str> = report.why().map(String::as_str).collect();
    let because = because.join("\n");
    let mut suite = TestSuite::new(SUITE);
    suite.add_test_cases(report.rows.iter().map(|row| quantity(row, &because)));
    suite.add_test_cases(report.objectives.iter().map(objective));
    let told: Vec<&str> =
        std::iter::once(&report.headline).chain(&report.details).map(String::as_str).collect();
    suite.set_system_out(told.join("\n"));
    let mut document = Report::new(SUITE);
    document.add_test_suite(suite);
    // Written as a whole, so that the writer's errors stay what they are.
    let mut bytes = Vec::new();
    document.serialize(&mut bytes).map_err(io::Error::other)?;
    w.write_all(&bytes)
}

fn quantity(row: &QuantityRow, because: &str) -> TestCase {
    let status = match row.verdict {
        Verdict::Worse => failure(&row.message, because),
        Verdict::CannotTell => skipped(&row.message),
        Verdict::Better | Verdict::Same => TestCaseStatus::success(),
    };
    let is_passed = matches!(row.verdict, Verdict::Better | Verdict::Same);
    let mut case = case(&row.name, &row.group, status);
    if is_passed {
        case.set_system_out(row.message.as_str());
    }
    case
}

fn objective(row: &ObjectiveRow) -> TestCase {
    let status = match row.is_broken {
        true => failure(&row.sentence, ""),
        false if !row.is_known => skipped(&row.sentence),
        false => TestCaseStatus::success(),
    };
    case(&row.text, "objectives", status)
}

fn case(name: &str, group: &str, status: TestCaseStatus) -> TestCase {
    let mut case = TestCase::new(name, status);
    case.set_classname(format!("{SUITE}.{group}"));
    case
}

fn failure(message: &str, because: &str) -> TestCaseStatus {
    let mut status = TestCaseStatus::non_success(NonSuccessKind::Failure);
    status.set_type("worse").set_message(message);
    status.set_description(format!("{message}\n{because}").trim_end());
    status
}

fn skipped(message: &str) -> TestCaseStatus {
    let mut status = TestCaseStatus::skipped();
    status.set_message(message);
    status
}
