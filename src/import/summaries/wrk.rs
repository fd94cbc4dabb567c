//! wrk's and wrk2's summaries, as they print them.

use super::summary::Summary;
use super::text::{after, count, each_line, number, seconds};
use super::{NOTHING_WITH_TIMES, SummarySpec};
use crate::import::error::ImportError;

pub(super) static SPEC: SummarySpec = SummarySpec {
    name: "wrk",
    summary: "the summary of wrk or wrk2: wrk --latency http://…",
    instead: NOTHING_WITH_TIMES,
    // The first line alone would be autocannon's too; it may be missing where a report was copied.
    looks_like: |begin| begin.lines().any(|line| connections(line).is_some()),
    read,
};

/// Requests divided by seconds and the rate in the file may differ by this share: the duration has
/// two decimals of its unit.
const SAME_RATE: f64 = 0.02;

/// The report of one run while it is read.
#[derive(Default)]
struct Run {
    summary: Summary,
    /// Whether it is wrk2's, which sends by a schedule.
    is_wrk2: bool,
    /// Whether the rows of percentiles belong to the distribution that counts.
    is_recorded: bool,
    /// Requests whose times are in wrk2's percentiles.
    timed: Option<u64>,
}

fn read(text: &str) -> Result<Vec<Summary>, ImportError> {
    let mut runs: Vec<Run> = Vec::new();
    each_line(text, |line| {
        if let Some(url) = target(line) {
            let mut run = Run::default();
            run.summary.target(url);
            runs.push(run);
            return Ok(());
        }
        let is_begun = runs.last().is_some_and(|run| !run.summary.counts.contains_key("threads"));
        if connections(line).is_some() && !is_begun {
            runs.push(Run::default());
        }
        runs.last_mut().map_or(Ok(()), |run| run.take(line))
    })?;
    runs.retain(|run| run.summary.requests.is_some());
    Ok(runs.into_iter().map(Run::into_summary).collect())
}

/// The URL of `Running 30s test @ URL`.
fn target(line: &str) -> Option<&str> {
    let (duration, url) = after(line, "Running ")?.split_once(" test @ ")?;
    seconds(duration).is_ok().then_some(url)
}

/// The numbers of `2 threads and 40 connections`, as texts.
fn connections(line: &str) -> Option<(&str, &str)> {
    let (threads, connections) = line.split_once(" threads and ")?;
    let connections = connections.trim_end().strip_suffix(" connections")?;
    count(threads).is_ok().then_some((threads, connections))
}

impl Run {
    fn take(&mut self, line: &str) -> Result<(), String> {
        let run = &mut self.summary;
        if let Some((threads, connections)) = connections(line) {
            run.count("threads", Some(count(threads)?));
            run.count("connections", Some(count(connections)?));
        } else if after(line, "Thread calibration:").is_some() {
            self.is_wrk2 = true;
        } else if let Some(rest) = after(line, "Latency Distribution") {
            self.is_wrk2 |= rest.contains("HdrHistogram");
            self.is_recorded = !rest.contains("Uncorrected");
        } else if let Some(rest) = after(line, "Latency ") {
            let cells: Vec<_> = rest.split_whitespace().collect();
            // Where every request timed out, wrk has no response time and writes 0.
            if cells.last().is_none_or(|share| !share.contains("nan")) {
                run.response_times.mean_s = cells.first().copied().map(seconds).transpose()?;
                run.response_times.max_s = cells.get(2).copied().map(seconds).transpose()?;
            }
        } else if let Some((percent, took)) = line.trim().split_once('%')
            && let (true, Ok(percent), Ok(took)) =
                (self.is_recorded, number(percent), seconds(took))
        {
            run.response_times.add(percent, took);
        } else if let Some((requests, rest)) = line.split_once(" requests in ") {
            let (took, _) = rest.split_once(',').unwrap_or((rest, ""));
            (run.requests, run.duration_s) = (Some(count(requests)?), Some(seconds(took)?));
        } else if let Some(rest) = after(line, "Socket errors:") {
            self.socket_errors(rest)?;
        } else if let Some(rest) = after(line, "Non-2xx or 3xx responses:") {
            run.count("answers of status 400 and above", Some(count(rest)?));
        } else if let Some(rest) = after(line, "Requests/sec:") {
            run.requests_per_s = Some(number(rest)?);
        } else if let Some((_, timed)) = line.split_once("Total count")
            && self.is_recorded
        {
            let timed = timed.trim_matches(|char: char| !char.is_ascii_digit());
            self.timed = Some(self.timed.unwrap_or(count(timed)?));
        }
        Ok(())
    }

    /// `connect 0, read 3, write 0, timeout 41`.
    fn socket_errors(&mut self, rest: &str) -> Result<(), String> {
        let mut unanswered = 0_u64;
        for part in rest.split(',') {
            let (kind, times) = part.trim().split_once(' ').unwrap_or((part, ""));
            let times = count(times)?;
            unanswered = unanswered.saturating_add(times);
            if times > 0 {
                self.summary.error(&format!("socket error: {kind}"), Some(times));
            }
        }
        self.summary.unanswered = Some(unanswered);
        Ok(())
    }

    fn into_summary(self) -> Summary {
        let mut run = self.summary;
        let bad = run.counts.get("answers of status 400 and above").copied().unwrap_or(0);
        run.failures = Some(bad.saturating_add(run.unanswered.unwrap_or(0)));
        run.response_times.with_failures = true;
        let requests = run.requests.unwrap_or(0);
        if requests == 0 {
            run.response_times = Default::default();
        }
        if self.is_wrk2 {
            run.warn(
                "wrk2 counts response times from the scheduled time: above capacity they hold the \
                 queue inside wrk2, which grows as long as the run goes on",
            );
            if let Some(left) = self.timed.and_then(|timed| requests.checked_sub(timed)) {
                run.warn(format!(
                    "{left} requests of the first seconds (calibration) are counted and are in no \
                     percentile"
                ));
            }
        } else {
            run.warn_closed_loop();
        }
        let rate = run.duration_s.filter(|it| *it > 0.0).map(|it| requests as f64 / it);
        if let Some((counted, said)) = rate.zip(run.requests_per_s)
            && (counted - said).abs() > SAME_RATE * counted
        {
            run.warn(format!(
                "{requests} requests in {:.2} s are {counted:.1} per second, and the file says \
                 {said}: it may have been edited",
                run.duration_s.unwrap_or(0.0)
            ));
        }
        run
    }
}

#[cfg(test)]
mod tests {
    use crate::import::summaries::tests::{assert_expected, read};

    #[test]
    fn runs_are_apart_and_time_outs_are_in_no_percentile() {
        let runs = assert_expected("wrk.sample.txt", "wrk");
        assert_eq!((runs[0].failures, runs[0].unanswered), (Some(264), Some(44)));
        assert!(
            runs[0].errors.iter().any(|it| it.text.ends_with("timeout") && it.count == Some(41))
        );
        assert_eq!(runs[0].target.as_deref(), Some("http://shop.test/books"));
        assert!(runs[1].warnings.iter().any(|it| it.contains("closed loop")));
        assert!(!runs.iter().flat_map(|run| &run.warnings).any(|it| it.contains("edited")));
    }

    #[test]
    fn wrk2_sends_by_a_schedule() {
        let runs = assert_expected("wrk2.sample.txt", "wrk2");
        assert!(runs[0].warnings.iter().any(|it| it.starts_with("8022 requests")), "{runs:?}");
        assert!(!runs[0].warnings.iter().any(|it| it.contains("closed loop")));
    }

    #[test]
    fn a_report_without_its_first_line_is_read_too() {
        let report = "  20 threads and 400 connections\n  Thread Stats   Avg      Stdev     Max   +/- Stdev\n    \
                      Latency     0.00us    0.00us   0.00us     nan%\n    Req/Sec    10.67     24.25   \
                      100.00     87.22%\n  462 requests in 30.03s, 159.71KB read\n  Socket errors: \
                      connect 0, read 0, write 0, timeout 462\n";
        let runs = read(&report.repeat(2)).unwrap();
        assert_eq!((runs.len(), runs[1].requests, runs[1].unanswered), (2, Some(462), Some(462)));
        assert_eq!(runs[0].response_times.mean_s, None, "none was measured");
    }

    #[test]
    fn a_run_without_its_end_is_not_one() {
        let why = read("Running 30s test @ http://a.test/\n  2 threads and 4 connections\n");
        assert_eq!(why.unwrap_err().to_string(), "the file holds no request");
    }
}
