//! The performance counters that a JVM keeps in a file for `jstat`, in the layout of HotSpot's
//! `perfMemory.hpp` (PerfDataPrologue and PerfDataEntry, version 2).

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use super::Text;

const MAGIC: [u8; 4] = [0xCA, 0xFE, 0xC0, 0xC0];
const LITTLE_ENDIAN: u8 = 1;
const MAJOR: u8 = 2;
/// No JVM has more entries than this.
const MOST_ENTRIES: usize = 10_000;

/// A counter's value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// A number in the unit of its counter.
    Number(i64),
    /// A text, such as the name of a collector.
    Text(String),
}

/// The counters of one JVM by name.
pub type Counters = BTreeMap<String, Value>;

/// The garbage collections of a JVM.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Collections {
    /// Number of collections of the young generation, and the seconds they took.
    pub minor: (f64, f64),
    /// The same for collections of the whole heap, including the pauses of concurrent cycles that
    /// mark the whole heap.
    pub major: (f64, f64),
}

/// The old generation as of the last collection.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct OldGeneration {
    /// Bytes in use.
    pub used_bytes: f64,
    /// Bytes to which it may grow.
    pub limit_bytes: f64,
}

/// The counters of one process: in its own `/tmp`, under the process id of its own namespace.
pub fn of_process(text: &mut Text, pid: u32) -> Option<Counters> {
    let status = text.read(&format!("/proc/{pid}/status")).ok()?;
    let own = status.lines().find_map(|line| line.strip_prefix("NSpid:"));
    let own = own.and_then(|ids| ids.split_whitespace().last()).map_or(pid.to_string(), Into::into);
    let folders = fs::read_dir(format!("/proc/{pid}/root/tmp")).ok()?.flatten();
    let mut files = folders
        .filter(|folder| folder.file_name().to_string_lossy().starts_with("hsperfdata_"))
        .map(|folder| -> PathBuf { folder.path().join(&own) });
    files.find_map(|file| parse(&fs::read(file).ok()?))
}

/// Reads all counters; `None` if the bytes have another format or are not complete yet.
pub fn parse(bytes: &[u8]) -> Option<Counters> {
    let prologue = bytes.get(..32)?;
    let is_ready = prologue[7] == 1;
    if prologue[..4] != MAGIC || prologue[5] != MAJOR || !is_ready {
        return None;
    }
    let reader = Reader { bytes, is_little: prologue[4] == LITTLE_ENDIAN };
    let mut at = reader.size(24)?;
    let entries = reader.size(28)?.min(MOST_ENTRIES);
    let mut counters = Counters::new();
    for _ in 0..entries {
        let length = reader.size(at).filter(|length| *length >= 20)?;
        let name = reader.text(at + reader.size(at + 4)?, bytes.len())?;
        let elements = reader.size(at + 8)?;
        let data = at + reader.size(at + 16)?;
        let value = match bytes.get(at + 12)? {
            b'J' if elements == 0 => Some(Value::Number(reader.long(data)?)),
            b'B' => Some(Value::Text(reader.text(data, data + elements)?)),
            _ => None,
        };
        counters.extend(value.map(|value| (name, value)));
        at += length;
    }
    Some(counters)
}

struct Reader<'b> {
    bytes: &'b [u8],
    is_little: bool,
}

impl Reader<'_> {
    /// A four-byte number that is a length or an offset.
    fn size(&self, at: usize) -> Option<usize> {
        let bytes = self.bytes.get(at..at.checked_add(4)?)?.try_into().ok()?;
        let number =
            if self.is_little { i32::from_le_bytes(bytes) } else { i32::from_be_bytes(bytes) };
        usize::try_from(number).ok()
    }

    fn long(&self, at: usize) -> Option<i64> {
        let bytes = self.bytes.get(at..at.checked_add(8)?)?.try_into().ok()?;
        Some(if self.is_little { i64::from_le_bytes(bytes) } else { i64::from_be_bytes(bytes) })
    }

    /// The text from `at` to its first zero byte, or to `end`.
    fn text(&self, at: usize, end: usize) -> Option<String> {
        let bytes = self.bytes.get(at..end.min(self.bytes.len()))?;
        let length = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
        Some(String::from_utf8_lossy(&bytes[..length]).into_owned())
    }
}

fn number(counters: &Counters, name: &str) -> Option<f64> {
    match counters.get(name)? {
        Value::Number(number) => Some(*number as f64),
        Value::Text(_) => None,
    }
}

/// The collections so far; `None` if the counters do not include them.
pub fn collections(counters: &Counters) -> Option<Collections> {
    let frequency = number(counters, "sun.os.hrt.frequency").filter(|it| *it > 0.0)?;
    let of = |index: usize| {
        let count = number(counters, &format!("sun.gc.collector.{index}.invocations"))?;
        let ticks = number(counters, &format!("sun.gc.collector.{index}.time"))?;
        Some((count, ticks / frequency))
    };
    let mut collections = Collections::default();
    let all: Vec<_> = (0..8).map_while(of).collect();
    let (first, others) = all.split_first()?;
    // A collector without generations has one entry, and always collects the whole heap.
    let is_alone = others.is_empty();
    *(if is_alone { &mut collections.major } else { &mut collections.minor }) = *first;
    for (count, seconds) in others {
        collections.major.0 += count;
        collections.major.1 += seconds;
    }
    Some(collections)
}

/// Whether a collector has begun a collection that it has not ended.
pub fn is_collecting(counters: &Counters) -> bool {
    (0..8).any(|index| {
        let of = |name: &str| number(counters, &format!("sun.gc.collector.{index}.{name}"));
        of("lastEntryTime").zip(of("lastExitTime")).is_some_and(|(entry, exit)| entry > exit)
    })
}

/// The old generation; `None` if the counters do not include it.
pub fn old(counters: &Counters) -> Option<OldGeneration> {
    Some(OldGeneration {
        used_bytes: number(counters, "sun.gc.generation.1.space.0.used")?,
        limit_bytes: number(counters, "sun.gc.generation.1.maxCapacity")?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The counters that a JVM of version 17, with its default collector, had written after some
    /// requests.
    fn recorded() -> Vec<u8> {
        let packed = include_bytes!("../../../tests/data/jvm/hsperfdata-17-g1.zst");
        zstd::decode_all(packed.as_slice()).unwrap()
    }

    #[test]
    fn a_real_file_tells_collections_and_the_old_generation() {
        let counters = parse(&recorded()).unwrap();
        let collector = &counters["sun.gc.collector.0.name"];
        assert_eq!(*collector, Value::Text("G1 young collection pauses".to_owned()));
        let collections = collections(&counters).unwrap();
        assert_eq!((collections.minor.0, collections.major.0), (1.0, 0.0));
        assert!((collections.minor.1 - 0.002_834_349).abs() < 1e-9);
        let old = old(&counters).unwrap();
        assert_eq!((old.used_bytes, old.limit_bytes), (970_752.0, 419_430_408.0));
    }

    #[test]
    fn garbage_and_half_a_file_are_nothing() {
        let whole = recorded();
        assert!(parse(b"").is_none());
        assert!(parse(b"not a counter file at all, though long enough").is_none());
        for cut in [31, 40, 500, 5000] {
            assert!(parse(&whole[..cut]).is_none(), "{cut}");
        }
        for at in (0..whole.len()).step_by(7) {
            let mut broken = whole.clone();
            broken[at] ^= 0xFF;
            // Parsing must not panic, whatever the bytes are.
            let _read = parse(&broken);
        }
    }
}
