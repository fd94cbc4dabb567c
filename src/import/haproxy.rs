//! HAProxy's log of HTTP requests (`option httplog`), as syslog writes it or without its prefix.
//! Times are those of the start, local and without a zone.

use std::sync::LazyLock;

use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use regex::Regex;

use super::ImporterSpec;
use super::server_log::{Served, ServerLog, each_entry, status};
use crate::access_log::{Stamp, method_and_target};

pub(super) static SPEC: ImporterSpec = ImporterSpec {
    name: "haproxy",
    summary: "HAProxy's log with `option httplog`",
    looks_like: |begin| begin.lines().take(LINES_OF_BEGIN).any(|line| FORM.is_match(line)),
    read: |input, requests| {
        let mut seen = Seen::default();
        each_entry(input, requests, EXPECTED, |line, log| take(line, &mut seen, log))?;
        requests.note("times are local and have no zone: they were read as UTC");
        if seen.queued > 0 {
            requests.note(format!(
                "{} requests waited in HAProxy's queue, at most {} ms: the server's `maxconn` is \
                 a limit; {} of them were not sent to a server",
                seen.queued, seen.longest, seen.never_left
            ));
        }
        Ok(())
    },
};

/// Lines at the begin of a file among which one is a request.
const LINES_OF_BEGIN: usize = 20;
const EXPECTED: &str = "`client:port [04/May/2026:09:20:00.000] frontend backend/server \
                        0/0/1/9/10 200 512 - - ---- 3/2/1/0/0 0/0 \"GET / HTTP/1.1\"`";

static FORM: LazyLock<Regex> = LazyLock::new(|| {
    // The timers are TR/Tw/Tc/Tr/Ta; a `+` marks what was logged early.
    let form = r#"^(?:.* )?\S+ \[(?<time>[0-9]{2}/[A-Z][a-z]{2}/[0-9]{4}:[0-9:]{8}\.[0-9]{3})\] \S+ [^ /]+/\S+ -?[0-9]+/(?<queue>-?[0-9]+)/(?<connect>-?[0-9]+)/-?[0-9]+/\+?(?<total>[0-9]+) (?<status>-?[0-9]{1,3}) \+?[0-9]+ \S+ \S+ (?<end>\S{4}) \S+ \S+ (?:\{.*\} )?"(?<request>[^"]*)"?"#;
    // Checked by every test of this format.
    Regex::new(form).unwrap_or_else(|why| unreachable!("{why}"))
});

/// What is told of the queue at the end.
#[derive(Default)]
struct Seen {
    queued: u64,
    /// Milliseconds of the longest wait.
    longest: i64,
    never_left: u64,
}

fn take(line: &str, seen: &mut Seen, log: &mut ServerLog<'_>) -> Result<(), String> {
    let found = FORM.captures(line).ok_or("not a line of an HTTP request")?;
    let part = |name| found.name(name).map_or("", |part| part.as_str());
    let number = |name| part(name).parse::<i64>().map_err(|_| format!("`{name}` is too large"));
    let (queue, connect, total) = (number("queue")?, number("connect")?, number("total")?);
    let at = DateTime::strptime("%d/%b/%Y:%H:%M:%S%.f", part("time"))
        .and_then(|time| time.to_zoned(TimeZone::UTC))
        .map_err(|_| "its time is not in any calendar")?;
    let end = part("end");
    log.add(Served {
        at: at.timestamp().as_nanosecond() as f64 / 1e9,
        stamp: Stamp::Start,
        is_whole_second: false,
        took: total as f64 / 1e3,
        request: method_and_target(part("request")),
        status: status(part("status"))?,
        said: said(end),
    })?;
    if queue > 0 {
        seen.queued += 1;
        seen.longest = seen.longest.max(queue);
        seen.never_left += u64::from(connect < 0);
    }
    Ok(())
}

/// What the first two letters of the state at the end say (HAProxy's manual, "Session state at
/// disconnection").
fn said(end: &str) -> String {
    let mut letters = end.chars();
    let who = match letters.next() {
        Some('C') => "the client closed the connection",
        Some('c') => "the client's timeout expired",
        Some('S') => "the server closed or refused the connection",
        Some('s') => "the server's timeout expired",
        Some('R') => "HAProxy had no resource left",
        Some('P') => "HAProxy rejected or ended the request",
        Some('I') => "HAProxy found an internal error",
        Some('K') => "an administrator ended the session",
        _ => return String::new(),
    };
    let place = match letters.next() {
        Some('R') => " before the whole request had arrived",
        Some('Q') => " while the request was in the queue",
        Some('C') => " while HAProxy connected to the server",
        Some('H') => " before the headers of the response",
        Some('D') => " during the transfer",
        _ => "",
    };
    format!("{end}: {who}{place}")
}

#[cfg(test)]
mod tests {
    use crate::import::tests::{Read, sample};

    #[test]
    fn timers_states_and_queues_are_read() {
        let read = Read::told(&sample("accesslog-haproxy.sample.log"));
        let requests =
            [("GET /books", 5), ("GET /books/17", 5), ("GET /books/18", 5), ("POST /cart", 5)];
        read.assert_served(&requests, &[("200", 16), ("404", 1), ("reset", 1), ("503", 2)]);
        read.assert_ms(0.5, 35.0);
        for words in ["2 requests waited in HAProxy's queue, at most 67 ms", "1 of 21 lines"] {
            assert!(read.notes.contains(words), "{}", read.notes);
        }
        let said = read.said();
        assert!(said.iter().any(|(said, count)| said.starts_with("sQ--: ") && *count == 2));
        assert!(said.iter().any(|(said, count)| said.starts_with("CD--: ") && *count == 1));
    }
}
