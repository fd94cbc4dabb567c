//! PostgreSQL's log: the lines of `stderr` with any `log_line_prefix` that has a time, `csvlog` and
//! `jsonlog`.

use std::sync::LazyLock;

use jiff::tz::TimeZone;
use regex::Regex;
use serde::Deserialize;

use super::entry::Entry;
use super::statement::cleaned;
use super::zone;

/// What the log is called.
pub(super) const SOURCE: &str = "PostgreSQL's log";
/// Columns of `csvlog` that are read: time, how bad, what (PostgreSQL's documentation, section 19.8).
const TIME: usize = 0;
const SEVERITY: usize = 11;
const MESSAGE: usize = 13;
/// Columns that every version since 9.0 has.
pub(super) const COLUMNS: usize = 22;

const SEVERITIES: &str = "DEBUG[1-5]?|LOG|INFO|NOTICE|WARNING|ERROR|FATAL|PANIC";
const ADDED: &str = "DETAIL|HINT|CONTEXT|STATEMENT|QUERY|LOCATION|BACKTRACE";

/// A message: its severity behind the prefix, with the two spaces that PostgreSQL writes.
static SPOKEN: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(&format!("^(.{{0,400}}?)\\b({SEVERITIES}|{ADDED}):  (.*)$")).ok());
/// A time: of `%m`, `%t` and `%s`, or of `%n`.
static TIME_OF_DAY: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(
        r"(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(?:\.\d{1,9})?) ?([A-Z]{1,5}\b|[+-]\d\d(?::?\d\d)?\b|)|\b(\d{10}\.\d{3})\b",
    )
    .ok()
});

/// Why a line has no entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Without {
    /// It belongs to the message before, and may hold values.
    Continued,
    /// It has no time.
    Time,
    /// Its time has a zone that is not known.
    Zone,
}

/// One line of `stderr`; `at` is its time where something else tells it.
pub(super) fn of_line(
    line: &str,
    at: Option<f64>,
    otherwise: Option<&TimeZone>,
) -> Result<Entry, Without> {
    let spoken = SPOKEN.as_ref().and_then(|spoken| spoken.captures(line));
    let spoken = spoken.ok_or(Without::Continued)?;
    let part = |index: usize| spoken.get(index).map_or("", |part| part.as_str());
    if line.starts_with(['\t', ' ']) || ADDED.split('|').any(|word| word == part(2)) {
        return Err(Without::Continued);
    }
    let at = match at {
        Some(at) => at,
        None => time(part(1), otherwise)?,
    };
    Ok(entry(at, part(2), part(3)))
}

/// The time in the prefix of a line.
fn time(prefix: &str, otherwise: Option<&TimeZone>) -> Result<f64, Without> {
    let time = TIME_OF_DAY.as_ref().and_then(|time| time.captures(prefix)).ok_or(Without::Time)?;
    let part = |index: usize| time.get(index).map_or("", |part| part.as_str());
    if let Ok(seconds) = part(3).parse::<f64>() {
        return Ok(seconds);
    }
    zone::seconds(part(1), part(2), otherwise).ok_or(Without::Zone)
}

fn entry(at: f64, severity: &str, message: &str) -> Entry {
    Entry {
        at,
        source: SOURCE.to_owned(),
        text: format!("{severity}:  {}", cleaned(message)),
        priority: None,
    }
}

/// One record of `csvlog`.
pub(super) fn of_record(
    record: &csv::StringRecord,
    otherwise: Option<&TimeZone>,
) -> Result<Entry, Without> {
    let field = |index: usize| record.get(index).unwrap_or_default();
    if record.len() < COLUMNS {
        return Err(Without::Continued);
    }
    Ok(entry(time(field(TIME), otherwise)?, field(SEVERITY), field(MESSAGE)))
}

/// One object of `jsonlog`.
#[derive(Deserialize)]
pub(super) struct JsonLine {
    timestamp: String,
    error_severity: String,
    #[serde(default)]
    message: String,
}

impl JsonLine {
    pub(super) fn entry(&self, otherwise: Option<&TimeZone>) -> Result<Entry, Without> {
        Ok(entry(time(&self.timestamp, otherwise)?, &self.error_severity, &self.message))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const AT: f64 = 1_795_888_800.0;

    #[test]
    fn prefixes_of_all_kinds_tell_the_time() {
        let rest = "LOG:  checkpoint starting: time";
        for prefix in [
            "2026-11-28 18:00:00.000 UTC [4711] ",
            "2026-11-28 18:00:00 UTC ",
            "[4711] shop@shop 2026-11-28 19:00:00.000 CET ",
            "1795888800.000 [4711]: [3-1] user=shop,db=shop,app=[unknown],client=10.0.0.1 ",
            "2026-11-28 23:30:00 +0530:10.0.0.1(5432):shop@shop:[4711]:",
            "db1 2026-11-28 18:00:00.000 GMT 4711 00000 ",
        ] {
            let entry = of_line(&format!("{prefix}{rest}"), None, None).unwrap();
            assert_eq!((entry.at, entry.text.as_str()), (AT, rest), "{prefix}");
        }
        assert_eq!(of_line(&format!("[4711] {rest}"), None, None), Err(Without::Time));
        let unknown = format!("2026-11-28 18:00:00 XST {rest}");
        assert_eq!(of_line(&unknown, None, None), Err(Without::Zone));
        assert!(of_line(&unknown, None, Some(&TimeZone::UTC)).is_ok());
    }

    #[test]
    fn lines_that_hold_values_are_not_taken() {
        for line in [
            "2026-11-28 18:00:00.000 UTC [1] DETAIL:  Key (mail)=(hunter2) already exists.",
            "2026-11-28 18:00:00.000 UTC [1] STATEMENT:  SELECT 'ERROR:  hunter2'",
            "\tWHERE mail = 'ERROR:  hunter2'",
            "\tFROM hunter2",
        ] {
            assert_eq!(of_line(line, None, None), Err(Without::Continued), "{line}");
        }
    }
}
