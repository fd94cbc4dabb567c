//! A run that something else disturbed: a backup, a neighbour's build, a virtual machine that was
//! moved. Its values depart from those of the other runs by far more than these differ, and one such
//! run of ten would hide a change: it widens the interval more than it moves the mean.
//!
//! Such a run is found by its externally studentized residual, corrected for the number of runs
//! (Cook & Weisberg 1982, "Residuals and Influence in Regression", section 2.2.2). It is left out of
//! the quantity that it departs in, and the comparison says so. One run in ten may be left out:
//! where more of them depart, that is how much runs of this machine differ.

use super::estimate::RunValue;
use super::student;
use crate::diagnose::stats;

/// A run is taken for disturbed where so few sets of undisturbed runs have one like it.
const TAIL_OF_ALL: f64 = 0.01;
/// Of so many runs one may be left out.
const ONE_OF: usize = 10;

/// How far a run lies from where the others say that it should.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Residual {
    pub value: f64,
    /// How much the run itself moved that place: 1 is all the way.
    pub leverage: f64,
}

/// How many of these runs may be left out.
pub fn most(runs: usize) -> usize {
    runs / ONE_OF
}

/// The residuals of runs of one build, or of pairs: what they depart from their mean.
pub fn from_mean(values: &[f64]) -> Vec<Residual> {
    let mean = stats::mean(values).unwrap_or(0.0);
    let leverage = 1.0 / values.len() as f64;
    values.iter().map(|value| Residual { value: value - mean, leverage }).collect()
}

/// The residuals of the runs of both builds, those of the base first.
pub fn from_means(base: &[RunValue], candidate: &[RunValue]) -> Vec<Residual> {
    let logs = |runs: &[RunValue]| runs.iter().map(|run| run.ln).collect::<Vec<f64>>();
    [from_mean(&logs(base)), from_mean(&logs(candidate))].concat()
}

/// The index of the run that was disturbed, of residuals that are left by so many `parameters`; it
/// departs from the others by more than `least`.
pub fn find(residuals: &[Residual], parameters: usize, least: f64) -> Option<usize> {
    let count = residuals.len();
    let degrees = count.checked_sub(parameters + 1).filter(|left| *left > 0)? as f64;
    let all: f64 = residuals.iter().map(|it| it.value * it.value).sum();
    let limit = student::quantile(TAIL_OF_ALL / 2.0 / count as f64, degrees);
    let departs = |residual: &Residual| {
        // From where the others alone put it.
        let free = 1.0 - residual.leverage;
        let apart = residual.value.abs() / free;
        let others = ((all - residual.value * residual.value / free) / degrees).max(0.0).sqrt();
        let is_far = apart > least && apart * free.sqrt() > limit * others;
        is_far.then_some(apart)
    };
    let found = residuals.iter().enumerate().filter_map(|(index, it)| Some((departs(it)?, index)));
    found.max_by(|a, b| a.0.total_cmp(&b.0)).map(|(_, index)| index)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnose::stats::Random;

    #[test]
    fn one_run_of_ten_is_found_and_chance_is_left_alone() {
        let mut random = Random::new(23);
        let (mut found, mut chance) = (0, 0);
        for time in 0..1000 {
            let mut values: Vec<f64> = (0..10).map(|_| 0.03 * random.normal()).collect();
            chance += u32::from(find(&from_mean(&values), 1, 0.0).is_some());
            values[time % 10] += 0.4;
            found += u32::from(find(&from_mean(&values), 1, 0.1) == Some(time % 10));
        }
        assert!(found >= 990, "{found} of 1000");
        assert!(chance <= 20, "{chance} of 1000 at 1 %");
    }

    #[test]
    fn two_that_depart_are_how_much_runs_differ() {
        let values = [0.0, 0.01, -0.01, 0.02, 0.0, 0.01, -0.02, 0.0, 0.5, 0.5];
        assert_eq!(find(&from_mean(&values), 1, 0.1), None);
        assert_eq!((most(9), most(10), most(16), most(20)), (0, 1, 1, 2));
    }

    #[test]
    fn runs_that_are_equal_but_for_a_trifle_are_all_kept() {
        let mut values = [1.0; 10];
        values[3] = 1.005;
        assert_eq!(find(&from_mean(&values), 1, 0.1), None);
        values[3] = 1.4;
        assert_eq!(find(&from_mean(&values), 1, 0.1), Some(3));
        assert_eq!(find(&from_mean(&values[..2]), 1, 0.1), None);
    }
}
