//! Gatling's `simulation.log` as versions from 3.12 on write it: records of big-endian numbers and
//! texts, without lengths and without an end. Texts that come again are numbers of a cache.

use std::io::BufRead;

use super::ImporterSpec;
use super::binary::{BinaryReader, Stop, ended_by};
use super::error::ImportError;
use super::gatling::{Hit, Users, add, tell};
use super::requests::Requests;

pub(super) static SPEC: ImporterSpec = ImporterSpec {
    name: "gatling-binary",
    summary: "Gatling's simulation.log (Gatling 3.12 and later)",
    looks_like,
    read,
};

/// Kinds of records.
const RUN: u8 = 0;
const REQUEST: u8 = 1;
const USER: u8 = 2;
const GROUP: u8 = 3;
const ERROR: u8 = 4;
/// Bytes of a version at most, such as `3.14.3`.
const LONGEST_VERSION: usize = 32;
/// Bytes of a text at most, and of all texts in the cache.
const LONGEST_TEXT: usize = 1 << 20;
const MOST_CACHED: usize = 64 << 20;
/// Scenarios, assertions and nested groups at most: more are a damaged number.
const MOST_PARTS: usize = 10_000;

/// The record of the run, then the length of its version and the version.
fn looks_like(begin: &str) -> bool {
    let bytes = begin.as_bytes();
    let Some((&[RUN, 0, 0, 0, length], rest)) = bytes.split_first_chunk::<5>() else {
        return false;
    };
    let version = rest.get(..usize::from(length)).unwrap_or_default();
    (1..LONGEST_VERSION).contains(&version.len())
        && version[0].is_ascii_digit()
        && version.iter().all(u8::is_ascii_graphic)
}

fn read(input: &mut dyn BufRead, requests: &mut Requests) -> Result<(), ImportError> {
    let mut log = Log {
        input: BinaryReader::new(input),
        cache: Vec::new(),
        cached: 0,
        start: 0,
        scenarios: 0,
        users: Users::default(),
        count: 0,
    };
    let (mut begin, mut outcome) = (0, log.run());
    while let Ok(true) = outcome {
        begin = log.input.at();
        outcome = log.record(requests);
    }
    if let Err(stop) = outcome {
        ended_by(stop, (log.count, begin), requests)?;
    }
    log.users.tell(requests);
    tell(requests);
    Ok(())
}

struct Log<'r> {
    input: BinaryReader<'r>,
    /// Texts by their number, from 1.
    cache: Vec<String>,
    /// Bytes of them.
    cached: usize,
    /// Start of the run in milliseconds since 1970.
    start: i64,
    scenarios: usize,
    users: Users,
    /// Requests so far.
    count: u64,
}

impl Log<'_> {
    /// Reads the record of the run.
    fn run(&mut self) -> Result<bool, Stop> {
        let kind = self.byte()?;
        if kind != RUN {
            return Err(format!("kind {kind}, expected the record of the run").into());
        }
        let (_version, _class) = (self.text()?, self.text()?);
        self.start = i64::from_be_bytes(self.input.array()?);
        let _description = self.text()?;
        self.scenarios = self.count_of("scenarios")?;
        for _ in 0..self.scenarios {
            self.text()?;
        }
        for _ in 0..self.count_of("assertions")? {
            let length = self.int()?;
            let length = usize::try_from(length).ok().filter(|it| *it <= LONGEST_TEXT);
            self.input.bytes(length.ok_or("an assertion without a length".to_owned())?)?;
        }
        Ok(true)
    }

    /// Reads the next record; false at the end.
    fn record(&mut self, requests: &mut Requests) -> Result<bool, Stop> {
        let Some(kind) = self.input.first_byte()? else { return Ok(false) };
        match kind {
            REQUEST => self.request(requests)?,
            USER => {
                let scenario = usize::try_from(self.int()?).unwrap_or(usize::MAX);
                let is_start = self.flag()?;
                self.int()?;
                if scenario >= self.scenarios {
                    return Err(format!("scenario {scenario} of {}", self.scenarios).into());
                }
                self.users.count(is_start);
            }
            GROUP => {
                self.groups()?;
                for _ in 0..3 {
                    self.int()?;
                }
                self.flag()?;
            }
            ERROR => {
                self.cached_text()?;
                self.int()?;
            }
            kind => return Err(format!("kind {kind}: expected 1 to 4").into()),
        }
        Ok(true)
    }

    fn request(&mut self, requests: &mut Requests) -> Result<(), Stop> {
        let (groups, name) = (self.groups()?, self.cached_text()?);
        let (begin, end) = (self.int()?, self.int()?);
        let (is_ok, message) = (self.flag()?, self.cached_text()?);
        if begin < 0 || end < begin {
            return Err(format!("a request from {begin} to {end} ms").into());
        }
        let at = |time: i32| (self.start as f64 + f64::from(time)) / 1e3;
        let hit = Hit {
            groups: groups.iter().map(String::as_str).collect(),
            name: &name,
            begin: at(begin),
            took: f64::from(end - begin) / 1e3,
            is_ok,
            message: message.trim(),
        };
        add(&hit, requests)?;
        self.count += 1;
        Ok(())
    }

    fn groups(&mut self) -> Result<Vec<String>, Stop> {
        (0..self.count_of("groups")?).map(|_| self.cached_text()).collect()
    }

    fn count_of(&mut self, what: &str) -> Result<usize, Stop> {
        let count = self.int()?;
        let known = usize::try_from(count).ok().filter(|count| *count <= MOST_PARTS);
        known.ok_or_else(|| format!("{count} {what}").into())
    }

    fn byte(&mut self) -> Result<u8, Stop> {
        let [byte] = self.input.array()?;
        Ok(byte)
    }

    fn flag(&mut self) -> Result<bool, Stop> {
        match self.byte()? {
            0 => Ok(false),
            1 => Ok(true),
            other => Err(format!("{other}, expected 0 or 1").into()),
        }
    }

    fn int(&mut self) -> Result<i32, Stop> {
        Ok(i32::from_be_bytes(self.input.array()?))
    }

    /// A text that comes for the first time with its number, or the negative number of an earlier.
    fn cached_text(&mut self) -> Result<String, Stop> {
        let number = self.int()?;
        let next = self.cache.len() + 1;
        if usize::try_from(number).is_ok_and(|number| number == next) {
            let text = self.text()?;
            self.cached += text.len();
            if self.cached > MOST_CACHED {
                return Err(format!("more than {} MB of texts", MOST_CACHED >> 20).into());
            }
            self.cache.push(text.clone());
            return Ok(text);
        }
        let place = usize::try_from(number.unsigned_abs()).ok().and_then(|it| it.checked_sub(1));
        let known = place.filter(|_| number < 0).and_then(|place| self.cache.get(place));
        known.cloned().ok_or_else(|| format!("text {number}, of {} known", next - 1).into())
    }

    /// A text: the number of its bytes, these, and how they are encoded.
    fn text(&mut self) -> Result<String, Stop> {
        let count = self.int()?;
        let length = usize::try_from(count).ok().filter(|length| *length <= LONGEST_TEXT);
        let length = length.ok_or_else(|| format!("a text of {count} bytes"))?;
        if length == 0 {
            return Ok(String::new());
        }
        let bytes = self.input.bytes(length)?;
        match self.byte()? {
            0 => Ok(bytes.iter().copied().map(char::from).collect()),
            1 if length.is_multiple_of(2) => Ok(utf16(&bytes)),
            coder => Err(format!("a text of {length} bytes with the coder {coder}").into()),
        }
    }
}

/// UTF-16 in the order of the machine that wrote it: little-endian, unless the first byte of each
/// unit is 0.
fn utf16(bytes: &[u8]) -> String {
    let (pairs, _) = bytes.as_chunks::<2>();
    let is_big = pairs.iter().all(|[first, _]| *first == 0);
    let unit = |pair: &[u8; 2]| match is_big {
        true => u16::from_be_bytes(*pair),
        false => u16::from_le_bytes(*pair),
    };
    char::decode_utf16(pairs.iter().map(unit))
        .map(|char| char.unwrap_or(char::REPLACEMENT_CHARACTER))
        .collect()
}

#[cfg(test)]
mod tests {
    use crate::import::tests::{Read, refusal, sample};

    #[test]
    fn texts_of_both_encodings_and_of_the_cache_are_read() {
        let read = Read::told(&sample("gatling-binary.sample.log"));
        let rows = [("Home", 2, 0), ("Home Redirect 1", 1, 0), ("Bücher", 1, 0), ("書籍", 1, 1)];
        read.assert_counts(7, 2, &rows);
        read.assert_counts(7, 2, &[("Checkout / Pay / POST", 1, 0)]);
        read.assert_ms(0.5, 120.0);
        assert_eq!(read.said(), [("status.find.in(200,201), found 503".to_owned(), 2)]);
        assert!((read.recording.environment.started_unix - 1_777_885_600.0).abs() < 1e-6);
        assert!(!read.notes.contains("cut off"), "{}", read.notes);
    }

    #[test]
    fn complete_records_of_a_file_that_is_cut_off_are_kept() {
        let bytes = sample("gatling-binary-cut.sample.log");
        let read = Read::told(&bytes);
        read.assert_counts(6, 1, &[("Home", 2, 0), ("Bücher", 1, 0)]);
        assert!(read.notes.contains("begins at byte 506"), "{}", read.notes);
        assert!(read.notes.contains("2 of 3 users did not end"), "{}", read.notes);
        for length in 5..bytes.len() {
            let mut files = crate::import::Files::new(None);
            drop(files.add(&mut &bytes[..length]));
        }
        let why = refusal(&bytes[..60]);
        assert!(why.starts_with("byte 0: ") && why.contains("within a record"), "{why}");
    }

    #[test]
    fn other_layouts_are_refused_with_the_byte() {
        let mut bytes = sample("gatling-binary.sample.log");
        // The coder of the version.
        bytes[11] = 7;
        let why = refusal(&bytes);
        assert_eq!(why, "byte 0: a text of 6 bytes with the coder 7");
    }
}
