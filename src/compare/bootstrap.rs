//! How much a quantile of the response time varies within one run: a moving-block bootstrap over
//! time (Kuensch 1989, Ann. Statist. 17:1217). Requests of the same seconds share their fate, so
//! drawing requests one by one would take a tenth of the true scatter.

use super::tally::{Span, Tally};
use crate::diagnose::stats::{self, Random};

/// Shortest block, in seconds, and how many autocorrelation times a block has at least: with
/// shorter ones, runs of the same build differ "significantly" far too often (simulated in
/// `tests`).
pub const SHORTEST_BLOCK: f64 = 15.0;
const TIMES_CORRELATION: f64 = 5.0;
/// Most blocks of a draw. More make a draw dearer and the estimate no better; longer blocks err on
/// the safe side.
const MOST_BLOCKS: usize = 60;
/// A run is never taken as fewer blocks than this; fewer show no scatter.
pub const FEWEST_BLOCKS: usize = 4;
/// Sums of the autocorrelation stop at this many times the sum so far (Sokal 1997, "Monte Carlo
/// methods in statistical mechanics", section 3).
const SOKAL: f64 = 5.0;
/// Draws. The standard error is then known to 2 %.
pub const DRAWS: usize = 1000;

/// How much the logarithm of each quantile varies.
#[derive(Clone, Debug, PartialEq)]
pub struct Scatter {
    /// Standard error by quantile; `None` where it could not be told.
    pub errors: Vec<Option<f64>>,
    /// Degrees of freedom that it rests on.
    pub degrees: f64,
}

/// Slots in a block, from the mean response time of each slot of the longest stretch.
pub fn block_slots(means: &[f64], slot_seconds: f64) -> usize {
    let shortest = SHORTEST_BLOCK / slot_seconds;
    // The summed correlation is about twice the time in which it falls to 1/e.
    let correlation = summed_correlation(means) / 2.0;
    let wanted =
        shortest.max(TIMES_CORRELATION * correlation).max((means.len() / MOST_BLOCKS) as f64);
    (wanted.ceil() as usize).min(means.len() / FEWEST_BLOCKS).max(1)
}

/// One and twice the sum of the autocorrelations: how many slots tell as much as one.
fn summed_correlation(values: &[f64]) -> f64 {
    let Some(mean) = stats::mean(values) else { return 1.0 };
    let rests: Vec<f64> = values.iter().map(|value| value - mean).collect();
    let all: f64 = rests.iter().map(|rest| rest * rest).sum();
    if all <= 0.0 {
        return 1.0;
    }
    let mut sum = 1.0;
    for lag in 1..values.len() {
        let lagged: f64 = rests.iter().zip(&rests[lag..]).map(|(a, b)| a * b).sum();
        sum += 2.0 * lagged / all;
        if lag as f64 >= SOKAL * sum {
            break;
        }
    }
    sum.max(1.0)
}

/// Draws blocks of each stretch with replacement, and takes the quantiles of their sum.
pub fn within(
    tally: &Tally,
    block: usize,
    shares: &[f64],
    draws: usize,
    random: &mut Random,
) -> Scatter {
    let stretches = tally.slots();
    let blocks: Vec<usize> = stretches.iter().map(|slots| (slots / block.max(1)).max(1)).collect();
    let (count, kinds) = (blocks.iter().sum::<usize>(), stretches.len());
    let mut taken = Taken::new(shares);
    let mut drawn = Vec::with_capacity(count);
    for _ in 0..draws {
        drawn.clear();
        for (stretch, (slots, blocks)) in stretches.iter().zip(&blocks).enumerate() {
            let length = block.min(*slots);
            for _ in 0..*blocks {
                let begin = random.below(slots - length + 1);
                drawn.push(Span { stretch, begin, length });
            }
        }
        taken.take(&tally.quantiles_of(&drawn, shares));
    }
    taken.scatter(count, kinds)
}

/// Of the ratio of two runs that held the same short stretches: draws stretches, the same for
/// both, so that the mix of loads is the same. Stretches are then what blocks are in a long run.
pub fn paired(
    base: &Tally,
    candidate: &Tally,
    shares: &[f64],
    draws: usize,
    random: &mut Random,
) -> Scatter {
    let lengths: Vec<(usize, usize)> = base.slots().into_iter().zip(candidate.slots()).collect();
    let mut taken = Taken::new(shares);
    let (mut first, mut second) = (Vec::new(), Vec::new());
    for _ in 0..draws {
        first.clear();
        second.clear();
        for _ in &lengths {
            let stretch = random.below(lengths.len());
            let (one, other) = lengths[stretch];
            first.push(Span { stretch, begin: 0, length: one });
            second.push(Span { stretch, begin: 0, length: other });
        }
        let pairs = base
            .quantiles_of(&first, shares)
            .into_iter()
            .zip(candidate.quantiles_of(&second, shares));
        taken.take(&pairs.map(|(a, b)| Some(b? / a?)).collect::<Vec<_>>());
    }
    taken.scatter(lengths.len(), 1)
}

/// The logarithms of what was drawn, by quantile.
struct Taken(Vec<Vec<f64>>);

impl Taken {
    fn new(shares: &[f64]) -> Self {
        Self(vec![Vec::new(); shares.len()])
    }

    fn take(&mut self, values: &[Option<f64>]) {
        for (taken, value) in self.0.iter_mut().zip(values) {
            taken.extend(value.filter(|value| *value > 0.0).map(f64::ln));
        }
    }

    /// The scatter of `count` blocks of `kinds` stretches. Draws from few blocks scatter too
    /// little, as a variance does that is divided by n.
    fn scatter(&self, count: usize, kinds: usize) -> Scatter {
        let degrees = count.saturating_sub(kinds);
        let is_enough = count >= FEWEST_BLOCKS && degrees > 0;
        let wider = (count as f64 / degrees.max(1) as f64).sqrt();
        let error = |drawn: &Vec<f64>| is_enough.then(|| stats::variance(drawn).sqrt() * wider);
        Scatter { errors: self.0.iter().map(error).collect(), degrees: degrees as f64 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compare::tally::Counts;

    /// A level that follows itself with `r` from second to second.
    fn wandering(r: f64, seconds: usize, random: &mut Random) -> Vec<f64> {
        let mut level = random.normal();
        (0..seconds)
            .map(|_| {
                level = r * level + (1.0 - r * r).sqrt() * random.normal();
                level
            })
            .collect()
    }

    #[test]
    fn blocks_are_longer_where_seconds_resemble_their_neighbours() {
        let mut random = Random::new(1);
        let block = |r: f64, random: &mut Random| block_slots(&wandering(r, 3600, random), 1.0);
        assert_eq!(block(0.0, &mut random), 60, "an hour has at most 60 blocks");
        assert_eq!(block_slots(&wandering(0.0, 600, &mut random), 1.0), 15);
        let long = block_slots(&wandering(0.9, 2000, &mut random), 1.0);
        assert!((30..100).contains(&long), "five times 9.5 s: {long}");
        assert_eq!(block_slots(&[1.0; 20], 1.0), 5, "a short run is four blocks");
        assert_eq!(block_slots(&[], 1.0), 1);
    }

    /// The error of a median of independent values is known: 1.2533 s / sqrt(n), in logs of a
    /// lognormal.
    #[test]
    fn independent_requests_scatter_as_theory_says() {
        let mut random = Random::new(7);
        let sigma = 0.5;
        let slots: Vec<Counts> = (0..600)
            .map(|_| {
                let mut histogram = crate::timeline::Histogram::new();
                for _ in 0..50 {
                    let seconds = 0.05 * (sigma * random.normal()).exp();
                    histogram.record(std::time::Duration::from_secs_f64(seconds));
                }
                let mut counts = Counts::new();
                histogram.counters(|place, count| counts.push((place, count as u32)));
                counts
            })
            .collect();
        let tally = Tally::of(&[slots.iter().map(|slot| vec![slot]).collect()]);
        let scatter = within(&tally, 15, &[0.5], 400, &mut random);
        let expected = 1.2533 * sigma / (600.0f64 * 50.0).sqrt();
        let error = scatter.errors[0].unwrap();
        assert!((0.6..1.6).contains(&(error / expected)), "{error} of {expected}");
        assert_eq!(scatter.degrees, 39.0);
        let same = paired(&tally, &tally, &[0.5], 50, &mut random);
        assert_eq!(same.errors, [None], "one stretch shows no scatter");
    }
}
