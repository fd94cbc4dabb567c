//! How fast the floors rise, and how sure that is.

use crate::diagnose::terms::bounds::MOST;
use crate::diagnose::terms::stats;

use super::prepare::Track;

/// A rise per second with a lower and an upper bound.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rise {
    pub slope: f64,
    pub low: f64,
    pub high: f64,
}

/// The rise of `floors` with bounds at the normal quantile `z`.
///
/// Two views, either of which may be certain: regression with the sample size reduced by the
/// autocorrelation of its residuals, which suits noise around a line; and the drift of a random
/// walk, which suits growth that comes in jumps or bends. A walk without drift fools the first
/// only while its residuals look independent, and never the second.
pub fn rise(floors: &Track, z: f64) -> Rise {
    let slope = stats::theil_sen(&floors.at, &floors.value).unwrap_or(0.0);
    let regression = stats::line(&floors.at, &floors.value)
        .filter(|line| line.degrees > 0)
        .map(|line| (line.slope, stats::student(z, line.degrees) * line.slope_error));
    let bounds = [regression, drift(floors, z)];
    let low = bounds.iter().flatten().map(|(at, spread)| at - spread).reduce(f64::max);
    let narrowest = bounds.iter().flatten().map(|(_, spread)| *spread).reduce(f64::min);
    Rise {
        slope,
        low: low.unwrap_or(f64::NEG_INFINITY),
        high: slope + narrowest.unwrap_or(f64::INFINITY),
    }
}

/// Mean increment per second of neighbouring floors and the half-width of its interval.
fn drift(floors: &Track, z: f64) -> Option<(f64, f64)> {
    let increments: Vec<f64> = floors
        .at
        .windows(2)
        .zip(floors.value.windows(2))
        .filter(|(at, _)| at[1] > at[0])
        .map(|(at, value)| (value[1] - value[0]) / (at[1] - at[0]))
        .collect();
    if increments.len() < 4 {
        return None;
    }
    let error = (stats::variance(&increments) / increments.len() as f64).sqrt();
    Some((stats::mean(&increments)?, stats::student(z, increments.len() - 1) * error))
}

/// The largest step between two neighbouring floors.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LargestStep {
    /// Its height.
    pub height: f64,
    /// Its share of the whole rise.
    pub share: f64,
    /// The index of the floor that it leads to.
    pub to: usize,
    /// How many steps there are.
    steps: usize,
}

/// Share of the rise from which on one step carries most of it.
const MOST_OF_THE_RISE: f64 = MOST.value;
/// How likely chance may make one step of a steady rise that large.
const BY_CHANCE: f64 = 0.05;

impl LargestStep {
    /// Whether the rise is this step and not a trend. Of few steps of a steady random rise the
    /// largest is large by chance: with probability k (1 - x)^(k - 1) it is more than the share x
    /// of k of them, for x of one half and above (Fisher 1929, "Tests of significance in harmonic
    /// analysis").
    pub fn carries_the_rise(&self) -> bool {
        let (share, steps) = (self.share.min(1.0), self.steps.max(1) as f64);
        let chance = steps * (1.0 - share).powf(steps - 1.0);
        share > MOST_OF_THE_RISE && chance < BY_CHANCE
    }
}

/// The largest single step between neighbouring floors.
pub fn largest_step(floors: &Track) -> LargestStep {
    let steps = floors.value.windows(2).map(|pair| pair[1] - pair[0]);
    let largest = steps.enumerate().max_by(|a, b| a.1.total_cmp(&b.1));
    let (at, step) = largest.unwrap_or((0, 0.0));
    let edge = (floors.len() / 10).max(1);
    let level = |part: &[f64]| stats::median(part).unwrap_or(0.0);
    let risen = level(&floors.value[floors.len() - edge..]) - level(&floors.value[..edge]);
    let share = if risen > 0.0 { step.max(0.0) / risen } else { 1.0 };
    LargestStep { height: step, share, to: at + 1, steps: floors.len().saturating_sub(1) }
}
