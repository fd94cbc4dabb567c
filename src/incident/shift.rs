//! Where a series reaches a new level for good, and how sure the place is.
//!
//! The search is E-divisive (Matteson & James 2014, JASA 109:334) on ranks, so that single wild values
//! have no weight. The place within two levels is the split with the largest cumulative sum of the
//! ranks (Pettitt 1979, Applied Statistics 28:126). Its interval comes from resampling blocks of what
//! remains of each level, since neighbouring values resemble each other (Künsch 1989, Annals of
//! Statistics 17:1217).

use crate::compare::{DriftOptions, change_points};
use crate::diagnose::stats::{self, Random};

/// Fewest values of a level: a shorter change does not last.
pub(super) const FEWEST: usize = 4;
/// Values that are searched together. A short level in the middle of many values is hidden in them: no
/// single split tells it from what is before and after it.
const TOGETHER: usize = 60;
/// P value below which there is a change. Neighbouring values resemble each other, which makes it
/// too small by itself: what counts is decided by the size of the change.
const MAX_P: f64 = 0.001;
/// Smallest change of the mean rank, as a ratio.
const MIN_RANKS: f64 = 0.1;
/// Resampled series for one interval, and the share of them that lies outside it.
const RESAMPLED: usize = 200;
const OUTSIDE: f64 = 0.05;
/// A change of more standard deviations than this has an edge that can be seen.
const STEP_OF_NOISE: f64 = 8.0;
/// It has begun where a value is more standard deviations than this from the level before, and by
/// this share of the step, or of the level before where that is less, but never by a trifle.
const CLEAR_OF_NOISE: f64 = 4.0;
const BEGUN: f64 = 0.1;
const MUCH: f64 = 0.5;
const LITTLE: f64 = 0.02;
/// A standard deviation from the median absolute deviation, for normal values.
const MAD_TO_SD: f64 = 1.4826;

/// The levels of a series: where each begins.
pub(super) fn levels(values: &[f64]) -> Vec<usize> {
    let options = DriftOptions {
        window: values.len().min(TOGETHER),
        max_p: MAX_P,
        min_magnitude: MIN_RANKS,
        outliers: FEWEST - 1,
    };
    let points = change_points(&ranks(values), &options);
    std::iter::once(0).chain(points.into_iter().map(|point| point.index)).collect()
}

/// The place at which `values` split best into two levels of at least [`FEWEST`], and the interval
/// of that place. `None` with too few values.
pub(super) fn place(values: &[f64], seed: u64) -> Option<(usize, usize, usize)> {
    let at = split(&ranks(values))?;
    let (before, after) = values.split_at(at);
    if let Some(place) = edge(values, at) {
        return Some(place);
    }
    let residuals = [rest(before), rest(after)];
    let middles = [stats::median(before)?, stats::median(after)?];
    let mut random = Random::new(seed);
    let mut places: Vec<f64> = (0..RESAMPLED)
        .filter_map(|_| {
            let mut made = Vec::with_capacity(values.len());
            for (residuals, middle) in residuals.iter().zip(middles) {
                made.extend(blocks(residuals, &mut random).map(|rest| middle + rest));
            }
            split(&ranks(&made)).map(|place| place as f64)
        })
        .collect();
    places.sort_by(f64::total_cmp);
    let low = stats::quantile(&places, OUTSIDE / 2.0)?.floor() as usize;
    let high = stats::quantile(&places, 1.0 - OUTSIDE / 2.0)?.ceil() as usize;
    Some((at, low.min(at), high.max(at)))
}

/// Where a change begins that is far larger than the noise, with its interval. Ranks do not tell how
/// large a step is: the split of a slow rise lies in its middle, and small steps before a large one
/// draw it to them. So this goes back from the first value that is half-way to the new level to the
/// last one that is still as before.
fn edge(values: &[f64], at: usize) -> Option<(usize, usize, usize)> {
    let (before, after) = values.split_at(at);
    let (base, level) = (stats::median(before)?, stats::median(after)?);
    let (noise, step) = (spread(before)?, level - base);
    if step.abs() <= STEP_OF_NOISE * noise || step == 0.0 {
        return None;
    }
    // All values as steps upwards from the level before.
    let height = |place: usize| (values[place] - base) * step.signum();
    let half = (at..values.len()).find(|place| height(*place) >= step.abs() / 2.0)?;
    let back_to = |least: f64| {
        let mut first = half;
        // Single values that fall back do not end the way.
        while let Some(far) = (1..FEWEST)
            .find(|far| first.checked_sub(*far).is_some_and(|place| height(place) > least))
        {
            first -= far;
        }
        first
    };
    // Of a queue that grows for long, a small part of the step is much more than there was.
    let some = (MUCH * base.abs()).min(BEGUN * step.abs()).max(LITTLE * step.abs());
    let place = back_to((CLEAR_OF_NOISE * noise).max(some));
    let low = back_to((CLEAR_OF_NOISE / 2.0 * noise).max(some / 2.0));
    // Without noise before it, the first value that is another one tells the place.
    let high = half.max(place);
    let is_sudden = high - place <= 1;
    Some((place, low.min(place), if is_sudden { place } else { high }))
}

/// Median absolute deviation as a standard deviation.
pub(super) fn spread(values: &[f64]) -> Option<f64> {
    let middle = stats::median(values)?;
    let away: Vec<f64> = values.iter().map(|value| (value - middle).abs()).collect();
    Some(MAD_TO_SD * stats::median(&away)?)
}

fn rest(level: &[f64]) -> Vec<f64> {
    let middle = stats::median(level).unwrap_or(0.0);
    level.iter().map(|value| value - middle).collect()
}

/// As many values, of blocks that are drawn from all places.
fn blocks<'r>(rest: &'r [f64], random: &mut Random) -> impl Iterator<Item = f64> + use<'r> {
    let length = (rest.len() as f64).cbrt().ceil().max(1.0) as usize;
    let begins: Vec<usize> = (0..rest.len().div_ceil(length))
        .map(|_| random.below(rest.len().saturating_sub(length) + 1))
        .collect();
    let blocks = begins.into_iter().flat_map(move |begin| rest.iter().skip(begin).take(length));
    blocks.copied().take(rest.len())
}

/// The split with the largest standardised cumulative sum; both sides have at least [`FEWEST`].
fn split(ranks: &[f64]) -> Option<usize> {
    let count = ranks.len();
    let mean = stats::mean(ranks)?;
    let mut sum = 0.0;
    let mut best: Option<(f64, usize)> = None;
    for (place, rank) in ranks.iter().enumerate() {
        sum += rank - mean;
        let left = place + 1;
        if left < FEWEST || count - left < FEWEST {
            continue;
        }
        let weight = (left * (count - left)) as f64 / count as f64;
        let score = sum * sum / weight;
        if best.is_none_or(|(most, _)| score > most) {
            best = Some((score, left));
        }
    }
    best.map(|(_, place)| place)
}

/// The ranks from 1 on; equal values share their mean rank.
fn ranks(values: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|a, b| values[*a].total_cmp(&values[*b]));
    let mut ranks = vec![0.0; values.len()];
    let mut from = 0;
    while from < order.len() {
        let same = order[from..].iter().take_while(|at| values[**at] == values[order[from]]);
        let to = from + same.count().max(1);
        for at in &order[from..to] {
            ranks[*at] = (from + to + 1) as f64 / 2.0;
        }
        from = to;
    }
    ranks
}

#[cfg(test)]
mod tests {
    use super::*;

    fn noisy(levels: &[(usize, f64)], seed: u64) -> Vec<f64> {
        let mut random = Random::new(seed);
        let level = |(count, level): &(usize, f64)| vec![*level; *count];
        let levels: Vec<f64> = levels.iter().flat_map(level).collect();
        levels.into_iter().map(|level| level * (1.0 + 0.05 * random.normal())).collect()
    }

    #[test]
    fn the_place_of_a_step_lies_in_its_interval() {
        let mut inside = 0;
        for seed in 0..100 {
            let values = noisy(&[(40, 1.0), (25, 1.1)], seed);
            let (at, low, high) = place(&values, seed).unwrap();
            assert!(low <= at && at <= high);
            inside += usize::from((low..=high).contains(&40));
        }
        assert!(inside >= 85, "{inside} of 100 intervals hold the place");
    }

    #[test]
    fn a_rise_is_placed_at_its_beginning_whatever_came_before() {
        // Half a minute a little higher, then a queue that grows until it is full.
        let mut values = noisy(&[(60, 1.0), (20, 1.05)], 5);
        values.extend((0..40).map(|step| 1.0 + f64::from(step.min(25)) * 20.0));
        let (at, low, high) = place(&values, 1).unwrap();
        assert!((80..=83).contains(&at) && low <= at && at <= high, "{at} {low} {high}");
        let calm = [vec![0.0; 50], (1..60).map(f64::from).collect()].concat();
        let (at, _, _) = place(&calm, 1).unwrap();
        assert!((50..=56).contains(&at), "{at}");
    }

    #[test]
    fn a_clear_step_is_placed_where_it_is() {
        assert_eq!(place(&noisy(&[(30, 1.0), (20, 3.0)], 7), 1).map(|it| it.0), Some(30));
        // Among several levels, a place may be one value off; `place` then finds it within its interval.
        let found = levels(&noisy(&[(30, 1.0), (20, 3.0), (30, 1.0)], 7));
        assert_eq!(found.len(), 3, "{found:?}");
        assert!(found[1].abs_diff(30) <= 1 && found[2].abs_diff(50) <= 1, "{found:?}");
    }

    #[test]
    fn a_short_level_in_a_long_time_is_found() {
        for seed in 0..20 {
            let found = levels(&noisy(&[(70, 1.0), (16, 9.0), (70, 1.0)], seed));
            assert_eq!(found.len(), 3, "{seed}: {found:?}");
        }
    }

    #[test]
    fn three_wild_values_are_not_a_level() {
        let mut values = noisy(&[(60, 1.0)], 3);
        for at in [20, 21, 22] {
            values[at] = 50.0;
        }
        assert_eq!(levels(&values), [0]);
        assert_eq!(place(&[1.0; 7], 1), None, "too few");
    }

    #[test]
    fn equal_values_share_a_rank() {
        assert_eq!(ranks(&[5.0, 1.0, 5.0, 9.0]), [2.5, 1.0, 2.5, 4.0]);
        assert!(ranks(&[]).is_empty());
    }
}
