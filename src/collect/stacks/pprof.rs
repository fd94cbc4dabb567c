//! Reads the profiles of Go's `net/http/pprof`: protocol buffers as in pprof's `profile.proto`,
//! packed with gzip. Only the fields that stacks need are read.

use std::collections::HashMap;
use std::io::Read;

use flate2::read::MultiGzDecoder;

/// Largest profile, unpacked.
const MOST_BYTES: u64 = 64 << 20;
/// Most frames that one sample may have.
const MOST_FRAMES: usize = 512;

/// One place in the code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Call<'p> {
    pub function: &'p str,
    pub file: &'p str,
    pub line: u32,
}

/// A profile.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Profile {
    texts: Vec<String>,
    /// Name and file of each function, as indices into `texts`.
    functions: HashMap<u64, (u64, u64)>,
    /// Function and line of each address, calls that were inlined first.
    locations: HashMap<u64, Vec<(u64, u32)>>,
    samples: Vec<(Vec<u64>, Vec<i64>)>,
    /// Seconds that it covers.
    pub seconds: f64,
}

/// Unpacks and reads a profile; the error says why that is not possible.
pub(super) fn read(packed: &[u8]) -> Result<Profile, String> {
    let mut bytes = Vec::new();
    let unpacked = MultiGzDecoder::new(packed).take(MOST_BYTES + 1).read_to_end(&mut bytes);
    unpacked.map_err(|error| format!("the profile is not gzip: {error}"))?;
    if bytes.len() as u64 > MOST_BYTES {
        return Err(format!("the profile has more than {} MiB", MOST_BYTES >> 20));
    }
    parse(&bytes).ok_or_else(|| "the profile is damaged".to_owned())
}

fn parse(bytes: &[u8]) -> Option<Profile> {
    let mut profile = Profile::default();
    for field in Fields(bytes) {
        match field? {
            (2, Value::Bytes(sample)) => profile.samples.push(self::sample(sample)?),
            (4, Value::Bytes(location)) => {
                let (id, lines) = self::location(location)?;
                profile.locations.insert(id, lines);
            }
            (5, Value::Bytes(function)) => {
                let mut all = [0; 5];
                for field in Fields(function) {
                    if let (number @ 1..=4, Value::Number(value)) = field? {
                        all[number as usize] = value;
                    }
                }
                profile.functions.insert(all[1], (all[2], all[4]));
            }
            (6, Value::Bytes(text)) => {
                profile.texts.push(String::from_utf8_lossy(text).into_owned());
            }
            (10, Value::Number(nanos)) => profile.seconds = nanos as f64 / 1e9,
            _ => {}
        }
    }
    Some(profile)
}

fn sample(bytes: &[u8]) -> Option<(Vec<u64>, Vec<i64>)> {
    let (mut locations, mut values) = (Vec::new(), Vec::new());
    for field in Fields(bytes) {
        let (number, value) = field?;
        match number {
            1 => locations.extend(value.numbers()?),
            2 => values.extend(value.numbers()?.into_iter().map(|value| value as i64)),
            _ => {}
        }
    }
    Some((locations, values))
}

fn location(bytes: &[u8]) -> Option<(u64, Vec<(u64, u32)>)> {
    let (mut id, mut lines) = (0, Vec::new());
    for field in Fields(bytes) {
        match field? {
            (1, Value::Number(value)) => id = value,
            (4, Value::Bytes(line)) => {
                let (mut function, mut number) = (0, 0);
                for field in Fields(line) {
                    match field? {
                        (1, Value::Number(value)) => function = value,
                        (2, Value::Number(value)) => number = u32::try_from(value).unwrap_or(0),
                        _ => {}
                    }
                }
                lines.push((function, number));
            }
            _ => {}
        }
    }
    Some((id, lines))
}

impl Profile {
    /// The stack of each sample, the innermost call first, with the sample's value of this index.
    pub fn stacks(&self, value: usize) -> impl Iterator<Item = (Vec<Call<'_>>, i64)> {
        self.samples.iter().filter_map(move |(locations, values)| {
            let calls = locations
                .iter()
                .filter_map(|location| self.locations.get(location))
                .flatten()
                .take(MOST_FRAMES)
                .map(|(function, line)| self.call(*function, *line));
            Some((calls.collect(), *values.get(value)?))
        })
    }

    fn call(&self, function: u64, line: u32) -> Call<'_> {
        let (name, file) = self.functions.get(&function).copied().unwrap_or_default();
        let text = |index: u64| {
            let index = usize::try_from(index).unwrap_or(usize::MAX);
            self.texts.get(index).map_or("", String::as_str)
        };
        Call { function: text(name), file: text(file), line }
    }
}

/// The value of a field.
enum Value<'b> {
    Number(u64),
    Bytes(&'b [u8]),
}

impl Value<'_> {
    /// The numbers of a repeated field, packed or not.
    fn numbers(&self) -> Option<Vec<u64>> {
        match self {
            Value::Number(number) => Some(vec![*number]),
            Value::Bytes(bytes) => {
                let (mut rest, mut numbers) = (*bytes, Vec::new());
                while !rest.is_empty() {
                    numbers.push(varint(&mut rest)?);
                }
                Some(numbers)
            }
        }
    }
}

/// The fields of a message in their order; `None` ends a damaged one.
struct Fields<'b>(&'b [u8]);

impl<'b> Iterator for Fields<'b> {
    type Item = Option<(u64, Value<'b>)>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let field = self.field();
        if field.is_none() {
            self.0 = &[];
        }
        Some(field)
    }
}

impl<'b> Fields<'b> {
    fn field(&mut self) -> Option<(u64, Value<'b>)> {
        let key = varint(&mut self.0)?;
        let value = match key & 7 {
            0 => Value::Number(varint(&mut self.0)?),
            1 => Value::Bytes(self.bytes(8)?),
            2 => {
                let length = usize::try_from(varint(&mut self.0)?).ok()?;
                Value::Bytes(self.bytes(length)?)
            }
            5 => Value::Bytes(self.bytes(4)?),
            _ => return None,
        };
        Some((key >> 3, value))
    }

    fn bytes(&mut self, length: usize) -> Option<&'b [u8]> {
        let (bytes, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(bytes)
    }
}

/// A number in groups of seven bits, the lowest first.
fn varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut number = 0;
    for shift in (0..64).step_by(7) {
        let (byte, rest) = bytes.split_first()?;
        *bytes = rest;
        number |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A profile of one sample: `lockSlow` inlined in `Add`, 3 goroutines.
    const PROFILE: &[u8] = &[
        0x12, 0x05, 0x0a, 0x01, 0x01, 0x10, 0x03, // sample: location 1, value 3
        0x22, 0x0e, 0x08, 0x01, 0x22, 0x04, 0x08, 0x01, 0x10, 0x09, 0x22, 0x04, 0x08, 0x02, 0x10,
        0x39, // location 1: function 1 line 9, function 2 line 57
        0x2a, 0x06, 0x08, 0x01, 0x10, 0x01, 0x20, 0x02, // function 1: text 1, file 2
        0x2a, 0x06, 0x08, 0x02, 0x10, 0x03, 0x20, 0x04, // function 2: text 3, file 4
        0x32, 0x00, 0x32, 0x01, b'l', 0x32, 0x01, b'm', 0x32, 0x03, b'A', b'd', b'd', 0x32, 0x01,
        b'f', 0x50, 0x80, 0x94, 0xeb, 0xdc, 0x03, // 1 s
    ];

    #[test]
    fn a_profile_gives_stacks_with_the_innermost_call_first() {
        let profile = parse(PROFILE).unwrap();
        assert_eq!(profile.seconds, 1.0);
        let stacks: Vec<_> = profile.stacks(0).collect();
        let inner = Call { function: "l", file: "m", line: 9 };
        let outer = Call { function: "Add", file: "f", line: 57 };
        assert_eq!(stacks, [(vec![inner, outer], 3)]);
        assert_eq!(profile.stacks(1).count(), 0, "there is no second value");
    }

    #[test]
    fn a_damaged_profile_is_refused_and_never_read_beyond_its_end() {
        for length in 0..PROFILE.len() {
            let _whole_or_not = parse(&PROFILE[..length]);
            let mut damaged = PROFILE.to_vec();
            damaged[length] ^= 0xff;
            if let Some(profile) = parse(&damaged) {
                assert!(profile.stacks(0).count() < 4);
            }
        }
        assert!(read(PROFILE).unwrap_err().contains("gzip"));
        assert_eq!(varint(&mut &[0x80; 20][..]), None);
    }
}
