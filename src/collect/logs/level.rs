//! What one line says, and how bad its writer thinks it is: plain text, JSON, logfmt, access logs.

use std::borrow::Cow;

/// How far into a line its level is looked for.
const HEAD: usize = 160;
/// Longest message that is looked at; templates are shorter still.
const MOST_MESSAGE: usize = 1 << 10;

/// How bad a line is, by its own word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Level {
    /// Something failed.
    Error,
    /// Something is not as it should be.
    Warning,
    /// The line has no level.
    Unknown,
    /// Ordinary news.
    Info,
    /// Of use to the author only.
    Debug,
}

impl Level {
    pub(super) const ALL: [Level; 5] =
        [Level::Error, Level::Warning, Level::Unknown, Level::Info, Level::Debug];

    /// The value of the label `level`.
    pub(super) fn name(self) -> &'static str {
        match self {
            Level::Error => "error",
            Level::Warning => "warning",
            Level::Unknown => "unknown",
            Level::Info => "info",
            Level::Debug => "debug",
        }
    }

    /// The level that a word stands for in the logs of servers and libraries.
    fn of_word(word: &str) -> Option<Level> {
        const LONGEST: usize = 11;
        let mut upper = [0; LONGEST];
        let upper = upper.get_mut(..word.len())?;
        upper.copy_from_slice(word.as_bytes());
        upper.make_ascii_uppercase();
        match &*upper {
            b"ERROR" | b"ERR" | b"FATAL" | b"CRITICAL" | b"CRIT" | b"ALERT" | b"EMERG"
            | b"EMERGENCY" | b"PANIC" | b"SEVERE" | b"FAILURE" => Some(Level::Error),
            b"WARN" | b"WARNING" => Some(Level::Warning),
            b"INFO" | b"NOTICE" | b"LOG" | b"INFORMATION" | b"NOTE" => Some(Level::Info),
            b"DEBUG" | b"TRACE" | b"FINE" | b"FINER" | b"FINEST" | b"VERBOSE" => Some(Level::Debug),
            _ => None,
        }
    }

    /// The level as a number: pino and bunyan count up from `10`, syslog down from `7`.
    pub(super) fn of_number(text: &str) -> Option<Level> {
        match text.parse::<u32>().ok()? {
            0..=3 | 50..=60 => Some(Level::Error),
            4 | 40..=49 => Some(Level::Warning),
            5 | 6 | 30..=39 => Some(Level::Info),
            7 | 10..=29 => Some(Level::Debug),
            _ => None,
        }
    }
}

/// One line as it is counted.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct ReadLine<'l> {
    /// How bad it is.
    pub level: Level,
    /// What it says, of which the template is made; empty if it continues the line before.
    pub message: Cow<'l, str>,
    /// The whole line.
    pub line: &'l str,
}

impl<'l> ReadLine<'l> {
    /// Reads a line. `in_key` tells from line to line whether they belong to a private key.
    pub(super) fn of(line: &'l str, in_key: &mut bool) -> Self {
        let continues = |level| Self { level, message: Cow::Borrowed(""), line };
        if *in_key {
            *in_key = !line.contains("-----END") && line.len() < MOST_MESSAGE;
            return continues(Level::Unknown);
        }
        if line.contains("PRIVATE KEY-----") && line.contains("-----BEGIN") {
            *in_key = !line.contains("-----END");
        }
        let line = up_to(line, 4 * MOST_MESSAGE);
        if line.starts_with('{')
            && let Some(read) = of_json(line)
        {
            return read;
        }
        if is_continuation(line) {
            return continues(Level::Unknown);
        }
        if let Some(read) = of_access_log(line) {
            return read;
        }
        let level = level_of_text(up_to(line, HEAD));
        let message = of_logfmt(line).unwrap_or(Cow::Borrowed(line));
        Self { level, message, line }.cut()
    }

    fn cut(self) -> Self {
        let message = match self.message {
            Cow::Borrowed(message) => Cow::Borrowed(up_to(message, MOST_MESSAGE)),
            Cow::Owned(message) => Cow::Owned(up_to(&message, MOST_MESSAGE).to_owned()),
        };
        Self { message, ..self }
    }
}

/// At most `most` bytes of a text.
fn up_to(text: &str, most: usize) -> &str {
    if text.len() <= most {
        return text;
    }
    let end = (0..=most).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
    &text[..end]
}

/// Whether a line belongs to the one before: indented, a frame of a stack, or one of the lines that
/// PostgreSQL adds to a message. The latter hold statements with the values of their parameters.
fn is_continuation(line: &str) -> bool {
    const ADDED: [&str; 5] = ["DETAIL:  ", "HINT:  ", "CONTEXT:  ", "STATEMENT:  ", "QUERY:  "];
    if line.starts_with([' ', '\t', '}', ']', ')']) || line.starts_with("at ") {
        return true;
    }
    let head = up_to(line, HEAD);
    // Two spaces after the colon are PostgreSQL's own.
    head.contains(":  ") && ADDED.iter().any(|word| head.contains(word))
}

/// The first word that names a level, as levels are written: in capitals, in brackets, before a
/// colon, or after `level=`.
fn level_of_text(head: &str) -> Level {
    let bytes = head.as_bytes();
    if let Some(level) = of_letter(bytes) {
        return level;
    }
    let mut at = 0;
    let mut is_first = true;
    while at < bytes.len() {
        if !bytes[at].is_ascii_alphabetic() {
            at += 1;
            continue;
        }
        let begin = at;
        while at < bytes.len() && (bytes[at].is_ascii_alphanumeric() || bytes[at] == b'_') {
            at += 1;
        }
        let word = &head[begin..at];
        let before = begin.checked_sub(1).map(|at| bytes[at]);
        let after = bytes.get(at).copied();
        if let Some(level) = Level::of_word(word) {
            let is_capital = word.bytes().all(|byte| byte.is_ascii_uppercase());
            let is_marked = matches!(after, Some(b':' | b']' | b'>' | b'|' | b')'))
                || matches!(before, Some(b'=' | b'[' | b'<' | b'|'));
            // In capitals it is a level anywhere; `LOG` only where PostgreSQL writes it.
            if is_marked || (is_capital && word != "LOG" && word != "NOTE") {
                return level;
            }
        }
        let is_exception = word.ends_with("Error") || word.ends_with("Exception");
        if is_first && is_exception && matches!(after, Some(b':') | None) || word == "Traceback" {
            return Level::Error;
        }
        // `java.lang.IllegalStateException: …` is one name.
        is_first &= after == Some(b'.');
    }
    Level::Unknown
}

/// A letter that stands for the level: `E0102 15:04:05 …` (klog), `E, [2026-…` (Ruby).
fn of_letter(line: &[u8]) -> Option<Level> {
    let (letter, rest) = line.split_first()?;
    let is_klog = rest.len() > 4 && rest[..4].iter().all(u8::is_ascii_digit) && rest[4] == b' ';
    if !is_klog && !rest.starts_with(b", [") {
        return None;
    }
    match letter {
        b'E' | b'F' => Some(Level::Error),
        b'W' => Some(Level::Warning),
        b'I' => Some(Level::Info),
        b'D' => Some(Level::Debug),
        _ => None,
    }
}

/// The status of a line of an access log tells how bad it is; what it says is method and status.
fn of_access_log(line: &str) -> Option<ReadLine<'_>> {
    let protocol = line.find(" HTTP/")?;
    let rest = &line[protocol + 1..];
    let close = rest.find('"').filter(|close| *close <= 8)?;
    let status = rest[close + 1..].trim_start().get(..3)?;
    let number: u16 = status.parse().ok()?;
    let method = line[..protocol].rsplit('"').next()?.split(' ').next()?;
    if method.is_empty() || !method.bytes().all(|byte| byte.is_ascii_uppercase()) {
        return None;
    }
    let level = match number {
        500.. => Level::Error,
        400..500 => Level::Warning,
        _ => Level::Info,
    };
    // In words, since a template has no numbers.
    let class = match number {
        500 => "internal server error",
        502 => "bad gateway",
        503 => "service unavailable",
        504 => "gateway timeout",
        429 => "too many requests",
        _ if number >= 500 => "server error",
        400..500 => "client error",
        300..400 => "redirect",
        _ => "success",
    };
    Some(ReadLine { level, message: Cow::Owned(format!("{method} … {class}")), line })
}

/// The message of a logfmt line: `level=error msg="…" err="…"`.
fn of_logfmt(line: &str) -> Option<Cow<'_, str>> {
    let message = logfmt_value(line, "msg=").or_else(|| logfmt_value(line, "message="))?;
    let error = logfmt_value(line, "err=").or_else(|| logfmt_value(line, "error="));
    Some(match error.filter(|error| !error.is_empty()) {
        Some(error) => Cow::Owned(format!("{message}: {error}")),
        None => Cow::Borrowed(message),
    })
}

fn logfmt_value<'l>(line: &'l str, key: &str) -> Option<&'l str> {
    let at = line
        .match_indices(key)
        .map(|(at, _)| at)
        .find(|at| line[..*at].ends_with(' ') || *at == 0)?;
    let value = &line[at + key.len()..];
    match value.strip_prefix('"') {
        Some(quoted) => Some(&quoted[..end_of_string(quoted)]),
        None => value.split(' ').next(),
    }
}

/// Where a string ends whose begin was read.
fn end_of_string(text: &str) -> usize {
    let bytes = text.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        match bytes[at] {
            b'"' => return at,
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
    text.len()
}

/// Keys of a JSON line, the more telling first.
const MESSAGE_KEYS: [&str; 6] = ["msg", "message", "@message", "event", "short_message", "text"];
const ERROR_KEYS: [&str; 4] = ["err", "error", "exception", "error_message"];
const LEVEL_KEYS: [&str; 6] =
    ["level", "severity", "lvl", "levelname", "error_severity", "log.level"];

/// A line that is one JSON object; `None` if it says nothing under a known key.
fn of_json(line: &str) -> Option<ReadLine<'_>> {
    let (mut level, mut message, mut error) = (None, None::<(usize, &str)>, None);
    let place = |keys: &[&str], key: &str| keys.iter().position(|known| *known == key);
    for (key, value) in Pairs(&line[1..]) {
        if place(&LEVEL_KEYS, key).is_some() {
            level = level.or_else(|| Level::of_word(value)).or_else(|| Level::of_number(value));
        } else if let Some(place) = place(&MESSAGE_KEYS, key) {
            if message.is_none_or(|(best, _)| place < best) {
                message = Some((place, value));
            }
        } else if place(&ERROR_KEYS, key).is_some() && error.is_none() && !value.is_empty() {
            error = Some(value);
        }
    }
    let message = match (message.map(|(_, text)| text), error) {
        (Some(message), Some(error)) => Cow::Owned(format!("{message}: {error}")),
        (Some(one), None) | (None, Some(one)) => Cow::Borrowed(one),
        (None, None) => return None,
    };
    let level = level.unwrap_or(if error.is_some() { Level::Error } else { Level::Unknown });
    Some(ReadLine { level, message, line }.cut())
}

/// The pairs of a JSON object at its first level: key, and the value as it is written, without the
/// quotes. Ends where the text is not JSON any more.
struct Pairs<'l>(&'l str);

impl<'l> Iterator for Pairs<'l> {
    type Item = (&'l str, &'l str);

    fn next(&mut self) -> Option<Self::Item> {
        let key = self.0.trim_start_matches([' ', ',']).strip_prefix('"')?;
        let end = end_of_string(key);
        let value = key.get(end + 1..)?.trim_start().strip_prefix(':')?.trim_start();
        let key = &key[..end];
        if let Some(string) = value.strip_prefix('"') {
            let end = end_of_string(string);
            self.0 = string.get(end + 1..).unwrap_or("");
            return Some((key, &string[..end]));
        }
        let end = end_of_value(value);
        self.0 = value.get(end..).unwrap_or("");
        Some((key, value[..end].trim_end()))
    }
}

/// Where a value ends that is not a string: at the comma or brace after it.
fn end_of_value(value: &str) -> usize {
    let bytes = value.as_bytes();
    let (mut at, mut depth) = (0, 0_u32);
    while at < bytes.len() {
        match bytes[at] {
            b'"' => at += 1 + end_of_string(&value[at + 1..]),
            b'{' | b'[' => depth += 1,
            b',' | b'}' if depth == 0 => return at,
            b'}' | b']' => depth = depth.saturating_sub(1),
            _ => {}
        }
        at += 1;
    }
    value.len()
}

#[cfg(test)]
mod tests {
    use super::Level as L;
    use super::*;

    fn read(line: &str) -> ReadLine<'_> {
        ReadLine::of(line, &mut false)
    }

    #[test]
    fn levels_are_read_as_servers_write_them() {
        for (level, line) in [
            (L::Error, "2026-11-28 18:00:01,123 ERROR [http-8] c.s.Pool - not available"),
            (L::Error, "2026/11/28 18:00:01 [error] 31#31: *7 upstream timed out (110: …)"),
            (L::Error, "2026-11-28 18:00:01.123 UTC [77] FATAL:  sorry, too many clients already"),
            (L::Error, "[Sat Nov 28 18:00:01 2026] [core:error] [pid 9] AH00037: …"),
            (L::Error, "time=2026-11-28T18:00:01Z level=error msg=\"pool timeout\""),
            (L::Error, "{\"level\":\"error\",\"msg\":\"pool timeout\"}"),
            (L::Error, "{\"level\":50,\"time\":1764352801,\"msg\":\"pool timeout\"}"),
            (L::Error, "E1128 18:00:01.123456   1 pool.go:42] timeout"),
            (L::Error, "E, [2026-11-28T18:00:01 #42] ERROR -- : boom"),
            (L::Error, "java.lang.IllegalStateException: pool is closed"),
            (L::Error, "sqlalchemy.exc.TimeoutError: QueuePool limit reached"),
            (L::Error, "Traceback (most recent call last):"),
            (L::Error, "thread 'main' panicked: error: no room"),
            (L::Error, "Error: connect ECONNREFUSED 127.0.0.1:5432"),
            (L::Error, "1.2.3.4 - - [28/Nov/2026:18:00:01 +0000] \"GET /a HTTP/1.1\" 502 157"),
            (L::Warning, "WARN  c.s.Pool: slow"),
            (L::Warning, "[28-Nov-2026 18:00:01] WARNING: [pool www] reached pm.max_children"),
            (L::Warning, "1.2.3.4 - - [t] \"POST /a HTTP/2.0\" 429 0"),
            (L::Info, "2026-11-28 18:00:01.123 UTC [77] LOG:  checkpoint complete"),
            (L::Info, "INFO no error was found"),
            (L::Info, "127.0.0.1 - - [t] \"GET /error HTTP/1.1\" 200 12"),
            (L::Debug, "{\"severity\":\"DEBUG\",\"message\":\"x\"}"),
            (L::Unknown, "accepted connection 42"),
            (L::Unknown, "an error of 3 ms was measured"),
            (L::Unknown, "see the log"),
            (L::Unknown, ""),
        ] {
            assert_eq!(read(line).level, level, "{line}");
        }
    }

    #[test]
    fn what_is_said_is_found_in_every_form() {
        for (message, line) in [
            (
                "pool timeout: no conn",
                "{\"ts\":1,\"message\":\"pool timeout\",\"err\":\"no conn\"}",
            ),
            ("deep", "{\"ctx\":{\"msg\":\"no\",\"l\":[1,\"}\"]},\"msg\":\"deep\"}"),
            ("say \\\"hi\\\"", "{\"msg\":\"say \\\"hi\\\"\",\"level\":\"info\"}"),
            ("pool timeout: no conn", "level=error msg=\"pool timeout\" err=\"no conn\""),
            ("started", "ts=1 msg=started port=80"),
            ("GET … gateway timeout", "a \"GET /x?y=1 HTTP/1.1\" 504 0 \"-\" \"curl\""),
            ("plain text", "plain text"),
            ("{not json", "{not json"),
            ("{\"other\":1}", "{\"other\":1}"),
        ] {
            assert_eq!(read(line).message, message, "{line}");
        }
    }

    #[test]
    fn what_belongs_to_the_line_before_says_nothing_of_its_own() {
        for line in [
            "    at com.shop.Pool.get(Pool.java:42)",
            "\tat com.shop.Pool.get(Pool.java:42)",
            "  File \"views.py\", line 88, in render",
            "2026-11-28 18:00:01 UTC [77] STATEMENT:  INSERT INTO users VALUES ('joe', 'hunter2')",
            "2026-11-28 18:00:01 UTC [77] DETAIL:  Key (email)=(joe@example.com) already exists.",
            "}",
        ] {
            assert_eq!(read(line).message, "", "{line}");
        }
        assert_ne!(read("Caused by: java.sql.SQLException: timeout").message, "");
    }

    #[test]
    fn the_lines_of_a_private_key_say_nothing() {
        let mut in_key = false;
        let lines = [
            "key:",
            "-----BEGIN PRIVATE KEY-----",
            "MIIE",
            "k3X=",
            "-----END PRIVATE KEY-----",
            "next",
        ];
        let said: Vec<String> =
            lines.iter().map(|line| ReadLine::of(line, &mut in_key).message.into_owned()).collect();
        assert_eq!(said[2..], ["", "", "", "next"]);
    }

    #[test]
    fn no_line_is_too_odd() {
        let long = format!("{{\"msg\":\"{}", "ä".repeat(9000));
        for line in
            ["{", "{\"", "{\"a", "{\"a\":", "{\"a\":\"\\", "{\"a\":[[{", "\"GET HTTP/", &long]
        {
            assert!(read(line).message.len() <= MOST_MESSAGE);
        }
    }
}
