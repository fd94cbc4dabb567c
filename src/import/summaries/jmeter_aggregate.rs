//! JMeter's aggregate report and summary report as CSV, also with decimal commas, and the aggregate
//! report of a JMeter in another language, or with the keys of its columns in place of their names.

use super::SummarySpec;
use super::summary::{EndpointSummary, ResponseTimes, Summary};
use crate::import::error::ImportError;
use crate::import::table::{Columns, Row, Style, each_row, first_cells, shown};

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

/// Columns of the aggregate report in their order, which is the same in every language.
const COLUMNS: &[&str] = &[
    "Label",
    "# Samples",
    "Average",
    "Median",
    "90% Line",
    "95% Line",
    "99% Line",
    "Min",
    "Max",
    "Error %",
    "Throughput",
    "Received KB/sec",
    "Sent KB/sec",
];
/// Keys of columns in JMeter's files of messages, which old versions and `JMeterPluginsCMD` write as they
/// are, and the English names.
const KEYS: &[(&str, &str)] = &[
    ("sampler_label", "Label"),
    ("aggregate_report_count", "# Samples"),
    ("average", "Average"),
    ("aggregate_report_median", "Median"),
    ("aggregate_report_90%_line", "90% Line"),
    ("aggregate_report_95%_line", "95% Line"),
    ("aggregate_report_99%_line", "99% Line"),
    ("aggregate_report_min", "Min"),
    ("aggregate_report_max", "Max"),
    ("aggregate_report_error%", "Error %"),
    ("aggregate_report_rate", "Throughput"),
];
/// Places of columns that have a percent sign in every language, and how those of percentiles begin.
const PERCENT: &[(usize, &str)] = &[(4, "90"), (5, "95"), (6, "99"), (9, "")];

fn delimiter(begin: &str) -> Option<char> {
    [',', ';', '\t'].into_iter().find(|delimiter| {
        let cells = first_cells(begin, *delimiter);
        is_english(&cells) || is_keyed(&cells) || is_translated(&cells)
    })
}

fn is_keyed(cells: &[&str]) -> bool {
    cells.starts_with(&["sampler_label", "aggregate_report_count"])
}

/// The English name of a column that may have its key.
fn english(cell: &str) -> &str {
    KEYS.iter().find(|(key, _)| *key == cell).map_or(cell, |(_, name)| name)
}

fn is_english(cells: &[&str]) -> bool {
    cells.starts_with(&["Label", "# Samples", "Average"])
}

/// Whether it is the header of an aggregate report in another language.
fn is_translated(cells: &[&str]) -> bool {
    let has = |(at, begin): &(usize, &str)| {
        cells.get(*at).is_some_and(|cell| cell.contains('%') && cell.starts_with(begin))
    };
    (COLUMNS.len() - 1..=COLUMNS.len()).contains(&cells.len()) && PERCENT.iter().all(has)
}

fn read(text: &str) -> Result<Vec<Summary>, ImportError> {
    let mut run = Summary::default();
    let (mut throughput, mut rows) = (None, 0);
    let delimiter = delimiter(text).unwrap_or(',');
    let style = Style { delimiter: delimiter as u8, quotes: true };
    let header = first_cells(text, delimiter);
    let is_keyed = is_keyed(&header);
    let is_translated = !is_english(&header) && !is_keyed && is_translated(&header);
    let by_place = match (is_translated, is_keyed) {
        (true, _) => Some(Columns::of(COLUMNS.iter().copied().take(header.len()))),
        (_, true) => Some(Columns::of(header.iter().map(|cell| english(cell)))),
        _ => None,
    };
    let (mut is_header, mut sum) = (by_place.is_some(), 0_u64);
    let cut = each_row(&mut text.as_bytes(), &style, by_place, |row| {
        if std::mem::take(&mut is_header) {
            return Ok(());
        }
        rows += 1;
        let requests = count(&row.text("# Samples"))?;
        if requests == 0 {
            // The shortest and the longest time of nothing are no times.
            return Ok(());
        }
        let share = decimal(row, "Error %")?.unwrap_or(0.0) / 100.0;
        let failures = (requests as f64 * share).round() as u64;
        let endpoint = EndpointSummary {
            name: row.text("Label").into_owned(),
            requests,
            failures,
            response_times: times(row)?,
        };
        // In another language the last row is known by its count.
        let is_total = endpoint.name == TOTAL || (is_translated && rows > 1 && requests == sum);
        sum = sum.saturating_add(requests);
        if !is_total {
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
    fn the_report_of_a_jmeter_in_another_language_is_read_by_place() {
        let header = "Label,# 样本,平均值,中位数,90% 百分位,95% 百分位,99% 百分位,最小值,最大值,\
                      异常 %,吞吐量,接收 KB/sec,发送 KB/sec\n";
        let rows = "登录,30,20,18,30,40,50,5,60,10.000%,3.0,1,1\n\
                    空,0,0,0,0,0,0,9223372036854775807,-9223372036854775808,0.000%,.0,0,0\n\
                    订单,10,40,38,50,60,70,7,90,0.000%,1.0,1,1\n";
        let runs = read(&format!("{header}{rows}总体,40,25,20,35,45,60,5,90,7.500%,4.0,2,2\n"));
        let run = &runs.unwrap()[0];
        assert_eq!((run.requests, run.failures), (Some(40), Some(3)));
        assert_eq!(run.endpoints.len(), 2);
        assert_eq!((run.requests_per_s, run.response_times.max_s), (Some(4.0), Some(0.09)));
    }

    #[test]
    fn columns_may_have_the_keys_of_their_names() {
        let text = "sampler_label,aggregate_report_count,average,aggregate_report_median,\
                    aggregate_report_90%_line,aggregate_report_min,aggregate_report_max,\
                    aggregate_report_error%,aggregate_report_rate,aggregate_report_bandwidth,\
                    aggregate_report_stddev\n\
                    books,40,345,106,1113,0,2186,\"5,00%\",\"1,6\",\"234,3\",\"506,19\"\n\
                    TOTAL,40,345,106,1113,0,2186,\"5,00%\",\"1,6\",\"234,3\",\"506,19\"\n";
        let run = &read(text).unwrap()[0];
        assert_eq!((run.requests, run.failures, run.duration_s), (Some(40), Some(2), Some(25.0)));
        assert_eq!((run.endpoints.len(), run.response_times.quantiles.len()), (1, 2));
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
