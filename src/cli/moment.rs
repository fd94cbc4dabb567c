//! Times of day and dates as people write them.

use jiff::civil::{DateTime, Time};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, Zoned};

use super::error::CliError;

/// Seconds since 1970 below which a number is not taken for a time: the year 2001.
const EARLIEST_SECONDS: f64 = 1e9;

/// Seconds since 1970 of a time as it was typed. `now` is the present moment in the zone of times
/// without one.
pub(super) fn seconds(option: &str, text: &str, now: &Zoned) -> Result<f64, CliError> {
    let wrong = || {
        CliError::usage(format!("`{option} {text}` is not a time")).with_hint(
            "write 2026-11-28T18:03 (local time), 2026-11-28T18:03Z, 18:03 for the last one, -6h, \
             or seconds since 1970",
        )
    };
    read(text.trim(), now).map(|at| at.as_duration().as_secs_f64()).ok_or_else(wrong)
}

fn read(text: &str, now: &Zoned) -> Option<Timestamp> {
    if text == "now" {
        return Some(now.timestamp());
    }
    if let Some(ago) = text.strip_prefix('-') {
        let ago: SignedDuration =
            ago.parse().ok().filter(|ago| !SignedDuration::is_negative(ago))?;
        return now.timestamp().checked_sub(ago).ok();
    }
    if let Ok(seconds) = text.parse::<f64>() {
        let is_time = seconds.is_finite() && seconds >= EARLIEST_SECONDS;
        return Timestamp::from_millisecond((seconds * 1e3) as i64).ok().filter(|_| is_time);
    }
    if let Ok(at) = text.parse::<Timestamp>() {
        return Some(at);
    }
    if let Ok(time) = text.parse::<Time>()
        && !text.contains('-')
    {
        let zone = now.time_zone().clone();
        let today = now.date().to_datetime(time).to_zoned(zone).ok()?;
        let last =
            if today.timestamp() > now.timestamp() { today.yesterday().ok()? } else { today };
        return Some(last.timestamp());
    }
    let at: DateTime = text.parse().ok()?;
    at.to_zoned(now.time_zone().clone()).ok().map(|at| at.timestamp())
}

/// The present moment in the zone of this machine.
pub(super) fn now() -> Zoned {
    Timestamp::now().to_zoned(TimeZone::system())
}

/// A moment in seconds since 1970, as a person reads it: `2026-11-28 18:03:15`.
pub(super) fn shown(seconds: f64, zone: &TimeZone) -> String {
    let at = Timestamp::from_millisecond((seconds * 1e3) as i64).unwrap_or_default();
    at.to_zoned(zone.clone()).strftime("%Y-%m-%d %H:%M:%S %Z").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_as_people_write_them() {
        let zone = TimeZone::fixed(jiff::tz::offset(1));
        let now = "2026-11-29T05:00:00Z".parse::<Timestamp>().unwrap().to_zoned(zone);
        let of = |text: &str| read(text, &now).map(|at| at.to_string());
        for (text, expected) in [
            ("2026-11-28T18:03Z", "2026-11-28T18:03:00Z"),
            ("2026-11-28T18:03:15+02:00", "2026-11-28T16:03:15Z"),
            ("2026-11-28T18:03", "2026-11-28T17:03:00Z"),
            ("2026-11-28 18:03:07", "2026-11-28T17:03:07Z"),
            ("2026-11-28", "2026-11-27T23:00:00Z"),
            ("18:03", "2026-11-28T17:03:00Z"),
            ("05:59", "2026-11-29T04:59:00Z"),
            ("-90m", "2026-11-29T03:30:00Z"),
            ("-1h 30m", "2026-11-29T03:30:00Z"),
            ("now", "2026-11-29T05:00:00Z"),
            ("1795888800", "2026-11-28T18:00:00Z"),
        ] {
            let expected = match text {
                "1795888800" => Timestamp::from_second(1_795_888_800).unwrap().to_string(),
                _ => expected.to_owned(),
            };
            assert_eq!(of(text).as_deref(), Some(expected.as_str()), "{text}");
        }
        for wrong in ["", "yesterday", "25:00", "2026-13-01", "17", "NaN", "-", "--6h"] {
            assert_eq!(of(wrong), None, "{wrong}");
        }
        assert_eq!(shown(1_795_888_800.0, &TimeZone::UTC).len(), "2026-11-28 18:00:00 UTC".len());
    }
}
