//! Exceptions in the code of a Locust test, `PREFIX_exceptions.csv`.

use super::SummarySpec;
use super::locust_stats::HISTORY;
use super::summary::Summary;
use crate::import::error::ImportError;
use crate::import::table::{Style, each_row, first_cells, shown};

pub(super) static SPEC: SummarySpec = SummarySpec {
    name: "locust-exceptions",
    summary: "exceptions of a Locust test: locust --csv PREFIX; the file PREFIX_exceptions.csv",
    instead: HISTORY,
    looks_like: |begin| {
        first_cells(begin, ',').starts_with(&["Count", "Message", "Traceback", "Nodes"])
    },
    read,
};

/// Only messages and counts are kept: a traceback has paths of the machine in it.
fn read(text: &str) -> Result<Vec<Summary>, ImportError> {
    let mut run = Summary::default();
    let mut exceptions = 0_u64;
    let style = Style { delimiter: b',', quotes: true };
    let cut = each_row(&mut text.as_bytes(), &style, None, |row| {
        let (count, message) = (row.text("Count"), row.text("Message"));
        let count: u64 = count
            .trim()
            .parse()
            .map_err(|_| format!("`Count` is not a count: `{}`", shown(&count)))?;
        exceptions = exceptions.saturating_add(count);
        run.error(&message, Some(count));
        Ok(())
    })?;
    cut.into_iter().for_each(|note| run.warn(note));
    run.count("exceptions of the test", Some(exceptions));
    if exceptions > 0 {
        run.warn(format!(
            "the test's own code failed {exceptions} times: these are not failures of requests. \
             The rest of each task was skipped, so the mix of requests is not the intended one"
        ));
    }
    Ok(vec![run])
}

#[cfg(test)]
mod tests {
    use crate::import::summaries::tests::assert_expected;

    #[test]
    fn exceptions_are_not_failures_of_requests() {
        let runs = assert_expected("locust-exceptions.sample.csv", "locust-exceptions");
        assert_eq!((runs[0].failures, runs[0].errors_counted()), (None, 16));
        assert!(runs[0].warnings.iter().any(|it| it.contains("failed 16 times")), "{runs:?}");
        assert!(!format!("{runs:?}").contains("shop.py"));
    }
}
