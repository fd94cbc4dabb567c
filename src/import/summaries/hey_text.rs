//! hey's summary, as it prints it by default.

use super::SummarySpec;
use super::distributions::{BEGIN, COUNT, read};
use super::text::has_line;

pub(super) static SPEC: SummarySpec = SummarySpec {
    name: "hey-text",
    summary: "hey's summary: hey http://…",
    instead: "run `hey -o csv URL` and import what it prints",
    looks_like: |begin| {
        let others = ["Success rate:", COUNT];
        has_line(begin, BEGIN)
            && has_line(begin, "Fastest:")
            && !others.iter().any(|label| has_line(begin, label))
    },
    read: |text| {
        let mut runs = read(text)?;
        runs.iter_mut().for_each(|run| run.warn_closed_loop());
        Ok(runs)
    },
};

#[cfg(test)]
mod tests {
    use crate::import::summaries::tests::assert_expected;

    #[test]
    fn percentiles_of_few_requests_are_missing_and_not_zero() {
        let runs = assert_expected("hey.sample.txt", "hey");
        assert!(runs[0].warnings.iter().any(|it| it.contains("10 requests got no answer")));
        assert_expected("hey-few.sample.txt", "hey-few");
    }
}
