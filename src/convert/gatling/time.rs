//! Times as simulations write them, in seconds.

use std::time::Duration;

use crate::convert::draft::{Think, seconds};
use crate::convert::script::value::Known;

/// The seconds of a unit, by its name in any of the languages.
pub(super) fn unit(name: &str) -> Option<f64> {
    Some(match name.to_ascii_lowercase().as_str() {
        "nanos" | "nano" | "nanoseconds" | "nanosecond" => 1e-9,
        "micros" | "micro" | "microseconds" | "microsecond" => 1e-6,
        "millis" | "milli" | "milliseconds" | "millisecond" | "ms" => 1e-3,
        "seconds" | "second" | "s" => 1.0,
        "minutes" | "minute" | "m" => 60.0,
        "hours" | "hour" | "h" => 3600.0,
        "days" | "day" => 86_400.0,
        _ => return None,
    })
}

/// `Duration.ofMillis(5)`, `Duration.of(5, ChronoUnit.SECONDS)`.
pub(super) fn of_java(name: &str, values: &[Known]) -> Known {
    match (name.strip_prefix("of"), values) {
        (Some(""), values) => with_unit(values),
        (Some(of), [number, ..]) => match (number.number(), unit(of)) {
            (Some(number), Some(unit)) => Known::Number(number * unit),
            _ => Known::Unknown,
        },
        _ => Known::Unknown,
    }
}

/// A number and its unit.
pub(super) fn with_unit(values: &[Known]) -> Known {
    let [number, of, ..] = values else { return Known::Unknown };
    match (number.number(), of.fixed().as_deref().and_then(unit)) {
        (Some(number), Some(unit)) => Known::Number(number * unit),
        _ => Known::Unknown,
    }
}

/// A number of seconds; JavaScript has `{ amount: 5, unit: "seconds" }` too.
pub(super) fn in_seconds(of: &Known) -> Option<f64> {
    let number = match of {
        Known::Map(_) => {
            let name = of.get("unit").and_then(Known::fixed);
            of.get("amount")?.number()? * name.as_deref().map_or(Some(1.0), unit)?
        }
        Known::Text(text) => in_words(&text.fixed()?)?,
        of => of.number()?,
    };
    (number.is_finite() && number >= 0.0).then_some(number)
}

/// `5`, and Scala's `"5 seconds"`.
fn in_words(text: &str) -> Option<f64> {
    let text = text.trim();
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let number: f64 = text.get(..end)?.parse().ok()?;
    match text.get(end..)?.trim() {
        "" => Some(number),
        name => Some(number * unit(name)?),
    }
}

/// A time as a plan can have it.
pub(super) fn duration(of: &Known) -> Option<Duration> {
    seconds(in_seconds(of)?)
}

/// A pause: always as long, or between two times.
pub(super) fn pause(arguments: &[Known]) -> Option<Think> {
    let first = duration(arguments.first()?)?;
    match arguments.get(1).and_then(duration) {
        Some(second) => Some(Think::Uniform(first.min(second), second.max(first))),
        None => Some(Think::Fixed(first)),
    }
}

#[cfg(test)]
mod tests {
    use std::rc::Rc;

    use super::*;

    #[test]
    fn times_are_read_in_every_language() {
        let map = |amount: f64, unit: &str| {
            let entries =
                vec![("amount".into(), Known::Number(amount)), ("unit".into(), Known::text(unit))];
            Known::Map(Rc::new(entries))
        };
        for (known, wanted) in [
            (Known::Number(5.0), Some(5.0)),
            (of_java("ofMillis", &[Known::Number(500.0)]), Some(0.5)),
            (of_java("of", &[Known::Number(2.0), Known::text("MINUTES")]), Some(120.0)),
            (map(5.0, "seconds"), Some(5.0)),
            (map(1.0, "fortnights"), None),
            (Known::text("90 seconds"), Some(90.0)),
            (Known::text("#{time}"), None),
            (Known::Number(-1.0), None),
            (Known::Unknown, None),
        ] {
            assert_eq!(in_seconds(&known), wanted, "{known:?}");
        }
    }
}
