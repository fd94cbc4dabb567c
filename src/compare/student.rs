//! Student's t distribution at any tail and any degrees of freedom. The expansion in
//! `diagnose::stats` is for fixed tails; Holm's correction and Welch's degrees need others.

use crate::diagnose::stats;

/// From this many degrees of freedom on, the normal distribution is as good.
const NORMAL_FROM: f64 = 1e6;
/// Steps of a bisection, which halve an interval of 1e6 to less than 1e-9.
const BISECTIONS: u32 = 60;
/// Upper end of the search for a quantile.
const FARTHEST: f64 = 1e6;

/// Probability of a value above `t`.
pub fn upper_tail(t: f64, degrees: f64) -> f64 {
    if t.is_nan() || degrees <= 0.0 {
        return 1.0;
    }
    if degrees >= NORMAL_FROM {
        return 1.0 - stats::normal_cdf(t);
    }
    // Abramowitz & Stegun 26.5.27.
    let half = 0.5 * incomplete_beta(degrees / 2.0, 0.5, degrees / (degrees + t * t));
    if t >= 0.0 { half } else { 1.0 - half }
}

/// The value that is exceeded with probability `tail` (at most a half).
pub fn quantile(tail: f64, degrees: f64) -> f64 {
    if degrees <= 0.0 || tail <= 0.0 {
        return f64::INFINITY;
    }
    let (mut low, mut high) = (0.0, FARTHEST);
    for _ in 0..BISECTIONS {
        let middle = (low + high) / 2.0;
        if upper_tail(middle, degrees) > tail { low = middle } else { high = middle }
    }
    (low + high) / 2.0
}

/// The regularised incomplete beta function, by its continued fraction (DLMF 8.17.22) evaluated
/// with Lentz's method.
fn incomplete_beta(a: f64, b: f64, x: f64) -> f64 {
    if x <= 0.0 {
        return 0.0;
    }
    if x >= 1.0 {
        return 1.0;
    }
    // The fraction converges fast below the mean; above it, the symmetry I_x(a,b) = 1 - I_{1-x}(b,a)
    // is used.
    if x > (a + 1.0) / (a + b + 2.0) {
        return 1.0 - incomplete_beta(b, a, 1.0 - x);
    }
    let front = ln_gamma(a + b) - ln_gamma(a) - ln_gamma(b) + a * x.ln() + b * (1.0 - x).ln();
    const TINY: f64 = 1e-300;
    const STEPS: u32 = 500;
    let fit = |value: f64| if value.abs() < TINY { TINY } else { value };
    let (mut c, mut d) = (1.0, 1.0 / fit(1.0 - (a + b) * x / (a + 1.0)));
    let mut fraction = d;
    for step in 1..STEPS {
        let m = f64::from(step);
        let even = m * (b - m) * x / ((a + 2.0 * m - 1.0) * (a + 2.0 * m));
        let odd = -(a + m) * (a + b + m) * x / ((a + 2.0 * m) * (a + 2.0 * m + 1.0));
        let mut change = 1.0;
        for term in [even, odd] {
            d = 1.0 / fit(1.0 + term * d);
            c = fit(1.0 + term / c);
            change = c * d;
            fraction *= change;
        }
        if (change - 1.0).abs() < 1e-14 {
            break;
        }
    }
    (front.exp() * fraction / a).clamp(0.0, 1.0)
}

/// Logarithm of the gamma function (Lanczos 1964, with Godfrey's coefficients for g = 7).
fn ln_gamma(x: f64) -> f64 {
    const G: f64 = 7.0;
    const FIRST: f64 = 0.999_999_999_999_809_9;
    const REST: [f64; 8] = [
        676.520_368_121_885_1,
        -1_259.139_216_722_402_8,
        771.323_428_777_653_1,
        -176.615_029_162_140_6,
        12.507_343_278_686_905,
        -0.138_571_095_265_720_12,
        9.984_369_578_019_572e-6,
        1.505_632_735_149_311_6e-7,
    ];
    let x = x - 1.0;
    let sum = (1..).zip(REST).fold(FIRST, |sum, (place, part)| sum + part / (x + f64::from(place)));
    let t = x + G + 0.5;
    0.5 * std::f64::consts::TAU.ln() + (x + 0.5) * t.ln() - t + sum.ln()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Tables of Fisher & Yates.
    #[test]
    fn quantiles_are_those_of_the_tables() {
        for (degrees, tail, expected) in [
            (1.0, 0.025, 12.706),
            (2.0, 0.025, 4.303),
            (4.0, 0.025, 2.776),
            (8.0, 0.025, 2.306),
            (8.0, 0.0005, 5.041),
            (30.0, 0.005, 2.750),
            (1e9, 0.025, 1.960),
        ] {
            let got = quantile(tail, degrees);
            assert!((got - expected).abs() < 0.001, "{degrees} {tail}: {got}");
            assert!((upper_tail(got, degrees) - tail).abs() < 1e-6);
            assert!((upper_tail(-got, degrees) - (1.0 - tail)).abs() < 1e-6);
        }
        assert!(quantile(0.025, 0.0).is_infinite());
    }
}
