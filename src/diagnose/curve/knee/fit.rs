//! The throughput knee: two straight lines that meet, fitted to goodput over offered load.
//!
//! A continuous broken line X = a·min(λ, K) + b·max(0, λ − K) against the single line X = a·λ,
//! compared by QAICc (Burnham & Anderson 2002, section 2.5): the small-sample Akaike criterion
//! with the overdispersion of the richer model, so that noise which the ticks of a stage do not
//! show cannot make a knee. A knee found by curvature (Kneedle, "R = 2S") would depend on where
//! the ramp ends; this one does not.

use crate::diagnose::terms::stats::{self, Random};

/// Gain in the criterion from which the broken line is believed.
const GAIN: f64 = 10.0;
/// Highest ratio of the slopes beyond and below the knee.
const SLOPE_RATIO: f64 = 0.5;
/// Stages that must lie above the knee.
const ABOVE: usize = 3;
/// Steps of the grid of knees between two neighbouring stages: each at most this share of the
/// lower one, and at least this many.
const GRID_STEP: f64 = 0.015;
const GRID: usize = 4;
/// Replicates of the bootstrap.
const REPLICATES: usize = 200;
/// Seed of the bootstrap: any fixed number, so that the same recording gives the same interval.
const SEED: u64 = 0x6b6e_6565;
/// Load up to which data beyond the first knee sharpens it, as a multiple of the knee; what lies
/// beyond may be a second one.
const VICINITY: f64 = 1.5;

/// One stage as the fit sees it.
#[derive(Clone, Copy, Debug)]
pub struct Sample {
    /// Offered load in requests per second.
    pub offered: f64,
    /// Successful responses per second.
    pub goodput: f64,
    /// Standard error of the goodput.
    pub error: f64,
}

/// A broken line that was accepted.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Broken {
    /// Offered load where the lines meet.
    pub knee: f64,
    /// Lower end of its 95 % interval.
    pub low: f64,
    /// Upper end of its 95 % interval.
    pub high: f64,
    /// Half of the replicates of the bootstrap lie below this load.
    pub middle: f64,
    /// Slope below the knee: the share of requests that succeeds.
    pub below: f64,
    /// Slope beyond it.
    pub beyond: f64,
}

#[derive(Clone, Copy, Debug)]
struct Fit {
    knee: f64,
    below: f64,
    beyond: f64,
    misfit: f64,
}

/// Finds the first knee of `samples`, which are in order of offered load.
///
/// The shortest beginning of the ramp that shows a knee decides, so neither a second knee nor the
/// point at which the ramp was cut changes the answer.
pub fn first_knee(samples: &[Sample]) -> Option<Broken> {
    let (length, first) = (ABOVE + 2..=samples.len())
        .find_map(|length| accepted(&samples[..length]).map(|fit| (length, fit)))?;
    let near = samples.partition_point(|sample| sample.offered <= VICINITY * first.knee);
    let samples = &samples[..length.max(near)];
    let fit = located(samples, accepted(samples).unwrap_or(first));
    let (low, middle, high) = interval(samples, fit);
    let (knee, below, beyond) = (fit.knee, fit.below, fit.beyond);
    Some(Broken { knee, low, high, middle, below, beyond })
}

/// The best broken line, where it beats the single one.
fn accepted(samples: &[Sample]) -> Option<Fit> {
    let fit = broken(samples, ABOVE)?;
    let n = samples.len() as f64;
    let penalty = |k: f64| 2.0 * k + 2.0 * k * (k + 1.0) / (n - k - 1.0);
    let dispersion = (fit.misfit / (n - 3.0)).max(1.0);
    let gain = (single(samples) - fit.misfit) / dispersion - (penalty(3.0) - penalty(1.0));
    (gain > GAIN && fit.below > 0.0 && fit.beyond < SLOPE_RATIO * fit.below).then_some(fit)
}

/// Where the lines meet best, now that there is no doubt that they do. That three stages lie beyond
/// the knee is asked for to believe in it; on a coarse ramp it would drag the knee down to below
/// the third stage from the end.
fn located(samples: &[Sample], fit: Fit) -> Fit {
    broken(samples, 1)
        .filter(|free| free.misfit < fit.misfit && free.beyond < SLOPE_RATIO * free.below)
        .unwrap_or(fit)
}

/// Weighted misfit of the line through the origin.
fn single(samples: &[Sample]) -> f64 {
    let weighted = |f: fn(&Sample) -> f64| -> f64 {
        samples.iter().map(|sample| f(sample) / sample.error.powi(2)).sum()
    };
    let slope = weighted(|s| s.offered * s.goodput) / weighted(|s| s.offered * s.offered);
    let rest = |s: &Sample| ((s.goodput - slope * s.offered) / s.error).powi(2);
    samples.iter().map(rest).sum()
}

/// The broken line of least weighted squares over a grid of knees, with `above` stages beyond it
/// and two at or below.
fn broken(samples: &[Sample], above: usize) -> Option<Fit> {
    let n = samples.len();
    if n < above + 2 {
        return None;
    }
    let mut best: Option<Fit> = None;
    for index in 1..n - above {
        let (left, right) = (samples[index].offered, samples[index + 1].offered);
        let points = GRID.max(((right - left) / (GRID_STEP * left)).ceil() as usize);
        for point in 0..points {
            let knee = left + (right - left) * point as f64 / points as f64;
            let Some(fit) = at(samples, knee) else { continue };
            if best.is_none_or(|best| fit.misfit < best.misfit) {
                best = Some(fit);
            }
        }
    }
    best
}

/// The broken line with its knee at `knee`: linear least squares of its two slopes.
fn at(samples: &[Sample], knee: f64) -> Option<Fit> {
    let (mut uu, mut uv, mut vv, mut ux, mut vx) = (0.0, 0.0, 0.0, 0.0, 0.0);
    for sample in samples {
        let weight = sample.error.powi(-2);
        let (u, v) = (sample.offered.min(knee), (sample.offered - knee).max(0.0));
        uu += weight * u * u;
        uv += weight * u * v;
        vv += weight * v * v;
        ux += weight * u * sample.goodput;
        vx += weight * v * sample.goodput;
    }
    let determinant = uu * vv - uv * uv;
    if determinant.is_nan() || determinant <= 1e-12 * uu * vv {
        return None;
    }
    let below = (vv * ux - uv * vx) / determinant;
    let beyond = (uu * vx - uv * ux) / determinant;
    let rest = |sample: &Sample| {
        let fitted = below * sample.offered.min(knee) + beyond * (sample.offered - knee).max(0.0);
        ((sample.goodput - fitted) / sample.error).powi(2)
    };
    Some(Fit { knee, below, beyond, misfit: samples.iter().map(rest).sum() })
}

/// 95 % interval of the knee by a parametric bootstrap (Efron & Tibshirani 1993, section 6.5): each
/// stage is drawn again around the fit with its own error, widened by the overdispersion. Its lower
/// end, its middle and its upper end; it is never narrower than a step of the grid.
fn interval(samples: &[Sample], fit: Fit) -> (f64, f64, f64) {
    let mut random = Random::new(SEED);
    let degrees = samples.len().saturating_sub(3).max(1) as f64;
    let widening = (fit.misfit / degrees).max(1.0).sqrt();
    let mut knees = Vec::with_capacity(REPLICATES);
    let mut redrawn = samples.to_vec();
    for _ in 0..REPLICATES {
        for (drawn, sample) in redrawn.iter_mut().zip(samples) {
            let over = (sample.offered - fit.knee).max(0.0);
            let fitted = fit.below * sample.offered.min(fit.knee) + fit.beyond * over;
            drawn.goodput = fitted + widening * sample.error * random.normal();
        }
        // One stage above is enough here: the end of the ramp must not cut the interval off.
        knees.extend(broken(&redrawn, 1).map(|fit| fit.knee));
    }
    let bound = |share| stats::quantile(&knees, share).unwrap_or(fit.knee);
    let half = 0.5 * GRID_STEP * fit.knee;
    (bound(0.025).min(fit.knee - half), bound(0.5), bound(0.975).max(fit.knee + half))
}
