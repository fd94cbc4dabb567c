//! The zones of times in logs.

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

/// Abbreviations and their minutes from UTC, as PostgreSQL's own list of them has it
/// (`timezonesets/Default`).
const ABBREVIATIONS: &[(&str, i32)] = &[
    ("UTC", 0),
    ("GMT", 0),
    ("Z", 0),
    ("WET", 0),
    ("WEST", 60),
    ("BST", 60),
    ("CET", 60),
    ("CEST", 120),
    ("EET", 120),
    ("EEST", 180),
    ("SAST", 120),
    ("MSK", 180),
    ("PKT", 300),
    ("SGT", 480),
    ("HKT", 480),
    ("AWST", 480),
    ("JST", 540),
    ("KST", 540),
    ("AEST", 600),
    ("AEDT", 660),
    ("NZST", 720),
    ("NZDT", 780),
    ("NST", -210),
    ("AST", -240),
    ("ADT", -180),
    ("EST", -300),
    ("EDT", -240),
    ("CST", -360),
    ("CDT", -300),
    ("MST", -420),
    ("MDT", -360),
    ("PST", -480),
    ("PDT", -420),
    ("AKST", -540),
    ("AKDT", -480),
    ("HST", -600),
];

/// Seconds since 1970 of a time of day such as `2026-11-28 18:03:15.123` and its zone as a log has it:
/// an abbreviation or an offset. Where neither is known, the time is one of `otherwise`.
pub(in crate::history) fn seconds(
    civil: &str,
    zone: &str,
    otherwise: Option<&TimeZone>,
) -> Option<f64> {
    let civil: DateTime = civil.parse().ok()?;
    let at: Timestamp = match minutes(zone) {
        Some(minutes) => {
            let offset = jiff::tz::Offset::from_seconds(minutes * 60).ok()?;
            offset.to_timestamp(civil).ok()?
        }
        None => otherwise?.to_timestamp(civil).ok()?,
    };
    Some(at.as_duration().as_secs_f64())
}

fn minutes(zone: &str) -> Option<i32> {
    if let Some((_, minutes)) = ABBREVIATIONS.iter().find(|(name, _)| *name == zone) {
        return Some(*minutes);
    }
    let (sign, digits) = match zone.split_at_checked(1)? {
        ("+", digits) => (1, digits),
        ("-", digits) => (-1, digits),
        _ => return None,
    };
    let digits: String = digits.chars().filter(|c| *c != ':').collect();
    let (hours, minutes) = digits.split_at_checked(2)?;
    let minutes = if minutes.is_empty() { "0" } else { minutes };
    Some(sign * (hours.parse::<i32>().ok()? * 60 + minutes.parse::<i32>().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_with_a_zone_are_moments() {
        let of = |civil: &str, zone: &str| seconds(civil, zone, None);
        assert_eq!(of("2026-11-28 18:00:00", "UTC"), Some(1_795_888_800.0));
        assert_eq!(of("2026-11-28 19:00:00.250", "CET"), Some(1_795_888_800.25));
        assert_eq!(of("2026-11-28 23:30:00", "+0530"), Some(1_795_888_800.0));
        assert_eq!(of("2026-11-28 15:00:00", "-03"), Some(1_795_888_800.0));
        assert_eq!(of("2026-11-28 18:00:00", "XYZ"), None);
        let berlin = TimeZone::fixed(jiff::tz::offset(1));
        assert_eq!(seconds("2026-11-28 19:00:00", "", Some(&berlin)), Some(1_795_888_800.0));
        assert_eq!(of("yesterday", "UTC"), None);
    }
}
