//! Durations in a high dynamic range histogram (Tene's HDR), so that runs and generators merge
//! without losing their tails.

use std::time::Duration;

use hdrhistogram::serialization::{Deserializer, Serializer, V2Serializer};

/// The longest duration told apart from longer ones.
const HIGHEST_MICROS: u64 = 3_600_000_000;
/// Two significant digits: 1 % of the value, at a seventh of the memory of three digits.
const SIGNIFICANT_DIGITS: u8 = 2;

/// Durations from one microsecond to an hour, each within 1 % of its value.
#[derive(Clone, Debug, PartialEq)]
pub struct Histogram(hdrhistogram::Histogram<u64>);

impl Default for Histogram {
    fn default() -> Self {
        Self::new()
    }
}

impl Histogram {
    /// An empty histogram.
    pub fn new() -> Self {
        let mut inner = hdrhistogram::Histogram::new_with_max(2, SIGNIFICANT_DIGITS)
            .expect("the bounds are constants that hdrhistogram accepts");
        // Grows on demand instead of taking its 20 kB when empty.
        inner.auto(true);
        Self(inner)
    }

    /// Counts one duration. Below a microsecond counts as one, above an hour as an hour.
    pub fn record(&mut self, duration: Duration) {
        let micros = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
        // Not `saturating_record`: that clamps to the present range instead of growing it.
        let recorded = self.0.record(micros.clamp(1, HIGHEST_MICROS));
        debug_assert!(recorded.is_ok(), "an auto-resizing histogram takes every value");
    }

    /// Adds all that `other` holds.
    pub fn merge(&mut self, other: &Histogram) {
        // Fails only where `other` has values beyond a fixed range; this one resizes itself.
        let merged = self.0.add(&other.0);
        debug_assert!(merged.is_ok(), "an auto-resizing histogram takes every value");
    }

    /// How many durations were counted.
    pub fn count(&self) -> u64 {
        self.0.len()
    }

    /// How many counters it keeps, of 8 bytes each.
    pub fn cells(&self) -> usize {
        self.0.distinct_values()
    }

    /// Whether none was counted.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Empties it and keeps its memory.
    pub fn clear(&mut self) {
        self.0.reset();
    }

    /// The duration in seconds that a share `quantile` (0 to 1) of the counted ones does not
    /// exceed; `None` when empty.
    pub fn quantile(&self, quantile: f64) -> Option<f64> {
        (!self.is_empty()).then(|| self.0.value_at_quantile(quantile) as f64 / 1e6)
    }

    /// Mean in seconds; `None` when empty.
    pub fn mean(&self) -> Option<f64> {
        (!self.is_empty()).then(|| self.0.mean() / 1e6)
    }

    /// Longest duration in seconds; `None` when empty.
    pub fn max(&self) -> Option<f64> {
        (!self.is_empty()).then(|| self.0.max() as f64 / 1e6)
    }

    /// Sum in seconds of all counted durations.
    pub fn sum(&self) -> f64 {
        self.mean().unwrap_or(0.0) * self.count() as f64
    }

    /// The HDR V2 encoding (values in microseconds), which every HDR library decodes.
    pub fn to_v2(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        let written = V2Serializer::new().serialize(&self.0, &mut bytes);
        debug_assert!(written.is_ok(), "writing to memory cannot fail");
        bytes
    }

    /// Reads the HDR V2 encoding; `None` for anything else.
    pub fn from_v2(mut bytes: &[u8]) -> Option<Self> {
        let mut inner: hdrhistogram::Histogram<u64> =
            Deserializer::new().deserialize(&mut bytes).ok()?;
        inner.auto(true);
        Some(Self(inner))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_encoding_round_trips_and_merging_adds() {
        let mut first = Histogram::new();
        let mut second = Histogram::new();
        for millis in 1..=1000 {
            first.record(Duration::from_millis(millis));
            second.record(Duration::from_millis(millis * 3));
        }
        let copy = Histogram::from_v2(&first.to_v2()).unwrap();
        assert_eq!(copy.quantile(0.5), first.quantile(0.5));
        first.merge(&second);
        assert_eq!(first.count(), 2000);
        assert_eq!(Histogram::from_v2(b"garbage"), None);
    }

    #[test]
    fn quantiles_are_within_one_percent() {
        let mut histogram = Histogram::new();
        for micros in 1..=100_000u64 {
            histogram.record(Duration::from_micros(micros));
        }
        for quantile in [0.01, 0.5, 0.99, 0.999] {
            let expected = quantile * 0.1;
            let got = histogram.quantile(quantile).unwrap();
            assert!((got - expected).abs() <= expected * 0.01, "{quantile}: {got} vs {expected}");
        }
        assert_eq!(Histogram::new().quantile(0.5), None);
    }
}
