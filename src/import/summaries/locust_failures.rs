//! Locust's failures of the whole run, `PREFIX_failures.csv`.

use super::SummarySpec;
use super::locust_stats::HISTORY;
use super::summary::Summary;
use crate::import::error::ImportError;
use crate::import::table::{Style, each_row, first_cells, shown};

pub(super) static SPEC: SummarySpec = SummarySpec {
    name: "locust-failures",
    summary: "Locust's failures: locust --csv PREFIX; the file PREFIX_failures.csv",
    instead: HISTORY,
    looks_like: |begin| {
        first_cells(begin, ',').starts_with(&["Method", "Name", "Error", "Occurrences"])
    },
    read,
};

/// What Python says of a name that could not be looked up.
const LOOKUP: &[&str] = &["gaierror", "NameResolutionError"];
/// What a check of the script says.
const CHECK: &str = "CatchResponseError";

fn read(text: &str) -> Result<Vec<Summary>, ImportError> {
    let mut run = Summary::default();
    let (mut failures, mut lookups, mut checks) = (0_u64, 0_u64, 0_u64);
    let style = Style { delimiter: b',', quotes: true };
    let cut = each_row(&mut text.as_bytes(), &style, None, |row| {
        let (error, times) = (row.text("Error"), row.text("Occurrences"));
        let count: u64 = times
            .trim()
            .parse()
            .map_err(|_| format!("`Occurrences` is not a count: `{}`", shown(&times)))?;
        failures = failures.saturating_add(count);
        if LOOKUP.iter().any(|words| error.contains(words)) {
            lookups = lookups.saturating_add(count);
        } else if error.starts_with(CHECK) {
            checks = checks.saturating_add(count);
        }
        run.error(&error, Some(count));
        Ok(())
    })?;
    cut.into_iter().for_each(|note| run.warn(note));
    run.failures = Some(failures);
    if lookups > 0 {
        run.warn(format!(
            "{lookups} failures are name lookups at the load generator: the target did not see \
             these requests"
        ));
    }
    if checks > 0 {
        run.warn(format!(
            "{checks} failures come from checks of the script: their words may hide a timeout or \
             a bad status"
        ));
    }
    Ok(vec![run])
}

#[cfg(test)]
mod tests {
    use crate::import::summaries::tests::{assert_expected, read};

    #[test]
    fn the_generators_own_failures_are_told_apart() {
        let runs = assert_expected("locust-failures.sample.csv", "locust-failures");
        let has = |words: &str| runs[0].warnings.iter().any(|it| it.contains(words));
        assert!(has("3 of its requests") && has("1 failures are name"), "{runs:?}");
        assert!(has("2 failures come from checks"), "{runs:?}");
        let none = read("Method,Name,Error,Occurrences\n").unwrap();
        assert_eq!(none[0].failures, Some(0));
    }
}
