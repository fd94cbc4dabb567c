//! Locust's statistics of the whole run, `PREFIX_stats.csv`.

use super::SummarySpec;
use super::summary::{EndpointSummary, ResponseTimes, Summary};
use crate::import::error::ImportError;
use crate::import::table::{Row, Style, each_row, first_cells, number, shown};

pub(super) static SPEC: SummarySpec = SummarySpec {
    name: "locust-stats",
    summary: "Locust's statistics: locust --csv PREFIX; the file PREFIX_stats.csv",
    instead: HISTORY,
    looks_like: |begin| names(begin).is_some(),
    read,
};

/// What has the times.
pub(super) const HISTORY: &str =
    "import `PREFIX_stats_history.csv`, which `locust --csv PREFIX` writes too";

/// Names of the columns.
struct Names {
    kind: &'static str,
    requests: &'static str,
    failures: &'static str,
    mean: &'static str,
    min: &'static str,
    max: &'static str,
    /// Name of the row of all together.
    all: &'static str,
}

const NAMES: [Names; 2] = [
    Names {
        kind: "Type",
        requests: "Request Count",
        failures: "Failure Count",
        mean: "Average Response Time",
        min: "Min Response Time",
        max: "Max Response Time",
        all: "Aggregated",
    },
    // Locust 0.x.
    Names {
        kind: "Method",
        requests: "# requests",
        failures: "# failures",
        mean: "Average response time",
        min: "Min response time",
        max: "Max response time",
        all: "Total",
    },
];

fn names(begin: &str) -> Option<&'static Names> {
    let cells = first_cells(begin, ',');
    NAMES.iter().find(|it| cells.starts_with(&[it.kind, "Name", it.requests, it.failures]))
}

fn read(text: &str) -> Result<Vec<Summary>, ImportError> {
    let names = names(text).unwrap_or(&NAMES[0]);
    let percents = first_cells(text, ',').into_iter().filter_map(|column| {
        let percent: f64 = column.strip_suffix('%')?.parse().ok()?;
        Some((column, percent))
    });
    let percents: Vec<_> = percents.collect();
    let (mut run, mut has_all, mut rows) = (Summary::default(), false, 0);
    let style = Style { delimiter: b',', quotes: true };
    let cut = each_row(&mut text.as_bytes(), &style, None, |row| {
        rows += 1;
        let (kind, name) = (row.text(names.kind), row.text("Name"));
        let endpoint = EndpointSummary {
            name: format!("{kind} {name}").trim().to_owned(),
            requests: count(row, names.requests)?,
            failures: count(row, names.failures)?,
            response_times: times(row, names, &percents)?,
        };
        if name != names.all || !matches!(&*kind, "" | "None") {
            run.endpoint(endpoint);
            return Ok(());
        }
        has_all = true;
        (run.requests, run.failures) = (Some(endpoint.requests), Some(endpoint.failures));
        run.response_times = endpoint.response_times;
        let rate = row.number("Requests/s")?;
        run.requests_per_s = Some(rate);
        run.duration_s = Some(endpoint.requests as f64 / rate).filter(|it| it.is_finite());
        Ok(())
    })?;
    cut.into_iter().for_each(|note| run.warn(note));
    if rows == 0 {
        return Err(ImportError::Empty);
    }
    conclude(&mut run, has_all, names.all);
    Ok(vec![run])
}

fn conclude(run: &mut Summary, has_all: bool, all: &str) {
    let sum = |of: fn(&EndpointSummary) -> u64| {
        run.endpoints.iter().map(of).fold(0_u64, u64::saturating_add)
    };
    let (requests, failures) = (sum(|it| it.requests), sum(|it| it.failures));
    if !has_all {
        (run.requests, run.failures) = (Some(requests), Some(failures));
        run.warn(format!("the row `{all}` is missing: counts were added up"));
    } else if Some(requests) != run.requests && !run.endpoints.is_empty() {
        run.warn(format!(
            "the rows have {requests} requests, and the row `{all}` has {}: Locust wrote the file \
             while requests ended, or rows are missing",
            run.requests.unwrap_or(0)
        ));
    }
    run.warn(
        "Locust runs users who wait for their answers (a closed loop): a slow target gets fewer \
         requests, and hides its own queue",
    );
}

/// Times in milliseconds.
fn times(row: &Row<'_>, names: &Names, percents: &[(&str, f64)]) -> Result<ResponseTimes, String> {
    let seconds = |column: &str| match row.text(column).trim() {
        "" | "N/A" => Ok(None),
        text => number(text, column).map(|millis| Some(millis / 1e3).filter(|it| *it >= 0.0)),
    };
    ResponseTimes::of_all([names.mean, names.min, names.max], percents, seconds)
}

fn count(row: &Row<'_>, column: &str) -> Result<u64, String> {
    let text = row.text(column);
    text.trim().parse().map_err(|_| format!("`{column}` is not a count: `{}`", shown(&text)))
}

#[cfg(test)]
mod tests {
    use crate::import::summaries::tests::{assert_expected, read};

    #[test]
    fn names_may_have_commas_and_quotes() {
        assert_expected("locust-stats.sample.csv", "locust-stats");
    }

    #[test]
    fn locust_0_names_its_columns_otherwise() {
        let text = "\"Method\",\"Name\",\"# requests\",\"# failures\",\"Median response time\",\
                    \"Average response time\",\"Min response time\",\"Max response time\",\
                    \"Average Content Size\",\"Requests/s\"\n\
                    \"GET\",\"/a\",10,1,5,6,1,9,0,2.00\n\"None\",\"Total\",12,1,5,6,1,9,0,2.40\n";
        let run = &read(text).unwrap()[0];
        assert_eq!((run.requests, run.failures, run.duration_s), (Some(12), Some(1), Some(5.0)));
        assert!(run.warnings.iter().any(|it| it.contains("the rows have 10 requests")), "{run:?}");
    }
}
