//! Keeps the samples of slices that were read, so that an import that was interrupted goes on where
//! it ended. What is kept holds numbers only: no label, and so no secret.

use std::collections::BTreeMap;

use sha2::{Digest, Sha256};

use super::catalogue::Catalogue;

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

/// Samples of the series of one catalogue, by their place in it.
pub(super) type Samples = BTreeMap<usize, Vec<(i64, f64)>>;

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
pub(super) fn encoded<'s>(parts: impl Iterator<Item = &'s Samples>) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (part, samples) in parts.enumerate() {
        for (place, values) in samples {
            for number in [part, *place, values.len()] {
                bytes.extend_from_slice(&(number as u64).to_le_bytes());
            }
            for (at, value) in values {
                bytes.extend_from_slice(&at.to_le_bytes());
                bytes.extend_from_slice(&value.to_le_bytes());
            }
        }
    }
    zstd::encode_all(bytes.as_slice(), LEVEL).unwrap_or_default()
}

/// The samples of so many catalogues; `None` where the bytes are not a whole slice.
pub(super) fn decoded(bytes: &[u8], parts: usize) -> Option<Vec<Samples>> {
    if bytes.is_empty() {
        return None;
    }
    let bytes = zstd::decode_all(bytes).ok()?;
    let mut slice = vec![Samples::new(); parts];
    let mut numbers = bytes.chunks(8);
    let mut next = || numbers.next().map(|chunk| chunk.try_into().ok().map(u64::from_le_bytes));
    while let Some(part) = next() {
        let samples = slice.get_mut(usize::try_from(part?).ok()?)?;
        let place = usize::try_from(next()??).ok()?;
        let count = next()??;
        let values = samples.entry(place).or_default();
        for _ in 0..count {
            let at = next()??.cast_signed();
            values.push((at, f64::from_bits(next()??)));
        }
    }
    Some(slice)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slice_is_read_as_it_was_kept_or_not_at_all() {
        let first = Samples::from([(3, vec![(-1, 0.5), (15_000, -2.0)]), (7, vec![(1, 1e300)])]);
        let slice = [first, Samples::new(), Samples::from([(0, vec![(2, 3.0)])])];
        let bytes = encoded(slice.iter());
        assert_eq!(decoded(&bytes, 3).as_deref(), Some(&slice[..]));
        assert_eq!(decoded(&bytes, 2), None, "a series of a catalogue that is not there");
        for end in 0..bytes.len() {
            assert_eq!(decoded(&bytes[..end], 3), None, "{end} bytes");
        }
    }
}
