//! Differences of counts: the share of requests that failed, and restarts.
//!
//! Failures come in bursts, so that requests count for less than their number. The scatter between
//! the runs of a build, or between the blocks of its only run, tells how much less (the design
//! effect of Rao & Scott 1992, Biometrics 48:577). Newcombe's hybrid score interval (1998, Statist.
//! Med. 17:873) then gives the difference, and is right for shares of zero too.

use super::estimate::{TAIL, Tested};
use super::student;
use crate::diagnose::stats;

/// Failures of one run or one block, of so many requests.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Failures {
    pub failed: f64,
    pub completed: f64,
}

/// The failures of a build.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Share {
    /// Share of the requests that failed.
    pub share: f64,
    /// How many independent requests these are worth.
    pub effective: f64,
    /// Degrees of freedom of what was counted.
    degrees: f64,
}

/// A difference of two shares: candidate less base.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Difference {
    pub change: f64,
    pub tested: Tested,
    /// Whether any result of the same requests would be significant: not where none failed.
    pub can_reject: bool,
}

/// The failures of a build from those of its runs or blocks; `None` without requests.
pub fn share(clusters: &[Failures]) -> Option<Share> {
    let completed: f64 = clusters.iter().map(|cluster| cluster.completed).sum();
    if completed <= 0.0 {
        return None;
    }
    let share = clusters.iter().map(|cluster| cluster.failed).sum::<f64>() / completed;
    let n = clusters.len() as f64;
    let rest = |cluster: &Failures| (cluster.failed - share * cluster.completed).powi(2);
    let scatter: f64 = clusters.iter().map(rest).sum();
    let chance = share * (1.0 - share) * completed;
    let effect = match n > 1.0 && chance > 0.0 {
        true => (n / (n - 1.0) * scatter / chance).max(1.0),
        false => 1.0,
    };
    // Without a failure there is no scatter to estimate, and the score interval stands alone.
    let degrees = if share > 0.0 { (n - 1.0).max(1.0) } else { f64::INFINITY };
    Some(Share { share, effective: completed / effect, degrees })
}

/// Judges the difference of two shares, each of which varies by `sigma` of itself from run to run.
pub fn apart(base: Share, candidate: Share, sigma: f64, allowed: f64) -> Difference {
    let estimated = [base.degrees, candidate.degrees].into_iter().filter(|it| it.is_finite());
    let degrees = estimated.reduce(|one, other| one + other).unwrap_or(f64::INFINITY);
    let change = candidate.share - base.share;
    let between = (sigma * base.share).powi(2) + (sigma * candidate.share).powi(2);
    let low = |z: f64| {
        let (down, up) = (candidate.wilson(z).0, base.wilson(z).1);
        let reach = (candidate.share - down).powi(2) + (up - base.share).powi(2);
        change - (reach + between * z * z).sqrt()
    };
    let high = |z: f64| {
        let (up, down) = (candidate.wilson(z).1, base.wilson(z).0);
        let reach = (up - candidate.share).powi(2) + (base.share - down).powi(2);
        change + (reach + between * z * z).sqrt()
    };
    let z = student::quantile(TAIL, degrees);
    // A score interval never reaches down to zero, however few runs had failures: the plain test of
    // the difference has to agree.
    let error = (base.variance() + candidate.variance() + between).sqrt();
    let plain = |change: f64| match change - allowed {
        over if over > 0.0 && error > 0.0 => student::upper_tail(over / error, degrees),
        over if over > 0.0 => 0.0,
        _ => 1.0,
    };
    let tested = Tested {
        low: low(z),
        high: high(z),
        p_worse: tail(|z| low(z) > allowed, degrees).max(plain(change)),
        p_better: tail(|z| high(z) < -allowed, degrees).max(plain(-change)),
    };
    Difference { change, tested, can_reject: base.share > 0.0 || candidate.share > 0.0 }
}

/// The smallest tail for which the difference is still beyond what is allowed.
fn tail(is_beyond: impl Fn(f64) -> bool, degrees: f64) -> f64 {
    const FARTHEST: f64 = 40.0;
    const BISECTIONS: u32 = 40;
    if !is_beyond(0.0) {
        return 1.0;
    }
    let (mut low, mut high) = (0.0, FARTHEST);
    for _ in 0..BISECTIONS {
        let middle = (low + high) / 2.0;
        if is_beyond(middle) { low = middle } else { high = middle }
    }
    student::upper_tail(low, degrees)
}

impl Share {
    fn variance(&self) -> f64 {
        self.share * (1.0 - self.share) / self.effective
    }

    fn wilson(&self, z: f64) -> (f64, f64) {
        stats::wilson_of_share(self.share, self.effective, z)
    }
}

/// Probability that at least as many of all events fall on the candidate by chance, and at most as
/// many: the conditional test of two Poisson rates (Przyborowski & Wilenski 1940, Biometrika
/// 31:313). `seconds` are those of all runs of each build.
pub fn events_apart(base: u64, candidate: u64, seconds: (f64, f64)) -> (f64, f64) {
    let all = base + candidate;
    let share = seconds.1 / (seconds.0 + seconds.1).max(f64::MIN_POSITIVE);
    let probability = |count: u64| {
        let choose: f64 =
            (0..count).map(|i| ((all - i) as f64 / (count - i) as f64).ln()).sum::<f64>();
        let other = (all - count) as f64;
        (choose + count as f64 * share.ln() + other * (1.0 - share).ln()).exp()
    };
    let at_least: f64 = (candidate..=all).map(probability).sum();
    let at_most: f64 = (0..=candidate).map(probability).sum();
    (at_least.min(1.0), at_most.min(1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(runs: &[(f64, f64)]) -> Share {
        let runs: Vec<Failures> = runs
            .iter()
            .map(|(failed, completed)| Failures { failed: *failed, completed: *completed })
            .collect();
        share(&runs).unwrap()
    }

    /// Newcombe's example: 56 of 70 and 48 of 80 differ by 0.20, from 0.0524 to 0.3339.
    #[test]
    fn a_difference_of_shares_is_newcombes_interval() {
        let many = |failed, completed| Share { degrees: 1e9, ..of(&[(failed, completed)]) };
        let got = apart(many(48.0, 80.0), many(56.0, 70.0), 0.0, 0.0);
        assert!((got.change - 0.2).abs() < 1e-9);
        assert!((got.tested.low - 0.0524).abs() < 0.0002, "{got:?}");
        assert!((got.tested.high - 0.3339).abs() < 0.0002, "{got:?}");
        assert!(got.tested.p_worse < 0.01 && got.tested.p_better == 1.0);
    }

    #[test]
    fn no_failure_on_either_side_is_the_same_only_after_enough_requests() {
        let allowed = 0.001;
        let high = |requests: f64| {
            let none = of(&[(0.0, requests); 5]);
            let got = apart(none, none, 0.0, allowed);
            assert!(!got.can_reject && got.tested.p_worse == 1.0);
            got.tested.high
        };
        assert!(high(200.0) > allowed, "1,000 requests may hide as many");
        assert!(high(4000.0) < allowed, "20,000 do not");
    }

    #[test]
    fn failures_of_one_run_are_one_event() {
        let calm = of(&[(0.0, 1000.0); 5]);
        let burst =
            of(&[(0.0, 1000.0), (0.0, 1000.0), (0.0, 1000.0), (0.0, 1000.0), (100.0, 1000.0)]);
        assert!(apart(calm, burst, 0.0, 0.001).tested.p_worse > TAIL, "one run of five");
        let spread =
            of(&[(20.0, 1000.0), (18.0, 1000.0), (22.0, 1000.0), (21.0, 1000.0), (19.0, 1000.0)]);
        assert!(apart(calm, spread, 0.0, 0.001).tested.p_worse < 0.001);
    }

    #[test]
    fn restarts_are_a_binomial_test() {
        let (more, fewer) = events_apart(0, 5, (100.0, 100.0));
        assert!((more - 0.5f64.powi(5)).abs() < 1e-12 && (fewer - 1.0).abs() < 1e-9);
        let (more, _) = events_apart(0, 1, (100.0, 100.0));
        assert!((more - 0.5).abs() < 1e-12);
    }
}
