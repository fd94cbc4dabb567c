//! Whether two clocks agree: those of a log of requests, and of the counters of the same requests.
//!
//! Counts that are laid over each other rightly rise and fall together from one interval to the
//! next, by the same chance arrivals. So the changes of neighbouring intervals are correlated:
//! slow patterns, such as a day's, drop out, which would also fit an hour earlier or later.

use std::collections::BTreeMap;

/// Widest shift that is tried, in seconds: zones lie up to 14 hours from UTC.
pub(super) const WIDEST: i64 = 14 * 3600;
/// Zones differ by multiples of a quarter of an hour.
const ZONES: i64 = 900;
/// Clocks that somebody set by hand, or that nobody sets, are wrong by up to some minutes.
const DRIFT: i64 = 300;
/// Fewest intervals that must lie over each other.
const FEWEST: usize = 20;
/// A shift is known where its correlation is this many standard errors above zero (Fisher's z). Ten
/// thousand shifts are tried, of which chance lifts the best to about 4.
const CERTAIN: f64 = 5.0;
/// Intervals that are laid over each other to find the shift; all of them tell how well it fits.
const MOST: usize = 2000;
/// And where it is so many above the best of the shifts that are not its neighbours.
const DISTINCT: f64 = 3.0;

/// Requests that ended in an interval, in seconds since 1970, as a counter has them.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Counted {
    pub(super) from: f64,
    pub(super) to: f64,
    pub(super) count: f64,
}

/// How the two clocks lie to each other.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Shift {
    /// So many seconds have to be added to the log's times; with the correlation then, and the share
    /// of the counted requests that the log has.
    Found { seconds: i64, correlation: f64, share: f64 },
    /// Several shifts fit: the best two.
    Ambiguous(i64, i64),
    /// No shift fits; with the best correlation.
    Unrelated(f64),
    /// There is too little to compare.
    TooFew,
}

/// A shift and how well it fits.
#[derive(Clone, Copy, Debug)]
struct Fit {
    seconds: i64,
    correlation: f64,
    /// Its transform, whose scatter does not depend on it (R. A. Fisher 1915).
    fisher: f64,
    /// Changes that do not follow from others.
    free: f64,
    /// Standard errors above zero.
    z: f64,
}

impl Fit {
    /// By how many standard errors it fits better than another. A longer overlap is no better fit, so
    /// the shorter one tells how sure that is.
    fn better_than(&self, other: &Self) -> f64 {
        (self.fisher - other.fisher) * self.free.min(other.free).sqrt()
    }
}

/// The log's counts, summed up from its begin.
struct Sums {
    first: i64,
    sums: Vec<f64>,
}

impl Sums {
    fn of(ended: &BTreeMap<i64, u32>) -> Self {
        let (Some((first, _)), Some((last, _))) = (ended.first_key_value(), ended.last_key_value())
        else {
            return Self { first: 0, sums: Vec::new() };
        };
        let (mut sum, mut sums) = (0.0, vec![0.0]);
        for second in *first..=*last {
            sum += f64::from(ended.get(&second).copied().unwrap_or(0));
            sums.push(sum);
        }
        Self { first: *first, sums }
    }

    /// Requests before a moment; `None` outside of the log. Those of a second are spread over it.
    fn before(&self, at: f64) -> Option<f64> {
        let place = at - self.first as f64;
        let whole = place.floor();
        if whole < 0.0 {
            return None;
        }
        let low = self.sums.get(whole as usize)?;
        let high = self.sums.get(whole as usize + 1).unwrap_or(low);
        Some(low + (high - low) * (place - whole))
    }

    /// The intervals that tell the shift: the middle ones of those that both cover, where both cover
    /// very many.
    fn part<'c>(&self, counted: &'c [Counted]) -> &'c [Counted] {
        let (begin, end) = (self.first as f64, self.first as f64 + self.sums.len() as f64);
        let from = counted.partition_point(|it| it.from < begin);
        let to = counted.partition_point(|it| it.to <= end);
        if to.saturating_sub(from) <= MOST {
            return counted;
        }
        let middle = usize::midpoint(from, to);
        counted.get(middle - MOST / 2..middle + MOST / 2).unwrap_or(counted)
    }

    fn between(&self, from: f64, to: f64) -> Option<f64> {
        Some(self.before(to)? - self.before(from)?)
    }
}

/// Compares the requests that ended in each second, by the log's clock, with the counters. `exact` is
/// how far they may differ by the way they are read, in seconds: a scrape interval.
pub(super) fn compare(ended: &BTreeMap<i64, u32>, counted: &[Counted], exact: f64) -> Shift {
    let sums = Sums::of(ended);
    let part = sums.part(counted);
    let coarse: Vec<Fit> = (-WIDEST / ZONES..=WIDEST / ZONES)
        .flat_map(|zone| {
            // Between two steps, half an interval still fits.
            let step = ((exact / 2.0) as i64).max(1);
            (-DRIFT / step..=DRIFT / step).map(move |drift| zone * ZONES + drift * step)
        })
        .filter_map(|seconds| fit(&sums, part, seconds))
        .collect();
    let Some(best) = coarse.iter().max_by(|a, b| a.z.total_cmp(&b.z)) else { return Shift::TooFew };
    if best.z < CERTAIN {
        return Shift::Unrelated(best.correlation);
    }
    let is_other = |fit: &&Fit| (fit.seconds - best.seconds).abs() as f64 > 2.0 * exact + 1.0;
    let is_rival = |fit: &&Fit| {
        best.z - fit.z < DISTINCT || (fit.z >= CERTAIN && best.better_than(fit) < DISTINCT)
    };
    let rivals = coarse.iter().filter(is_other).filter(is_rival);
    if let Some(second) = rivals.max_by(|a, b| a.z.total_cmp(&b.z)) {
        return Shift::Ambiguous(best.seconds, second.seconds);
    }
    let around = (exact.ceil() as i64).max(1);
    let fine = (best.seconds - around..=best.seconds + around)
        .filter_map(|seconds| fit(&sums, part, seconds))
        .max_by(|a, b| a.z.total_cmp(&b.z))
        .unwrap_or(*best);
    let pairs = pairs(&sums, counted, fine.seconds);
    let (log, counters) = pairs.iter().fold((0.0, 0.0), |(a, b), (c, d)| (a + c, b + d));
    Shift::Found {
        seconds: fine.seconds,
        correlation: fine.correlation,
        share: log / f64::max(counters, 1.0),
    }
}

/// Counts of the log and of the counters in the intervals that both cover.
fn pairs(sums: &Sums, counted: &[Counted], seconds: i64) -> Vec<(f64, f64)> {
    let moved = |at: f64| at - seconds as f64;
    let pair = |it: &Counted| Some((sums.between(moved(it.from), moved(it.to))?, it.count));
    let (begin, end) = (sums.first as f64, sums.first as f64 + sums.sums.len() as f64);
    let from = counted.partition_point(|it| moved(it.from) < begin);
    let to = counted.partition_point(|it| moved(it.to) <= end).max(from);
    counted.get(from..to).unwrap_or_default().iter().filter_map(pair).collect()
}

fn fit(sums: &Sums, counted: &[Counted], seconds: i64) -> Option<Fit> {
    let pairs = pairs(sums, counted, seconds);
    let changes: Vec<(f64, f64)> =
        pairs.windows(2).map(|pair| (pair[1].0 - pair[0].0, pair[1].1 - pair[0].1)).collect();
    if changes.len() < FEWEST {
        return None;
    }
    let correlation = correlation(&changes)?;
    // Neighbouring changes share a count, so that about two in three of them are new.
    let free = changes.len() as f64 * 2.0 / 3.0 - 3.0;
    let (fisher, free) = (correlation.min(0.999_999).atanh(), free.max(1.0));
    Some(Fit { seconds, correlation, fisher, free, z: fisher * free.sqrt() })
}

/// Pearson's correlation; `None` where one side never changes.
fn correlation(pairs: &[(f64, f64)]) -> Option<f64> {
    let count = pairs.len() as f64;
    let (sum_a, sum_b) = pairs.iter().fold((0.0, 0.0), |(a, b), (c, d)| (a + c, b + d));
    let (mean_a, mean_b) = (sum_a / count, sum_b / count);
    let (mut both, mut of_a, mut of_b) = (0.0, 0.0, 0.0);
    for (a, b) in pairs {
        let (a, b) = (a - mean_a, b - mean_b);
        both += a * b;
        of_a += a * a;
        of_b += b * b;
    }
    (of_a > 0.0 && of_b > 0.0).then(|| both / (of_a * of_b).sqrt())
}

#[cfg(test)]
mod tests {
    use rand::rngs::SmallRng;
    use rand::{RngExt, SeedableRng};

    use super::*;

    const STEP: f64 = 15.0;

    /// Requests of so many seconds at about this rate, and a counter of a share of them.
    fn made(seconds: i64, rate: f64, share: f64, seed: u64) -> (BTreeMap<i64, u32>, Vec<Counted>) {
        let mut random = SmallRng::seed_from_u64(seed);
        let (mut ended, mut cells) = (BTreeMap::new(), BTreeMap::new());
        for second in 0..seconds {
            // A slow wave, as days have it.
            let wave = 1.0 + 0.5 * (second as f64 / 3000.0).sin();
            for _ in 0..(rate * 4.0) as usize {
                if random.random_range(0.0..1.0) < wave / 4.0 {
                    *ended.entry(second).or_default() += 1;
                    let is_counted = random.random_range(0.0..1.0) < share;
                    *cells.entry((second as f64 / STEP) as i64).or_insert(0.0) +=
                        f64::from(u8::from(is_counted));
                }
            }
        }
        let counted = cells.into_iter().map(|(cell, count)| Counted {
            from: cell as f64 * STEP,
            to: (cell + 1) as f64 * STEP,
            count,
        });
        (ended, counted.collect())
    }

    fn moved(ended: &BTreeMap<i64, u32>, seconds: i64) -> BTreeMap<i64, u32> {
        ended.iter().map(|(second, count)| (second + seconds, *count)).collect()
    }

    #[test]
    fn a_log_that_is_off_by_hours_or_seconds_is_found() {
        let (ended, counted) = made(3 * 3600, 5.0, 1.0, 1);
        for off in [0, 7, -3600, 3600, 5 * 3600 + 1800, -40, 2 * 3600 + 3] {
            let found = compare(&moved(&ended, off), &counted, STEP);
            let Shift::Found { seconds, correlation, share } = found else {
                panic!("{off}: {found:?}")
            };
            assert!((seconds + off).abs() <= 1, "{off}: {found:?}");
            assert!(correlation > 0.95 && (0.98..1.02).contains(&share), "{off}: {found:?}");
        }
    }

    #[test]
    fn a_log_of_half_the_requests_is_still_found() {
        let (ended, counted) = made(2 * 3600, 5.0, 0.5, 2);
        let found = compare(&moved(&ended, 3600), &counted, STEP);
        assert!(matches!(found, Shift::Found { seconds: -3601..=-3599, .. }), "{found:?}");
    }

    #[test]
    fn the_log_of_another_service_never_fits() {
        for seed in 0..20 {
            let (ended, _) = made(3600, 5.0, 1.0, 100 + seed);
            let (_, counted) = made(3600, 5.0, 1.0, 200 + seed);
            let found = compare(&ended, &counted, STEP);
            assert!(matches!(found, Shift::Unrelated(_)), "{seed}: {found:?}");
        }
    }

    #[test]
    fn a_load_that_repeats_itself_is_not_decided() {
        // The same minute, again and again.
        let ended: BTreeMap<i64, u32> =
            (0..7200).map(|second| (second, if second % 60 < 15 { 9 } else { 1 })).collect();
        let counted: Vec<Counted> = (0..480)
            .map(|cell| f64::from(cell) * STEP)
            .map(|from| Counted {
                from,
                to: from + STEP,
                count: if from % 60.0 < 15.0 { 135.0 } else { 15.0 },
            })
            .collect();
        let found = compare(&ended, &counted, STEP);
        assert!(matches!(found, Shift::Ambiguous(..)), "{found:?}");
        assert_eq!(compare(&BTreeMap::new(), &counted, STEP), Shift::TooFew);
    }
}
