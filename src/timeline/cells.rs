//! The non-zero counters of a histogram. A full HDR histogram has about a thousand counters, of
//! which one second of load uses few. A complete histogram keeps only these.

use std::cell::RefCell;

use hdrhistogram::Histogram;

/// Sub-buckets per bucket with two significant digits, and half of them. This is the layout of an
/// HDR histogram whose lowest value is 1 (Tene's `HdrHistogram`, "counts array layout").
const SUB_BUCKETS: u64 = 256;
const HALF: u64 = SUB_BUCKETS / 2;
const HALF_BITS: u32 = HALF.trailing_zeros();

/// The header of the HDR V2 encoding, and the offsets of its fields.
const HEADER: usize = 40;
const OFFSET: usize = 8;
const DIGITS: usize = 12;
const LOWEST: usize = 16;
const HIGHEST: usize = 24;
const RATIO: usize = 32;

/// One counter: its index in the array of counters, and its non-zero count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Cell {
    index: u32,
    count: u32,
}

impl Cell {
    fn bucket(self) -> u32 {
        (self.index >> HALF_BITS).saturating_sub(1)
    }

    /// The lowest value that it counts.
    fn lowest(self) -> u64 {
        let index = u64::from(self.index);
        if index < HALF { index } else { ((index & (HALF - 1)) + HALF) << self.bucket() }
    }

    /// How many different values share this counter.
    fn width(self) -> u64 {
        1 << self.bucket()
    }

    fn highest(self) -> u64 {
        self.lowest() + self.width() - 1
    }

    fn median(self) -> u64 {
        self.lowest() + self.width() / 2
    }
}

/// The non-zero counters, ordered by value (microseconds).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Cells {
    cells: Vec<Cell>,
    count: u64,
}

impl Cells {
    pub(super) fn count(&self) -> u64 {
        self.count
    }

    pub(super) fn len(&self) -> usize {
        self.cells.len()
    }

    /// Index and count of each counter, ordered by value.
    pub(super) fn iter(&self) -> impl Iterator<Item = (u32, u64)> {
        self.cells.iter().map(|cell| (cell.index, u64::from(cell.count)))
    }

    /// The counters of a two-digit histogram; `None` if a count exceeds what a cell can hold.
    pub(super) fn of(dense: &Histogram<u64>) -> Option<Self> {
        let cells = dense.iter_recorded().map(|step| {
            Some(Cell {
                index: u32::try_from(index_of(step.value_iterated_to())).ok()?,
                count: u32::try_from(step.count_at_value()).ok()?,
            })
        });
        Some(Self { cells: cells.collect::<Option<_>>()?, count: dense.len() })
    }

    /// Reads the HDR V2 encoding of a two-digit histogram whose lowest value is one microsecond;
    /// `None` for any other histogram and for invalid data.
    pub(super) fn from_v2(bytes: &[u8]) -> Option<Self> {
        let word = |at: usize| Some(u32::from_be_bytes(bytes.get(at..at + 4)?.try_into().ok()?));
        let long = |at: usize| Some(u64::from_be_bytes(bytes.get(at..at + 8)?.try_into().ok()?));
        let length = word(4)? as usize;
        let usual = word(0)? == 0x1c84_9313
            && word(OFFSET)? == 0
            && word(DIGITS)? == 2
            && long(LOWEST)? == 1
            && long(RATIO)? == 1f64.to_bits();
        let counters = counters(long(HIGHEST)?);
        let mut left = bytes.get(HEADER..).filter(|left| usual && left.len() == length)?;
        // Read twice, so that the memory is allocated once and at the right size: a long run has
        // millions of these.
        let mut read = Self { cells: Vec::with_capacity(positive(left)?), count: 0 };
        let mut index = 0u64;
        while !left.is_empty() {
            let number = zig_zag(&mut left)?;
            if number <= 0 {
                // A run of this many zero counters.
                index = index.checked_add(number.unsigned_abs().max(1))?;
            } else if index < counters {
                let count = u32::try_from(number).ok()?;
                read.cells.push(Cell { index: index as u32, count });
                read.count += u64::from(count);
                index += 1;
            } else {
                return None;
            }
        }
        (index <= counters).then_some(read)
    }

    /// Adds all counts to `dense`, the highest value first, so that it grows only once.
    pub(super) fn add_to(&self, dense: &mut Histogram<u64>) {
        for cell in self.cells.iter().rev() {
            let recorded = dense.record_n(cell.lowest(), u64::from(cell.count));
            debug_assert!(recorded.is_ok(), "an auto-resizing histogram takes every value");
        }
    }

    /// Adds `other`; returns `false` and changes nothing if a count might exceed what a cell can
    /// hold.
    pub(super) fn merge(&mut self, other: &Cells) -> bool {
        if self.count.saturating_add(other.count) > u64::from(u32::MAX) {
            return false;
        }
        // Fast path: no branch depends on the values, and nothing is allocated per call. Condensing
        // a long run merges millions of these.
        MERGED.with_borrow_mut(|merged| {
            let total = merge_into(merged, &self.cells, &other.cells);
            self.cells.clear();
            if self.cells.capacity() < total {
                // Leaves spare room, because a histogram is often merged with its neighbours one by
                // one.
                self.cells = Vec::with_capacity(total + total / 8);
            }
            self.cells.extend_from_slice(&merged[..total]);
        });
        self.count += other.count;
        true
    }

    /// The highest value; 0 if empty.
    pub(super) fn max(&self) -> u64 {
        self.cells.last().map_or(0, |cell| cell.highest())
    }

    /// The mean value. It is summed as `hdrhistogram` does, so that both forms of a histogram give
    /// the same result.
    pub(super) fn mean(&self) -> f64 {
        let count = self.count as f64;
        self.cells
            .iter()
            .fold(0.0, |sum, cell| sum + cell.median() as f64 * f64::from(cell.count) / count)
    }

    /// The value that the share `quantile` of all values does not exceed; 0 if empty.
    pub(super) fn at_quantile(&self, quantile: f64) -> u64 {
        let wanted = ((quantile.min(1.0) * self.count as f64).ceil() as u64).max(1);
        let mut seen = 0;
        let reached = self.cells.iter().find(|cell| {
            seen += u64::from(cell.count);
            seen >= wanted
        });
        match reached {
            Some(cell) if quantile == 0.0 => cell.lowest(),
            Some(cell) => cell.highest(),
            None => 0,
        }
    }
}

/// The index of the counter of a value.
pub(super) fn index_of(value: u64) -> u64 {
    let bucket = (value | (SUB_BUCKETS - 1)).ilog2() - HALF_BITS;
    (u64::from(bucket) << HALF_BITS) + (value >> bucket)
}

/// The highest value that the counter of this index counts.
pub(super) fn highest_of(index: u32) -> u64 {
    Cell { index, count: 0 }.highest()
}

thread_local! {
    /// Scratch space for merging, so that the result can be allocated at the right size.
    static MERGED: RefCell<Vec<Cell>> = const { RefCell::new(Vec::new()) };
}

/// Merges two sequences of counters into the start of `merged`; returns the length of the result.
fn merge_into(merged: &mut Vec<Cell>, first: &[Cell], second: &[Cell]) -> usize {
    let most = first.len() + second.len();
    if merged.len() < most {
        merged.resize(most, Cell { index: 0, count: 0 });
    }
    let (mut from_first, mut from_second, mut to) = (0, 0, 0);
    while let (Some(one), Some(other)) = (first.get(from_first), second.get(from_second)) {
        let (takes, adds) = (one.index <= other.index, other.index <= one.index);
        let index = one.index.min(other.index);
        let count = u32::from(takes) * one.count + u32::from(adds) * other.count;
        merged[to] = Cell { index, count };
        (from_first, from_second) =
            (from_first + usize::from(takes), from_second + usize::from(adds));
        to += 1;
    }
    for left in [&first[from_first..], &second[from_second..]] {
        merged[to..to + left.len()].copy_from_slice(left);
        to += left.len();
    }
    to
}

/// How many counters a histogram with this `highest` value has.
fn counters(highest: u64) -> u64 {
    let mut buckets = 1;
    let mut beyond = SUB_BUCKETS;
    while beyond <= highest {
        buckets += 1;
        match beyond.checked_mul(2) {
            Some(twice) => beyond = twice,
            None => break,
        }
    }
    (buckets + 1) * HALF
}

/// How many numbers are above zero; `None` if the data is cut short.
fn positive(mut bytes: &[u8]) -> Option<usize> {
    let mut count = 0;
    while !bytes.is_empty() {
        count += usize::from(zig_zag(&mut bytes)? > 0);
    }
    Some(count)
}

/// Reads a ZigZag number of variable length: seven bits per byte, low bits first, eight bits in the
/// ninth byte. The lowest bit is the sign.
fn zig_zag(bytes: &mut &[u8]) -> Option<i64> {
    let mut number = 0u64;
    for place in 0..9 {
        let (byte, rest) = bytes.split_first()?;
        *bytes = rest;
        if place == 8 {
            number |= u64::from(*byte) << 56;
        } else {
            number |= u64::from(byte & 0x7f) << (7 * place);
            if byte & 0x80 == 0 {
                break;
            }
        }
    }
    Some((number >> 1) as i64 ^ -((number & 1) as i64))
}
