//! Locust's history of statistics, `PREFIX_stats_history.csv`: counts since the start, a row or a
//! set of rows every second. What ended in an interval is the difference of two rows.

mod window;

use std::collections::BTreeMap;
use std::io::BufRead;

use self::window::Window;
use super::ImporterSpec;
use super::error::ImportError;
use super::requests::{ALL_REQUESTS, Ended, Interval, Requests};
use super::table::{Columns, Row, Style, each_row, first_cells, shown};
use crate::timeline::ResponseClass;

pub(super) static SPEC: ImporterSpec = ImporterSpec {
    name: "locust",
    summary: "Locust's history: locust --csv PREFIX; the file PREFIX_stats_history.csv",
    looks_like: |begin| first_cells(begin, ',').starts_with(&["Timestamp", "User Count", "Type"]),
    read,
};

/// Name of the row that sums up the others.
const ALL: &str = "Aggregated";
/// Columns of what there was since the start.
const REQUESTS: &str = "Total Request Count";
const FAILURES: &str = "Total Failure Count";
const MEAN: &str = "Total Average Response Time";
/// Seconds at the end without a request, from which on it is said: one may be the last interval's.
const DEAD_TAIL: i64 = 2;
/// Most names whose counts are kept.
const MOST_NAMES: usize = 10_000;

fn read(input: &mut dyn BufRead, requests: &mut Requests) -> Result<(), ImportError> {
    let begin = input.fill_buf().map_err(|source| ImportError::Unreadable { line: 1, source })?;
    Columns::of(first_cells(&String::from_utf8_lossy(begin), ','))
        .need(&[REQUESTS, FAILURES, MEAN])?;
    let style = Style { delimiter: b',', quotes: true };
    let mut history = History::default();
    let cut = each_row(input, &style, None, |row| history.take(row, requests))?;
    cut.into_iter().for_each(|note| requests.note(note));
    requests.note(match history.has_names {
        true => {
            "Locust gives the mean response time of an interval, and percentiles of about the last ten \
             seconds: times here spread as those do, around the mean of their second"
        }
        false => {
            "Locust gives the mean response time of an interval, and no percentile of it: each \
             request counts with the mean of its second, so percentiles here are those of means; run \
             it with `--csv-full-history`"
        }
    });
    requests.note(
        "Locust's history has no status codes: successes count as 200, failures as failed checks",
    );
    let last = history.times.map(|(_, last)| last).zip(history.last_progress);
    if let Some((last, progress)) = last.filter(|(last, progress)| last - progress >= DEAD_TAIL) {
        requests.note(format!(
            "no request ended in the last {} s of the file: the load was over, or the target hung",
            last - progress
        ));
    }
    if history.has_uneven_rows {
        requests.note("two rows are of one second, or the clock went back: they were added up");
    }
    Ok(())
}

/// Counts since the start.
#[derive(Clone, Copy, Default)]
struct Counts {
    requests: u64,
    failures: u64,
    /// Response times, all together, in seconds.
    seconds: f64,
}

/// What the rows so far said.
#[derive(Default)]
struct History {
    /// The second of the rows before these, and that of these.
    times: Option<(i64, i64)>,
    /// The last counts of each type and name.
    counts: BTreeMap<(String, String), Counts>,
    /// Whether there are rows other than those of all together.
    has_names: bool,
    has_uneven_rows: bool,
    /// Whether the last row was the one that ends a set.
    is_set_ended: bool,
    /// The second in which the counts last rose.
    last_progress: Option<i64>,
}

impl History {
    fn take(&mut self, row: &Row<'_>, requests: &mut Requests) -> Result<(), String> {
        if row.text("Timestamp") == "Timestamp" {
            return Ok(());
        }
        let at = row.number("Timestamp")?;
        requests.add_users(at, row.number("User Count")?)?;
        let now = Counts {
            requests: count(row, REQUESTS)?,
            failures: count(row, FAILURES)?,
            seconds: row.number(MEAN)? / 1e3 * row.number(REQUESTS)?,
        };
        let (kind, name) = (row.text("Type").into_owned(), row.text("Name").into_owned());
        let is_all = name == ALL && kind.is_empty();
        self.advance(at.floor() as i64);
        self.is_set_ended = is_all;
        self.has_names |= !is_all;
        if self.counts.len() >= MOST_NAMES
            && !self.counts.contains_key(&(kind.clone(), name.clone()))
        {
            return Err(format!("more than {MOST_NAMES} names"));
        }
        let endpoint = if is_all { ALL_REQUESTS.to_owned() } else { format!("{kind} {name}") };
        let before = self.counts.insert((kind, name), now).unwrap_or_default();
        if now.requests != before.requests {
            self.last_progress = self.times.map(|(_, until)| until);
        }
        match is_all && self.has_names {
            true => Ok(()),
            false => self.add(&endpoint, (before, now), &self.window(row), requests),
        }
    }

    /// The percentiles of a row. Those of a file without names are cumulative and say nothing of an
    /// interval.
    fn window(&self, row: &Row<'_>) -> Window {
        if self.has_names { Window::of(row) } else { Window::default() }
    }

    /// Goes on to the second of the next row. Rows of a second that is not later than the one before
    /// belong to the same interval: what they add ended in it, or just after it.
    fn advance(&mut self, now: i64) {
        match &mut self.times {
            None => self.times = Some((now - 1, now)),
            Some((from, until)) if now > *until => (*from, *until) = (*until, now),
            Some(_) => self.has_uneven_rows |= self.is_set_ended,
        }
    }

    fn add(
        &self,
        endpoint: &str,
        (before, now): (Counts, Counts),
        window: &Window,
        requests: &mut Requests,
    ) -> Result<(), String> {
        // `--reset-stats` begins to count anew once all users run.
        let before = if now.requests < before.requests { Counts::default() } else { before };
        let count = now.requests - before.requests;
        let failed = now.failures.saturating_sub(before.failures).min(count);
        if count == 0 {
            return Ok(());
        }
        let mean = ((now.seconds - before.seconds) / count as f64).max(0.0);
        let seconds = self.times.unwrap_or_default();
        let parts = [(count - failed, ResponseClass::Status(200)), (failed, ResponseClass::Check)];
        for (count, class) in parts.into_iter().filter(|(count, _)| *count > 0) {
            let Some(times) = window.times(count, mean) else {
                requests.add_interval(&Interval { seconds, endpoint, class, count, mean })?;
                continue;
            };
            // By Little's law (1961): in flight = completions per second times their mean time.
            let length = (seconds.1 - seconds.0).max(1) as f64;
            requests.add_sent(seconds, count, count)?;
            requests.add_in_flight(seconds, count as f64 * mean / length)?;
            requests.add_ended(&Ended { seconds, endpoint, class, times: &times, said: "" })?;
        }
        Ok(())
    }
}

fn count(row: &Row<'_>, column: &str) -> Result<u64, String> {
    let text = row.text(column);
    text.trim().parse().map_err(|_| format!("`{column}` is not a count: `{}`", shown(&text)))
}

#[cfg(test)]
mod tests {
    use crate::import::tests::{Read, refusal, sample};

    /// Requests that ended in each second, and their mean response time in milliseconds.
    fn seconds(read: &Read) -> Vec<(u64, f64)> {
        let ticks = read.recording.timeline.ticks.iter();
        let ended = ticks.map(|tick| {
            let times = tick.endpoints.iter().map(|it| &it.response_time);
            let sum: f64 = times.map(|it| it.mean().unwrap_or(0.0) * it.count() as f64).sum();
            (tick.completed(), 1e3 * sum / tick.completed().max(1) as f64)
        });
        ended.collect()
    }

    fn assert_seconds(read: &Read, expected: &[(u64, f64)]) {
        let seconds = seconds(read);
        assert_eq!(seconds.len(), expected.len(), "{seconds:?}");
        for (got, right) in seconds.iter().zip(expected) {
            let is_near = (got.1 - right.1).abs() <= 0.011 * right.1;
            assert!(got.0 == right.0 && is_near, "{got:?}, expected {right:?}");
        }
    }

    #[test]
    fn intervals_are_differences_of_rows() {
        let read = Read::told(&sample("locust-stats-history.sample.csv"));
        read.assert_counts(731, 82, &[("all requests", 731, 82)]);
        let expected = [
            (8, 21.0),
            (19, 24.5),
            (41, 25.0),
            (78, 31.0),
            (246, 165.236),
            // The row of one second is missing: its 124 requests ended in two.
            (61, 610.0),
            (63, 610.0),
            (118, 1400.5),
            (97, 2800.0),
        ];
        assert_seconds(&read, &expected);
        assert!(read.notes.contains("two rows are of one second"), "{}", read.notes);
        assert!(read.notes.contains("in the last 2 s of the file"), "{}", read.notes);
        assert!(read.recording.timeline.stages.iter().all(|stage| stage.is_closed()));
    }

    #[test]
    fn names_are_counted_and_their_sum_is_not() {
        let read = Read::told(&sample("locust-stats-history-full.sample.csv"));
        let names = [("GET /books", 440, 0), ("GET /books/[id]", 220, 0), ("POST /cart", 144, 6)];
        read.assert_counts(804, 6, &names);
        assert_eq!(
            seconds(&read).iter().map(|it| it.0).collect::<Vec<_>>(),
            [36, 55, 73, 91, 110, 128, 146, 165]
        );
        // The last row of `GET /books` has 95 % within 1.68 times its median.
        let last = &read.recording.timeline.ticks.last().unwrap().endpoints[0].response_time;
        let ratio = last.quantile(0.95).unwrap() / last.quantile(0.5).unwrap();
        assert!((1.5..1.9).contains(&ratio), "{ratio}");
        let read = Read::told(&sample("locust-stats-history-1x.sample.csv"));
        read.assert_counts(175, 1, &[("all requests", 175, 1)]);
    }

    #[test]
    fn a_run_without_a_request_is_refused() {
        let text = sample("locust-stats-history.sample.csv");
        let lines: Vec<_> = text.split_inclusive(|byte| *byte == b'\n').take(2).collect();
        assert_eq!(refusal(&lines.concat()), "the file holds no request");
    }

    #[test]
    fn a_history_without_its_counts_is_refused_once() {
        let text = "Timestamp,User Count,Type,Name,Requests/s,Failures/s,95%\n\
                    1781344800,10,,Aggregated,25,0.1,120\n1781344810,20,,Aggregated,50,0.2,220\n";
        let why = refusal(text.as_bytes());
        assert!(why.contains("there is no column `Total Request Count`"), "{why}");
        assert!(!why.contains("line 2"), "{why}");
    }
}
