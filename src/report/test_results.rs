//! Test results as JUnit XML, for the CI systems that show those.

use std::io;

use quick_junit::{NonSuccessKind, Report, TestCase, TestCaseStatus, TestSuite};

/// Writes a suite of tests under `name`, with what else is told.
///
/// # Errors
/// Only those of the writer.
pub(super) fn write<'t>(
    name: &str,
    cases: impl IntoIterator<Item = TestCase>,
    told: impl IntoIterator<Item = &'t String>,
    w: &mut dyn io::Write,
) -> io::Result<()> {
    let mut suite = TestSuite::new(name);
    suite.add_test_cases(cases);
    let told: Vec<&str> = told.into_iter().map(String::as_str).collect();
    suite.set_system_out(told.join("\n"));
    let mut document = Report::new(name);
    document.add_test_suite(suite);
    // Written as a whole, so that the writer's errors stay what they are.
    let mut bytes = Vec::new();
    document.serialize(&mut bytes).map_err(io::Error::other)?;
    w.write_all(&bytes)
}

/// A test of a group of a suite.
pub(super) fn case(suite: &str, group: &str, name: &str, status: TestCaseStatus) -> TestCase {
    let mut case = TestCase::new(name, status);
    case.set_classname(format!("{suite}.{group}"));
    case
}

/// A failure of a kind, with what explains it.
pub(super) fn failure(kind: &str, message: &str, because: &str) -> TestCaseStatus {
    let mut status = TestCaseStatus::non_success(NonSuccessKind::Failure);
    status.set_type(kind).set_message(message);
    status.set_description(format!("{message}\n{because}").trim_end());
    status
}

/// A test without an answer.
pub(super) fn skipped(message: &str) -> TestCaseStatus {
    let mut status = TestCaseStatus::skipped();
    status.set_message(message);
    status
}
