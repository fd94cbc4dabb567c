//! autocannon's tables as it prints them.

use super::summary::Summary;
use super::text::{after, each_line, number, seconds};
use super::{NOTHING_WITH_TIMES, SummarySpec};
use crate::import::error::ImportError;

pub(super) static SPEC: SummarySpec = SummarySpec {
    name: "autocannon-text",
    summary: "autocannon's tables: autocannon http://…",
    instead: NOTHING_WITH_TIMES,
    looks_like: |begin| {
        begin.lines().any(|line| cells(line).first() == Some(&"Stat")) && begin.contains("Latency")
    },
    read,
};

/// What stands between two cells: a line of a box, or in some versions a plain bar.
const BARS: [char; 2] = ['│', '|'];

/// The cells of a row of a table.
fn cells(line: &str) -> Vec<&str> {
    let row = |bar: char| {
        let row = line.trim().strip_prefix(bar)?.strip_suffix(bar)?;
        Some(row.split(bar).map(str::trim).collect())
    };
    BARS.into_iter().find_map(row).unwrap_or_default()
}

/// Multiples in which it counts.
const MULTIPLES: [(char, f64); 2] = [('k', 1e3), ('M', 1e6)];

fn read(text: &str) -> Result<Vec<Summary>, ImportError> {
    let (mut runs, mut columns): (Vec<Summary>, Vec<String>) = (Vec::new(), Vec::new());
    each_line(text, |line| {
        if let Some((_, url)) = after(line, "Running ").and_then(|it| it.split_once(" test @ ")) {
            let mut run = Summary::default();
            run.target(url);
            runs.push(run);
            return Ok(());
        }
        if runs.is_empty() && !cells(line).is_empty() {
            runs.push(Summary::default());
        }
        let Some(run) = runs.last_mut() else { return Ok(()) };
        match cells(line).as_slice() {
            ["Stat", names @ ..] => columns = names.iter().map(|it| (*it).to_owned()).collect(),
            ["Latency", values @ ..] => latency(&columns, values, run)?,
            ["Req/Sec", values @ ..] => {
                let mean = columns.iter().position(|name| name == "Avg");
                let mean = mean.and_then(|at| values.get(at)).map(|text| text.replace(',', ""));
                run.requests_per_s = mean.as_deref().map(number).transpose()?;
            }
            _ => counts(line, run)?,
        }
        Ok(())
    })?;
    runs.retain(|run| run.requests.is_some());
    for run in &mut runs {
        run.failures = run.failures.or(Some(0));
        run.response_times.with_failures = true;
        run.warn("autocannon rounds the number of its requests when it prints it");
        run.warn_closed_loop();
    }
    Ok(runs)
}

fn latency(columns: &[String], values: &[&str], run: &mut Summary) -> Result<(), String> {
    let times = &mut run.response_times;
    for (name, value) in columns.iter().zip(values) {
        match name.as_str() {
            "Avg" => times.mean_s = Some(seconds(value)?),
            "Max" => times.max_s = Some(seconds(value)?),
            name => {
                if let Some(percent) = name.strip_suffix('%') {
                    times.add(number(percent)?, seconds(value)?);
                }
            }
        }
    }
    Ok(())
}

/// `88k requests in 10.05s, 12 MB read`, `2 errors (1 timeouts)`, `870 2xx responses, 30 non 2xx responses`.
fn counts(line: &str, run: &mut Summary) -> Result<(), String> {
    for part in line.split(',').map(str::trim) {
        if let Some((count, rest)) = part.split_once(" requests in ") {
            run.requests = Some(rounded(count)?);
            run.duration_s = Some(seconds(rest)?);
        } else if let Some((count, _)) = part.split_once(" errors (") {
            let errors = rounded(count)?;
            run.unanswered = Some(errors);
            run.failures = Some(run.failures.unwrap_or(0).saturating_add(errors));
            // Requests that got no answer are not among those that it counts.
            run.requests = run.requests.map(|requests| requests.saturating_add(errors));
        } else if let Some(count) = part.strip_suffix(" non 2xx responses") {
            let bad = rounded(count)?;
            run.failures = Some(run.failures.unwrap_or(0).saturating_add(bad));
        } else if let Some(count) = part.strip_suffix(" 2xx responses") {
            run.by_status.insert("2xx".to_owned(), rounded(count)?);
        }
    }
    Ok(())
}

/// `88k` as a count.
fn rounded(text: &str) -> Result<u64, String> {
    let text = text.trim();
    let multiple = MULTIPLES.iter().find(|(letter, _)| text.ends_with(*letter));
    let digits = text.trim_end_matches(char::is_alphabetic);
    Ok((number(digits)? * multiple.map_or(1.0, |(_, times)| *times)) as u64)
}

#[cfg(test)]
mod tests {
    use crate::import::summaries::tests::{assert_expected, read};

    #[test]
    fn tables_in_boxes_are_read() {
        let runs = assert_expected("autocannon-text.sample.txt", "autocannon-text");
        assert_eq!(runs[0].unanswered, Some(2));
    }

    #[test]
    fn tables_may_have_plain_bars() {
        let text = "Running 10s test @ http://a.test/books\n200 connections with 50 pipelining factor\n\n\
                    | Stat    | 2.5%   | 50%    | 97.5%  | 99%    | Avg       | Stdev     | Max     |\n\
                    |---------|--------|--------|--------|--------|-----------|-----------|---------|\n\
                    | Latency | 195 ms | 340 ms | 371 ms | 492 ms | 362.77 ms | 404.64 ms | 9758 ms |\n\n\
                    | Stat    | 1%     | 2.5%   | 50%    | 97.5%  | Avg       | Stdev     | Min     |\n\
                    |---------|--------|--------|--------|--------|-----------|-----------|---------|\n\
                    | Req/Sec | 23,711 | 23,711 | 25,615 | 25,807 | 25,424    | 597.23    | 23,701  |\n\n\
                    264k requests in 10.03s, 58.2 MB read\n\n200 errors (200 timeouts)\n";
        let run = &read(text).unwrap()[0];
        assert_eq!((run.requests, run.unanswered), (Some(264_200), Some(200)));
        assert_eq!((run.requests_per_s, run.response_times.quantiles.len()), (Some(25_424.0), 4));
    }
}
