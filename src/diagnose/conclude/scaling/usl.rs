//! The Universal Scalability Law (Gunther 1993): X(N) = λN / (1 + σ(N−1) + κN(N−1)).
//!
//! N is a concurrency, not an arrival rate: in an open-model ramp it is the mean number of
//! requests in flight, and only stages without a growing queue count.

use crate::diagnose::terms::stats::{self, Random};

/// A peak is reported if it lies within this multiple of the highest measured concurrency.
const REACH: f64 = 1.2;
/// A peak is not reported if half the width of its interval is at least this share of it.
const SPREAD: f64 = 0.25;
/// Replicates of the bootstrap and its fixed seed.
const REPLICATES: usize = 300;
const SEED: u64 = 0x75_73_6c;

/// A 95 % interval.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Interval {
    /// Lower end.
    pub low: f64,
    /// Upper end.
    pub high: f64,
}

/// The concurrency of the highest throughput, if the data reach it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Peak {
    /// Concurrency.
    pub concurrency: f64,
    /// Its interval by bootstrap.
    pub interval: Interval,
    /// Throughput there.
    pub throughput: f64,
}

/// A fitted law.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Usl {
    /// Contention σ, at least 0.
    pub sigma: f64,
    /// Coherency κ, at least 0.
    pub kappa: f64,
    /// Throughput λ of one request at a time.
    pub lambda: f64,
    /// Residual standard error, in the unit of the throughput.
    pub residual_error: f64,
    /// Share of the variance that the law explains.
    pub r_squared: f64,
    /// The peak; `None` if the data do not show one, even if the extrapolated law has one.
    pub peak: Option<Peak>,
}

impl Usl {
    /// Throughput at `concurrency`.
    pub fn throughput(&self, concurrency: f64) -> f64 {
        model([self.sigma, self.kappa, self.lambda], concurrency)
    }

    /// Amdahl's bound λ/σ on the throughput; infinite without contention.
    pub fn limit(&self) -> f64 {
        self.lambda / self.sigma
    }

    /// Where the law alone puts the peak, √((1−σ)/κ), whether or not the data reach it; infinite
    /// without coherency cost.
    pub fn extrapolated_peak(&self) -> f64 {
        peak_of([self.sigma, self.kappa, self.lambda])
    }

    /// Lower concurrency at which the law gives `throughput`; `None` above its peak.
    pub fn concurrency_at(&self, throughput: f64) -> Option<f64> {
        // X(1 + σ(N−1) + κN(N−1)) = λN as a quadratic in N.
        let a = throughput * self.kappa;
        let b = throughput * (self.sigma - self.kappa) - self.lambda;
        let c = throughput * (1.0 - self.sigma);
        if a == 0.0 {
            return (b < 0.0).then(|| -c / b);
        }
        let root = b * b - 4.0 * a * c;
        (root >= 0.0).then(|| (-b - root.sqrt()) / (2.0 * a))
    }
}

fn model([sigma, kappa, lambda]: [f64; 3], n: f64) -> f64 {
    lambda * n / (1.0 + sigma * (n - 1.0) + kappa * n * (n - 1.0))
}

fn peak_of([sigma, kappa, _]: [f64; 3]) -> f64 {
    if kappa > 0.0 { ((1.0 - sigma).max(0.0) / kappa).sqrt() } else { f64::INFINITY }
}

/// Fits the law to `(concurrency, throughput)` by least squares on the throughput, with σ, κ ≥ 0.
/// `None` with fewer than four points, or if all have nearly the same concurrency.
pub fn fit_usl(points: &[(f64, f64)]) -> Option<Usl> {
    let good = |point: &(f64, f64)| point.0 > 0.0 && point.1.is_finite() && point.1 >= 0.0;
    if points.len() < 4 || !points.iter().all(good) {
        return None;
    }
    let parameters = constrained(points)?;
    let [sigma, kappa, lambda] = parameters;
    let misfit = misfit(points, parameters);
    let throughputs: Vec<f64> = points.iter().map(|point| point.1).collect();
    let total = stats::variance(&throughputs) * (points.len() - 1) as f64;
    let residual_error = (misfit / (points.len() - 3) as f64).sqrt();
    let r_squared = if total > 0.0 { 1.0 - misfit / total } else { 0.0 };
    let mut usl = Usl { sigma, kappa, lambda, residual_error, r_squared, peak: None };
    usl.peak = peak(points, &usl);
    Some(usl)
}

/// The peak, if it lies within reach of the data and its interval is narrow.
fn peak(points: &[(f64, f64)], usl: &Usl) -> Option<Peak> {
    let concurrency = usl.extrapolated_peak();
    let highest = points.iter().map(|point| point.0).fold(0.0, f64::max);
    if concurrency > REACH * highest {
        return None;
    }
    let mut random = Random::new(SEED);
    let mut drawn = points.to_vec();
    let mut peaks = Vec::with_capacity(REPLICATES);
    for _ in 0..REPLICATES {
        for slot in &mut drawn {
            *slot = points[random.below(points.len())];
        }
        peaks.extend(constrained(&drawn).map(peak_of));
    }
    let low = stats::quantile(&peaks, 0.025)?;
    let high = stats::quantile(&peaks, 0.975)?;
    let within = (1.0 - SPREAD) * concurrency..=(1.0 + SPREAD) * concurrency;
    (within.contains(&low) && within.contains(&high)).then(|| Peak {
        concurrency,
        interval: Interval { low, high },
        throughput: usl.throughput(concurrency),
    })
}

/// The best fit with σ, κ ≥ 0: the unconstrained one if it satisfies that, otherwise the best of
/// those with the negative parameters held at zero.
fn constrained(points: &[(f64, f64)]) -> Option<[f64; 3]> {
    let free = descend(points, [true, true])?;
    if free[0] >= 0.0 && free[1] >= 0.0 {
        return Some(free);
    }
    [[true, false], [false, true], [false, false]]
        .into_iter()
        .filter_map(|open| descend(points, open))
        .filter(|fit| fit[0] >= 0.0 && fit[1] >= 0.0)
        .min_by(|a, b| misfit(points, *a).total_cmp(&misfit(points, *b)))
}

fn misfit(points: &[(f64, f64)], parameters: [f64; 3]) -> f64 {
    points.iter().map(|(n, x)| (x - model(parameters, *n)).powi(2)).sum()
}

/// Levenberg–Marquardt (Marquardt 1963) over λ and those of σ and κ that are `open`. The others
/// stay zero. Starts from the linearised law: N/X is quadratic in N.
fn descend(points: &[(f64, f64)], open: [bool; 2]) -> Option<[f64; 3]> {
    let steepest = points.iter().map(|(n, x)| x / n).fold(0.0, f64::max);
    if steepest <= 0.0 {
        return None;
    }
    let start = |open: bool, value: f64| if open { value } else { 0.0 };
    let mut at = [start(open[0], 0.01), start(open[1], 1e-4), steepest];
    let mut best = misfit(points, at);
    let mut damping = 1e-3;
    for _ in 0..400 {
        let (mut normal, mut right) = ([[0.0; 3]; 3], [0.0; 3]);
        for (n, x) in points {
            let divisor = 1.0 + at[0] * (n - 1.0) + at[1] * n * (n - 1.0);
            let value = at[2] * n / divisor;
            let gradient = [
                if open[0] { -value * (n - 1.0) / divisor } else { 0.0 },
                if open[1] { -value * n * (n - 1.0) / divisor } else { 0.0 },
                n / divisor,
            ];
            for row in 0..3 {
                right[row] += gradient[row] * (x - value);
                for column in 0..3 {
                    normal[row][column] += gradient[row] * gradient[column];
                }
            }
        }
        for (index, row) in normal.iter_mut().enumerate() {
            row[index] += damping * row[index];
            if row[index] == 0.0 {
                row[index] = 1.0;
            }
        }
        let step = solve(normal, right)?;
        let next = [at[0] + step[0], at[1] + step[1], at[2] + step[2]];
        let got = misfit(points, next);
        if got.is_finite() && got <= best && is_sane(points, next) {
            let gain = best - got;
            (at, best) = (next, got);
            damping = (damping / 10.0).max(1e-12);
            if gain <= 1e-14 * best {
                break;
            }
        } else {
            damping *= 10.0;
            if damping > 1e12 {
                break;
            }
        }
    }
    Some(at)
}

/// Whether the law is positive over the data. A divisor that crosses zero is not a fit.
fn is_sane(points: &[(f64, f64)], [sigma, kappa, _]: [f64; 3]) -> bool {
    points.iter().all(|(n, _)| 1.0 + sigma * (n - 1.0) + kappa * n * (n - 1.0) > 0.0)
}

/// Gaussian elimination with partial pivoting; `None` for a singular matrix.
fn solve(mut matrix: [[f64; 3]; 3], mut right: [f64; 3]) -> Option<[f64; 3]> {
    for column in 0..3 {
        let pivot = (column..3)
            .max_by(|a, b| matrix[*a][column].abs().total_cmp(&matrix[*b][column].abs()))?;
        matrix.swap(column, pivot);
        right.swap(column, pivot);
        if matrix[column][column].abs() < f64::MIN_POSITIVE {
            return None;
        }
        for row in column + 1..3 {
            let factor = matrix[row][column] / matrix[column][column];
            let above = matrix[column];
            for (value, above) in matrix[row].iter_mut().zip(above).skip(column) {
                *value -= factor * above;
            }
            right[row] -= factor * right[column];
        }
    }
    let mut solution = [0.0; 3];
    for row in (0..3).rev() {
        let known: f64 = (row + 1..3).map(|column| matrix[row][column] * solution[column]).sum();
        solution[row] = (right[row] - known) / matrix[row][row];
    }
    Some(solution)
}

#[cfg(test)]
mod tests;
