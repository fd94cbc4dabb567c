//! Change points in a history: at which runs did a quantity reach a new level?
//!
//! A history has one value for each run of one build line, oldest first. The method is E-divisive
//! (Matteson & James 2014, JASA 109:334) as Hunter uses it (Fleming et al. 2023, ICPE, "Hunter: Using
//! Change Point Detection to Hunt for Performance Regressions"; today Apache Otava):
//!
//! 1. The history is searched in windows that overlap by half, so that two changes close to each
//!    other do not hide each other, and a long history takes time in proportion to its length.
//! 2. In each window, the split with the largest energy distance between its sides is tested with
//!    Student's t test. A significant one splits the window, and both parts are searched again. This
//!    step accepts larger p values than asked for: it finds *weak* points.
//! 3. The weakest point is removed and the levels beside it become one, again and again, until every
//!    point that is left is significant and large enough.
//!
//! Two things are added to what was published, since a history of load tests has a few dozen runs
//! and some of them went wrong: a change has to hold without the runs that speak most for it (see
//! [`DriftOptions::outliers`]), and values that are not finite are skipped.
//!
//! Apache Otava itself departs from the published method in two places, and this module does not: its
//! t test divides the sums of squares by `n` before it takes them for unbiased variances, and once a
//! weak point is removed, the point before it keeps the p value of its former, shorter level. The
//! first makes p values too small, the second leaves them out of date. The tests show that all else
//! agrees.

use serde::Serialize;

use super::student;
use crate::diagnose::stats;

/// A window has to have two sides.
const SMALLEST_WINDOW: usize = 2;
/// By how much larger a p value may be while weak points are searched: as much as Apache Otava
/// allows. Below the first bound ten times, below the second twice, above it no more.
const WEAKER: [(f64, f64); 2] = [(0.05, 10.0), (0.5, 2.0)];
/// Fewest runs from which [`noise`] is estimated. Of five, one estimate in forty is a third of the true
/// standard deviation or less (chi-squared with four degrees of freedom); of fewer, more are.
const FEWEST_FOR_NOISE: usize = 5;

/// What counts as a change of the level.
///
/// The default is for a few dozen runs with 3 % noise. The window is Apache Otava's; p value and
/// magnitude are what its tests call the old defaults. Of 2,000 simulated histories of 30 runs without
/// a change, 0.4 % have a change point, and 4 % if each run resembles the one before (correlation 0.3).
/// A step of 10 % is found in 93 % of the histories with 6 runs before it and 6 after it, and in 99 %
/// of those with 24 on one side. With Otava's p value of today, 0.001, it would be 62 % of the former.
/// Without a smallest magnitude, 20 % of the histories with correlated runs would have a change point:
/// where the noise is above 3 %, the smallest magnitude should be larger too.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct DriftOptions {
    /// Runs that are searched together. Changes that are further apart do not disturb each other.
    pub window: usize,
    /// A change has a p value below this.
    pub max_p: f64,
    /// A change is larger than this, as a ratio of the smaller of both means: 0.05 is 5 %.
    pub min_magnitude: f64,
    /// A change has to be significant without this many runs of the level before, and without this
    /// many of the new level: those that speak most for it. A level has more runs than this. 0 is the
    /// published method; 1 means that a single wild run, be it the newest one, is no change.
    pub outliers: usize,
}

impl Default for DriftOptions {
    fn default() -> Self {
        Self { window: 50, max_p: 0.01, min_magnitude: 0.05, outliers: 1 }
    }
}

/// The run at which a new level begins.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct ChangePoint {
    /// Index of the first run of the new level.
    pub index: usize,
    /// Mean of the level before, back to the change point before this one.
    pub before_mean: f64,
    /// Mean of the new level, up to the next change point.
    pub after_mean: f64,
    /// Runs of the level before.
    pub before_runs: usize,
    /// Runs of the new level.
    pub after_runs: usize,
    /// Probability of such a difference if nothing changed (Student's t test, two-sided).
    pub p: f64,
}

impl ChangePoint {
    /// The change as a ratio: 0.08 is a rise of 8 %. Infinite after a level of 0.
    pub fn change(&self) -> f64 {
        self.after_mean / self.before_mean - 1.0
    }

    /// The size of the change, alike for a rise and the fall that undoes it: a ratio of the smaller
    /// mean. Not a number where both means are 0.
    fn magnitude(&self) -> f64 {
        let back = self.before_mean / self.after_mean - 1.0;
        self.change().abs().max(back.abs())
    }
}

/// The change points of a history, oldest first. Values that are not finite are skipped; indices are
/// those of `series`.
pub fn change_points(series: &[f64], options: &DriftOptions) -> Vec<ChangePoint> {
    let (places, values): (Vec<usize>, Vec<f64>) =
        series.iter().copied().enumerate().filter(|(_, value)| value.is_finite()).unzip();
    let mut points = strong_points(&values, &weak_points(&values, options, t_test), options);
    for point in &mut points {
        point.index = places[point.index];
    }
    points
}

/// Standard deviation from run to run, from the logarithms of a history, oldest first. It is a ratio:
/// 0.03 is 3 %. `None` with fewer than five values that are finite.
///
/// It is the standard deviation within the levels that [`change_points`] tells apart by default, all
/// levels together. Steps are not in it, and a slow drift only as far as it stays within a level. In
/// simulated histories of 30 runs with 3 % noise it is 0.97 to 1.10 of the true one, with correlated
/// runs (0.3), a drift of 5 to 30 %, or a step of 4 to 50 %. With 10 runs, a drift of 10 % mostly goes
/// unseen and makes it 30 % too large: a comparison then tells less.
///
/// Half the mean square successive difference (von Neumann et al. 1941, Ann. Math. Statist. 12:153)
/// contains no drift at all, but takes the resemblance of neighbouring runs for a lack of noise: it is
/// 17 % too small with a correlation of 0.3 and 37 % with 0.6 (this one: 3 % and 12 %), and too little
/// noise means false alarms. It also needs half as many runs again to be as exact, and a step of 50 %
/// doubles it.
pub fn noise(series_of_logs: &[f64]) -> Option<f64> {
    let logs: Vec<f64> = series_of_logs.iter().copied().filter(|log| log.is_finite()).collect();
    if logs.len() < FEWEST_FOR_NOISE {
        return None;
    }
    let levels = levels_of_logs(&logs);
    let squares: f64 =
        levels.iter().map(|level| stats::variance(level) * (level.len() - 1) as f64).sum();
    let degrees = logs.len() - levels.len();
    (degrees > 0).then(|| (squares / degrees as f64).sqrt())
}

/// The levels of a history of logarithms.
fn levels_of_logs(logs: &[f64]) -> Vec<&[f64]> {
    // The options are for values, not for logarithms. The median only keeps the values in range.
    let middle = stats::median(logs).unwrap_or(0.0);
    let values: Vec<f64> = logs.iter().map(|log| (log - middle).exp()).collect();
    let points = change_points(&values, &DriftOptions::default());
    let mut rest = logs;
    let mut levels = Vec::new();
    let mut start = 0;
    for point in points {
        let (level, later) = rest.split_at(point.index - start);
        levels.push(level);
        (rest, start) = (later, point.index);
    }
    levels.push(rest);
    levels
}

/// The p value of the difference of two levels.
type Test = fn(&[f64], &[f64]) -> f64;

/// Splits window after window.
fn weak_points(values: &[f64], options: &DriftOptions, test: Test) -> Vec<usize> {
    let window = options.window.max(SMALLEST_WINDOW);
    let max_p = weaker(options.max_p);
    // A change has to hold without the outliers, so a level has more runs than these.
    let fewest = options.outliers.saturating_add(1);
    let mut points: Vec<usize> = Vec::new();
    let mut start = 0;
    while start < values.len() {
        let end = start.saturating_add(window).min(values.len());
        let found = divide(&values[start..end], max_p, fewest, test);
        points.extend(found.into_iter().map(|at| start + at));
        // A window never begins before a point that was found, so no point is found twice.
        start = points.last().copied().unwrap_or(0).max(start + window / 2);
    }
    points
}

/// The p value up to which a point is a weak one.
fn weaker(max_p: f64) -> f64 {
    let factor = WEAKER.iter().find(|(below, _)| max_p < *below).map_or(1.0, |(_, factor)| *factor);
    max_p * factor
}

/// Splits the window at the best split of all its parts, until that is not significant. Each part has
/// at least `fewest` values.
fn divide(values: &[f64], max_p: f64, fewest: usize, test: Test) -> Vec<usize> {
    let mut ends = vec![0, values.len()];
    let mut splits = vec![best_split(values, fewest)];
    loop {
        let known = splits.iter().enumerate().filter_map(|(part, split)| Some((part, (*split)?)));
        let best = known.max_by(|one, other| one.1.distance.total_cmp(&other.1.distance));
        let Some((part, split)) = best else { break };
        let (before, after) = values[ends[part]..ends[part + 1]].split_at(split.at);
        if test(before, after) > max_p {
            break;
        }
        splits.splice(part..=part, [best_split(before, fewest), best_split(after, fewest)]);
        ends.insert(part + 1, ends[part] + split.at);
    }
    ends[1..ends.len() - 1].to_vec()
}

/// A place to split, and the distance between its sides.
#[derive(Clone, Copy, Debug)]
struct Split {
    at: usize,
    distance: f64,
}

/// The split with the largest distance `mn/(m+n)·E` of Matteson & James (2014, with
/// exponent 1), where `m` and `n` are the numbers of values on the left and on the right, and
/// `E` is twice the mean distance between the sides less the mean distances within them. The right
/// side may end before the values do: what comes later may be a third level. Both sides have at least
/// `fewest` values. `None` where there are too few.
///
/// The sums within both sides grow by one row at a time, so that each pair of a place and an end takes
/// constant time.
fn best_split(values: &[f64], fewest: usize) -> Option<Split> {
    let count = values.len();
    // Sums of the distances within values[..end] and within values[at..end], for each end.
    let from_start = growing_sums(values);
    let mut from_here = vec![0.0; count + 1];
    let mut best: Option<Split> = None;
    for at in (1..count).rev() {
        let mut row = 0.0;
        for end in at + 1..=count {
            row += (values[end - 1] - values[at]).abs();
            from_here[end] += row;
            if at.min(end - at) < fewest {
                continue;
            }
            let (left, right) = (from_start[at], from_here[end]);
            let between = from_start[end] - left - right;
            let distance = energy_distance((at, end - at), between, left, right);
            if best.is_none_or(|best| distance >= best.distance) {
                best = Some(Split { at, distance });
            }
        }
    }
    best
}

/// The sums of the distances between all pairs of `values[..end]`, for each end.
fn growing_sums(values: &[f64]) -> Vec<f64> {
    let mut sums = vec![0.0; values.len() + 1];
    for (at, value) in values.iter().enumerate() {
        let to_earlier: f64 = values[..at].iter().map(|earlier| (value - earlier).abs()).sum();
        sums[at + 1] = sums[at] + to_earlier;
    }
    sums
}

/// The scaled energy distance of two sides with these numbers of values and sums of distances.
fn energy_distance((m, n): (usize, usize), between: f64, left: f64, right: f64) -> f64 {
    let (m, n) = (m as f64, n as f64);
    let mean_within = |sum: f64, size: f64| match size * (size - 1.0) / 2.0 {
        pairs if pairs > 0.0 => sum / pairs,
        _ => 0.0,
    };
    let apart = 2.0 * between / (m * n);
    m * n / (m + n) * (apart - mean_within(left, m) - mean_within(right, n))
}

/// Removes the weakest point until all that are left are strong.
fn strong_points(values: &[f64], weak: &[usize], options: &DriftOptions) -> Vec<ChangePoint> {
    let mut ends = [&[0], weak, &[values.len()]].concat();
    let mut points: Vec<ChangePoint> = ends.windows(3).map(|ends| judged(values, ends)).collect();
    while let Some(removed) =
        weakest(&points, options).or_else(|| most_fragile(values, &ends, options))
    {
        points.remove(removed);
        ends.remove(removed + 1);
        // The points on both sides of the merged level have a new neighbour.
        for point in removed.saturating_sub(1)..points.len().min(removed + 1) {
            points[point] = judged(values, &ends[point..point + 3]);
        }
    }
    points
}

/// The point to remove next: the least significant one, or if all are significant, the smallest
/// one. `None` if all may stay.
fn weakest(points: &[ChangePoint], options: &DriftOptions) -> Option<usize> {
    let least =
        |one: &(usize, &ChangePoint), other: &(usize, &ChangePoint)| one.1.p.total_cmp(&other.1.p);
    // Of equal points the oldest one goes first: `max_by` takes the last one.
    let (place, point) = points.iter().enumerate().rev().max_by(least)?;
    if point.p >= options.max_p {
        return Some(place);
    }
    let smaller = |one: &(usize, &ChangePoint), other: &(usize, &ChangePoint)| {
        one.1.magnitude().total_cmp(&other.1.magnitude())
    };
    let (place, point) = points.iter().enumerate().min_by(smaller)?;
    (point.magnitude() <= options.min_magnitude).then_some(place)
}

/// The point that rests most on single runs: the one with the largest p value without them, if that is
/// not significant.
fn most_fragile(values: &[f64], ends: &[usize], options: &DriftOptions) -> Option<usize> {
    if options.outliers == 0 {
        return None;
    }
    let p_values = ends.windows(3).map(|ends| {
        let (before, after) = levels(values, ends);
        p_without(options.outliers, before, after)
    });
    let (place, p) = p_values.enumerate().max_by(|one, other| one.1.total_cmp(&other.1))?;
    (p >= options.max_p).then_some(place)
}

/// The two levels between these three ends.
fn levels<'a>(values: &'a [f64], ends: &[usize]) -> (&'a [f64], &'a [f64]) {
    (&values[ends[0]..ends[1]], &values[ends[1]..ends[2]])
}

/// The change between the two levels of these three ends.
fn judged(values: &[f64], ends: &[usize]) -> ChangePoint {
    let (before, after) = levels(values, ends);
    ChangePoint {
        index: ends[1],
        before_mean: mean(before),
        after_mean: mean(after),
        before_runs: before.len(),
        after_runs: after.len(),
        p: t_test(before, after),
    }
}

/// The larger p value of the two tests without so many values of one level: those that speak most for
/// the change. 1 where the others do not change in that direction.
fn p_without(outliers: usize, before: &[f64], after: &[f64]) -> f64 {
    let rises = mean(after) > mean(before);
    let p = |before: &[f64], after: &[f64]| {
        if (mean(after) > mean(before)) == rises { t_test(before, after) } else { 1.0 }
    };
    let without_in_before = p(&without_farthest(before, outliers, !rises), after);
    without_in_before.max(p(before, &without_farthest(after, outliers, rises)))
}

/// The values without the largest ones, or without the smallest ones.
fn without_farthest(values: &[f64], count: usize, largest: bool) -> Vec<f64> {
    let mut kept = values.to_vec();
    if count >= kept.len() {
        return Vec::new();
    }
    if largest {
        kept.select_nth_unstable_by(count, |one, other| other.total_cmp(one));
    } else {
        kept.select_nth_unstable_by(count, f64::total_cmp);
    }
    kept.split_off(count)
}

/// Student's t test of two means with a common variance (Student 1908, Biometrika 6:1; Fisher
/// 1925): the two-sided p value. A side may have a single value; the variance then is that of the
/// other one. 1 where nothing can be told.
fn t_test(before: &[f64], after: &[f64]) -> f64 {
    let (m, n) = (before.len() as f64, after.len() as f64);
    let degrees = m + n - 2.0;
    if before.is_empty() || after.is_empty() || degrees <= 0.0 {
        return 1.0;
    }
    let (left, right) = (mean(before), mean(after));
    let difference = (left - right).abs();
    // A sum of n values is rounded by at most n half units of its last digit, so the means of equal
    // values may differ by that much.
    let rounding = (m + n) * f64::EPSILON * left.abs().max(right.abs());
    if difference.is_nan() || difference <= rounding {
        return 1.0;
    }
    let squares = stats::variance(before) * (m - 1.0) + stats::variance(after) * (n - 1.0);
    let error = (squares / degrees * (1.0 / m + 1.0 / n)).sqrt();
    (2.0 * student::upper_tail(difference / error, degrees)).min(1.0)
}

fn mean(values: &[f64]) -> f64 {
    stats::mean(values).unwrap_or(f64::NAN)
}

#[cfg(test)]
mod tests;
