//! JMeter's summariser, in `jmeter.log` or on standard output: a line for each interval, with its
//! counts and its mean, and a line for all up to then.

use std::io::BufRead;

use jiff::civil::DateTime;
use jiff::tz::Offset;

use super::ImporterSpec;
use super::error::ImportError;
use super::lines::each_line;
use super::requests::{ALL_REQUESTS, Interval, Requests};
use super::table::{number, shown};
use crate::timeline::ResponseClass;

pub(super) static SPEC: ImporterSpec = ImporterSpec {
    name: "jmeter-summariser",
    summary: "the lines of JMeter's summariser in jmeter.log",
    looks_like: |begin| begin.lines().any(|line| sum(line).is_some()),
    read,
};

/// Words before the sign and the count of an interval, in the versions of JMeter.
const NAMES: &[&str] = &["summary", "Generate Summary Results"];

/// One line of the summariser.
struct Sum<'l> {
    /// What stands before it: date and time, where it is of a log.
    stamp: &'l str,
    /// Whether it is one of an interval and not of all up to then.
    is_interval: bool,
    /// From the count on.
    rest: &'l str,
}

/// Reads `… summary +    400 in 00:00:30 =   13.3/s Avg: …`.
fn sum(line: &str) -> Option<Sum<'_>> {
    NAMES.iter().find_map(|name| {
        let (stamp, after) = line.split_once(name)?;
        let after = after.trim_start();
        let is_interval = after.starts_with('+');
        let rest = after.strip_prefix(['+', '='])?.trim_start();
        let is_sum = rest.contains(" in ") && rest.contains("/s") && rest.contains("Avg:");
        is_sum.then_some(Sum { stamp, is_interval, rest })
    })
}

/// What the lines came to.
#[derive(Default)]
struct Sums {
    /// The end of the last interval, where lines have no time of their own.
    clock: i64,
    has_stamps: bool,
    /// Requests of the intervals, and of the last line of all.
    intervals: u64,
    all: u64,
    /// Shortest and longest response time in milliseconds.
    extremes: Option<(f64, f64)>,
    longest: i64,
}

fn read(input: &mut dyn BufRead, requests: &mut Requests) -> Result<(), ImportError> {
    let mut sums = Sums::default();
    let cut = each_line(input, |line| match sum(line) {
        Some(sum) => sums.take(&sum, requests),
        // A log has other lines too.
        None => Ok(()),
    })?;
    cut.into_iter().for_each(|note| requests.note(note));
    requests.set_grain(usize::try_from(sums.longest).unwrap_or(0));
    requests.note(
        "JMeter's summariser gives the mean response time of an interval and no percentile: each \
         request counts with that mean, and the requests are spread evenly over the interval. \
         Percentiles here are those of means; import the JTL for real ones",
    );
    requests.note(
        "JMeter's summariser has no status codes and no names: successes count as 200, failures as \
         failed checks",
    );
    if let Some((shortest, longest)) = sums.extremes {
        requests.note(format!(
            "the shortest response time was {shortest} ms and the longest {longest} ms"
        ));
    }
    match sums.has_stamps {
        true => requests.note("the log's times have no zone: they are taken as UTC"),
        false => requests.note("the lines have no times: they count from the begin of the run"),
    }
    if sums.all > 0 && sums.all != sums.intervals {
        requests.note(format!(
            "the intervals have {} requests, and the line of all has {}: lines are missing",
            sums.intervals, sums.all
        ));
    }
    Ok(())
}

impl Sums {
    fn take(&mut self, sum: &Sum<'_>, requests: &mut Requests) -> Result<(), String> {
        let (count, rest) = sum.rest.split_once(" in ").unwrap_or((sum.rest, ""));
        let count: u64 =
            count.trim().parse().map_err(|_| format!("`{}` is not a count", shown(count)))?;
        if !sum.is_interval {
            self.all = count;
            return Ok(());
        }
        let (took, _) = rest.split_once('=').unwrap_or((rest, ""));
        let took = seconds(took.trim())?;
        let end = match stamp(sum.stamp) {
            Some(end) => {
                self.has_stamps = true;
                end
            }
            None => self.clock.saturating_add(took),
        };
        let field = |name: &str| {
            let (_, value) = rest.split_once(name)?;
            value.split_whitespace().next()
        };
        let millis = |name: &str| number(field(name).unwrap_or_default(), name);
        let failed: u64 = field("Err:").and_then(|it| it.parse().ok()).unwrap_or(0);
        let (mean, shortest, longest) = (millis("Avg:")?, millis("Min:")?, millis("Max:")?);
        // Whole seconds of neighbouring intervals would overlap.
        let seconds = (end.saturating_sub(took.max(1)).max(self.clock.min(end - 1)), end);
        let parts = [
            (count.saturating_sub(failed), ResponseClass::Status(200)),
            (failed.min(count), ResponseClass::Check),
        ];
        for (count, class) in parts.into_iter().filter(|(count, _)| *count > 0) {
            let (endpoint, mean) = (ALL_REQUESTS, mean / 1e3);
            requests.add_interval(&Interval { seconds, endpoint, class, count, mean })?;
        }
        if let Some(users) = field("Active:").and_then(|it| it.parse().ok()) {
            requests.add_users(seconds.0 as f64, users)?;
        }
        self.clock = end;
        self.intervals = self.intervals.saturating_add(count);
        self.longest = self.longest.max(took);
        let (low, high) = self.extremes.unwrap_or((shortest, longest));
        self.extremes = Some((low.min(shortest), high.max(longest)));
        Ok(())
    }
}

/// The second of the time at the begin of a log's line, such as `2026-05-04 09:05:30,001` or, up to
/// JMeter 3.1, `2026/05/04 09:05:30`.
fn stamp(text: &str) -> Option<i64> {
    let text = text.get(..19)?.replace('/', "-");
    let time: DateTime = text.parse().ok()?;
    Offset::UTC.to_timestamp(time).ok().map(|time| time.as_second())
}

/// Seconds of `00:00:30` or, in older versions, `30s`; fractions are left out.
fn seconds(text: &str) -> Result<i64, String> {
    let not_a_time = || format!("`{}` is not a time: expected `00:00:30` or `30s`", shown(text));
    let whole = |part: &str| part.split('.').next().unwrap_or_default().parse::<u32>().ok();
    let parts: Option<Vec<u32>> = text.trim_end_matches('s').split(':').map(whole).collect();
    let parts = parts.filter(|parts| parts.len() <= 3).ok_or_else(not_a_time)?;
    Ok(parts.into_iter().fold(0_i64, |sum, part| sum.saturating_mul(60) + i64::from(part)))
}

#[cfg(test)]
mod tests {
    use crate::import::tests::{Read, sample};

    #[test]
    fn lines_with_a_plus_are_intervals_and_those_with_an_equals_sign_their_sum() {
        let read = Read::told(&sample("jmeter-aggregate-summariser.sample.log"));
        read.assert_counts(1610, 107, &[("all requests", 1610, 107)]);
        let times = read.recording.timeline.ticks.iter().flat_map(|tick| &tick.endpoints);
        let sum: f64 = times.map(|it| it.response_time.sum()).sum();
        assert!((sum / 1610.0 - 0.120).abs() < 0.001, "{sum}");
        assert!(read.notes.contains("no percentile"), "{}", read.notes);
        assert!(read.notes.contains("9 ms and the longest 5004 ms"), "{}", read.notes);
        assert_eq!(read.recording.environment.started_unix, 1_777_885_500.0);
        assert_eq!(read.recording.plan.max_vus, 25);
    }

    #[test]
    fn older_versions_write_otherwise_and_missing_lines_are_said() {
        let text = "Generate Summary Results + 120 in 30s = 4.0/s Avg: 35 Min: 9 Max: 210 Err: 2 \
                    (1.67%)\nGenerate Summary Results = 150 in 60s = 2.5/s Avg: 35 Min: 9 Max: 210 \
                    Err: 2 (1.3%)\n";
        let read = Read::told(text.as_bytes());
        read.assert_counts(120, 2, &[]);
        assert!(read.notes.contains("the line of all has 150"), "{}", read.notes);
        assert!(read.notes.contains("the lines have no times"), "{}", read.notes);
    }
}
