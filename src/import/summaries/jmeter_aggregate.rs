//! JMeter's aggregate report and summary report as CSV, also with decimal commas.

use super::SummarySpec;
use super::summary::{EndpointSummary, ResponseTimes, Summary};
use crate::import::error::ImportError;
use crate::import::table::{Row, Style, each_row, first_cells, shown};

pub(super) static SPEC: SummarySpec = SummarySpec {
    name: "jmeter-aggregate",
    summary: "JMeter's aggregate or summary report as CSV (Save Table Data)",
    instead: RECORD,
    looks_like: |begin| delimiter(begin).is_some(),
    read,
};

/// How JMeter writes each request.
pub(super) const RECORD: &str = "run `jmeter -n -t plan.jmx -l results.jtl` and import results.jtl";
/// The row of all labels together.
const TOTAL: &str = "TOTAL";
/// Columns of percentiles.
const PERCENTILES: &[(&str, f64)] =
    &[("Median", 50.0), ("90% Line", 90.0), ("95% Line", 95.0), ("99% Line", 99.0)];

fn delimiter(begin: &str) -> Option<char> {
    let is_header = |delimiter: &char| {
        first_cells(begin, *delimiter).starts_with(&["Label", "# Samples", "Average"])
    };
    [',', ';', '\t'].into_iter().find(is_header)
}

fn read(text: &str) -> Result<Vec<Summary>, ImportError> {
    let mut run = Summary::default();
    let (mut throughput, mut rows) = (None, 0);
    let style = Style { delimiter: delimiter(text).unwrap_or(',') as u8, quotes: true };
    let cut = each_row(&mut text.as_bytes(), &style, None, |row| {
        rows += 1;
        let requests = count(&row.text("# Samples"))?;
        let share = decimal(row, "Error %")?.unwrap_or(0.0) / 100.0;
        let failures = (requests as f64 * share).round() as u64;
        let endpoint = EndpointSummary {
            name: row.text("Label").into_owned(),
            requests,
            failures,
            response_times: times(row)?,
        };
        if endpoint.name != TOTAL {
            run.endpoint(endpoint);
            return Ok(());
        }
        (run.requests, run.failures) = (Some(requests), Some(failures));
        run.response_times = endpoint.response_times;
        throughput = decimal(row, "Throughput")?;
        Ok(())
    })?;
    cut.into_iter().for_each(|note| run.warn(note));
    if rows == 0 {
        return Err(ImportError::Empty);
    }
    run.requests_per_s = throughput;
    conclude(&mut run);
    Ok(vec![run])
}

/// What JMeter's figures come to, and what they lack.
pub(super) fn conclude(run: &mut Summary) {
    if run.requests.is_none() {
        let sum = |of: fn(&EndpointSummary) -> u64| {
            run.endpoints.iter().map(of).fold(0_u64, u64::saturating_add)
        };
        let (requests, failures) = (sum(|it| it.requests), sum(|it| it.failures));
        (run.requests, run.failures) = (Some(requests), Some(failures));
        run.warn("the row of all labels together is missing: counts were added up");
    }
    let requests = run.requests.unwrap_or(0) as f64;
    let rate = run.requests_per_s.filter(|rate| *rate > 0.0);
    run.duration_s = rate.map(|rate| requests / rate);
    run.warn(
        "JMeter counts transactions and their parts alike: where the test has transaction \
         controllers, one request is counted more than once",
    );
    let unsent: Vec<_> = run.endpoints.iter().filter(|it| is_unsent(it)).collect();
    if let Some(first) = unsent.first() {
        let name = if first.name.is_empty() { "a sampler without a name" } else { &first.name };
        let count = unsent.iter().map(|it| it.requests).fold(0_u64, u64::saturating_add);
        run.warn(format!(
            "{count} requests failed in 0 ms ({}): they were never sent, and they make the \
             response times look better",
            shown(name)
        ));
    }
}

/// Whether all requests failed before they were sent.
fn is_unsent(endpoint: &EndpointSummary) -> bool {
    endpoint.requests > 0
        && endpoint.failures == endpoint.requests
        && endpoint.response_times.max_s == Some(0.0)
}

/// Times in milliseconds.
fn times(row: &Row<'_>) -> Result<ResponseTimes, String> {
    let seconds = |column: &str| Ok::<_, String>(decimal(row, column)?.map(|millis| millis / 1e3));
    ResponseTimes::of_all(["Average", "Min", "Max"], PERCENTILES, seconds)
}

/// A count; it may have separators of thousands.
fn count(text: &str) -> Result<u64, String> {
    let digits: String = text.chars().filter(char::is_ascii_digit).collect();
    digits.parse().map_err(|_| format!("`# Samples` is not a count: `{}`", shown(text)))
}

/// A number with a point or a comma before its decimals, and perhaps separators of thousands;
/// `None` where the cell is empty.
fn decimal(row: &Row<'_>, column: &str) -> Result<Option<f64>, String> {
    let cell = row.text(column);
    let text: String = cell.chars().filter(|char| !char.is_whitespace() && *char != '%').collect();
    if text.is_empty() {
        return Ok(None);
    }
    let point = text.rfind(['.', ',']);
    let has_both = text.contains('.') && text.contains(',');
    let is_thousands = |at: usize| !has_both && text.matches(&text[at..=at]).count() > 1;
    let point = point.filter(|at| !is_thousands(*at));
    let plain: String = text
        .char_indices()
        .filter_map(|(at, char)| match char {
            '.' | ',' if Some(at) == point => Some('.'),
            '.' | ',' => None,
            char => Some(char),
        })
        .collect();
    let number: Option<f64> = plain.parse().ok();
    let number = number.filter(|number| number.is_finite() && *number >= 0.0);
    number.map(Some).ok_or_else(|| format!("`{column}` is not a number: `{}`", shown(&cell)))
}

#[cfg(test)]
mod tests {
    use crate::import::summaries::tests::{assert_expected, read};

    #[test]
    fn rows_are_endpoints_and_the_last_is_their_sum() {
        let runs = assert_expected("jmeter-aggregate.sample.csv", "jmeter-aggregate");
        assert!(runs[0].warnings.iter().any(|it| it.starts_with("40 requests failed in 0 ms")));
        assert_expected("jmeter-aggregate-comma.sample.csv", "jmeter-aggregate-comma");
    }

    #[test]
    fn numbers_are_those_of_a_language() {
        let row = |cell: &str| {
            let text =
                format!("Label,# Samples,Average,Throughput\nTOTAL,\"1,200\",5,\"{cell}\"\n");
            read(&text).map(|runs| runs[0].requests_per_s)
        };
        for (cell, right) in
            [("1.234,5", 1234.5), ("1,234.5", 1234.5), (",9", 0.9), ("1,234,567", 1_234_567.0)]
        {
            assert_eq!(row(cell).unwrap(), Some(right), "{cell}");
        }
        assert!(row("many").unwrap_err().to_string().contains("line 2: `Throughput` is not"));
    }
}
