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
    quick(text).or_else(|| slow(text))
}

/// The line of a request that was answered, with its method and target.
pub(crate) fn asked(text: &str) -> Option<(Line<'_>, &str, &str)> {
    let line = read(text)?;
    let (method, target) = line.request?;
    (line.status > 0).then_some((line, method, target))
}

/// The same as [`read`] for lines of the usual form, in a fraction of the time: nothing stands in brackets
/// before the time.
fn quick(text: &str) -> Option<Line<'_>> {
    let (before, rest) = text.split_once('[')?;
    let first = before.find(' ')?;
    let has_name = first > 0 && !before[..first].contains(char::is_whitespace);
    // `.` of the form does not match a line break.
    if !has_name || before.contains('\n') {
        return None;
    }
    let (time, rest) = rest.split_once("] \"")?;
    let bytes = rest.as_bytes();
    let mut end = 0;
    loop {
        match bytes.get(end)? {
            b'"' => break,
            b'\\' => end += 2,
            _ => end += 1,
        }
    }
    let (request, rest) = (rest.get(..end)?, rest.get(end + 1..)?.strip_prefix(' ')?);
    let (status, rest) = rest.split_once(' ')?;
    let (size, rest) = match rest.find(' ') {
        Some(at) => rest.split_at(at),
        None => (rest, ""),
    };
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|it| it.is_ascii_digit());
    let is_status = status == "-" || (status.len() == 3 && is_number(status));
    let is_size = size == "-" || is_number(size);
    if !is_status || !is_size || request.contains('\n') || rest.contains('\n') {
        return None;
    }
    Some(Line {
        second: quick_time(time)?,
        request: method_and_target(request),
        status: if status == "-" { 0 } else { status.parse().ok()? },
        size: size.parse().ok(),
        rest,
    })
}

/// The second of `10/Oct/2026:13:55:36 +0000`; `None` where it is written in another way.
fn quick_time(text: &str) -> Option<i64> {
    const MONTHS: [&str; 12] =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let bytes = text.as_bytes();
    let marks = [(2, b'/'), (6, b'/'), (11, b':'), (14, b':'), (17, b':'), (20, b' ')];
    if bytes.len() != 26 || !marks.iter().all(|(place, mark)| bytes[*place] == *mark) {
        return None;
    }
    let number = |from: usize, to: usize| {
        let digits = text.get(from..to)?;
        let is_number = digits.bytes().all(|digit| digit.is_ascii_digit());
        if is_number { digits.parse::<i64>().ok() } else { None }
    };
    let (day, year) = (number(0, 2)?, number(7, 11)?);
    let name = text.get(3..6)?;
    let month = MONTHS.iter().position(|month| *month == name)? as i64 + 1;
    let (hour, minute, second) = (number(12, 14)?, number(15, 17)?, number(18, 20)?);
    let (zone_hours, zone_minutes) = (number(22, 24)?, number(24, 26)?);
    // Longer months, leap seconds and odd zones are left to the calendar.
    if !(1..=28).contains(&day) || hour > 23 || minute > 59 || second > 59 || zone_hours > 14 {
        return None;
    }
    let sign = match bytes[21] {
        b'+' => 1,
        b'-' => -1,
        _ => return None,
    };
    if zone_minutes > 59 || year < 1970 {
        return None;
    }
    let days = days_since_1970(year, month, day);
    let offset = sign * (zone_hours * 3600 + zone_minutes * 60);
    Some(days * 86_400 + hour * 3600 + minute * 60 + second - offset)
}

/// Days from 1970-01-01 to a date of the Gregorian calendar: with March as the first month, the
/// days of the months before follow from (153 m + 2) / 5 (Fliegel and Van Flandern 1968, CACM 11).
fn days_since_1970(year: i64, month: i64, day: i64) -> i64 {
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let leaps = year / 4 - year / 100 + year / 400;
    // 719,468 days lie between 0000-03-01 and 1970-01-01.
    year * 365 + leaps + (153 * month + 2) / 5 + day - 1 - 719_468
}

/// The same for every line of the form.
fn slow(text: &str) -> Option<Line<'_>> {
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
    fn the_quick_way_gives_what_the_slow_one_does() {
        let ends = [
            r#" "GET /a?b=1 HTTP/1.0" 200 2326"#,
            r#" "GET /\"q\" HTTP/1.0" 404 - "-" "-""#,
            r#" "" 400 0"#,
            r#" "-" - - "a" "b" 0.004"#,
            r#" "GET / HTTP/1.1" 200 12x"#,
            r#" "GET / HTTP/1.1" 20 12"#,
            r#" "GET / HTTP/1.1" 200"#,
            r#" "GET /"#,
        ];
        let begins = ["1.2.3.4 - -", "shop:443 ::1 - bob", "", " a", "a", "a [b] c", "a\tb -"];
        let mut times = vec!["10/Oct/2026:13:55:36 -0730".to_owned(), "x".to_owned()];
        for month in ["Jan", "Feb", "Mar", "Apr", "Jun", "Dec", "Abc"] {
            for (day, year) in [(1, 2024), (28, 2024), (29, 2024), (31, 2023), (7, 1999), (9, 2100)]
            {
                times.push(format!("{day:02}/{month}/{year}:23:00:59 +0545"));
            }
        }
        times.push("10/Oct/2026:13:55:60 +0000".to_owned());
        times.push("é0/Oct/2026:13:55:36 +0000".to_owned());
        for (begin, time, end) in begins
            .iter()
            .flat_map(|begin| times.iter().map(move |time| (begin, time)))
            .flat_map(|(begin, time)| ends.iter().map(move |end| (begin, time, end)))
        {
            let text = format!("{begin} [{time}]{end}");
            assert_eq!(read(&text), slow(&text), "{text}");
            assert!(quick(&text).is_none_or(|line| Some(line) == slow(&text)), "{text}");
        }
        assert!(
            quick(r#"1.2.3.4 - - [10/Oct/2026:13:55:36 +0000] "GET / HTTP/1.1" 200 1"#).is_some()
        );
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
