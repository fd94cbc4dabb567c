//! Whether a curve with a bound, or one that flattens, tells the rise as well as a line does:
//! then the data cannot decide between a cache that fills and a leak.
//!
//! Models are compared by AICc (Hurvich & Tsai 1989); the one non-linear parameter of each runs
//! over a grid, the rest is linear least squares.

use crate::diagnose::terms::stats;

use super::prepare::Track;
use super::trend;

/// Distance of AICc within which a bounded curve may be the right one, and a logarithm is as good
/// as the best: beyond ten a model has no support (Burnham & Anderson 2002, section 2.6).
const WITHIN: f64 = 10.0;
const LOG_WITHIN: f64 = 6.0;
/// Ratio of late to early slope below which growth slows down, and for a logarithm.
const SLOWS: f64 = 0.8;
const LOG_SLOWS: f64 = 0.75;
/// Share of the rise still to come below which a bounded curve has arrived.
const ARRIVED: f64 = 0.1;
/// Normal quantile at which the bounds of the two slopes must lie apart.
const SLOWER: f64 = 1.645;
/// Time constants that are tried, as shares of the length.
const GRID: usize = 40;

/// What the shape of the rise allows to say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// It goes on.
    Unbounded,
    /// It may be flattening out.
    MayFlatten,
    /// It has flattened out.
    Bounded,
}

#[derive(Clone, Copy, Debug)]
struct Model {
    criterion: f64,
    /// Growth that the model still expects, as a share of that seen.
    remaining: f64,
}

/// Judges the shape of `floors`; `origin` is the start of the process on their clock.
pub fn shape(floors: &Track, origin: f64) -> Shape {
    let (first, second) = floors.halves();
    let (early, late) = (trend::rise(&first, SLOWER), trend::rise(&second, SLOWER));
    let slows = |ratio: f64| late.slope < ratio * early.slope && late.high < early.low;
    let at: Vec<f64> = floors.at.iter().map(|at| at - origin).collect();
    let ones = vec![1.0; at.len()];
    let line = criterion(&[ones.clone(), at.clone()], &floors.value, 0.0);
    let saturating = best(&at, |tau| vec![ones.clone(), decay(&at, tau)], &floors.value);
    let both = best(&at, |tau| vec![ones.clone(), decay(&at, tau), at.clone()], &floors.value);
    let log = best(
        &at,
        |tau| vec![ones.clone(), at.iter().map(|at| (at / tau).ln_1p()).collect()],
        &floors.value,
    );
    let of = |model: Option<Model>| model.map_or(f64::INFINITY, |model| model.criterion);
    let least = line.min(of(saturating)).min(of(both)).min(of(log));
    if let Some(model) = saturating
        && slows(SLOWS)
        && model.criterion <= least + WITHIN
    {
        return if model.remaining < ARRIVED { Shape::Bounded } else { Shape::MayFlatten };
    }
    if slows(LOG_SLOWS) && of(log) <= least + LOG_WITHIN {
        Shape::MayFlatten
    } else {
        Shape::Unbounded
    }
}

fn decay(at: &[f64], tau: f64) -> Vec<f64> {
    at.iter().map(|at| -(-at / tau).exp()).collect()
}

/// The best of a family over its time constant.
fn best(at: &[f64], family: impl Fn(f64) -> Vec<Vec<f64>>, value: &[f64]) -> Option<Model> {
    let length = at.last()?;
    (0..GRID)
        .map(|index| length * 0.01 * 300f64.powf(index as f64 / (GRID - 1) as f64))
        .map(|tau| {
            let remaining = (-length / tau).exp() / ((-at[0] / tau).exp() - (-length / tau).exp());
            Model { criterion: criterion(&family(tau), value, 1.0), remaining }
        })
        .min_by(|a, b| a.criterion.total_cmp(&b.criterion))
}

/// AICc of a linear fit with `extra` non-linear parameters and the variance.
fn criterion(design: &[Vec<f64>], value: &[f64], extra: f64) -> f64 {
    let n = value.len() as f64;
    let k = design.len() as f64 + extra + 1.0;
    let Some((_, rest)) = stats::least_squares(design, value) else { return f64::INFINITY };
    if n - k - 1.0 <= 0.0 {
        return f64::INFINITY;
    }
    // A perfect fit must not win by minus infinity: nothing is measured to better than 1e-9.
    let scale: f64 = value.iter().map(|value| value * value).sum::<f64>().max(f64::MIN_POSITIVE);
    n * (rest.max(1e-18 * scale) / n).ln() + 2.0 * k + 2.0 * k * (k + 1.0) / (n - k - 1.0)
}
