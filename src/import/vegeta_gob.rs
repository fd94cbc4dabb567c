//! vegeta's results as `vegeta attack` writes them: a stream of Go's `encoding/gob`, whose package
//! documentation is the source of the encoding. Definitions of types come first, so that all
//! versions of the result are read by the names of its fields.

use std::collections::BTreeMap;
use std::io::BufRead;

use super::ImporterSpec;
use super::binary::{BinaryReader, Stop, ended_by};
use super::error::{ImportError, LONGEST_LINE};
use super::requests::Requests;
use super::vegeta::{self, Hit};

pub(super) static SPEC: ImporterSpec = ImporterSpec {
    name: "vegeta-gob",
    summary: "vegeta results as they are written: vegeta attack > results.bin",
    looks_like: |begin| {
        let is_binary = begin.contains('\0') || begin.contains('\u{fffd}');
        let names = ["Result", "Code", "Timestamp", "Latency"];
        is_binary && names.iter().all(|name| begin.contains(name))
    },
    read,
};

/// Numbers of the basic types, in Go's order.
const BOOL: i64 = 1;
const INT: i64 = 2;
const UINT: i64 = 3;
const FLOAT: i64 = 4;
const BYTES: i64 = 5;
const STRING: i64 = 6;
/// Most types and fields that are kept: vegeta has 3 and 12.
const MOST_TYPES: usize = 1000;
const MOST_FIELDS: usize = 1000;
/// Places of a struct and of those that encode themselves in the definition of a type.
const STRUCT: u64 = 2;
const ENCODERS: std::ops::RangeInclusive<u64> = 4..=6;
/// Seconds from the first of January of the year 1 to that of 1970: Go counts from the former.
const EPOCH: i64 = 62_135_596_800;
/// Bytes of a time, and in its later version.
const TIME_BYTES: std::ops::RangeInclusive<usize> = 15..=16;

/// A type that the stream defines.
enum Type {
    /// The names and types of its fields.
    Struct(Vec<(String, i64)>),
    /// Written as bytes of its own form, as times are.
    Encoder,
    Other,
}

fn read(input: &mut dyn BufRead, requests: &mut Requests) -> Result<(), ImportError> {
    let mut input = BinaryReader::new(input);
    let (mut types, mut count, mut has_names) = (BTreeMap::new(), 0, false);
    let (mut begin, mut outcome) = (0, Ok(true));
    while let Ok(true) = outcome {
        begin = input.at();
        outcome = message(&mut input).and_then(|message| {
            let Some(message) = message else { return Ok(false) };
            if let Some(result) = value(&message, &mut types)? {
                has_names |= !result.url.is_empty();
                result.add(requests)?;
                count += 1;
            }
            Ok(true)
        });
    }
    if let Err(stop) = outcome {
        ended_by(stop, (count, begin), requests)?;
    }
    if count > 0 && !has_names {
        requests.note(vegeta::WITHOUT_NAMES);
    }
    Ok(())
}

/// The next message, without its length; `None` at the end of the input.
fn message(input: &mut BinaryReader<'_>) -> Result<Option<Vec<u8>>, Stop> {
    let Some(first) = input.first_byte()? else { return Ok(None) };
    let length = match count_of_bytes(first) {
        0 => u64::from(first),
        count => {
            big_endian(&input.bytes(count)?).ok_or("a number of more than 8 bytes".to_owned())?
        }
    };
    let length = usize::try_from(length).ok().filter(|length| *length <= LONGEST_LINE);
    let length =
        length.ok_or_else(|| format!("a message of more than {} MB", LONGEST_LINE >> 20))?;
    input.bytes(length).map(Some)
}

/// Bytes that follow the first one of a number: none below 128.
fn count_of_bytes(first: u8) -> usize {
    match first {
        0..128 => 0,
        first => 256 - usize::from(first),
    }
}

fn big_endian(bytes: &[u8]) -> Option<u64> {
    (bytes.len() <= 8).then(|| bytes.iter().fold(0, |number, byte| number << 8 | u64::from(*byte)))
}

/// What a message holds: a result, or the definition of a type.
fn value(message: &[u8], types: &mut BTreeMap<i64, Type>) -> Result<Option<Decoded>, String> {
    let mut parts = Parts(message);
    let id = parts.int()?;
    if id < 0 {
        let defined = parts.definition()?;
        if types.len() >= MOST_TYPES {
            return Err(format!("more than {MOST_TYPES} types"));
        }
        types.insert(id.checked_neg().ok_or("the type has no number")?, defined);
        return Ok(None);
    }
    match types.get(&id) {
        Some(Type::Struct(fields)) => Decoded::read(&mut parts, fields, types).map(Some),
        _ => Err(format!("a value of the type {id}, which is not defined as a struct")),
    }
}

/// One result.
#[derive(Default)]
struct Decoded {
    code: u64,
    sent_unix: Option<f64>,
    latency: i64,
    error: String,
    method: String,
    url: String,
}

impl Decoded {
    fn read(
        parts: &mut Parts<'_>,
        fields: &[(String, i64)],
        types: &BTreeMap<i64, Type>,
    ) -> Result<Self, String> {
        let mut result = Self::default();
        let mut place = -1_i64;
        while let Some(step) = Some(parts.uint()?).filter(|step| *step > 0) {
            place = place.saturating_add(i64::try_from(step).unwrap_or(i64::MAX));
            let field = usize::try_from(place).ok().and_then(|place| fields.get(place));
            let (name, kind) = field.ok_or_else(|| format!("there is no field {place}"))?;
            match (name.as_str(), *kind) {
                ("Code", UINT) => result.code = parts.uint()?,
                ("Latency", INT) => result.latency = parts.int()?,
                ("Error", STRING) => result.error = parts.text()?,
                ("Method", STRING) => result.method = parts.text()?,
                ("URL", STRING) => result.url = parts.text()?,
                ("Timestamp", kind) if matches!(types.get(&kind), Some(Type::Encoder)) => {
                    result.sent_unix = Some(time(parts.bytes()?)?);
                }
                (_, BOOL | INT | UINT | FLOAT) => {
                    parts.uint()?;
                }
                (_, BYTES | STRING) => {
                    parts.bytes()?;
                }
                (_, kind) if matches!(types.get(&kind), Some(Type::Encoder)) => {
                    parts.bytes()?;
                }
                // The headers of the response, the last field: the message ends with them.
                _ => break,
            }
        }
        Ok(result)
    }

    fn add(&self, requests: &mut Requests) -> Result<(), String> {
        vegeta::add(
            &Hit {
                sent_unix: self.sent_unix.ok_or("a result without its `Timestamp`")?,
                took: self.latency as f64 / 1e9,
                code: u16::try_from(self.code).map_err(|_| format!("the code {}", self.code))?,
                error: &self.error,
                method: &self.method,
                url: &self.url,
            },
            requests,
        )
    }
}

/// Seconds since 1970 of a time in Go's binary form: a version, seconds, nanoseconds, and a zone
/// that does not matter.
fn time(bytes: &[u8]) -> Result<f64, String> {
    let known = TIME_BYTES.contains(&bytes.len()).then(|| bytes.split_at(1).1);
    let parts = known.and_then(|rest| {
        let (seconds, rest) = rest.split_first_chunk::<8>()?;
        Some((i64::from_be_bytes(*seconds), i32::from_be_bytes(*rest.first_chunk::<4>()?)))
    });
    let (seconds, nanos) = parts.ok_or_else(|| format!("a time of {} bytes", bytes.len()))?;
    Ok(seconds.saturating_sub(EPOCH) as f64 + f64::from(nanos) / 1e9)
}

/// What of a message was not read.
struct Parts<'m>(&'m [u8]);

impl<'m> Parts<'m> {
    fn take(&mut self, count: usize) -> Result<&'m [u8], String> {
        let (taken, rest) =
            self.0.split_at_checked(count).ok_or("a value reaches beyond its message")?;
        self.0 = rest;
        Ok(taken)
    }

    fn uint(&mut self) -> Result<u64, String> {
        let first = self.take(1)?.first().copied().unwrap_or_default();
        match count_of_bytes(first) {
            0 => Ok(u64::from(first)),
            count => Ok(big_endian(self.take(count)?).ok_or("a number of more than 8 bytes")?),
        }
    }

    fn int(&mut self) -> Result<i64, String> {
        let number = self.uint()?;
        let half = (number >> 1).cast_signed();
        Ok(if number & 1 == 1 { !half } else { half })
    }

    fn bytes(&mut self) -> Result<&'m [u8], String> {
        let length = self.uint()?;
        self.take(usize::try_from(length).unwrap_or(usize::MAX))
    }

    fn text(&mut self) -> Result<String, String> {
        Ok(String::from_utf8_lossy(self.bytes()?).into_owned())
    }

    /// The definition of a type: one of seven kinds, of which each has its name and number first.
    fn definition(&mut self) -> Result<Type, String> {
        let kind = self.uint()?.wrapping_sub(1);
        match kind {
            STRUCT => {
                let mut fields = Vec::new();
                let mut place = 0;
                while let Some(step) = Some(self.uint()?).filter(|step| *step > 0) {
                    place += step.min(3);
                    match place {
                        1 => drop(self.name_and_type()?),
                        2 => {
                            for _ in 0..self.uint()? {
                                fields.push(self.name_and_type()?);
                                if fields.len() > MOST_FIELDS {
                                    return Err(format!("more than {MOST_FIELDS} fields"));
                                }
                            }
                        }
                        _ => return Err("a struct with a third part".to_owned()),
                    }
                }
                Ok(Type::Struct(fields))
            }
            kind if ENCODERS.contains(&kind) => Ok(Type::Encoder),
            _ => Ok(Type::Other),
        }
    }

    /// A name and the number of a type.
    fn name_and_type(&mut self) -> Result<(String, i64), String> {
        let (mut name, mut kind, mut place) = (String::new(), 0, 0);
        while let Some(step) = Some(self.uint()?).filter(|step| *step > 0) {
            place += step.min(3);
            match place {
                1 => name = self.text()?,
                2 => kind = self.int()?,
                _ => return Err("a name with a third part".to_owned()),
            }
        }
        Ok((name, kind))
    }
}

#[cfg(test)]
mod tests {
    use crate::import::tests::{Read, refusal, sample};

    #[test]
    fn all_generations_hold_the_same_hits() {
        let names = [("POST /cart", 7, 0), ("GET /books", 16, 3)];
        for (file, names) in [
            ("vegeta-gob.sample.bin", &names[..]),
            ("vegeta-gob-old.sample.bin", &[("all requests", 23, 3)]),
        ] {
            let read = Read::told(&sample(file));
            // One was never sent: the load generator had no port left for it.
            read.assert_counts(23, 3, names);
            read.assert_ms(0.5, 60.3892);
            assert!(read.notes.contains("could not send 1 of its requests"), "{}", read.notes);
        }
        let old = Read::told(&sample("vegeta-gob-old.sample.bin"));
        assert!(old.notes.contains("no methods and no URLs"), "{}", old.notes);
    }

    #[test]
    fn messages_before_the_one_that_is_cut_are_kept() {
        let bytes = sample("vegeta-gob-cut.sample.bin");
        let read = Read::told(&bytes);
        read.assert_counts(22, 2, &[("POST /cart", 7, 0), ("GET /books", 15, 2)]);
        assert!(read.notes.contains("begins at byte 2443"), "{}", read.notes);
        for length in 0..bytes.len() {
            let mut files = crate::import::Files::new(crate::import::find("vegeta-gob"));
            drop(files.add(&mut &bytes[..length]));
        }
        let why = refusal(&bytes[..250]);
        assert!(why.contains("within a record"), "{why}");
    }

    #[test]
    fn streams_that_were_appended_define_their_types_again() {
        let one = sample("vegeta-gob.sample.bin");
        let read = Read::told(&[one.clone(), one].concat());
        read.assert_counts(46, 6, &[]);
    }
}
