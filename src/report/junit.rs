//! The run as test results, for the CI systems that show those: each objective is a test, and
//! without any, whether a limit was found.

use std::io;

use quick_junit::{TestCase, TestCaseStatus};

use super::format::FormatSpec;
use super::model::{ObjectiveRow, OutcomeKind, Report};
use super::test_results::{self, case, failure, skipped};

pub(super) static SPEC: FormatSpec = FormatSpec {
    name: "junit",
    summary: "test results: a test for each objective, failed where it is broken",
    extension: "xml",
    left_by_every_run: false,
    needs_seconds: false,
    render,
};

/// Name of the suite, and what the class of every test begins with.
const SUITE: &str = "kneepoint run";

fn render(report: &Report, w: &mut dyn io::Write) -> io::Result<()> {
    let objectives = report.objectives.iter().map(|row| objective(row, report));
    let verdict = report.objectives.is_empty().then(|| verdict(report));
    let told = std::iter::once(&report.answer.headline).chain(&report.answer.details);
    test_results::write(SUITE, objectives.chain(verdict), told, w)
}

fn objective(row: &ObjectiveRow, report: &Report) -> TestCase {
    let status = match (row.met, row.is_measured()) {
        (true, _) => TestCaseStatus::success(),
        (false, true) => {
            let message = format!("{}: {}", row.result, row.value);
            failure("objective", &message, &report.answer.headline)
        }
        (false, false) => skipped(&row.result),
    };
    case(SUITE, "objectives", &row.text, status)
}

/// A run without objectives fails no test: a knee is what it was made to find.
fn verdict(report: &Report) -> TestCase {
    let status = match report.answer.outcome {
        OutcomeKind::Knee | OutcomeKind::NotReached => TestCaseStatus::success(),
        _ => skipped(&report.answer.headline),
    };
    case(SUITE, "verdict", "the limit was looked for", status)
}

#[cfg(test)]
mod tests {
    use super::super::fixture;
    use super::*;

    #[test]
    fn each_objective_is_a_test() {
        let (_, report) = fixture::with_seconds();
        let mut bytes = Vec::new();
        render(&report, &mut bytes).unwrap();
        let document =
            quick_junit::Report::deserialize_from_str(std::str::from_utf8(&bytes).unwrap())
                .unwrap();
        let suite = &document.test_suites[0];
        assert_eq!(suite.test_cases.len(), report.objectives.len().max(1));
        let broken = report.objectives.iter().filter(|row| !row.met && row.is_measured()).count();
        assert_eq!(suite.failures, broken);
        assert!(suite.system_out.as_ref().unwrap().as_str().contains(&report.answer.headline));
    }
}
