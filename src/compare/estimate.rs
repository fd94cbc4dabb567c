//! The difference of a positive quantity between two builds, in logs, with its standard error.

use super::student;
use crate::diagnose::stats;

/// The tail of a 95 % interval on each side.
pub const TAIL: f64 = 0.025;

/// The value of one run.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RunValue {
    /// Logarithm of the value.
    pub ln: f64,
    /// Its standard error within the run; `None` where that is unknown.
    pub error: Option<f64>,
    /// Degrees of freedom that the error rests on.
    pub degrees: f64,
}

/// A difference in logs: candidate less base.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Estimate {
    /// The difference.
    pub change: f64,
    /// Its standard error.
    pub error: f64,
    /// Degrees of freedom.
    pub degrees: f64,
}

/// A difference as it is judged: what is worse is positive.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Tested {
    /// Lower end of its 95 % interval.
    pub low: f64,
    /// Upper end.
    pub high: f64,
    /// Probability of such a difference, or a larger one, where the candidate is just not worse.
    pub p_worse: f64,
    /// The same where it is just not better.
    pub p_better: f64,
}

impl Estimate {
    /// Ends of the 95 % interval.
    pub fn interval(&self) -> (f64, f64) {
        let reach = match self.error {
            error if error > 0.0 => student::quantile(TAIL, self.degrees) * error,
            _ => 0.0,
        };
        (self.change - reach, self.change + reach)
    }

    /// Judged against what is `allowed` in either direction; `sign` is -1 where more is better.
    pub fn tested(&self, allowed: f64, sign: f64) -> Tested {
        let (low, high) = self.interval();
        let (low, high) = if sign < 0.0 { (-high, -low) } else { (low, high) };
        let beyond = |change: f64| match self.error {
            error if error > 0.0 => student::upper_tail((change - allowed) / error, self.degrees),
            _ if change > allowed => 0.0,
            _ => 1.0,
        };
        Tested {
            low,
            high,
            p_worse: beyond(sign * self.change),
            p_better: beyond(-sign * self.change),
        }
    }

    /// The same with at least this standard error.
    pub fn at_least(self, error: f64) -> Self {
        Self { error: self.error.max(error), ..self }
    }
}

fn logs(runs: &[RunValue]) -> Vec<f64> {
    runs.iter().map(|run| run.ln).collect()
}

fn mean_change(base: &[RunValue], candidate: &[RunValue]) -> Option<f64> {
    Some(stats::mean(&logs(candidate))? - stats::mean(&logs(base))?)
}

/// Few runs whose standard deviation from run to run is known: it adds to the noise within each.
/// `None` where the noise within a run is unknown.
pub fn with_known_noise(base: &[RunValue], candidate: &[RunValue], sigma: f64) -> Option<Estimate> {
    let (mut variance, mut square) = (0.0, 0.0);
    for side in [base, candidate] {
        for run in side {
            let share = (run.error? / side.len() as f64).powi(2);
            variance += share;
            square += share * share / run.degrees.max(1.0);
        }
    }
    let between = sigma * sigma * (1.0 / base.len() as f64 + 1.0 / candidate.len() as f64);
    let all = variance + between;
    // Satterthwaite 1946: what is known has no end of degrees.
    let degrees = if square > 0.0 { all * all / square } else { f64::INFINITY };
    Some(Estimate { change: mean_change(base, candidate)?, error: all.sqrt(), degrees })
}

/// One run of each build whose ratio has this error within the runs.
pub fn of_pair(
    base: RunValue,
    candidate: RunValue,
    error: f64,
    degrees: f64,
    sigma: f64,
) -> Estimate {
    let within = error * error;
    let all = within + 2.0 * sigma * sigma;
    let degrees = if within > 0.0 { degrees * (all / within).powi(2) } else { f64::INFINITY };
    Estimate { change: candidate.ln - base.ln, error: all.sqrt(), degrees }
}

/// Several runs: Welch's t test (Welch 1947) on the logarithm of each run's value. A build with a
/// single run is taken to vary as the other does. `None` with one run each.
pub fn of_runs(base: &[RunValue], candidate: &[RunValue]) -> Option<Estimate> {
    let change = mean_change(base, candidate)?;
    let (first, second) = (logs(base), logs(candidate));
    let (n, m) = (first.len() as f64, second.len() as f64);
    if first.len() < 2 && second.len() < 2 {
        return None;
    }
    if first.len() < 2 || second.len() < 2 {
        let several = if first.len() < 2 { &second } else { &first };
        let error = (stats::variance(several) * (1.0 / n + 1.0 / m)).sqrt();
        return Some(Estimate { change, error, degrees: several.len() as f64 - 1.0 });
    }
    let (a, b) = (stats::variance(&first) / n, stats::variance(&second) / m);
    let below = a * a / (n - 1.0) + b * b / (m - 1.0);
    let degrees = if below > 0.0 { (a + b).powi(2) / below } else { n + m - 2.0 };
    Some(Estimate { change, error: (a + b).sqrt(), degrees })
}

/// Runs in pairs, one of each build: a t test on the differences.
pub fn of_pairs(base: &[RunValue], candidate: &[RunValue]) -> Option<Estimate> {
    let differences: Vec<f64> =
        base.iter().zip(candidate).map(|(base, candidate)| candidate.ln - base.ln).collect();
    let count = differences.len();
    let error = (stats::variance(&differences) / count as f64).sqrt();
    (count >= 2).then_some(Estimate {
        change: stats::mean(&differences)?,
        error,
        degrees: count as f64 - 1.0,
    })
}

/// Standard deviation from run to run, of both builds together; `None` where no build has two runs.
pub fn run_to_run(base: &[RunValue], candidate: &[RunValue]) -> Option<f64> {
    let degrees = |side: &[RunValue]| side.len().saturating_sub(1) as f64;
    let all = degrees(base) + degrees(candidate);
    let sum: f64 =
        [base, candidate].iter().map(|side| stats::variance(&logs(side)) * degrees(side)).sum();
    (all > 0.0).then(|| (sum / all).sqrt())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn runs(values: &[f64]) -> Vec<RunValue> {
        values.iter().map(|ln| RunValue { ln: *ln, error: Some(0.01), degrees: 19.0 }).collect()
    }

    /// Statistic, degrees and probability were computed apart, by numeric integration.
    #[test]
    fn several_runs_are_welchs_test() {
        let base = runs(&[27.5, 21.0, 19.0, 23.6, 17.0, 17.9, 16.9, 20.1, 21.9, 22.6]);
        let candidate = runs(&[27.1, 22.0, 20.8, 23.4, 23.4, 23.5, 25.8, 22.0, 24.8, 20.2]);
        let estimate = of_runs(&base, &candidate).unwrap();
        assert!((estimate.change - 2.55).abs() < 1e-9, "{estimate:?}");
        assert!((estimate.change / estimate.error - 2.035_662).abs() < 1e-5, "{estimate:?}");
        assert!((estimate.degrees - 15.497_899).abs() < 1e-5, "{estimate:?}");
        assert!((2.0 * estimate.tested(0.0, 1.0).p_worse - 0.059_254).abs() < 1e-5);
        let pooled = of_runs(&base, &candidate[..1]).unwrap();
        assert_eq!(pooled.degrees, 9.0);
        assert_eq!(of_runs(&base[..1], &candidate[..1]), None);
    }

    #[test]
    fn known_noise_widens_and_pairs_cancel_what_they_share() {
        let (base, candidate) = (runs(&[0.0]), runs(&[0.2]));
        let within = with_known_noise(&base, &candidate, 0.0).unwrap();
        assert!((within.error - 0.01 * 2f64.sqrt()).abs() < 1e-12);
        let widened = with_known_noise(&base, &candidate, 0.05).unwrap();
        assert!((widened.error - (2.0f64 * (0.05 * 0.05 + 0.0001)).sqrt()).abs() < 1e-12);
        assert!(widened.degrees > within.degrees);
        let drift = [0.0, 0.3, -0.2, 0.5];
        let base = runs(&drift);
        let candidate = runs(&drift.map(|drift| drift + 0.1));
        let pairs = of_pairs(&base, &candidate).unwrap();
        assert!((pairs.change - 0.1).abs() < 1e-12 && pairs.error < 1e-12, "{pairs:?}");
        assert!(of_runs(&base, &candidate).unwrap().error > 0.1);
    }

    #[test]
    fn a_rate_is_worse_where_it_falls() {
        let estimate = Estimate { change: -0.3, error: 0.05, degrees: 8.0 };
        let tested = estimate.tested(0.1, -1.0);
        assert!(tested.low > 0.1 && tested.p_worse < 0.01 && tested.p_better > 0.99, "{tested:?}");
    }
}
