//! How numbers read, with their units: one rounding for the sentences of a diagnosis and for all
//! that a report shows. Everything is plain ASCII, so that it survives a pipe, a pager and an
//! e-mail.

use super::measure::Measure;
use crate::timeline::Unit;

/// What stands where nothing was measured.
pub const NOTHING: &str = "-";

/// What a signal came to, as a person reads it: `94 %`, `12 ms`, `1.8 cores`, `3.2 times`.
pub fn measured(value: f64, measure: Measure) -> String {
    match measure {
        Measure::In(unit) => self::value(value, unit),
        // A second of work each second is a core.
        Measure::PerSecond(Unit::Seconds | Unit::Cores) => cores(value),
        Measure::PerSecond(Unit::Bytes) => format!("{}/s", bytes(value)),
        Measure::PerSecond(_) => short_rate(value),
        Measure::Times => times(value),
    }
}

/// Three significant digits without trailing zeros; whole numbers from 100 on stay whole.
pub fn number(value: f64) -> String {
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
pub fn rate(per_second: f64) -> String {
    format!("{} requests/s", number(per_second))
}

/// A rate where space is short: `212/s`.
pub fn short_rate(per_second: f64) -> String {
    format!("{}/s", number(per_second))
}

/// Seconds in the unit that a person would say: `4.2 ms`, `1.25 s`, `4 min 12 s`, `18 days 10 h`.
pub fn duration(seconds: f64) -> String {
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
pub fn bytes(value: f64) -> String {
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

/// A share as a percentage: `95 %`, `94.3 %`, `0.4 %`.
pub fn percent(ratio: f64) -> String {
    if !ratio.is_finite() {
        return NOTHING.to_owned();
    }
    // A sum of nothing is -0.
    let value = ratio * 100.0 + 0.0;
    let size = value.abs();
    if size > 0.0 && size < 0.005 {
        return "<0.01 %".to_owned();
    }
    let tenths = (value * 10.0).round() / 10.0;
    let rounded = match size {
        // Not all is never told as all.
        _ if size < 100.0 && size > 99.9 => 99.9_f64.copysign(value),
        _ if size >= 0.95 => tenths,
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
pub fn value(value: f64, unit: Unit) -> String {
    match unit {
        Unit::Seconds => duration(value),
        Unit::Bytes => bytes(value),
        // What is more than all is no share.
        Unit::Ratio if value > 1.0005 => times(value),
        Unit::Ratio => percent(value),
        Unit::Times => times(value),
        Unit::Cores => cores(value),
        Unit::Count | Unit::Unknown => number(value),
    }
}

/// A growth, of which 1.0 times is none: `1.0 times`, `125 times`.
pub fn times(value: f64) -> String {
    match value {
        _ if !value.is_finite() => NOTHING.to_owned(),
        _ if value.abs() < 9.95 => format!("{value:.1} times"),
        _ => format!("{value:.0} times"),
    }
}

/// Processor cores: `1 core`, `0.37 cores`, never down to nothing.
pub fn cores(value: f64) -> String {
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
pub fn plural(count: u64, one: &str, many: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { many })
}

/// Words of a list: `a`, `a and b`, `a, b and c`.
pub fn list(words: &[String]) -> String {
    match words {
        [] => String::new(),
        [one] => one.clone(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    }
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
            (0.9999, "99.9 %"),
            (0.999_99, "99.9 %"),
            (0.998_94, "99.9 %"),
            (0.943, "94.3 %"),
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
        assert_eq!(value(1.004, Unit::Times), "1.0 times");
        assert_eq!(value(124.78, Unit::Times), "125 times");
        assert_eq!(plural(1, "gap", "gaps"), "1 gap");
        assert_eq!(plural(0, "gap", "gaps"), "0 gaps");
        assert_eq!(list(&["a".into(), "b".into(), "c".into()]), "a, b and c");
    }

    #[test]
    fn signals_carry_their_units() {
        let say = |value, unit| measured(value, Measure::In(unit));
        assert_eq!(say(0.943, Unit::Ratio), "94.3 %");
        assert_eq!(say(0.0123, Unit::Seconds), "12.3 ms");
        assert_eq!(say(1_572_864.0, Unit::Bytes), "1.5 MiB");
        assert_eq!(say(0.0408, Unit::Cores), "0.041 cores");
        assert_eq!(measured(1.82, Measure::PerSecond(Unit::Seconds)), "1.82 cores");
        assert_eq!(measured(1.004, Measure::Times), "1.0 times");
        assert_eq!(measured(120.0, Measure::PerSecond(Unit::Count)), "120/s");
        assert_eq!(measured(2048.0, Measure::PerSecond(Unit::Bytes)), "2 KiB/s");
    }
}
