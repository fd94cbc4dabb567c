//! Which changes a number of runs shows.

use super::estimate::TAIL;
use super::student;

/// The normal quantile of a power of 80 %.
const POWER: f64 = 0.84;

/// The smallest change that so many runs of each build call worse 8 times in 10, as a share, where
/// runs of one build differ by `sigma` in logs and a rise by `budget` is allowed: the difference
/// that a two-sided t test at 5 % detects (Cohen 1988, "Statistical Power Analysis", 2.4), on top of
/// what is allowed. `None` with fewer than two runs.
pub fn visible_change(sigma: f64, runs: usize, budget: f64) -> Option<f64> {
    let n = runs as f64;
    let reach = student::quantile(TAIL, 2.0 * (n - 1.0)) + POWER;
    (runs >= 2).then(|| (budget.ln_1p() + reach * sigma * (2.0 / n).sqrt()).exp_m1())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_runs_show_smaller_changes_down_to_what_is_allowed() {
        let visible = |runs| visible_change(0.03, runs, 0.1).unwrap();
        // ln 1.1 + (2.306 + 0.84) * 0.03 * sqrt(2 / 5) = 0.155.
        assert!((visible(5) - 0.1676).abs() < 0.001, "{}", visible(5));
        assert!(visible(20) < visible(5) && visible(20) > 0.1);
        assert_eq!(visible_change(0.03, 1, 0.1), None);
    }
}
