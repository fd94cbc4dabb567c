//! Reads what tools print for people: labels, numbers and durations with a unit on each line.

use std::borrow::Cow;
use std::str::FromStr;
use std::sync::LazyLock;

use jiff::SignedDuration;
use regex::Regex;

use crate::import::error::{ImportError, MOST_MISTAKES};
use crate::import::table::shown;

/// Gives each line to `take`, which says what is wrong with it.
///
/// # Errors
/// When `take` refused lines: the first few of them.
pub(super) fn each_line<'t>(
    text: &'t str,
    mut take: impl FnMut(&'t str) -> Result<(), String>,
) -> Result<(), ImportError> {
    let mut mistakes = Vec::new();
    for (place, line) in text.lines().enumerate() {
        if let Err(mistake) = take(line.trim_end()) {
            mistakes.push(format!("line {}: {mistake}", place + 1));
        }
        if mistakes.len() == MOST_MISTAKES {
            break;
        }
    }
    match mistakes.is_empty() {
        true => Ok(()),
        false => Err(ImportError::Malformed { mistakes }),
    }
}

/// A text without the colours that a terminal showed it in (ECMA-48, "SGR").
pub(super) fn without_colours(text: &str) -> Cow<'_, str> {
    #[expect(clippy::unwrap_used, reason = "a test compiles it")]
    static COLOUR: LazyLock<Regex> = LazyLock::new(|| Regex::new("\u{1b}\\[[0-9;]*m").unwrap());
    COLOUR.replace_all(text, "")
}

/// What is wrong with a text as a whole.
pub(super) fn malformed(mistake: impl Into<String>) -> ImportError {
    ImportError::Malformed { mistakes: vec![mistake.into()] }
}

/// Whether one of the lines begins like this, blanks aside.
pub(super) fn has_line(text: &str, begin: &str) -> bool {
    text.lines().any(|line| after(line, begin).is_some())
}

/// What follows a label at the begin of a line, blanks aside.
pub(super) fn after<'l>(line: &'l str, label: &str) -> Option<&'l str> {
    line.trim_start().strip_prefix(label).map(str::trim)
}

/// Seconds of a duration with its unit, such as `1m0.004s`, `812.40us` or `1.9000 sec`.
///
/// # Errors
/// When it is not one, or below zero.
pub(super) fn seconds(text: &str) -> Result<f64, String> {
    let text = text.trim();
    let duration = SignedDuration::from_str(text).ok().filter(|it| !it.is_negative());
    duration.map(|it| it.as_secs_f64()).ok_or_else(|| {
        format!("`{}` is not a duration: expected a number with a unit, as in `1.62s`", shown(text))
    })
}

/// A count; a text after it does not matter.
///
/// # Errors
/// When the text does not begin with one.
pub(super) fn count(text: &str) -> Result<u64, String> {
    let first = text.split_whitespace().next().unwrap_or_default();
    first.parse().map_err(|_| format!("`{}` is not a count", shown(text)))
}

/// A number that is not below zero; a text after it does not matter.
///
/// # Errors
/// When the text does not begin with one.
pub(super) fn number(text: &str) -> Result<f64, String> {
    let first = text.split_whitespace().next().unwrap_or_default();
    let number: Option<f64> = first.trim_end_matches([',', '%']).parse().ok();
    number
        .filter(|it| it.is_finite() && *it >= 0.0)
        .ok_or_else(|| format!("`{}` is not a number", shown(text)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_their_unit() {
        let cases = [
            ("831.4µs", 831.4e-6),
            ("812.40us", 812.4e-6),
            ("1m0.004s", 60.004),
            ("2.00m", 120.0),
            ("1.9000 sec", 1.9),
            ("10.0214 secs", 10.0214),
            ("42.8000 ms", 0.0428),
            ("0.004100000s", 0.0041),
            ("1.50h", 5400.0),
        ];
        for (text, right) in cases {
            let got = seconds(text).unwrap();
            assert!((got - right).abs() < 1e-9, "{text}: {got}");
        }
        assert!(["", "12", "-1s", "NaN secs", "1.62 apples"].iter().all(|it| seconds(it).is_err()));
    }
}
