//! oha's summary, as it prints it by default.

use super::distributions::{BEGIN, read};
use super::oha::warn;
use super::text::has_line;
use super::{NOTHING_WITH_TIMES, SummarySpec};

pub(super) static SPEC: SummarySpec = SummarySpec {
    name: "oha-text",
    summary: "oha's summary: oha --no-tui http://…",
    instead: NOTHING_WITH_TIMES,
    looks_like: |begin| has_line(begin, BEGIN) && has_line(begin, "Success rate:"),
    read: |text| {
        let mut runs = read(text)?;
        runs.iter_mut().for_each(warn);
        Ok(runs)
    },
};

#[cfg(test)]
mod tests {
    use crate::import::summaries::tests::assert_expected;

    #[test]
    fn each_line_has_its_unit() {
        let runs = assert_expected("oha.sample.txt", "oha-txt");
        assert!(runs[0].warnings.iter().any(|it| it.contains("50 requests were cut off")));
    }
}
