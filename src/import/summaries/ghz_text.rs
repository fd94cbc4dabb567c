//! ghz's summary of calls of gRPC, as it prints it by default.

use super::distributions::{BEGIN, COUNT, read};
use super::text::has_line;
use super::{NOTHING_WITH_TIMES, SummarySpec};

pub(super) static SPEC: SummarySpec = SummarySpec {
    name: "ghz-text",
    summary: "ghz's summary of calls of gRPC: ghz --call package.Service/Method host:port",
    instead: NOTHING_WITH_TIMES,
    looks_like: |begin| has_line(begin, BEGIN) && has_line(begin, COUNT),
    read: |text| {
        let mut runs = read(text)?;
        for run in &mut runs {
            // Each call has a status; the errors are the texts of those that are not `OK`.
            let calls = run.answers();
            let right = run.by_status.get(OK).copied().unwrap_or(0);
            (run.requests, run.failures) = (Some(calls), Some(calls - right));
            run.unanswered = None;
            run.warn_closed_loop();
        }
        Ok(runs)
    },
};

/// The status of a call that succeeded (gRPC, "Status codes and their use in gRPC").
const OK: &str = "OK";

#[cfg(test)]
mod tests {
    use crate::import::summaries::tests::assert_expected;

    #[test]
    fn calls_that_are_not_ok_failed() {
        let runs = assert_expected("ghz.sample.txt", "ghz");
        assert_eq!((runs[0].unanswered, runs[0].errors[0].count), (None, Some(40)));
    }
}
