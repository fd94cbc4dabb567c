//! One line in the common or the combined format.

use std::sync::LazyLock;

use jiff::Timestamp;
use jiff::fmt::strtime;
use regex::Regex;

use super::fields::fields;
use super::times::seconds;

/// A request as a server wrote it down.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Line<'t> {
    /// Second since 1970 (UTC) that the line names: in nginx that of the response's end, in
    /// Apache that of the request.
    pub(crate) second: i64,
    /// Method, and path with query as they were sent; `None` where no HTTP came.
    pub(crate) request: Option<(&'t str, &'t str)>,
    /// 0 where there was no answer.
    pub(crate) status: u16,
    /// Bytes of the answer.
    pub(crate) size: Option<u64>,
    /// What stands behind the size: referrer and browser, and whatever the server's owner added.
    pub(crate) rest: &'t str,
}

static FORM: LazyLock<Regex> = LazyLock::new(|| {
    // Anything may stand before the time: Apache's `vhost_combined` begins with the server.
    let form = r#"^\S+ .*?\[(?<time>[^\]]{1,40})\] "(?<request>(?:[^"\\]|\\.)*)" (?<status>[0-9]{3}|-) (?<size>[0-9]+|-)(?<rest> .*)?$"#;
    // Checked by every test of this room.
    Regex::new(form).unwrap_or_else(|why| unreachable!("{why}"))
});

/// The request in a line; `None` where there is none.
pub(crate) fn read(text: &str) -> Option<Line<'_>> {
    let found = FORM.captures(text)?;
    let part = |name| found.name(name).map_or("", |part| part.as_str());
    let at = time(part("time"))?;
    Some(Line {
        second: at.as_second(),
        request: method_and_target(found.name("request")?.as_str()),
        status: match part("status") {
            "-" => 0,
            status => status.parse().ok()?,
        },
        size: part("size").parse().ok(),
        rest: found.name("rest").map_or("", |part| part.as_str()),
    })
}

impl Line<'_> {
    /// Seconds that the request took, as nginx writes them: of several times the longest, because
    /// the others are parts of it.
    pub(crate) fn took(&self) -> Option<f64> {
        let times = fields(self.rest).into_iter().filter_map(seconds);
        times.filter(|time| *time < 86_400.0).reduce(f64::max)
    }
}

/// Method and target of a request line; `None` where it is not one of HTTP.
pub(crate) fn method_and_target(request: &str) -> Option<(&str, &str)> {
    let mut words = request.split(' ');
    let (method, target) = (words.next()?, words.next()?);
    let is_method = !method.is_empty() && method.bytes().all(|byte| byte.is_ascii_alphabetic());
    let is_protocol = words.next().is_none_or(|word| word.starts_with("HTTP/"));
    let is_http = is_method && !target.is_empty() && is_protocol && words.next().is_none();
    is_http.then_some((method, target))
}

/// `10/Oct/2026:13:55:36 +0000`, or ISO 8601 as nginx's `$time_iso8601`.
pub(crate) fn time(text: &str) -> Option<Timestamp> {
    let time = strtime::parse("%d/%b/%Y:%H:%M:%S %z", text).and_then(|time| time.to_timestamp());
    time.or_else(|_| text.parse::<Timestamp>()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn common_combined_and_timed_lines_are_read() {
        let common =
            r#"127.0.0.1 - frank [10/Oct/2026:13:55:36 -0700] "GET /a?b=1 HTTP/1.0" 200 2326"#;
        let line = read(common).unwrap();
        assert_eq!(
            (line.request, line.status, line.size, line.took()),
            (Some(("GET", "/a?b=1")), 200, Some(2326), None)
        );
        assert_eq!(line.second, "2026-10-10T20:55:36Z".parse::<Timestamp>().unwrap().as_second());
        for (end, took) in [
            (r#" "-" "Mozilla/5.0 (X11; \"odd\") [x]""#, None),
            (r#" "http://a/b" "curl/8.1" 0.250"#, Some(0.25)),
            (r#" "-" "-" "-" "0.004""#, Some(0.004)),
            (r#" "-" "-" 0.250 0.100, 0.140"#, Some(0.25)),
            (r#" "-" "-" 1500"#, None),
        ] {
            let text = format!("shop:443 {common}{end}");
            assert_eq!(read(&text).unwrap().took(), took, "{text}");
        }
        for bad in ["", "x", r#"2026/05/04 09:20:11 [error] 31#31: *46 "connect" 200 1"#] {
            assert_eq!(read(bad), None);
        }
    }

    #[test]
    fn lines_without_http_are_requests_without_a_target() {
        let begin = "1.2.3.4 - - [10/Oct/2026:13:55:36 -0700]";
        for (end, status) in [(r#""\x16\x03" 400 0"#, 400), (r#""-" 408 - "-" "-""#, 408)] {
            let text = format!("{begin} {end}");
            let line = read(&text).unwrap();
            assert_eq!((line.request, line.status), (None, status));
        }
        let text = format!(r#"{begin} "GET / HTTP/1.1" - - "-" "-" 62 "a" "b" 65ms"#);
        assert_eq!(read(&text).unwrap().status, 0);
    }
}
