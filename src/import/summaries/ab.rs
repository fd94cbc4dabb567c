//! ApacheBench's report, as it prints it.

use super::SummarySpec;
use super::summary::Summary;
use super::text::{after, count, each_line, has_line, malformed, number};
use crate::import::error::ImportError;
use crate::import::table::shown;

pub(super) static SPEC: SummarySpec = SummarySpec {
    name: "ab",
    summary: "ApacheBench's report: ab -n 1000 -c 10 http://…",
    instead: "run `ab -g FILE`, which writes each request, or `kneepoint run URL`",
    looks_like: |begin| has_line(begin, "This is ApacheBench") || has_line(begin, CONNECTIONS),
    read,
};

const CONNECTIONS: &str = "Concurrency Level:";
const NOT_2XX: &str = "answers other than 2xx";
const LENGTH: &str = "failed: length";
/// A run in this many seconds or less says little: ab counts whole milliseconds.
const SHORT_S: f64 = 1.0;

fn read(text: &str) -> Result<Vec<Summary>, ImportError> {
    let mut runs: Vec<Summary> = Vec::new();
    let (mut host, mut gave_up) = ("", None);
    each_line(text, |line| {
        if line.starts_with("apr_") {
            gave_up.get_or_insert(line);
        } else if let Some(rest) = after(line, "Server Hostname:") {
            host = rest;
        } else if after(line, "Server Software:").is_some() {
            runs.push(Summary::default());
        } else {
            // The lines before it may have been left out of what was pasted.
            if after(line, CONNECTIONS).is_some()
                && runs.last().is_none_or(|run| run.counts.contains_key("connections"))
            {
                runs.push(Summary::default());
            }
            runs.last_mut().map_or(Ok(()), |run| take(line, host, run))?;
        }
        Ok(())
    })?;
    runs.retain(|run| run.requests.is_some());
    if let (true, Some(line)) = (runs.is_empty(), gave_up) {
        return Err(malformed(format!("ab gave up and wrote no report: `{}`", shown(line))));
    }
    runs.iter_mut().for_each(warn);
    Ok(runs)
}

fn take(line: &str, host: &str, run: &mut Summary) -> Result<(), String> {
    if let Some(path) = after(line, "Document Path:") {
        let path = path.split(['?', '#']).next().unwrap_or_default();
        run.target(&format!("{host}{path}"));
    } else if let Some(rest) = after(line, CONNECTIONS) {
        run.count("connections", Some(count(rest)?));
    } else if let Some(rest) = after(line, "Time taken for tests:") {
        run.duration_s = Some(number(rest)?);
    } else if let Some(rest) = after(line, "Complete requests:") {
        run.requests = Some(count(rest)?);
    } else if let Some(rest) = after(line, "Failed requests:") {
        run.failures = Some(count(rest)?);
    } else if let Some(rest) = after(line, "(Connect:") {
        failed_by(rest, run)?;
    } else if let Some(rest) = after(line, "Non-2xx responses:") {
        run.count(NOT_2XX, Some(count(rest)?));
    } else if let Some(rest) = after(line, "Requests per second:") {
        run.requests_per_s = Some(number(rest)?);
    } else if let Some(rest) = after(line, "Total:") {
        total(rest, run)?;
    } else if let Some((percent, millis)) = line.trim().split_once("% ")
        && let (Ok(percent), Ok(millis)) = (number(percent), number(millis))
    {
        run.response_times.add(percent, millis / 1e3);
    }
    Ok(())
}

/// `0, Receive: 0, Length: 212, Exceptions: 0)`.
fn failed_by(rest: &str, run: &mut Summary) -> Result<(), String> {
    let parts = format!("Connect: {}", rest.trim_end_matches(')'));
    for part in parts.split(',') {
        let (kind, times) = part.split_once(':').unwrap_or((part, ""));
        let what = match kind.trim() {
            "Connect" => "failed: connect",
            "Receive" => "failed: receive",
            "Length" => LENGTH,
            _ => "failed: exceptions",
        };
        run.count(what, Some(count(times)?));
    }
    Ok(())
}

/// `Total:  min mean sd median max`, in milliseconds.
fn total(rest: &str, run: &mut Summary) -> Result<(), String> {
    let cells: Vec<f64> = rest.split_whitespace().map(number).collect::<Result<_, _>>()?;
    let [min, mean, _, _, max] = cells[..] else {
        return Err(format!("`Total:` has {} columns, expected 5", cells.len()));
    };
    let times = &mut run.response_times;
    (times.min_s, times.mean_s, times.max_s) = (Some(min / 1e3), Some(mean / 1e3), Some(max / 1e3));
    times.with_failures = true;
    Ok(())
}

fn warn(run: &mut Summary) {
    let counted = |what| run.counts.get(what).copied().unwrap_or(0);
    let (length, bad) = (counted(LENGTH), counted(NOT_2XX));
    run.warn_closed_loop();
    if length > 0 {
        run.warn(format!(
            "{length} requests failed because their answer had another length than the first: on \
             pages that change, that is not a failure"
        ));
    }
    if bad > 0 {
        run.warn(format!(
            "{bad} answers had a status other than 2xx: ab does not count them as failed for that, \
             and they may be among the failed for their length"
        ));
    }
    if run.duration_s.is_some_and(|it| it <= SHORT_S) {
        run.warn("the run took a second or less, and ab counts whole milliseconds: it says little");
    }
}

#[cfg(test)]
mod tests {
    use crate::import::summaries::tests::{assert_expected, read};

    #[test]
    fn runs_pasted_one_after_the_other_are_apart() {
        let runs = assert_expected("ab.sample.txt", "ab");
        assert_eq!(runs[1].counts["connections"], 100);
        assert_eq!((runs[1].counts[super::NOT_2XX], runs[1].counts[super::LENGTH]), (205, 212));
        assert_eq!(runs[1].target.as_deref(), Some("shop.test/books"));
        assert!(runs[1].warnings.iter().any(|it| it.contains("another length")), "{runs:?}");
    }

    #[test]
    fn a_run_that_ab_gave_up_is_refused() {
        let text = "This is ApacheBench, Version 2.3\nBenchmarking shop.test (be patient)\n\
                    apr_socket_recv: Connection reset by peer (104)\n";
        let why = read(text).unwrap_err().to_string();
        assert!(why.contains("ab gave up") && why.contains("(104)"), "{why}");
    }
}
