//! Numbers with their units, for the sentences of evidence.

use crate::timeline::Unit;

use super::measure::Measure;

/// A number as a person reads it: `94 %`, `12 ms`, `1.8 cores`, `3.2 times`.
pub fn number(value: f64, measure: Measure) -> String {
    match measure {
        Measure::In(Unit::Ratio) => format!("{} %", short(value * 100.0)),
        Measure::In(Unit::Seconds) => seconds(value),
        Measure::In(Unit::Bytes) => bytes(value),
        Measure::In(Unit::Cores) | Measure::PerSecond(Unit::Seconds | Unit::Cores) => {
            let cores = short(value);
            let noun = if cores == "1" { "core" } else { "cores" };
            format!("{cores} {noun}")
        }
        Measure::In(Unit::Count | Unit::Unknown) => short(value),
        Measure::PerSecond(Unit::Bytes) => format!("{}/s", bytes(value)),
        Measure::PerSecond(_) => format!("{}/s", short(value)),
        Measure::In(Unit::Times) | Measure::Times => times(value),
    }
}

/// Three significant digits, and no more than a reader needs of a large number.
fn short(value: f64) -> String {
    // A sum of nothing is -0.
    let value = value + 0.0;
    let size = value.abs();
    let text = if size >= 99.95 || value == 0.0 {
        return format!("{value:.0}");
    } else if size >= 9.995 {
        format!("{value:.1}")
    } else if size >= 0.0995 {
        format!("{value:.2}")
    } else if size >= 0.000_95 {
        format!("{value:.3}")
    } else {
        format!("{value:.1e}")
    };
    if text.contains('e') {
        return text;
    }
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// A growth: 1.0 times is none.
fn times(value: f64) -> String {
    match value.abs() < 9.95 {
        true => format!("{value:.1} times"),
        false => format!("{value:.0} times"),
    }
}

fn seconds(value: f64) -> String {
    let size = value.abs();
    if size >= 1.0 || value == 0.0 {
        format!("{} s", short(value))
    } else if size >= 1e-3 {
        format!("{} ms", short(value * 1e3))
    } else {
        format!("{} µs", short(value * 1e6))
    }
}

/// A stretch of time that may be long: `45 s`, `14 min`, `7.5 h`, `12 days`.
pub fn span(seconds: f64) -> String {
    let steps = [(2.0 * 86_400.0, 86_400.0, "days"), (5400.0, 3600.0, "h"), (90.0, 60.0, "min")];
    match steps.into_iter().find(|(from, ..)| seconds >= *from) {
        Some((_, size, unit)) => format!("{} {unit}", short(seconds / size)),
        None => format!("{seconds:.0} s"),
    }
}

fn bytes(value: f64) -> String {
    const KIB: f64 = 1024.0;
    let steps = [(KIB * KIB * KIB, "GiB"), (KIB * KIB, "MiB"), (KIB, "KiB")];
    match steps.into_iter().find(|(size, _)| value.abs() >= *size) {
        Some((size, unit)) => format!("{} {unit}", short(value / size)),
        None => format!("{} B", short(value)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_carry_their_units() {
        let say = |value, unit| number(value, Measure::In(unit));
        assert_eq!(say(0.943, Unit::Ratio), "94.3 %");
        assert_eq!(say(1.0, Unit::Ratio), "100 %");
        assert_eq!(say(0.0123, Unit::Seconds), "12.3 ms");
        assert_eq!(say(0.000_25, Unit::Seconds), "250 µs");
        assert_eq!(say(2.5, Unit::Seconds), "2.5 s");
        assert_eq!(say(4.0, Unit::Count), "4");
        assert_eq!(say(0.0, Unit::Count), "0");
        assert_eq!(say(1_572_864.0, Unit::Bytes), "1.5 MiB");
        assert_eq!(number(1.82, Measure::PerSecond(Unit::Seconds)), "1.82 cores");
        assert_eq!(say(1.0, Unit::Cores), "1 core");
        assert_eq!(say(0.0408, Unit::Cores), "0.041 cores");
        assert_eq!(number(1.004, Measure::Times), "1.0 times");
        assert_eq!(number(120.0, Measure::PerSecond(Unit::Count)), "120/s");
        assert_eq!(span(45.4), "45 s");
        assert_eq!(span(840.0), "14 min");
        assert_eq!(span(27_000.0), "7.5 h");
        assert_eq!(span(1_036_800.0), "12 days");
    }
}
