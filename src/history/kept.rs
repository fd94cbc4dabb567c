//! Keeps the samples of slices that were read, so that an import that was interrupted goes on where
//! it ended. What is kept holds numbers only: no label, and so no secret.

use sha2::{Digest, Sha256};

use super::catalogue::Catalogue;
use super::native::{Native, Stored};

/// Level of compression: it has to be fast, and what is kept lives for minutes.
const LEVEL: i32 = 1;
/// Hexadecimal digits of a name that tell one question from another.
const DIGITS: usize = 16;

/// Where slices are kept.
pub trait Keep {
    /// What was kept under a name.
    fn get(&self, name: &str) -> Option<Vec<u8>>;
    /// Keeps bytes under a name. Where that fails, they are read again after an interruption.
    fn put(&self, name: &str, bytes: &[u8]);
}

/// Added to the number of a catalogue where samples of native histograms follow.
const NATIVE: u64 = 1 << 63;

/// What tells the answers to one question from those to another: the time, and every series.
pub(super) fn fingerprint((from, to): (f64, f64), catalogues: &[Catalogue]) -> String {
    let mut hash = Sha256::new();
    hash.update(format!("{from} {to}"));
    for catalogue in catalogues {
        hash.update(catalogue.matcher_text());
        for series in &catalogue.series {
            for (name, value) in &series.labels {
                hash.update(format!("{name:?}{value:?}"));
            }
        }
    }
    let hex: Vec<String> = hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    hex.concat().chars().take(DIGITS).collect()
}

/// The samples of a slice as bytes: for each series the places of its catalogue and in it, how many
/// samples, and each one's time and value, in eight bytes each.
pub(super) fn encoded<'s>(parts: impl Iterator<Item = &'s Stored>) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (part, stored) in (0_u64..).zip(parts) {
        let mut number = |number: u64| bytes.extend_from_slice(&number.to_le_bytes());
        for (place, values) in &stored.values {
            [part, *place as u64, values.len() as u64].into_iter().for_each(&mut number);
            for (at, value) in values {
                number(at.cast_unsigned());
                number(value.to_bits());
            }
        }
        for (place, samples) in &stored.natives {
            let begin = [part | NATIVE, *place as u64, samples.len() as u64];
            begin.into_iter().for_each(&mut number);
            for (at, native) in samples {
                number(at.cast_unsigned());
                number(native.count.to_bits());
                number(native.sum.to_bits());
                number(native.buckets.len() as u64);
                for (low, high, count) in &native.buckets {
                    [low, high, count].into_iter().for_each(|value| number(value.to_bits()));
                }
            }
        }
    }
    zstd::encode_all(bytes.as_slice(), LEVEL).unwrap_or_default()
}

/// The samples of so many catalogues; `None` where the bytes are not a whole slice.
pub(super) fn decoded(bytes: &[u8], parts: usize) -> Option<Vec<Stored>> {
    if bytes.is_empty() {
        return None;
    }
    let bytes = zstd::decode_all(bytes).ok()?;
    let mut slice = vec![Stored::default(); parts];
    let mut numbers = bytes.chunks(8);
    let mut next = || numbers.next().map(|chunk| chunk.try_into().ok().map(u64::from_le_bytes));
    while let Some(part) = next() {
        let part = part?;
        let stored = slice.get_mut(usize::try_from(part & !NATIVE).ok()?)?;
        let place = usize::try_from(next()??).ok()?;
        let count = next()??;
        if part & NATIVE == 0 {
            let values = stored.values.entry(place).or_default();
            for _ in 0..count {
                let at = next()??.cast_signed();
                values.push((at, f64::from_bits(next()??)));
            }
            continue;
        }
        let samples = stored.natives.entry(place).or_default();
        for _ in 0..count {
            let at = next()??.cast_signed();
            let mut value = || Some(f64::from_bits(next()??));
            let mut native = Native { count: value()?, sum: value()?, buckets: Vec::new() };
            let buckets = value()?.to_bits();
            for _ in 0..buckets {
                native.buckets.push((value()?, value()?, value()?));
            }
            samples.push((at, native));
        }
    }
    Some(slice)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn a_slice_is_read_as_it_was_kept_or_not_at_all() {
        let values = BTreeMap::from([(3, vec![(-1, 0.5), (15_000, -2.0)]), (7, vec![(1, 1e300)])]);
        let buckets = vec![(0.0, 0.5, 3.0), (0.5, f64::INFINITY, 1.0)];
        let native = Native { count: 4.0, sum: 2.5, buckets };
        let natives = BTreeMap::from([(9, vec![(1, native), (2, Native::default())])]);
        let other = Stored { values: BTreeMap::from([(0, vec![(2, 3.0)])]), ..Stored::default() };
        let slice = [Stored { values, natives }, Stored::default(), other];
        let bytes = encoded(slice.iter());
        assert_eq!(decoded(&bytes, 3).as_deref(), Some(&slice[..]));
        assert_eq!(decoded(&bytes, 2), None, "a series of a catalogue that is not there");
        for end in 0..bytes.len() {
            assert_eq!(decoded(&bytes[..end], 3), None, "{end} bytes");
        }
    }
}
