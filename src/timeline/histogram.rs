//! Durations in a high dynamic range histogram (Tene's HDR), so that runs and generators can be
//! merged without losing their tails.

use std::time::Duration;

use hdrhistogram::serialization::{Deserializer, Serializer, V2Serializer};

use super::cells::{self, Cells};

/// The longest duration that it can hold; longer ones count as this.
const HIGHEST_MICROS: u64 = 3_600_000_000;
/// Two significant digits: 1 % of the value, at a seventh of the memory of three digits.
const SIGNIFICANT_DIGITS: u8 = 2;

/// Durations from one microsecond to an hour, each within 1 % of its value.
///
/// While it is filled it has all its counters, up to 20 kB. A complete one keeps only the counters
/// that are not zero, usually a hundredth of that. Both forms give the same results.
///
/// ```
/// use std::time::Duration;
///
/// use kneepoint::timeline::Histogram;
///
/// let mut times = Histogram::new();
/// (1..=100).for_each(|millis| times.record(Duration::from_millis(millis)));
/// let p95 = times.quantile(0.95).expect("not empty");
/// assert!((p95 - 0.095).abs() < 0.001, "{p95} s");
/// ```
#[derive(Clone, Debug)]
pub struct Histogram(Form);

#[derive(Clone, Debug)]
enum Form {
    Dense(Box<Dense>),
    Sparse(Cells),
}

type Dense = hdrhistogram::Histogram<u64>;

impl Default for Histogram {
    fn default() -> Self {
        Self::new()
    }
}

impl PartialEq for Histogram {
    fn eq(&self, other: &Self) -> bool {
        match (&self.0, &other.0) {
            (Form::Dense(own), Form::Dense(others)) => own == others,
            (Form::Sparse(own), Form::Sparse(others)) => own == others,
            (Form::Dense(dense), Form::Sparse(cells))
            | (Form::Sparse(cells), Form::Dense(dense)) => Cells::of(dense).as_ref() == Some(cells),
        }
    }
}

impl Histogram {
    /// An empty histogram; it takes no memory.
    pub fn new() -> Self {
        Self(Form::Sparse(Cells::default()))
    }

    /// An empty histogram for merging many others. It has all its counters, which is fast; call
    /// [`Histogram::compact`] afterwards.
    pub fn of_many() -> Self {
        Self(Form::Dense(Box::new(empty())))
    }

    /// Counts one duration. Less than a microsecond counts as one, more than an hour as an hour.
    pub fn record(&mut self, duration: Duration) {
        self.record_many(duration, 1);
    }

    /// Counts a duration `count` times, as [`Histogram::record`] does.
    pub fn record_many(&mut self, duration: Duration, count: u64) {
        if count == 0 {
            return;
        }
        let micros = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
        // Not `saturating_record`: that clamps to the present range instead of growing it.
        let recorded = self.dense().record_n(micros.clamp(1, HIGHEST_MICROS), count);
        debug_assert!(recorded.is_ok(), "an auto-resizing histogram takes every value");
    }

    /// Adds all durations of `other`.
    pub fn merge(&mut self, other: &Histogram) {
        match &other.0 {
            Form::Sparse(cells) => {
                let own = if let Form::Sparse(own) = &mut self.0 { Some(own) } else { None };
                if !own.is_some_and(|own| own.merge(cells)) {
                    cells.add_to(self.dense());
                }
            }
            Form::Dense(dense) => {
                // Fails only where `other` has values beyond a fixed range; this resizes itself.
                let merged = self.dense().add(&**dense);
                debug_assert!(merged.is_ok(), "an auto-resizing histogram takes every value");
            }
        }
    }

    /// Keeps only the counters that are not zero. For a histogram that is complete.
    pub fn compact(&mut self) {
        if let Form::Dense(dense) = &self.0
            && dense.sigfig() == SIGNIFICANT_DIGITS
            && dense.low() == 1
            && let Some(cells) = Cells::of(dense)
        {
            self.0 = Form::Sparse(cells);
        }
    }

    /// All counters, for counting.
    fn dense(&mut self) -> &mut Dense {
        if let Form::Sparse(cells) = &self.0 {
            let mut dense = Box::new(empty());
            cells.add_to(&mut dense);
            self.0 = Form::Dense(dense);
        }
        match &mut self.0 {
            Form::Dense(dense) => dense,
            Form::Sparse(_) => unreachable!("it was made dense right above"),
        }
    }

    /// How many durations were counted.
    pub fn count(&self) -> u64 {
        match &self.0 {
            Form::Dense(dense) => dense.len(),
            Form::Sparse(cells) => cells.count(),
        }
    }

    /// How many counters it keeps, of 8 bytes each.
    pub fn cells(&self) -> usize {
        match &self.0 {
            Form::Dense(dense) => dense.distinct_values(),
            Form::Sparse(cells) => cells.len(),
        }
    }

    /// Each counter that is not zero, in order of the durations: its place on the grid that all
    /// histograms share (see [`Histogram::grid_seconds`]), and its count.
    pub fn counters(&self, mut each: impl FnMut(u32, u64)) {
        match &self.0 {
            Form::Sparse(cells) => cells.iter().for_each(|(place, count)| each(place, count)),
            Form::Dense(dense) => {
                for step in dense.iter_recorded() {
                    let place = cells::index_of(step.value_iterated_to());
                    // The longest duration lies far below what fits.
                    each(u32::try_from(place).unwrap_or(u32::MAX), step.count_at_value());
                }
            }
        }
    }

    /// The longest duration at a place of the grid, in seconds: what a quantile that falls there is
    /// said to be.
    pub fn grid_seconds(place: u32) -> f64 {
        cells::highest_of(place) as f64 / 1e6
    }

    /// Whether no duration was counted.
    pub fn is_empty(&self) -> bool {
        self.count() == 0
    }

    /// Empties it and keeps its memory.
    pub fn clear(&mut self) {
        match &mut self.0 {
            Form::Dense(dense) => dense.reset(),
            Form::Sparse(cells) => *cells = Cells::default(),
        }
    }

    /// The quantile (0 to 1) of the durations, in seconds; `None` if empty.
    pub fn quantile(&self, quantile: f64) -> Option<f64> {
        let micros = match &self.0 {
            Form::Dense(dense) => dense.value_at_quantile(quantile),
            Form::Sparse(cells) => cells.at_quantile(quantile),
        };
        (!self.is_empty()).then_some(micros as f64 / 1e6)
    }

    /// How many durations are longer than `seconds`.
    pub fn count_above(&self, seconds: f64) -> u64 {
        let micros = (seconds.max(0.0) * 1e6) as u64;
        match &self.0 {
            Form::Dense(dense) => dense.len() - dense.count_between(0, micros),
            Form::Sparse(cells) => {
                let mut dense = empty();
                cells.add_to(&mut dense);
                dense.len() - dense.count_between(0, micros)
            }
        }
    }

    /// The mean, in seconds; `None` if empty.
    pub fn mean(&self) -> Option<f64> {
        let micros = match &self.0 {
            Form::Dense(dense) => dense.mean(),
            Form::Sparse(cells) => cells.mean(),
        };
        (!self.is_empty()).then_some(micros / 1e6)
    }

    /// The longest duration, in seconds; `None` if empty.
    pub fn max(&self) -> Option<f64> {
        let micros = match &self.0 {
            Form::Dense(dense) => dense.max(),
            Form::Sparse(cells) => cells.max(),
        };
        (!self.is_empty()).then_some(micros as f64 / 1e6)
    }

    /// The sum of all durations, in seconds.
    pub fn sum(&self) -> f64 {
        self.mean().unwrap_or(0.0) * self.count() as f64
    }

    /// The HDR V2 encoding (values in microseconds), which every HDR library can decode.
    pub fn to_v2(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut written = |dense: &Dense| V2Serializer::new().serialize(dense, &mut bytes).is_ok();
        let written = match &self.0 {
            Form::Dense(dense) => written(dense),
            Form::Sparse(cells) => {
                let mut dense = empty();
                cells.add_to(&mut dense);
                written(&dense)
            }
        };
        debug_assert!(written, "writing to memory cannot fail");
        bytes
    }

    /// Reads the HDR V2 encoding; `None` for anything else.
    pub fn from_v2(bytes: &[u8]) -> Option<Self> {
        if let Some(cells) = Cells::from_v2(bytes) {
            return Some(Self(Form::Sparse(cells)));
        }
        let mut rest = bytes;
        let mut dense: Dense = Deserializer::new().deserialize(&mut rest).ok()?;
        dense.auto(true);
        Some(Self(Form::Dense(Box::new(dense))))
    }
}

fn empty() -> Dense {
    let mut dense = hdrhistogram::Histogram::new_with_max(2, SIGNIFICANT_DIGITS)
        .expect("the bounds are constants that hdrhistogram accepts");
    // Grows on demand instead of taking its 20 kB when empty.
    dense.auto(true);
    dense
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of(micros: &[u64]) -> Histogram {
        let mut histogram = Histogram::new();
        micros.iter().for_each(|micros| histogram.record(Duration::from_micros(*micros)));
        histogram
    }

    fn answers(histogram: &Histogram) -> Vec<Option<f64>> {
        let quantiles = [0.0, 0.01, 0.5, 0.9, 0.99, 1.0].map(|share| histogram.quantile(share));
        quantiles.into_iter().chain([histogram.mean(), histogram.max()]).collect()
    }

    proptest! {
        #[test]
        fn no_answer_depends_on_the_form(
            first in proptest::collection::vec(0u64..5_000_000_000, 0..60),
            second in proptest::collection::vec(0u64..3_000, 0..60),
        ) {
            let (mut dense, other) = (of(&first), of(&second));
            let (mut sparse, mut small) = (dense.clone(), other.clone());
            sparse.compact();
            small.compact();
            prop_assert_eq!(answers(&sparse), answers(&dense));
            prop_assert_eq!(&sparse, &dense);
            prop_assert_eq!(sparse.to_v2(), dense.to_v2());
            prop_assert_eq!(&Histogram::from_v2(&dense.to_v2()).unwrap(), &dense);
            let mut mixed = dense.clone();
            mixed.merge(&small);
            dense.merge(&other);
            sparse.merge(&small);
            prop_assert_eq!(answers(&sparse), answers(&dense));
            prop_assert_eq!(answers(&mixed), answers(&dense));
            prop_assert_eq!(sparse, dense);
        }

        #[test]
        fn what_is_no_encoding_is_told_as_by_hdrhistogram(
            micros in proptest::collection::vec(0u64..5_000_000, 1..20),
            at: proptest::sample::Index, bit in 0..8u8,
        ) {
            let mut bytes = of(&micros).to_v2();
            // Not a change of the highest value: with a forged one, decoding would take gigabytes.
            let at = at.index(bytes.len());
            prop_assume!(!(24..32).contains(&at));
            bytes[at] ^= 1 << bit;
            let theirs = Deserializer::new().deserialize::<u64, _>(&mut bytes.as_slice()).ok();
            // Their reader would not notice what was cut off; that of a recording refuses it
            // earlier.
            prop_assume!(bytes[4..8] == of(&micros).to_v2()[4..8]);
            let theirs = theirs.map(|dense| Histogram(Form::Dense(Box::new(dense))));
            prop_assert_eq!(Histogram::from_v2(&bytes), theirs);
        }
    }

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
    fn counters_are_the_same_in_both_forms_and_lie_on_one_grid() {
        let counters = |histogram: &Histogram| {
            let mut all = Vec::new();
            histogram.counters(|place, count| all.push((place, count)));
            all
        };
        let dense = of(&[1, 200, 255, 256, 257, 40_000, 40_001, 3_600_000_000]);
        let mut sparse = dense.clone();
        sparse.compact();
        let all = counters(&sparse);
        assert_eq!(all, counters(&dense));
        assert_eq!(all.iter().map(|(_, count)| count).sum::<u64>(), 8);
        for (index, (place, _)) in all.iter().enumerate() {
            let share = (all[..=index].iter().map(|it| it.1).sum::<u64>() as f64 - 0.5) / 8.0;
            assert_eq!(dense.quantile(share), Some(Histogram::grid_seconds(*place)));
        }
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
