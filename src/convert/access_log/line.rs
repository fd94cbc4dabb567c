//! One line of an access log.

use jiff::Timestamp;
use jiff::fmt::strtime;
use regex::Regex;

/// A request as a server wrote it down.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Line<'t> {
    /// Second since 1970 (UTC) that the line names: in nginx that of the response's end, in
    /// Apache that of the request.
    pub(super) second: i64,
    pub(super) method: &'t str,
    /// Path and query as they were sent.
    pub(super) target: &'t str,
    pub(super) status: u16,
    /// Seconds that the request took, where the line ends with it.
    pub(super) took: Option<f64>,
}

/// Reads lines.
pub(super) struct Lines(Regex);

impl Lines {
    pub(super) fn new() -> Self {
        // Anything may stand before the time: Apache's `vhost_combined` begins with the server.
        // Behind the size stand referrer and browser, and whatever the server's owner added.
        let form = r#"^\S+ .*?\[(?<time>[^\]]{1,40})\] "(?<method>[A-Za-z]+) (?<target>\S+)(?: HTTP/[0-9.]+)?" (?<status>[0-9]{3}) (?:[0-9]+|-)(?<rest> .*)?$"#;
        // Checked by every test of this room.
        Self(Regex::new(form).unwrap_or_else(|why| unreachable!("{why}")))
    }

    /// The request in a line; `None` where there is none.
    pub(super) fn read<'t>(&self, text: &'t str) -> Option<Line<'t>> {
        let found = self.0.captures(text)?;
        let part = |name| found.name(name).map_or("", |part| part.as_str());
        let rest = part("rest");
        // With a point, as nginx writes seconds; a whole number may be a size or Apache's
        // microseconds.
        let last = rest.rsplit(' ').next().map(|last| last.trim_matches('"'));
        let took = last.filter(|last| last.contains('.') && last.len() < 16);
        let took = took.and_then(|last| last.parse::<f64>().ok());
        let method = found.name("method")?.as_str();
        let target = found.name("target")?.as_str();
        Some(Line {
            second: second(part("time"))?,
            method,
            target,
            status: part("status").parse().ok()?,
            took: took.filter(|took| (0.0..86_400.0).contains(took)),
        })
    }
}

/// `10/Oct/2026:13:55:36 +0000`, or ISO 8601 as nginx's `$time_iso8601`.
fn second(text: &str) -> Option<i64> {
    let time = strtime::parse("%d/%b/%Y:%H:%M:%S %z", text).and_then(|time| time.to_timestamp());
    let time = time.or_else(|_| text.parse::<Timestamp>()).ok()?;
    Some(time.as_second())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn common_combined_and_timed_lines_are_read() {
        let lines = Lines::new();
        let common =
            r#"127.0.0.1 - frank [10/Oct/2026:13:55:36 -0700] "GET /a?b=1 HTTP/1.0" 200 2326"#;
        let line = lines.read(common).unwrap();
        assert_eq!(
            (line.method, line.target, line.status, line.took),
            ("GET", "/a?b=1", 200, None)
        );
        assert_eq!(line.second, "2026-10-10T20:55:36Z".parse::<Timestamp>().unwrap().as_second());
        for (end, took) in [
            (r#" "-" "Mozilla/5.0 (X11; \"odd\") [x]""#, None),
            (r#" "http://a/b" "curl/8.1" 0.250"#, Some(0.25)),
            (r#" "-" "-" "-" "0.004""#, Some(0.004)),
            (r#" "-" "-" 1500"#, None),
        ] {
            let text = format!("shop:443 {common}{end}");
            assert_eq!(lines.read(&text).unwrap().took, took, "{text}");
        }
        for bad in ["", "x", r#"1.2.3.4 - - [10/Oct/2026:13:55:36 -0700] "\x16\x03" 400 0"#] {
            assert_eq!(lines.read(bad), None);
        }
    }
}
