//! The response times of one run as counts on the grid of the histograms, added up from its
//! beginning, so that the counts of any span are one subtraction.

use crate::timeline::Histogram;

/// One slot (usually a second) of response times: place on the grid and count.
pub type Counts = Vec<(u32, u32)>;

/// Columns that are added up as one before the quantile is known to lie in them.
const GROUP: usize = 16;

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
    fine: Rows,
    /// The same of [`GROUP`] columns each.
    coarse: Rows,
}

/// Counts that grow from row to row.
struct Rows {
    width: usize,
    cells: Vec<u32>,
}

/// Slots of a stretch that follow each other.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Span {
    /// Index of the stretch.
    pub stretch: usize,
    /// The first slot.
    pub begin: usize,
    /// How many slots.
    pub length: usize,
}

impl Tally {
    /// Of stretches, each a list of slots, each of which has the counts of several requests.
    pub fn of(stretches: &[Vec<Vec<&Counts>>]) -> Self {
        let mut by_place: Vec<u64> = Vec::new();
        for (place, count) in stretches.iter().flatten().flatten().copied().flatten() {
            let place = *place as usize;
            if by_place.len() <= place {
                by_place.resize(place + 1, 0);
            }
            by_place[place] += u64::from(*count);
        }
        let mut column = vec![0; by_place.len()];
        let (mut places, mut total) = (Vec::new(), Vec::new());
        for (place, count) in by_place.into_iter().enumerate().filter(|(_, count)| *count > 0) {
            column[place] = places.len();
            places.push(u32::try_from(place).unwrap_or(u32::MAX));
            total.push(count);
        }
        let width = places.len();
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
        let all = self.count();
        let mut found = Vec::with_capacity(shares.len());
        let (mut seen, mut at) = (0, 0);
        for share in shares {
            let wanted = rank(*share, all);
            while seen < wanted && at < self.total.len() {
                seen += self.total[at];
                at += 1;
            }
            let place = at.checked_sub(1).filter(|_| seen >= wanted);
            found.push(place.map(|at| Histogram::grid_seconds(self.places[at])));
        }
        found
    }

    /// The same of these spans alone; what is in several of them counts several times. A bootstrap
    /// asks for it thousands of times, so only the columns around each quantile are added up.
    pub fn quantiles_of(&self, spans: &[Span], shares: &[f64]) -> Vec<Option<f64>> {
        let mut groups = vec![0u64; self.places.len().div_ceil(GROUP)];
        self.add(spans, |stretch| &stretch.coarse, 0, &mut groups);
        let all: u64 = groups.iter().sum();
        let mut found = Vec::with_capacity(shares.len());
        // Counts before the group, and those in it.
        let (mut seen, mut group) = (0, 0);
        let (mut own, mut own_of) = ([0u64; GROUP], usize::MAX);
        for share in shares {
            let wanted = rank(*share, all);
            while group < groups.len() && seen + groups[group] < wanted {
                seen += groups[group];
                group += 1;
            }
            if group == groups.len() {
                found.push(None);
                continue;
            }
            let first = group * GROUP;
            let width = GROUP.min(self.places.len() - first);
            if own_of != group {
                own = [0; GROUP];
                self.add(spans, |stretch| &stretch.fine, first, &mut own[..width]);
                own_of = group;
            }
            let mut reached = seen;
            let at = own[..width].iter().position(|count| {
                reached += count;
                reached >= wanted
            });
            found.push(at.map(|at| Histogram::grid_seconds(self.places[first + at])));
        }
        found
    }

    /// Adds the counts of the spans in the columns from `first` on to `sum`.
    fn add<'t>(
        &'t self,
        spans: &[Span],
        rows: impl Fn(&'t Stretch) -> &'t Rows,
        first: usize,
        sum: &mut [u64],
    ) {
        for Span { stretch, begin, length } in spans {
            let Some(stretch) = self.stretches.get(*stretch) else { continue };
            let end = (begin + length).min(stretch.slots);
            let rows = rows(stretch);
            let (after, before) = (rows.part(end, first), rows.part((*begin).min(end), first));
            for ((sum, after), before) in sum.iter_mut().zip(after).zip(before) {
                // The sums may wrap around; their difference is right as long as it fits.
                *sum += u64::from(after.wrapping_sub(*before));
            }
        }
    }
}

/// How many response times there are up to a quantile.
fn rank(share: f64, all: u64) -> u64 {
    ((share * all as f64).ceil() as u64).max(1)
}

impl Stretch {
    fn of(slots: &[Vec<&Counts>], column: &[usize], width: usize) -> Self {
        let mut fine = Rows::new(slots.len() + 1, width);
        let mut coarse = Rows::new(slots.len() + 1, width.div_ceil(GROUP));
        for (index, slot) in slots.iter().enumerate() {
            let (fine, coarse) = (fine.next(index), coarse.next(index));
            for (place, count) in slot.iter().copied().flatten() {
                let column = column[*place as usize];
                fine[column] = fine[column].wrapping_add(*count);
                coarse[column / GROUP] = coarse[column / GROUP].wrapping_add(*count);
            }
        }
        Self { slots: slots.len(), fine, coarse }
    }
}

impl Rows {
    fn new(rows: usize, width: usize) -> Self {
        Self { width, cells: vec![0; rows * width] }
    }

    /// The row behind that of this index, which begins as its copy.
    fn next(&mut self, row: usize) -> &mut [u32] {
        let (done, next) = self.cells.split_at_mut((row + 1) * self.width);
        let next = &mut next[..self.width];
        next.copy_from_slice(&done[row * self.width..]);
        next
    }

    /// A row from this column on.
    fn part(&self, row: usize, first: usize) -> &[u32] {
        &self.cells[row * self.width + first..(row + 1) * self.width]
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
        let span = |stretch, begin, length| Span { stretch, begin, length };
        let every: Vec<Span> =
            (0..20).map(|slot| span(0, slot, 1)).chain([span(1, 0, 5)]).collect();
        let shares = [0.01, 0.25, 0.5, 0.75, 0.8, 0.95, 0.99, 1.0];
        assert_eq!(tally.quantiles_of(&every, &shares), tally.quantiles(&shares));
        let [p50, p95] = tally.quantiles(&[0.5, 0.95])[..] else { panic!("two quantiles") };
        assert!(p50 < p95 && p50.is_some());
        let few = tally.quantiles_of(&[span(0, 7, 1)], &[0.6]);
        assert_eq!(few, [Some(Histogram::grid_seconds(107))]);
        assert_eq!(tally.quantiles_of(&[], &[0.5]), [None]);
    }
}
