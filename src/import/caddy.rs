//! Caddy's access log: one JSON object a line, or one behind the time and the level (its console
//! format). Times are those of the end.

use std::borrow::Cow;

use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;

use super::ImporterSpec;
use super::server_log::{Served, ServerLog, each_entry};
use crate::access_log::{self, Stamp};

pub(super) static SPEC: ImporterSpec = ImporterSpec {
    name: "caddy",
    summary: "Caddy's access log (`log` in the Caddyfile)",
    looks_like: |begin| {
        let mut jsons = begin.lines().take(LINES_OF_BEGIN).filter_map(json_of);
        jsons.any(|json| serde_json::from_str::<Entry<'_>>(json).is_ok())
    },
    read: |input, requests| {
        let mut has_local_times = false;
        each_entry(input, requests, EXPECTED, |line, log| take(line, &mut has_local_times, log))?;
        if has_local_times {
            requests.note("times are local and have no zone: they were read as UTC");
        }
        Ok(())
    },
};

/// Lines at the begin of a file among which one is a request.
const LINES_OF_BEGIN: usize = 20;
const EXPECTED: &str = "an object with `request`, `status`, `duration` and `ts`";

/// What is of interest of a line; the rest may hold cookies and tokens.
#[derive(Deserialize)]
struct Entry<'t> {
    #[serde(borrow)]
    request: Asked<'t>,
    duration: Value<'t>,
    #[serde(default)]
    status: u16,
    #[serde(default)]
    ts: Option<Value<'t>>,
}

#[derive(Deserialize)]
struct Asked<'t> {
    #[serde(borrow)]
    method: Cow<'t, str>,
    #[serde(borrow)]
    uri: Cow<'t, str>,
}

/// A number, or a text in the format that a setting asks for.
#[derive(Deserialize)]
#[serde(untagged)]
enum Value<'t> {
    Number(f64),
    Text(#[serde(borrow)] Cow<'t, str>),
}

/// Where the object of a line begins: at once, or behind the time, the level and the logger.
fn json_of(line: &str) -> Option<&str> {
    line.find('{').map(|begin| &line[begin..])
}

fn take(line: &str, has_local_times: &mut bool, log: &mut ServerLog<'_>) -> Result<(), String> {
    let json = json_of(line).ok_or("not an object")?;
    let entry: Entry<'_> =
        serde_json::from_str(json).map_err(|_| "not a record of a handled request")?;
    let took = match &entry.duration {
        Value::Number(seconds) => *seconds,
        Value::Text(text) => text
            .parse::<SignedDuration>()
            .map(|it| it.as_secs_f64())
            .map_err(|_| "`duration` is not a duration such as 21.5ms")?,
    };
    let at = match &entry.ts {
        Some(Value::Number(seconds)) => *seconds,
        Some(Value::Text(text)) => time(text).ok_or("`ts` is not a time")?,
        None => {
            let begin = &line[..line.len() - json.len()];
            *has_local_times = true;
            console_time(begin).ok_or("there is no time before the object")?
        }
    };
    log.add(Served {
        at,
        stamp: Stamp::End,
        is_whole_second: false,
        took,
        request: Some((&*entry.request.method, &*entry.request.uri)),
        status: entry.status,
        said: String::new(),
    })
}

/// ISO 8601, or the time of the common log.
fn time(text: &str) -> Option<f64> {
    access_log::time(text).map(|time: Timestamp| time.as_nanosecond() as f64 / 1e9)
}

/// `2026/05/04 09:20:01.630`.
fn console_time(begin: &str) -> Option<f64> {
    let mut words = begin.split_whitespace();
    let text = format!("{} {}", words.next()?, words.next()?);
    let local = DateTime::strptime("%Y/%m/%d %H:%M:%S%.f", text).ok()?;
    Some(local.to_zoned(TimeZone::UTC).ok()?.timestamp().as_nanosecond() as f64 / 1e9)
}

#[cfg(test)]
mod tests {
    use crate::import::tests::{Read, sample};

    const REQUESTS: [(&str, u64); 4] =
        [("GET /books", 5), ("GET /books/17", 5), ("GET /books/18", 5), ("POST /cart", 5)];

    #[test]
    fn times_and_durations_of_all_settings_are_read() {
        let read = Read::told(&sample("accesslog-caddy.sample.log"));
        let classes = [("200", 15), ("404", 1), ("499", 1), ("503", 2), ("reset", 1)];
        read.assert_served(&REQUESTS, &classes);
        read.assert_ms(0.5, 35.0);
        assert!(read.notes.contains("1 of 21 lines are not requests"), "{}", read.notes);
    }

    #[test]
    fn the_console_format_has_its_time_before_the_object() {
        let line = |second: u32| {
            format!(
                "2026/05/04 09:20:{second:02}.630\tINFO\thttp.log.access\thandled request\t\
                 {{\"request\": {{\"method\": \"GET\", \"uri\": \"/a?token=hush\"}}, \"status\": 200, \
                 \"duration\": 0.0215}}\n"
            )
        };
        let read = Read::told((0..9).map(line).collect::<String>().as_bytes());
        read.assert_served(&[("GET /a", 9)], &[("200", 9)]);
        read.assert_ms(0.5, 21.5);
        assert!(read.notes.contains("read as UTC"), "{}", read.notes);
    }
}
