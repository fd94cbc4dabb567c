//! What a request keeps busy of a resource, and the load at which that reaches a level, by what was
//! busy in the bins of a recording.
//!
//! Least squares, weighted: what is busy is a count of requests in it, whose scatter grows with it,
//! and a mean of looks at a small count is skewed, so that medians would lie below it. Bins that lie
//! far away count less (Huber 1964, Ann. Math. Stat. 35:73). The line meets the axis at zero unless
//! the bins show otherwise: an intercept that is free makes an extrapolation twice as unsure.
//!
//! Intervals come from resampled blocks of neighbouring bins (Künsch 1989, Ann. Stat. 17:1217), each
//! fitted in the same way, so that they hold what the choice of the line adds.

use crate::diagnose::terms::room::Interval;
use crate::diagnose::terms::stats::{self, Random};

/// Resampled bins for one interval, and the share of them that lies outside it.
const RESAMPLED: usize = 400;
const OUTSIDE: f64 = 0.05;
/// The load varied where its bins differ by this share of their mean.
const VARIED: f64 = 0.2;
/// Something is busy without requests where the line says so by this many standard errors.
const SURE: f64 = 2.0;
/// Bins beyond this many standard deviations count less (95 % as good as least squares on normal
/// errors at 1.345; further out it hardly moves the mean of skewed ones).
const FAR: f64 = 2.5;
/// Rounds in which weights and line settle.
const ROUNDS: usize = 4;
/// The scatter of a bin is taken for that of this share of the mean level at least.
const LEAST_SCATTER: f64 = 0.1;
/// Standard deviations in a median absolute deviation of normal errors.
const DEVIATIONS: f64 = 1.4826;

/// What is busy at each load: `background + slope * rate`.
#[derive(Clone, Copy, Debug)]
struct Line {
    slope: f64,
    background: f64,
}

impl Line {
    fn at(self, rate: f64) -> f64 {
        self.background + self.slope * rate
    }
}

/// What a request keeps busy.
#[derive(Debug)]
pub(super) struct Demand {
    line: Line,
    /// The lines of resampled bins.
    draws: Vec<Line>,
}

impl Demand {
    /// By loads and what was busy; `None` where it does not rise with the load.
    pub(super) fn of(points: &[(f64, f64)]) -> Option<Self> {
        let line = line(points)?;
        let mut random = Random::new(1);
        let block = (points.len() as f64).cbrt().ceil() as usize;
        let draws: Vec<Line> = (0..RESAMPLED)
            .filter_map(|_| self::line(&resampled(points, block, &mut random)))
            .collect();
        // Where a part of the draws does not even rise, neither is that known.
        let rises = draws.len() as f64 >= (1.0 - OUTSIDE / 2.0) * RESAMPLED as f64;
        rises.then_some(Self { line, draws })
    }

    /// Seconds of the resource that a request keeps busy.
    pub(super) fn per_request(&self) -> Interval {
        self.interval(|line| line.slope)
    }

    /// What is busy without requests.
    pub(super) fn background(&self) -> f64 {
        self.line.background.max(0.0)
    }

    /// Requests per second at which this much is busy.
    pub(super) fn reaches(&self, level: f64) -> Interval {
        self.interval(|line| ((level - line.background) / line.slope).max(0.0))
    }

    fn interval(&self, of: impl Fn(&Line) -> f64) -> Interval {
        let mut drawn: Vec<f64> = self.draws.iter().map(&of).collect();
        drawn.sort_by(f64::total_cmp);
        let rate = of(&self.line);
        let quantile = |share: f64| stats::quantile(&drawn, share).unwrap_or(rate);
        let (low, high) = (quantile(OUTSIDE / 2.0), quantile(1.0 - OUTSIDE / 2.0));
        Interval { rate, low: low.min(rate), high: high.max(rate) }
    }
}

/// As many bins again, in blocks of neighbours.
fn resampled(points: &[(f64, f64)], block: usize, random: &mut Random) -> Vec<(f64, f64)> {
    let mut drawn = Vec::with_capacity(points.len() + block);
    while drawn.len() < points.len() {
        let from = random.below(points.len());
        drawn.extend(points.iter().cycle().skip(from).take(block));
    }
    drawn.truncate(points.len());
    drawn
}

/// The line through the bins; `None` where it does not rise.
fn line(points: &[(f64, f64)]) -> Option<Line> {
    let rates: Vec<f64> = points.iter().map(|point| point.0).collect();
    let varied = stats::relative_spread(&rates).is_some_and(|spread| spread >= VARIED);
    let through = settled(points, weighted_through_zero).map(|(line, _)| line);
    let free = settled(points, weighted)
        .filter(|(line, error)| varied && line.background.abs() > SURE * error);
    let line = free.map(|(line, _)| line).or(through)?;
    (line.slope > 0.0 && line.slope.is_finite()).then_some(line)
}

type Fit = fn(&[(f64, f64)], &[f64]) -> Option<(Line, f64)>;

/// Weights and line in turn, until they fit each other.
fn settled(points: &[(f64, f64)], fit: Fit) -> Option<(Line, f64)> {
    let level = stats::mean(&points.iter().map(|point| point.1).collect::<Vec<_>>())?;
    let least = (LEAST_SCATTER * level).max(f64::MIN_POSITIVE);
    let mut fitted = fit(points, &vec![1.0; points.len()])?;
    for _ in 0..ROUNDS {
        let line = fitted.0;
        let scatter = |rate: f64| line.at(rate).max(least).sqrt();
        let rest: Vec<f64> =
            points.iter().map(|(rate, busy)| (busy - line.at(*rate)) / scatter(*rate)).collect();
        let away: Vec<f64> = rest.iter().map(|rest| rest.abs()).collect();
        let far = FAR * DEVIATIONS * stats::median(&away)?;
        let weight = |((rate, _), rest): (&(f64, f64), &f64)| {
            let near = if rest.abs() > far && far > 0.0 { far / rest.abs() } else { 1.0 };
            near / scatter(*rate).powi(2)
        };
        let weights: Vec<f64> = points.iter().zip(&rest).map(weight).collect();
        fitted = fit(points, &weights)?;
    }
    Some(fitted)
}

fn weighted_through_zero(points: &[(f64, f64)], weights: &[f64]) -> Option<(Line, f64)> {
    let sum = |of: fn(f64, f64) -> f64| -> f64 {
        points.iter().zip(weights).map(|((rate, busy), weight)| weight * of(*rate, *busy)).sum()
    };
    let (across, along) = (sum(|rate, busy| rate * busy), sum(|rate, _| rate * rate));
    (along > 0.0).then(|| (Line { slope: across / along, background: 0.0 }, 0.0))
}

/// The line, and the standard error of where it meets the axis. Neighbouring bins that resemble each
/// other count as fewer.
fn weighted(points: &[(f64, f64)], weights: &[f64]) -> Option<(Line, f64)> {
    let sum = |of: &dyn Fn(f64, f64) -> f64| -> f64 {
        points.iter().zip(weights).map(|((rate, busy), weight)| weight * of(*rate, *busy)).sum()
    };
    let whole = sum(&|_, _| 1.0);
    let (rate, busy) = (sum(&|rate, _| rate) / whole, sum(&|_, busy| busy) / whole);
    let along = sum(&|x, _| (x - rate).powi(2));
    if points.len() < 3 || whole <= 0.0 || along <= 0.0 {
        return None;
    }
    let slope = sum(&|x, y| (x - rate) * (y - busy)) / along;
    let line = Line { slope, background: busy - slope * rate };
    let rest: Vec<f64> = points.iter().map(|(x, y)| y - line.at(*x)).collect();
    let alike = stats::autocorrelation(&rest).clamp(0.0, 0.9);
    let scatter = sum(&|x, y| (y - line.at(x)).powi(2)) / (points.len() as f64 - 2.0);
    let variance = scatter * (1.0 / whole + rate * rate / along) * (1.0 + alike) / (1.0 - alike);
    Some((line, variance.sqrt()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Bins of looks at a pool of which `hold` seconds of a request are taken at random moments.
    fn looks(seed: u64, bins: usize, each: usize, hold: f64, background: f64) -> Vec<(f64, f64)> {
        let mut random = Random::new(seed);
        let mut poisson = |mean: f64| {
            let mut count = 0.0;
            let mut product = random.uniform();
            while product > (-mean).exp() {
                product *= random.uniform();
                count += 1.0;
            }
            count
        };
        (0..bins)
            .map(|bin| {
                let rate = 30.0 + 80.0 * ((bin * 7 % bins) as f64) / bins as f64;
                let seen: f64 = (0..each).map(|_| poisson(rate * hold)).sum();
                (rate, background + seen / each as f64)
            })
            .collect()
    }

    #[test]
    fn the_interval_holds_the_limit_in_most_histories() {
        for background in [0.0, 2.0] {
            let right = (5.0 - background) / 0.015;
            let inside = (0..60).filter(|seed| {
                let demand = Demand::of(&looks(*seed, 60, 4, 0.015, background)).unwrap();
                let reaches = demand.reaches(5.0);
                (reaches.low..=reaches.high).contains(&right)
            });
            let inside = inside.count();
            assert!(inside >= 48, "{inside} of 60 with {background} in the background");
        }
    }

    #[test]
    fn what_does_not_follow_the_load_has_no_demand() {
        let flat = |bin: usize| (30.0 + bin as f64, if bin.is_multiple_of(2) { 0.0 } else { 1e-9 });
        let points: Vec<_> = (0..40).map(|bin| (flat(bin).0, 0.0)).collect();
        assert!(Demand::of(&points).is_none());
        let falling: Vec<_> = (0..40).map(|bin| (flat(bin).0, 2.0 - 0.02 * bin as f64)).collect();
        assert!(Demand::of(&falling).is_none(), "{:?}", Demand::of(&falling));
    }

    #[test]
    fn one_wild_bin_moves_little() {
        let mut points: Vec<_> =
            (0..60).map(|bin| (20.0 + f64::from(bin), 0.01 * (20.0 + f64::from(bin)))).collect();
        for (index, point) in points.iter_mut().enumerate() {
            point.1 *= 1.0 + 0.02 * ((index * 37 % 11) as f64 / 5.0 - 1.0);
        }
        points[30].1 = 8.0;
        let demand = Demand::of(&points).unwrap().per_request();
        assert!((demand.rate / 0.01 - 1.0).abs() < 0.03, "{demand:?}");
    }
}
