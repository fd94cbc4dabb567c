//! Traefik's access log as JSON, one object a line. Times are those of the start, durations are
//! nanoseconds.

use std::borrow::Cow;

use jiff::Timestamp;
use serde::Deserialize;

use super::ImporterSpec;
use super::server_log::{Served, ServerLog, each_entry};
use crate::access_log::Stamp;

pub(super) static SPEC: ImporterSpec = ImporterSpec {
    name: "traefik",
    summary: "Traefik's access log as JSON: `format: json` in `accessLog`",
    looks_like: |begin| {
        let mut lines = begin.lines().take(LINES_OF_BEGIN);
        lines.any(|line| serde_json::from_str::<Entry<'_>>(line).is_ok())
    },
    read: |input, requests| {
        let mut seen = Seen::default();
        each_entry(input, requests, EXPECTED, |line, log| take(line, &mut seen, log))?;
        if seen.differ > 0 {
            requests.note(format!(
                "{} answers have a status that is not the backend's: Traefik or a middleware \
                 changed it, or there was no answer",
                seen.differ
            ));
        }
        if seen.retried > 0 {
            requests.note(format!(
                "Traefik sent {} requests more than once to its backends",
                seen.retried
            ));
        }
        Ok(())
    },
};

/// Lines at the begin of a file among which one is a request.
const LINES_OF_BEGIN: usize = 20;
const EXPECTED: &str = "an object with `StartUTC`, `Duration` and `DownstreamStatus`";

/// What is of interest of a line; the rest may hold headers.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Entry<'t> {
    #[serde(default, rename = "StartUTC")]
    start_utc: Option<Timestamp>,
    #[serde(default)]
    start_local: Option<Timestamp>,
    duration: u64,
    downstream_status: u16,
    #[serde(default)]
    origin_status: Option<u16>,
    #[serde(default)]
    retry_attempts: u64,
    #[serde(borrow, default)]
    request_method: Cow<'t, str>,
    #[serde(borrow, default)]
    request_path: Cow<'t, str>,
}

/// What is told at the end.
#[derive(Default)]
struct Seen {
    differ: u64,
    retried: u64,
}

fn take(line: &str, seen: &mut Seen, log: &mut ServerLog<'_>) -> Result<(), String> {
    let entry: Entry<'_> = serde_json::from_str(line).map_err(|_| "not a record of a request")?;
    let start = entry.start_utc.or(entry.start_local).ok_or("there is no `StartUTC`")?;
    let path = if entry.request_path.is_empty() { "(no path)" } else { &*entry.request_path };
    log.add(Served {
        at: start.as_nanosecond() as f64 / 1e9,
        stamp: Stamp::Start,
        is_whole_second: false,
        took: entry.duration as f64 / 1e9,
        request: Some((&*entry.request_method, path)),
        status: entry.downstream_status,
        said: String::new(),
    })?;
    seen.differ += u64::from(entry.origin_status.is_some_and(|it| it != entry.downstream_status));
    seen.retried += u64::from(entry.retry_attempts > 0);
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::import::tests::{Read, sample};

    #[test]
    fn records_of_requests_are_read_and_others_are_not() {
        let read = Read::told(&sample("accesslog-traefik-json.sample.log"));
        let requests =
            [("GET /books", 5), ("GET /books/17", 5), ("GET /books/18", 5), ("POST /cart", 5)];
        read.assert_served(&requests, &[("200", 16), ("404", 1), ("499", 1), ("503", 2)]);
        read.assert_ms(0.5, 35.0);
        for words in ["1 of 21 lines are not requests", "2 answers have a status"] {
            assert!(read.notes.contains(words), "{}", read.notes);
        }
    }
}
