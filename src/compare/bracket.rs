//! The difference of two rates that each lie between two others, such as knees and capacities.
//!
//! Each end of the interval of the difference comes from the ends of both (the method of variance
//! estimates recovery, Zou & Donner 2008, Statist. Med. 27:1693, in logs), which allows for
//! intervals without an upper end: a run that found no knee has one above its highest load.

use super::estimate::{RunValue, Tested};
use super::sample::Bracket;
use super::{estimate, student};
use crate::diagnose::stats;

/// The knee of one build moves by this share from run to run where nobody measured it: half the
/// distance between the stages with which a search brackets it.
pub const USUAL_SIGMA: f64 = 0.05;
/// The normal quantile of a 95 % interval, which brackets have.
const Z: f64 = 1.96;

/// The difference of two builds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Apart {
    /// Candidate by base, in logs.
    pub change: f64,
    pub tested: Tested,
}

/// One bracket for the runs of a build: the mean in logs, within the widest ends.
pub fn together(brackets: &[Bracket]) -> Option<Bracket> {
    let logs: Vec<f64> = brackets.iter().map(|bracket| bracket.rate.ln()).collect();
    let low = brackets.iter().map(|bracket| bracket.low).reduce(f64::min)?;
    let highs: Option<Vec<f64>> = brackets.iter().map(|bracket| bracket.high).collect();
    let high = highs.and_then(|highs| highs.into_iter().reduce(f64::max));
    Some(Bracket { rate: stats::mean(&logs)?.exp(), low, high })
}

/// The values of runs all of which have an upper end, with the noise that brackets of this width
/// have; `None` where one has none.
pub fn values(brackets: &[Bracket]) -> Option<(Vec<RunValue>, f64)> {
    let mut widths = Vec::new();
    let mut runs = Vec::new();
    for bracket in brackets {
        // Ends of a 95 % interval lie two standard errors from the middle.
        widths.push((bracket.high? / bracket.low).ln() / (2.0 * Z));
        let ln = bracket.rate.ln();
        runs.push(RunValue { ln, error: widths.last().copied(), degrees: f64::INFINITY });
    }
    Some((runs, stats::mean(&widths)?))
}

/// Judges a rate that is better high, with the noise `sigma` from run to run.
pub fn apart(base: Bracket, candidate: Bracket, sigma: f64, allowed: f64) -> Apart {
    let ln = |above: Option<f64>, below: f64| above.map_or(f64::INFINITY, |it| (it / below).ln());
    let noise = 2f64.sqrt() * Z * sigma;
    let reach = |a: f64, b: f64| (a * a + b * b + noise * noise).sqrt();
    // Falls of the rate are worse, so that the difference is base less candidate.
    let fall = (base.rate / candidate.rate).ln();
    let down = reach(ln(Some(base.rate), base.low), ln(candidate.high, candidate.rate));
    let up = reach(ln(base.high, base.rate), ln(Some(candidate.rate), candidate.low));
    let beyond = |fall: f64, reach: f64| match fall - allowed {
        over if reach.is_infinite() || over <= 0.0 => 1.0,
        over if reach > 0.0 => student::upper_tail(Z * over / reach, f64::INFINITY),
        _ => 0.0,
    };
    let tested = Tested {
        low: fall - down,
        high: fall + up,
        p_worse: beyond(fall, down),
        p_better: beyond(-fall, up),
    };
    Apart { change: -fall, tested }
}

/// Several runs of which all have an upper end.
pub fn of_runs(base: &[Bracket], candidate: &[Bracket], allowed: f64) -> Option<Apart> {
    let ((first, wide), (second, other)) = (values(base)?, values(candidate)?);
    let count = 1.0 / base.len() as f64 + 1.0 / candidate.len() as f64;
    let floor = wide.max(other) * count.sqrt();
    let estimate = estimate::of_runs(&first, &second)?.at_least(floor);
    Some(Apart { change: estimate.change, tested: estimate.tested(allowed, -1.0) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bracket(rate: f64, low: f64, high: Option<f64>) -> Bracket {
        Bracket { rate, low, high }
    }

    #[test]
    fn a_knee_that_was_not_reached_lies_above_the_highest_load() {
        let allowed = 1.1f64.ln();
        let found = bracket(89.0, 88.0, Some(90.4));
        let above = bracket(200.0, 200.0, None);
        let worse = apart(above, found, 0.05, allowed);
        assert!(worse.tested.low > allowed && worse.tested.p_worse < 1e-6, "{worse:?}");
        assert!(worse.tested.high.is_infinite());
        let better = apart(found, above, 0.05, allowed);
        assert!(better.tested.p_better < 1e-6 && better.tested.low.is_infinite(), "{better:?}");
        let open = apart(above, above, 0.05, allowed).tested;
        assert_eq!((open.p_worse, open.p_better), (1.0, 1.0));
        let near = bracket(192.0, 187.0, Some(198.0));
        assert!(apart(above, near, 0.05, allowed).tested.p_worse > 0.5, "it may be as high");
    }

    #[test]
    fn runs_that_fall_between_the_same_stages_do_not_lie_closer_than_these() {
        let runs = [bracket(199.0, 190.0, Some(209.0)); 5];
        let apart = of_runs(&runs, &runs, 0.1).unwrap();
        assert!(apart.tested.high > 0.01, "{apart:?}");
        assert_eq!(of_runs(&runs, &[bracket(200.0, 200.0, None); 5], 0.1), None);
        let both = together(&[bracket(100.0, 90.0, Some(110.0)), bracket(121.0, 118.0, None)]);
        let both = both.unwrap();
        assert!((both.rate - 110.0).abs() < 1e-9 && both.low == 90.0 && both.high.is_none());
    }
}
