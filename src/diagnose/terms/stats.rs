//! The statistics that the diagnosis rests on. Each function cites its source.

/// A small random generator for bootstraps: SplitMix64 (Steele, Lea & Flood 2014, "Fast
/// splittable pseudorandom number generators"). The same seed always gives the same numbers,
/// which no crate promises.
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    /// A generator that repeats itself for the same `seed`.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next 64 random bits.
    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// Uniform in [0, 1).
    pub fn uniform(&mut self) -> f64 {
        (self.bits() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// A whole number below `bound`; 0 for a bound of 0.
    pub fn below(&mut self, bound: usize) -> usize {
        (self.uniform() * bound as f64) as usize
    }

    /// Standard normal (Box & Muller 1958).
    pub fn normal(&mut self) -> f64 {
        let radius = (-2.0 * (1.0 - self.uniform()).ln()).sqrt();
        radius * (std::f64::consts::TAU * self.uniform()).cos()
    }
}

/// Arithmetic mean; `None` without values.
pub fn mean(values: &[f64]) -> Option<f64> {
    (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
}

/// Unbiased sample variance; 0 with fewer than two values.
pub fn variance(values: &[f64]) -> f64 {
    let Some(mean) = mean(values) else { return 0.0 };
    if values.len() < 2 {
        return 0.0;
    }
    values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / (values.len() - 1) as f64
}

/// The quantile `q` (0 to 1) by linear interpolation between order statistics (type 7 of Hyndman
/// & Fan 1996); `None` without values.
pub fn quantile(values: &[f64], q: f64) -> Option<f64> {
    if values.is_empty() {
        return None;
    }
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let position = q.clamp(0.0, 1.0) * (sorted.len() - 1) as f64;
    let below = position.floor() as usize;
    let above = (below + 1).min(sorted.len() - 1);
    Some(sorted[below] + (sorted[above] - sorted[below]) * (position - below as f64))
}

/// Median; `None` without values.
pub fn median(values: &[f64]) -> Option<f64> {
    quantile(values, 0.5)
}

/// Wilson's score interval of a proportion (Wilson 1927, JASA 22:209), for `hits` of `trials` and
/// the normal quantile `z`; the whole of 0 to 1 without trials.
pub fn wilson(hits: u64, trials: u64, z: f64) -> (f64, f64) {
    if trials == 0 {
        return (0.0, 1.0);
    }
    let n = trials as f64;
    wilson_of_share(hits as f64 / n, n, z)
}

/// The same of a `share` of `n` trials, which need not be a whole number.
pub fn wilson_of_share(share: f64, n: f64, z: f64) -> (f64, f64) {
    let centre = share + z * z / (2.0 * n);
    let spread = z * (share * (1.0 - share) / n + z * z / (4.0 * n * n)).sqrt();
    let scale = 1.0 + z * z / n;
    (((centre - spread) / scale).max(0.0), ((centre + spread) / scale).min(1.0))
}

/// Two-sided Student quantile for `degrees` of freedom at a tail of `1 − p`, from the normal
/// quantile `z` of `p` (Cornish–Fisher expansion, Abramowitz & Stegun 26.7.5). Within 1 % from
/// four degrees of freedom on for the tails used here; exact closed forms below.
pub fn student(z: f64, degrees: usize) -> f64 {
    match degrees {
        0 => f64::INFINITY,
        1 => {
            // Cauchy: tan(π(p − ½)).
            (std::f64::consts::PI * (normal_cdf(z) - 0.5)).tan()
        }
        2 => {
            let p = normal_cdf(z);
            (2.0 * p - 1.0) / (2.0 * p * (1.0 - p)).sqrt()
        }
        _ => {
            let v = degrees as f64;
            let g1 = (z.powi(3) + z) / 4.0;
            let g2 = (5.0 * z.powi(5) + 16.0 * z.powi(3) + 3.0 * z) / 96.0;
            let g3 = (3.0 * z.powi(7) + 19.0 * z.powi(5) + 17.0 * z.powi(3) - 15.0 * z) / 384.0;
            z + g1 / v + g2 / (v * v) + g3 / v.powi(3)
        }
    }
}

/// Normal distribution function (Abramowitz & Stegun 7.1.26 for erf, error below 1.5e-7).
pub fn normal_cdf(z: f64) -> f64 {
    let x = z.abs() / std::f64::consts::SQRT_2;
    let t = 1.0 / (1.0 + 0.327_591_1 * x);
    let poly = t
        * (0.254_829_592
            + t * (-0.284_496_736
                + t * (1.421_413_741 + t * (-1.453_152_027 + t * 1.061_405_429))));
    let erf = 1.0 - poly * (-x * x).exp();
    if z >= 0.0 { 0.5 * (1.0 + erf) } else { 0.5 * (1.0 - erf) }
}

/// A straight line through points, by ordinary least squares.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Line {
    /// Value at x = 0.
    pub intercept: f64,
    /// Change of y for one of x.
    pub slope: f64,
    /// Standard error of the slope, with the sample size reduced by the lag-1 autocorrelation of
    /// the residuals; infinite with fewer than three points.
    pub slope_error: f64,
    /// Degrees of freedom left after that reduction.
    pub degrees: usize,
}

/// Ordinary least squares of `y` on `x`. The effective sample size n(1−r)/(1+r) is that of an
/// AR(1) series (Bartlett 1935; Santer et al. 2000, J. Geophys. Res. 105:7337). `None` with fewer
/// than two points or without spread in x.
pub fn line(x: &[f64], y: &[f64]) -> Option<Line> {
    let n = x.len().min(y.len());
    let (mean_x, mean_y) = (mean(&x[..n])?, mean(&y[..n])?);
    let spread: f64 = x[..n].iter().map(|x| (x - mean_x).powi(2)).sum();
    if n < 2 || spread <= 0.0 {
        return None;
    }
    let cross: f64 = x.iter().zip(y).map(|(x, y)| (x - mean_x) * (y - mean_y)).sum();
    let slope = cross / spread;
    let intercept = mean_y - slope * mean_x;
    let residuals: Vec<f64> = x.iter().zip(y).map(|(x, y)| y - intercept - slope * x).collect();
    let r = autocorrelation(&residuals).max(0.0);
    let effective = n as f64 * (1.0 - r) / (1.0 + r);
    let rest: f64 = residuals.iter().map(|rest| rest * rest).sum();
    let (slope_error, degrees) = if effective > 2.5 {
        ((rest / (effective - 2.0) / spread).sqrt(), (effective - 2.0).round().max(1.0) as usize)
    } else {
        (f64::INFINITY, 0)
    };
    Some(Line { intercept, slope, slope_error, degrees })
}

/// Lag-1 autocorrelation; 0 with fewer than four values or without variance.
pub fn autocorrelation(values: &[f64]) -> f64 {
    let Some(mean) = mean(values) else { return 0.0 };
    let total: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
    if values.len() < 4 || total <= 0.0 {
        return 0.0;
    }
    let lagged: f64 = values.windows(2).map(|pair| (pair[0] - mean) * (pair[1] - mean)).sum();
    lagged / total
}

/// Slope of Theil (1950) and Sen (1968, JASA 63:1379): the median of the slopes between all pairs
/// of points, which a quarter of wild points cannot move far. `None` without two distinct x.
pub fn theil_sen(x: &[f64], y: &[f64]) -> Option<f64> {
    let n = x.len().min(y.len());
    let slopes: Vec<f64> = (0..n)
        .flat_map(|a| (a + 1..n).map(move |b| (a, b)))
        .filter(|&(a, b)| x[a] != x[b])
        .map(|(a, b)| (y[b] - y[a]) / (x[b] - x[a]))
        .collect();
    median(&slopes)
}

/// Pearson's correlation; 0 where either side does not vary.
pub fn correlation(x: &[f64], y: &[f64]) -> f64 {
    let (Some(mean_x), Some(mean_y)) = (mean(x), mean(y)) else { return 0.0 };
    let sum = |f: &dyn Fn(f64, f64) -> f64| -> f64 {
        x.iter().zip(y).map(|(x, y)| f(x - mean_x, y - mean_y)).sum()
    };
    let scale = (sum(&|x, _| x * x) * sum(&|_, y| y * y)).sqrt();
    if scale > 0.0 { sum(&|x, y| x * y) / scale } else { 0.0 }
}

/// Weightless least squares of `y` on the columns of `design` by normal equations and Gaussian
/// elimination; `None` for dependent columns. Returns the coefficients and the sum of squares
/// that is left. For a handful of columns only.
pub fn least_squares(design: &[Vec<f64>], y: &[f64]) -> Option<(Vec<f64>, f64)> {
    let k = design.len();
    let dot = |a: &[f64], b: &[f64]| -> f64 { a.iter().zip(b).map(|(a, b)| a * b).sum() };
    let mut rows: Vec<Vec<f64>> = design
        .iter()
        .map(|row| {
            let mut entries: Vec<f64> = design.iter().map(|column| dot(row, column)).collect();
            entries.push(dot(row, y));
            entries
        })
        .collect();
    let scales: Vec<f64> = (0..k).map(|index| rows[index][index]).collect();
    for column in 0..k {
        // A Gram matrix needs no pivoting; a pivot that vanishes is a dependent column.
        let pivot = rows[column].clone();
        if pivot[column].is_nan() || pivot[column] <= 1e-10 * scales[column] {
            return None;
        }
        for row in rows.iter_mut().skip(column + 1) {
            let factor = row[column] / pivot[column];
            for (value, above) in row.iter_mut().zip(&pivot) {
                *value -= factor * above;
            }
        }
    }
    let mut solution = vec![0.0; k];
    for row in (0..k).rev() {
        let known = dot(&rows[row][row + 1..k], &solution[row + 1..]);
        solution[row] = (rows[row][k] - known) / rows[row][row];
    }
    let rest = (0..y.len())
        .map(|at| {
            let fitted: f64 = design.iter().zip(&solution).map(|(column, c)| column[at] * c).sum();
            (y[at] - fitted).powi(2)
        })
        .sum();
    Some((solution, rest))
}

/// Largest less smallest value, divided by their mean. `None` without values, and if the mean is not
/// positive.
pub fn relative_spread(values: &[f64]) -> Option<f64> {
    let largest = values.iter().copied().reduce(f64::max)?;
    let smallest = values.iter().copied().reduce(f64::min)?;
    let mean = values.iter().sum::<f64>() / values.len() as f64;
    (mean > 0.0).then(|| (largest - smallest) / mean)
}
