//! k6's results as `k6 run --out csv=FILE` writes them: one row a sample of a metric, of which
//! those of `http_req_duration` are requests. Their time is that of the response's end.

use jiff::Timestamp;

use super::ImporterSpec;
use super::error::ImportError;
use super::k6::{Tags, is_read, take_sample};
use super::requests::Requests;
use super::table::{Row, Style, each_row, first_cells, number, shown};

pub(super) static SPEC: ImporterSpec = ImporterSpec {
    name: "k6-csv",
    summary: "k6 results as CSV: k6 run --out csv=FILE script.js",
    looks_like: |begin| {
        first_cells(begin, ',').starts_with(&["metric_name", "timestamp", "metric_value"])
    },
    read,
};

/// Most digits of a Unix time in seconds, in milliseconds and in microseconds; k6 has a setting.
const SECOND_DIGITS: usize = 11;
const MILLI_DIGITS: usize = 14;
const MICRO_DIGITS: usize = 17;

fn read(input: &mut dyn std::io::BufRead, requests: &mut Requests) -> Result<(), ImportError> {
    let style = Style { delimiter: b',', quotes: true };
    let cut = each_row(input, &style, None, |row| take(row, requests))?;
    cut.into_iter().for_each(|note| requests.note(note));
    Ok(())
}

fn take(row: &Row<'_>, requests: &mut Requests) -> Result<(), String> {
    let metric = row.text("metric_name");
    // A further run that was appended brings its header again.
    if !is_read(&metric) || metric == "metric_name" {
        return Ok(());
    }
    let text = |column| row.text(column).into_owned();
    let tags = Tags {
        method: text("method"),
        name: [text("name"), text("url")].into_iter().find(|it| !it.is_empty()).unwrap_or_default(),
        status: text("status"),
        error: text("error"),
        error_code: text("error_code"),
        expected_response: text("expected_response"),
    };
    let stamp = row.text("timestamp");
    if is_whole_seconds(&stamp) && metric == "http_req_duration" {
        requests.note(
            "times are whole seconds: the order of requests and those in flight within a second \
             are not known; set `K6_CSV_TIME_FORMAT=unix_milli`",
        );
    }
    take_sample(&metric, time(&stamp)?, row.number("metric_value")?, &tags, requests)
}

fn is_whole_seconds(stamp: &str) -> bool {
    stamp.len() <= SECOND_DIGITS && stamp.bytes().all(|byte| byte.is_ascii_digit())
}

/// Seconds since 1970 of a time in one of k6's formats, told by its length.
fn time(stamp: &str) -> Result<f64, String> {
    if stamp.contains('T') {
        let time: Timestamp =
            stamp.parse().map_err(|error| format!("`{}`: {error}", shown(stamp)))?;
        return Ok(time.as_nanosecond() as f64 / 1e9);
    }
    let unit = match stamp.len() {
        length if length <= SECOND_DIGITS => 1.0,
        length if length <= MILLI_DIGITS => 1e3,
        length if length <= MICRO_DIGITS => 1e6,
        _ => 1e9,
    };
    Ok(number(stamp, "timestamp")? / unit)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::import::tests::{Read, sample};

    #[test]
    fn samples_are_read_as_their_columns_say() {
        let read = Read::told(&sample("k6-csv.sample.csv"));
        read.assert_counts(3, 2, &[("GET /books", 1, 0), ("POST /cart", 1, 1)]);
        assert!(read.notes.contains("whole seconds"), "{}", read.notes);
        assert!((read.recording.plan.max_vus as f64 - 2.0).abs() <= 1.0);
        let read = Read::told(&sample("k6-csv-nano.sample.csv"));
        read.assert_counts(16, 2, &[("GET /books", 8, 0), ("GET book page", 8, 2)]);
        read.assert_ms(0.5, 54.174);
        assert!(read.notes.contains("2 answers have the status 429"), "{}", read.notes);
    }

    #[test]
    fn times_are_told_by_their_length() {
        for stamp in ["1777885201", "1777885201000", "1777885201000000", "1777885201000000000"] {
            assert!((time(stamp).unwrap() - 1_777_885_201.0).abs() < 1e-3, "{stamp}");
        }
        assert!(time("2026-05-04T09:00:01Z").unwrap() > 1.7e9);
        assert!(time("yesterday").is_err());
    }
}
