//! The response times of one run as counts on the grid of the histograms, added up from its
//! beginning, so that the counts of any span are one subtraction.

use std::collections::BTreeSet;

use crate::timeline::Histogram;

/// One slot (usually a second) of response times: place on the grid and count.
pub type Counts = Vec<(u32, u32)>;

/// The counts of several stretches of one run.
pub struct Tally {
    /// The places that occur, in order.
    places: Vec<u32>,
    stretches: Vec<Stretch>,
    total: Vec<u64>,
}

/// One stretch at one load.
struct Stretch {
    slots: usize,
    /// Counts up to the begin of each slot, one row after the other, and one row at the end.
    before: Vec<u32>,
}

impl Tally {
    /// Of stretches, each a list of slots, each of which has the counts of several requests.
    pub fn of(stretches: &[Vec<Vec<&Counts>>]) -> Self {
        let counts = || stretches.iter().flatten().flatten().copied().flatten();
        let places: Vec<u32> =
            counts().map(|(place, _)| *place).collect::<BTreeSet<_>>().into_iter().collect();
        let width = places.len();
        let mut column = vec![0; places.last().map_or(0, |last| *last as usize + 1)];
        for (index, place) in places.iter().enumerate() {
            column[*place as usize] = index;
        }
        let mut total = vec![0u64; width];
        for (place, count) in counts() {
            total[column[*place as usize]] += u64::from(*count);
        }
        let stretches = stretches.iter().map(|slots| Stretch::of(slots, &column, width)).collect();
        Self { places, stretches, total }
    }

    /// How many response times there are.
    pub fn count(&self) -> u64 {
        self.total.iter().sum()
    }

    /// How many slots each stretch has.
    pub fn slots(&self) -> Vec<usize> {
        self.stretches.iter().map(|stretch| stretch.slots).collect()
    }

    /// The quantiles of all of it in seconds, each of `shares` in rising order.
    pub fn quantiles(&self, shares: &[f64]) -> Vec<Option<f64>> {
        self.quantiles_of(&self.total, shares)
    }

    /// Adds the counts of `length` slots of a stretch, from slot `begin` on, to `sum`.
    pub fn add(&self, sum: &mut [u64], stretch: usize, begin: usize, length: usize) {
        let Some(stretch) = self.stretches.get(stretch) else { return };
        let width = sum.len();
        let end = (begin + length).min(stretch.slots);
        let row = |slot: usize| &stretch.before[slot * width..(slot + 1) * width];
        for ((sum, after), before) in sum.iter_mut().zip(row(end)).zip(row(begin.min(end))) {
            // The sums may wrap around; their difference is right as long as it fits.
            *sum += u64::from(after.wrapping_sub(*before));
        }
    }

    /// A sum of counts that is still empty.
    pub fn nothing(&self) -> Vec<u64> {
        vec![0; self.places.len()]
    }

    /// The quantiles of a sum of counts, in seconds.
    pub fn quantiles_of(&self, counts: &[u64], shares: &[f64]) -> Vec<Option<f64>> {
        let all: u64 = counts.iter().sum();
        let mut found = Vec::with_capacity(shares.len());
        let (mut seen, mut at) = (0, 0);
        for share in shares {
            let wanted = ((share * all as f64).ceil() as u64).max(1);
            while seen < wanted && at < counts.len() {
                seen += counts[at];
                at += 1;
            }
            let place = at.checked_sub(1).filter(|_| seen >= wanted);
            found.push(place.map(|at| Histogram::grid_seconds(self.places[at])));
        }
        found
    }
}

impl Stretch {
    fn of(slots: &[Vec<&Counts>], column: &[usize], width: usize) -> Self {
        let mut before = vec![0u32; (slots.len() + 1) * width];
        for (index, slot) in slots.iter().enumerate() {
            let (done, next) = before.split_at_mut((index + 1) * width);
            next[..width].copy_from_slice(&done[index * width..]);
            for (place, count) in slot.iter().copied().flatten() {
                let cell = &mut next[column[*place as usize]];
                *cell = cell.wrapping_add(*count);
            }
        }
        Self { slots: slots.len(), before }
    }
}

/// The mean response time in seconds of counts on the grid; `None` without any.
pub fn mean<'c>(counts: impl Iterator<Item = &'c (u32, u32)>) -> Option<f64> {
    let (mut seconds, mut all) = (0.0, 0.0);
    for (place, count) in counts {
        seconds += Histogram::grid_seconds(*place) * f64::from(*count);
        all += f64::from(*count);
    }
    (all > 0.0).then(|| seconds / all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_differences_and_quantiles_those_of_the_histogram() {
        let slots: Vec<Counts> =
            (0..20).map(|slot| vec![(100 + slot, 3), (300, 1), (310 + slot, 1)]).collect();
        let stretch: Vec<Vec<&Counts>> = slots.iter().map(|slot| vec![slot]).collect();
        let tally = Tally::of(&[stretch.clone(), stretch[..5].to_vec()]);
        assert_eq!(tally.count(), 125);
        assert_eq!(tally.slots(), [20, 5]);
        let mut sum = tally.nothing();
        for slot in 0..20 {
            tally.add(&mut sum, 0, slot, 1);
        }
        tally.add(&mut sum, 1, 0, 5);
        assert_eq!(sum, tally.total);
        let [p50, p95] = tally.quantiles(&[0.5, 0.95])[..] else { panic!("two quantiles") };
        assert!(p50 < p95 && p50.is_some());
        let mut few = tally.nothing();
        tally.add(&mut few, 0, 7, 1);
        assert_eq!(tally.quantiles_of(&few, &[0.6]), [Some(Histogram::grid_seconds(107))]);
        assert_eq!(tally.quantiles_of(&tally.nothing(), &[0.5]), [None]);
    }
}
