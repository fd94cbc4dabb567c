//! Locust's tables as it prints them, in a terminal or a CI log: while a run goes on and at its end.

use super::SummarySpec;
use super::locust_stats::HISTORY;
use super::summary::{EndpointSummary, ResponseTimes, Summary};
use super::text::{count, each_line, number};
use crate::import::error::ImportError;
use crate::import::table::shown;

pub(super) static SPEC: SummarySpec = SummarySpec {
    name: "locust-text",
    summary: "Locust's tables as it prints them: locust --headless",
    instead: HISTORY,
    looks_like: |begin| begin.lines().any(|line| table_of(line) == Some(Table::Counts)),
    read,
};

/// The row that sums up the others; `Total` before Locust 1.
const ALL: [&str; 2] = ["Aggregated", "Total"];

/// The tables that Locust prints.
#[derive(Clone, Copy, PartialEq)]
enum Table {
    Counts,
    Percentiles,
    Errors,
}

/// The table that begins with this line of headings.
fn table_of(line: &str) -> Option<Table> {
    let has = |words: &[&str]| words.iter().all(|word| line.contains(word));
    match () {
        () if has(&["Name", "# reqs", "# fails", "|"]) => Some(Table::Counts),
        () if has(&["Name", "50%", "95%", "# reqs"]) => Some(Table::Percentiles),
        () if line.trim_start().starts_with("# occurrences") => Some(Table::Errors),
        () => None,
    }
}

fn read(text: &str) -> Result<Vec<Summary>, ImportError> {
    let mut run = Summary::default();
    let (mut table, mut columns) = (None, Vec::new());
    each_line(text, |line| {
        let trimmed = line.trim();
        if let Some(begun) = table_of(line) {
            table = Some(begun);
            columns = columns_of(begun, line);
            match begun {
                // What was printed before is of a shorter part of the run.
                Table::Counts => run = Summary::default(),
                Table::Errors => run.errors.clear(),
                Table::Percentiles => {}
            }
            return Ok(());
        }
        if trimmed.is_empty() || trimmed.starts_with("---") {
            return Ok(());
        }
        match table {
            Some(Table::Counts) => counts(trimmed, &columns, &mut run),
            Some(Table::Percentiles) => percentiles(trimmed, &columns, &mut run),
            Some(Table::Errors) => error(trimmed, &mut run),
            None => Ok(()),
        }
    })?;
    if run.requests.is_none() {
        return Err(ImportError::Empty);
    }
    run.duration_s = run.duration_by_rate();
    run.warn(
        "Locust runs users who wait for their answers (a closed loop): a slow target gets fewer \
         requests, and hides its own queue",
    );
    Ok(vec![run])
}

/// Names of the columns behind the name and the counts: of times, or of percentiles.
fn columns_of(table: Table, line: &str) -> Vec<String> {
    let part = match table {
        Table::Counts => line.split('|').nth(1).unwrap_or_default(),
        Table::Percentiles | Table::Errors => line,
    };
    let is_column = |word: &&str| table == Table::Counts || word.ends_with('%');
    part.split_whitespace().filter(is_column).map(str::to_owned).collect()
}

/// The words of a row before the last `count` ones, and those.
fn split_last(row: &str, count: usize) -> Option<(String, Vec<&str>)> {
    let mut words: Vec<&str> = row.split_whitespace().collect();
    let last = words.split_off(words.len().checked_sub(count)?);
    Some((words.join(" "), last))
}

/// `GET /a   1200   0(0.00%) |   41   3   900   30 |   20.00   0.00`.
fn counts(row: &str, columns: &[String], run: &mut Summary) -> Result<(), String> {
    let mut parts = row.split('|');
    let (first, times, rates) = (parts.next(), parts.next(), parts.next());
    let Some((first, times)) = first.zip(times) else {
        // Lines of the log stand between the tables.
        return Ok(());
    };
    let unreadable = || format!("`{}` is not a row of the table", shown(row));
    let (name, last) = split_last(first, 2).ok_or_else(unreadable)?;
    let requests = count(last[0])?;
    let failures = count(last[1].split('(').next().unwrap_or_default())?;
    let mut response_times = ResponseTimes { with_failures: true, ..ResponseTimes::default() };
    for (column, value) in columns.iter().zip(times.split_whitespace()) {
        let Ok(millis) = number(value) else { continue };
        let seconds = millis / 1e3;
        match column.as_str() {
            "Avg" => response_times.mean_s = Some(seconds),
            "Min" => response_times.min_s = Some(seconds),
            "Max" => response_times.max_s = Some(seconds),
            "Med" | "Median" => response_times.add(50.0, seconds),
            _ => {}
        }
    }
    if !ALL.contains(&name.as_str()) {
        run.endpoint(EndpointSummary { name, requests, failures, response_times });
        return Ok(());
    }
    (run.requests, run.failures) = (Some(requests), Some(failures));
    run.response_times = response_times;
    run.requests_per_s = rates.map(number).transpose()?;
    Ok(())
}

/// `GET /a   30   40   …   900   1200`.
fn percentiles(row: &str, columns: &[String], run: &mut Summary) -> Result<(), String> {
    // The last one is the number of requests.
    let Some((name, last)) = split_last(row, columns.len() + 1) else { return Ok(()) };
    if last.iter().any(|word| word.parse::<f64>().is_err()) {
        return Ok(());
    }
    let times = match ALL.contains(&name.as_str()) {
        true => Some(&mut run.response_times),
        false => {
            let endpoint = run.endpoints.iter_mut().find(|it| it.name == name);
            endpoint.map(|endpoint| &mut endpoint.response_times)
        }
    };
    let Some(times) = times else { return Ok(()) };
    times.quantiles.clear();
    for (column, value) in columns.iter().zip(last) {
        let percent = number(column)?;
        // The last one is the longest, which the other table has too.
        if percent < 100.0 {
            times.add(percent, number(value)? / 1e3);
        }
    }
    Ok(())
}

/// `12   POST /pay: HTTPError('500 Server Error')`.
fn error(row: &str, run: &mut Summary) -> Result<(), String> {
    let (hits, text) = row.split_once(char::is_whitespace).unwrap_or((row, ""));
    if let Ok(hits) = count(hits) {
        run.error(text.trim(), Some(hits));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::import::summaries::tests::{assert_expected, read};

    #[test]
    fn the_last_tables_count() {
        let runs = assert_expected("locust-text.sample.txt", "locust-text");
        let pay = &runs[0].endpoints[1];
        assert_eq!((pay.name.as_str(), pay.requests, pay.failures), ("POST /pay", 600, 12));
        let p95 = pay.response_times.quantiles.iter().find(|it| it.percent == 95.0);
        assert_eq!(p95.map(|it| it.seconds), Some(0.2));
    }

    #[test]
    fn a_table_without_a_sum_is_no_run() {
        let text =
            " Name   # reqs   # fails  |   Avg   Min   Max  Median  |   req/s failures/s\n---\n";
        assert_eq!(read(text).unwrap_err().to_string(), "the file holds no request");
    }
}
