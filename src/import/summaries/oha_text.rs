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
    use crate::import::summaries::tests::{assert_expected, read};

    #[test]
    fn each_line_has_its_unit() {
        let runs = assert_expected("oha.sample.txt", "oha-txt");
        assert!(runs[0].warnings.iter().any(|it| it.contains("50 requests were cut off")));
        assert!(runs[0].warnings.iter().any(|it| it.starts_with("10 requests got no answer")));
    }

    #[test]
    fn colours_of_a_terminal_do_not_matter() {
        let text = "Summary:\n  \u{1b}[32mSuccess rate:\t100.00%\u{1b}[0m\n  Total:\t1.0 sec\n\
                    \n\u{1b}[1mStatus code distribution:\u{1b}[0m\n  [\u{1b}[32m200\u{1b}[0m] 5 \
                    responses\n";
        assert_eq!(read(text).unwrap()[0].requests, Some(5));
    }
}
