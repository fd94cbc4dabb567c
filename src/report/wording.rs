//! How numbers and texts read: units, rounding, plurals. Everything is plain ASCII, so that it
//! survives a pipe, a pager and an e-mail.

use crate::timeline::Unit;

/// What stands where nothing was measured.
pub(super) const NOTHING: &str = "-";

/// Three significant digits without trailing zeros; whole numbers from 100 on stay whole.
pub(super) fn number(value: f64) -> String {
    if !value.is_finite() {
        return NOTHING.to_owned();
    }
    let size = value.abs();
    let decimals = match size {
        _ if size >= 99.95 => 0,
        _ if size >= 9.995 => 1,
        _ if size >= 0.9995 => 2,
        _ if size >= 0.0005 => 3,
        _ => 0,
    };
    let text = format!("{value:.decimals$}");
    let text = match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
        false => text,
    };
    if text == "-0" { "0".to_owned() } else { text }
}

/// A rate in words: `212 requests/s`.
pub(crate) fn rate(per_second: f64) -> String {
    format!("{} requests/s", number(per_second))
}

/// A rate where space is short: `212/s`.
pub(super) fn short_rate(per_second: f64) -> String {
    format!("{}/s", number(per_second))
}

/// Seconds in the unit that a person would say: `4.2 ms`, `1.25 s`, `4 min 12 s`, `18 days 10 h`.
pub(crate) fn duration(seconds: f64) -> String {
    if !seconds.is_finite() {
        return NOTHING.to_owned();
    }
    let size = seconds.abs();
    if size < 0.9995 {
        // Below a tenth of a microsecond there is nothing that a run could have measured.
        let millis = if size < 1e-7 { 0.0 } else { seconds * 1e3 };
        return format!("{} ms", small(millis));
    }
    if size < 119.5 {
        return format!("{} s", number(seconds));
    }
    let whole = size.round() as u64;
    // One day reads better in hours.
    let days = if whole >= 2 * 86_400 { whole / 86_400 } else { 0 };
    let (hours, minutes, rest) = (whole / 3600 - 24 * days, whole / 60 % 60, whole % 60);
    let parts = [(days, "days"), (hours, "h"), (minutes, "min"), (rest, "s")];
    let parts: Vec<_> = parts
        .iter()
        .filter(|(count, _)| *count > 0)
        .take(2)
        .map(|(count, unit)| format!("{count} {unit}"))
        .collect();
    format!("{}{}", if seconds < 0.0 { "-" } else { "" }, parts.join(" "))
}

/// Like [`number`], with at most two decimals where there is something before them, and never
/// down to nothing.
fn small(value: f64) -> String {
    match value.abs() {
        size if size >= 0.01 || size == 0.0 => number((value * 100.0).round() / 100.0),
        size if size >= 0.0005 => number((value * 1000.0).round() / 1000.0),
        _ => "<0.001".to_owned(),
    }
}

/// Bytes in binary multiples: `1.3 GiB`.
pub(super) fn bytes(value: f64) -> String {
    if !value.is_finite() {
        return NOTHING.to_owned();
    }
    let mut scaled = value;
    for unit in ["B", "KiB", "MiB", "GiB"] {
        if scaled.abs() < 999.5 {
            return format!("{} {unit}", number(scaled));
        }
        scaled /= 1024.0;
    }
    format!("{} TiB", number(scaled))
}

/// A share as a percentage: `95 %`, `0.4 %`.
pub(crate) fn percent(ratio: f64) -> String {
    if !ratio.is_finite() {
        return NOTHING.to_owned();
    }
    // A sum of nothing is -0.
    let value = ratio * 100.0 + 0.0;
    let size = value.abs();
    if size > 0.0 && size < 0.005 {
        return "<0.01 %".to_owned();
    }
    let near_all = size > 99.0 && size < 100.0;
    let rounded = match size {
        _ if near_all => (value * 100.0).trunc() / 100.0,
        _ if size >= 9.95 => value.round(),
        _ if size >= 0.95 => (value * 10.0).round() / 10.0,
        _ => (value * 100.0).round() / 100.0,
    };
    format!("{} %", number_exact(rounded))
}

/// A number that is rounded already, without the noise of its binary form.
fn number_exact(value: f64) -> String {
    let text = format!("{value:.2}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// A value with its unit.
pub(super) fn value(value: f64, unit: Unit) -> String {
    match unit {
        Unit::Seconds => duration(value),
        Unit::Bytes => bytes(value),
        Unit::Ratio => percent(value),
        Unit::Times => factor(value),
        Unit::Cores => cores(value),
        Unit::Count | Unit::Unknown => number(value),
    }
}

/// A value with its unit, or a dash.
pub(super) fn optional(measured: Option<f64>, unit: Unit) -> String {
    measured.map_or_else(|| NOTHING.to_owned(), |measured| value(measured, unit))
}

/// A multiple: `1.0x`, `125x`.
fn factor(value: f64) -> String {
    match value {
        _ if !value.is_finite() => NOTHING.to_owned(),
        _ if value.abs() < 9.95 => format!("{value:.1}x"),
        _ => format!("{value:.0}x"),
    }
}

/// Processor cores: `1 core`, `0.37 cores`, never down to nothing.
pub(super) fn cores(value: f64) -> String {
    let text = match value.abs() {
        size if size >= 0.095 => number((value * 100.0).round() / 100.0),
        size if size >= 0.0005 || size == 0.0 => number(value),
        _ if !value.is_finite() => NOTHING.to_owned(),
        _ => "<0.001".to_owned(),
    };
    let noun = if text == "1" { "core" } else { "cores" };
    format!("{text} {noun}")
}

/// A count with its noun: `1 gap`, `3 gaps`.
pub(crate) fn plural(count: u64, one: &str, many: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { many })
}

/// Words of a list: `a`, `a and b`, `a, b and c`.
pub(super) fn list(words: &[String]) -> String {
    match words {
        [] => String::new(),
        [one] => one.clone(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    }
}

/// A text from outside, fit for a terminal and for XML: a control character (an escape sequence,
/// a line break) becomes a blank, and so do the marks that turn the direction of writing.
pub(super) fn clean(text: &str) -> String {
    let unfit = |c: char| {
        c.is_control()
            || matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
            || matches!(c, '\u{fffe}' | '\u{ffff}')
    };
    let text: String = text.chars().map(|c| if unfit(c) { ' ' } else { c }).collect();
    text.trim().to_owned()
}

/// The text with a capital at its begin and a full stop at its end, as a sentence stands alone.
pub(super) fn sentence(text: &str) -> String {
    let text = clean(text);
    let mut chars = text.chars();
    let Some(first) = chars.next() else { return String::new() };
    // A name in backticks, a metric or a number keeps its case by not being a lower-case letter
    // followed by a dot or an underscore.
    let word = text.split_whitespace().next().unwrap_or_default();
    let is_name = word.trim_end_matches(['.', ',', ':']).contains(['.', '_', '/', '=']);
    let head = if is_name { first.to_string() } else { first.to_uppercase().collect::<String>() };
    let end = if text.ends_with(['.', '!', '?']) { "" } else { "." };
    format!("{head}{}{end}", chars.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_keep_three_digits() {
        let cases = [
            (0.0, "0"),
            (-0.0, "0"),
            (212.3847, "212"),
            (99.97, "100"),
            (21.25, "21.2"),
            (20.0, "20"),
            (4.999, "5"),
            (0.3712, "0.371"),
            (1536.0, "1536"),
            (-12.34, "-12.3"),
            (f64::NAN, "-"),
        ];
        for (value, expected) in cases {
            assert_eq!(number(value), expected, "{value}");
        }
    }

    #[test]
    fn durations_read_as_one_would_say_them() {
        let cases = [
            (0.0, "0 ms"),
            (0.0042, "4.2 ms"),
            (0.000_085, "0.09 ms"),
            (0.000_002, "0.002 ms"),
            (0.000_000_3, "<0.001 ms"),
            (0.184, "184 ms"),
            (0.9996, "1 s"),
            (1.25, "1.25 s"),
            (42.0, "42 s"),
            (252.0, "4 min 12 s"),
            (3600.0, "1 h"),
            (7384.0, "2 h 3 min"),
            (90_000.0, "25 h"),
            (1_591_000.0, "18 days 9 h"),
            (f64::INFINITY, "-"),
        ];
        for (value, expected) in cases {
            assert_eq!(duration(value), expected, "{value}");
        }
    }

    #[test]
    fn shares_never_round_to_all_or_nothing() {
        let cases = [
            (0.0, "0 %"),
            (0.95, "95 %"),
            (0.004, "0.4 %"),
            (0.0123, "1.2 %"),
            (0.000_01, "<0.01 %"),
            (0.9999, "99.99 %"),
            (0.999_99, "99.99 %"),
            (1.0, "100 %"),
            (1.5, "150 %"),
        ];
        for (value, expected) in cases {
            assert_eq!(percent(value), expected, "{value}");
        }
    }

    #[test]
    fn bytes_cores_plurals_and_lists() {
        assert_eq!(bytes(1.3 * 1024.0 * 1024.0 * 1024.0), "1.3 GiB");
        assert_eq!(bytes(1000.0), "0.977 KiB");
        assert_eq!(bytes(512.0), "512 B");
        assert_eq!(cores(1.0), "1 core");
        assert_eq!(cores(0.371), "0.37 cores");
        assert_eq!(cores(0.0005), "0.001 cores");
        assert_eq!(cores(0.0001), "<0.001 cores");
        assert_eq!(value(1.004, Unit::Times), "1.0x");
        assert_eq!(value(124.78, Unit::Times), "125x");
        assert_eq!(plural(1, "gap", "gaps"), "1 gap");
        assert_eq!(plural(0, "gap", "gaps"), "0 gaps");
        assert_eq!(list(&["a".into(), "b".into(), "c".into()]), "a, b and c");
    }

    #[test]
    fn texts_from_outside_cannot_drive_a_terminal() {
        assert_eq!(clean("a\u{1b}[31mb\nc\u{202e}d"), "a [31mb c d");
        assert_eq!(sentence("the pool is too small"), "The pool is too small.");
        assert_eq!(sentence("db.sessions is flat"), "db.sessions is flat.");
    }
}
