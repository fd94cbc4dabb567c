//! Which field at the end of a line is the time that a request took, and in which unit. The
//! formats do not say it: it is told from many lines at once, and said in a note.

use super::fields::fields;

/// Fields at the end of a line among which the time is looked for.
const LOOKED_AT: usize = 12;
/// Share of the lines in which a field has to be a time.
const MOST: f64 = 0.9;
/// Times are rounded to milliseconds: a part may exceed its whole by this many seconds.
const ROUNDING: f64 = 0.0025;
/// Larger numbers with three decimals are times since 1970 (nginx' `$msec`), and not durations.
const EPOCH: f64 = 1e9;
/// A typical whole number from here on is microseconds (Apache's `%D`): no service answers within
/// a millisecond mostly.
const LEAST_MICROS: f64 = 1000.0;
/// By how many bytes the headers of answers differ at most: a whole number that follows the size
/// of the answer as closely counts the bytes with their headers.
const HEADERS: u64 = 1024;
/// Names of the time in fields such as `rt=0.010`, that people give it.
const KEYS: &[&str] = &["rt", "rtime", "request_time", "req_time", "reqtime", "duration", "took"];
/// Ends of names and of values that say the unit, and how many of it a second has.
const UNITS: &[(&str, f64)] = &[("ms", 1e3), ("us", 1e6), ("µs", 1e6), ("s", 1.0)];

/// Which moment of a request the time of its line is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stamp {
    Start,
    End,
}

/// Why no field is the time that requests took.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Untimed {
    /// There is no further number.
    None,
    /// There are whole numbers, whose unit cannot be told.
    Unit,
}

/// Where the times of a log stand.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Times {
    place: Place,
    /// How many of the unit of whole numbers a second has, where they do not say their own.
    unit: Option<f64>,
    /// The field with the moment of the end in milliseconds, counted from the end of the line.
    epoch: Option<usize>,
    /// Which moment the time of a line is.
    pub(crate) stamp: Stamp,
    /// What was taken for the time, for a note.
    pub(crate) taken: String,
}

#[derive(Clone, Debug, PartialEq)]
enum Place {
    /// Counted from the end of the line, from 0.
    FromEnd(usize),
    /// Behind this name and `=`.
    Key(String),
}

impl Times {
    /// Tells it from what stands behind the sizes of lines, and from these sizes.
    ///
    /// # Errors
    /// When no field is a time.
    pub(crate) fn told<'t>(
        lines: impl Iterator<Item = (&'t str, Option<u64>)>,
    ) -> Result<Self, Untimed> {
        let (rows, sizes): (Vec<_>, Vec<_>) =
            lines.map(|(rest, size)| (fields(rest), size)).unzip();
        let rows = Rows(rows);
        rows.millis()
            .or_else(|| rows.keyed())
            .or_else(|| rows.seconds())
            .map_or_else(|| rows.whole(&sizes), Ok)
    }

    /// Seconds that a request took, by what stands behind its size.
    pub(crate) fn took(&self, rest: &str) -> Option<f64> {
        let fields = fields(rest);
        let value = match &self.place {
            Place::FromEnd(place) => from_end(&fields, *place)?,
            Place::Key(key) => fields.iter().find_map(|field| value_of(field, key))?,
        };
        let took = match value.contains('.') {
            true => seconds(value),
            false => whole(value, self.unit),
        };
        took.filter(|took| (0.0..EPOCH).contains(took))
    }

    /// The end of the request in seconds since 1970, where the line has it in milliseconds.
    pub(crate) fn end(&self, rest: &str) -> Option<f64> {
        let place = self.epoch?;
        from_end(&fields(rest), place).and_then(seconds).filter(|at| *at >= EPOCH)
    }
}

/// The fields of many lines.
struct Rows<'t>(Vec<Vec<&'t str>>);

impl<'t> Rows<'t> {
    /// The field at a place from the end, in each row that has it.
    fn column(&self, place: usize) -> impl Iterator<Item = Option<&'t str>> {
        self.0.iter().map(move |row| from_end(row, place))
    }

    /// Whether a field is what it should be in most rows.
    fn are_most(&self, place: usize, is: impl Fn(&str) -> bool) -> bool {
        let right = self.column(place).filter(|field| field.is_some_and(&is)).count();
        right > 0 && right as f64 >= MOST * self.0.len() as f64
    }

    /// Traefik's common format: `12ms` at the end.
    fn millis(&self) -> Option<Times> {
        let is = |field: &str| field.strip_suffix("ms").is_some_and(|it| it.parse::<u64>().is_ok());
        self.are_most(0, is).then(|| Times {
            place: Place::FromEnd(0),
            unit: None,
            epoch: None,
            stamp: Stamp::Start,
            taken: "the last field, such as `12ms`".to_owned(),
        })
    }

    fn keyed(&self) -> Option<Times> {
        let row = self.0.first()?;
        let keys = row.iter().filter_map(|field| field.split_once('=').map(|(key, _)| key));
        keys.filter_map(|key| Some((key, key_unit(key)?))).find_map(|(key, unit)| {
            let values =
                self.0.iter().filter_map(|row| row.iter().find_map(|field| value_of(field, key)));
            let values: Vec<&str> = values.collect();
            let are_seconds = values.iter().all(|value| seconds(value).is_some());
            let are_read = |value: &&&str| whole(value, unit).is_some();
            let right =
                if are_seconds { values.len() } else { values.iter().filter(are_read).count() };
            (right > 0 && right as f64 >= MOST * self.0.len() as f64).then(|| Times {
                place: Place::Key(key.to_owned()),
                unit,
                epoch: self.epoch(),
                stamp: if are_seconds { Stamp::End } else { Stamp::Start },
                taken: format!("`{key}=…`"),
            })
        })
    }

    /// nginx: numbers with three decimals, of which the largest is the request's and the others
    /// are parts of it.
    fn seconds(&self) -> Option<Times> {
        let is = |field: &str| field == "-" || seconds(field).is_some_and(|time| time < EPOCH);
        let places = (0..LOOKED_AT).filter(|place| {
            self.are_most(*place, is) && self.column(*place).flatten().any(|it| it != "-")
        });
        let places: Vec<usize> = places.collect();
        let sum = |place: &usize| self.column(*place).flatten().filter_map(seconds).sum::<f64>();
        let whole = places.iter().copied().max_by(|a, b| sum(a).total_cmp(&sum(b)))?;
        let is_never_below = places.iter().all(|other| {
            self.column(whole).zip(self.column(*other)).all(|(whole, part)| {
                let times = whole.and_then(seconds).zip(part.and_then(seconds));
                times.is_none_or(|(whole, part)| whole + ROUNDING >= part)
            })
        });
        let doubt =
            if is_never_below { "" } else { ", although it is not the largest in each line" };
        let taken = format!("the {}, in seconds{doubt}", words(whole));
        let (place, epoch) = (Place::FromEnd(whole), self.epoch());
        Some(Times { place, unit: None, epoch, stamp: Stamp::End, taken })
    }

    /// The place of the moments of the ends.
    fn epoch(&self) -> Option<usize> {
        let is = |field: &str| seconds(field).is_some_and(|time| time >= EPOCH);
        (0..LOOKED_AT).find(|place| self.are_most(*place, is))
    }

    /// Apache: a whole number, of microseconds or of seconds.
    fn whole(&self, sizes: &[Option<u64>]) -> Result<Times, Untimed> {
        let is = |field: &str| micros(field).is_some();
        let numbers = |place: usize| self.column(place).map(|field| field.and_then(micros));
        let is_size = |place: usize| {
            let pairs = numbers(place).zip(sizes).filter_map(|(it, size)| it.zip(*size));
            let pairs: Vec<(u64, u64)> = pairs.collect();
            let headers: Option<Vec<u64>> =
                pairs.iter().map(|(number, size)| number.checked_sub(*size)).collect();
            let sizes = spread(pairs.iter().map(|(_, size)| *size));
            sizes > 2 * HEADERS && headers.is_some_and(|it| spread(it.into_iter()) <= HEADERS)
        };
        let places = (0..LOOKED_AT).filter(|place| self.are_most(*place, is) && !is_size(*place));
        let places: Vec<usize> = places.collect();
        let typical = |place: usize| {
            let mut sorted: Vec<u64> = numbers(place).flatten().collect();
            sorted.sort_unstable();
            sorted.get(sorted.len() / 2).map_or(0.0, |middle| *middle as f64)
        };
        let is_both = |micros: usize, seconds: usize| {
            let mut pairs = numbers(micros).zip(numbers(seconds));
            pairs.all(|(a, b)| a.zip(b).is_none_or(|(a, b)| a / 1_000_000 == b))
        };
        let (place, is_micros) = match places.as_slice() {
            [] => return Err(Untimed::None),
            [only] if typical(*only) >= LEAST_MICROS => (*only, true),
            [only] if typical(*only) == 0.0 => (*only, false),
            [a, b] if typical(*a) >= LEAST_MICROS && is_both(*a, *b) => (*a, true),
            [a, b] if typical(*b) >= LEAST_MICROS && is_both(*b, *a) => (*b, true),
            _ => return Err(Untimed::Unit),
        };
        let (unit, name) = if is_micros { (1e6, "microseconds") } else { (1.0, "seconds") };
        let taken = format!("the {}, in {name}", words(place));
        let (place, unit) = (Place::FromEnd(place), Some(unit));
        Ok(Times { place, unit, epoch: None, stamp: Stamp::Start, taken })
    }
}

/// How far the largest value is from the smallest.
fn spread(values: impl Iterator<Item = u64>) -> u64 {
    let ends = values.fold(None, |ends: Option<(u64, u64)>, value| {
        let (least, most) = ends.unwrap_or((value, value));
        Some((least.min(value), most.max(value)))
    });
    ends.map_or(0, |(least, most)| most - least)
}

/// A place from the end in words.
fn words(place: usize) -> String {
    match place {
        0 => "last field".to_owned(),
        1 => "last field but one".to_owned(),
        place => format!("field with {place} behind it"),
    }
}

fn from_end<'t>(fields: &[&'t str], place: usize) -> Option<&'t str> {
    fields.len().checked_sub(place + 1).and_then(|place| fields.get(place)).copied()
}

fn value_of<'t>(field: &'t str, key: &str) -> Option<&'t str> {
    let value = field.strip_prefix(key)?.strip_prefix('=')?;
    Some(value.trim_matches('"'))
}

/// The unit of whole numbers behind a name, where it says one; `None` where the name is not that of
/// a time.
fn key_unit(key: &str) -> Option<Option<f64>> {
    let key = key.to_ascii_lowercase();
    if KEYS.contains(&key.as_str()) {
        return Some(None);
    }
    let units = UNITS.iter().filter_map(|(name, unit)| Some((key.strip_suffix(name)?, unit)));
    let mut units = units.filter_map(|(key, unit)| Some((key.strip_suffix('_')?, *unit)));
    units.find(|(key, _)| KEYS.contains(key)).map(|(_, unit)| Some(unit))
}

/// A number with three decimals, or the sum of a list of them.
pub(super) fn seconds(field: &str) -> Option<f64> {
    let mut sum = None;
    for part in field.split([',', ':', ' ']).filter(|part| !part.is_empty() && *part != "-") {
        let (whole, decimals) = part.split_once('.')?;
        let are_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        if !(1..=12).contains(&whole.len()) || decimals.len() != 3 || !are_digits(whole) {
            return None;
        }
        if !are_digits(decimals) {
            return None;
        }
        *sum.get_or_insert(0.0) += part.parse::<f64>().ok()?;
    }
    sum
}

/// A whole number, with its unit or without.
fn whole(value: &str, unit: Option<f64>) -> Option<f64> {
    let own = UNITS.iter().find_map(|(name, unit)| Some((value.strip_suffix(name)?, Some(*unit))));
    let (number, unit) = own.unwrap_or((value, unit));
    Some(micros(number)? as f64 / unit?)
}

/// A whole number, or the second one of `%T/%D`.
fn micros(field: &str) -> Option<u64> {
    let parse = |text: &str| {
        let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        is_number.then(|| text.parse::<u64>().ok()).flatten()
    };
    match field.split_once('/') {
        Some((seconds, micros)) => {
            let (seconds, micros) = (parse(seconds)?, parse(micros)?);
            (micros / 1_000_000 == seconds).then_some(micros)
        }
        None => parse(field),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(lines: &[&str]) -> Result<(Times, Vec<Option<f64>>), Untimed> {
        let times = Times::told(lines.iter().map(|line| (*line, Some(500))))?;
        let took = lines.iter().map(|line| times.took(line)).collect();
        Ok((times, took))
    }

    #[test]
    fn of_two_times_the_larger_is_the_requests() {
        for lines in [
            [r#" "-" "a" 0.010 0.009"#, r#" "-" "a" 0.060 0.030, 0.029"#, r#" "-" "a" 0.065 -"#],
            [r#" "-" "a" 0.009 0.010"#, r#" "-" "a" 0.030, 0.029 0.060"#, r#" "-" "a" - 0.065"#],
            [r#" "a" rt=0.010 urt="0.01""#, r#" "a" rt=0.060 urt="-""#, r#" "a" rt="0.065""#],
        ] {
            let (times, took) = told(&lines).unwrap();
            assert_eq!(took, [Some(0.01), Some(0.06), Some(0.065)], "{lines:?}");
            assert_eq!(times.stamp, Stamp::End);
        }
    }

    #[test]
    fn moments_and_ratios_are_not_durations() {
        let lines = [r#" "a" 1777886400.513 2.51 0.010"#, r#" "a" 1777886401.500 1.00 0.020"#];
        let (times, took) = told(&lines).unwrap();
        assert_eq!(took, [Some(0.01), Some(0.02)]);
        assert_eq!(times.end(lines[0]), Some(1_777_886_400.513));
    }

    #[test]
    fn whole_numbers_are_times_where_their_unit_is_plain() {
        let (times, took) = told(&[" 10000", " 21500", " 13"]).unwrap();
        assert_eq!((times.stamp, took[1]), (Stamp::Start, Some(0.0215)));
        assert!(times.taken.contains("microseconds"), "{}", times.taken);
        assert_eq!(told(&[" 0", " 0", " 3"]).unwrap().1[2], Some(3.0));
        assert_eq!(told(&[" 2100000 2", " 10000 0"]).unwrap().1[0], Some(2.1));
        assert_eq!(told(&[" 2/2100000", " 0/10000"]).unwrap().1[0], Some(2.1));
        assert_eq!(told(&[" \"a\" rt=12ms", " rt=7ms"]).unwrap().1[0], Some(0.012));
        assert_eq!(told(&[" \"a\" took_us=1200", " took_us=7"]).unwrap().1[0], Some(0.0012));
        let traefik = r#" "-" "-" 44 "shop@docker" "http://192.0.2.7:80" 10ms"#;
        assert_eq!(told(&[traefik]).unwrap().1[0], Some(0.01));
        for (lines, why) in [
            ([" 13", " 25"], Untimed::Unit),
            ([" 13000 25000", " 17000 99999"], Untimed::Unit),
            ([" rt=13", " rt=25"], Untimed::None),
            ([" \"a\" \"b\"", ""], Untimed::None),
        ] {
            assert_eq!(told(&lines).map(|_| ()), Err(why), "{lines:?}");
        }
        let bytes = [(" 10190", Some(10_000)), (" 690", Some(500))];
        assert_eq!(Times::told(bytes.into_iter()), Err(Untimed::None), "sizes with headers");
    }
}
