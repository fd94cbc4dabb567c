//! What a limit at the door fixes: how many requests are in work, or how many are admitted per
//! second.
//!
//! As long as a request takes the same time, the two cannot be told apart: a limit of 8 at a time and
//! one of 200 per second look the same where a request takes 40 ms. Where that time differs from stage
//! to stage, one of them stays the same and the other does not.

use crate::diagnose::terms::bounds;
use crate::diagnose::terms::operand::Operand;
use crate::diagnose::terms::span::Span;
use crate::diagnose::terms::stats;
use crate::timeline::{Window, names};

use super::facts::{Facts, Narrow};

/// One of them is fixed if its spread between the stages is smaller by at least this share: a stage
/// of a few seconds counts to within a few percent.
const APART: f64 = 0.1;

/// The spreads of `count` and of `rate` between the stages in which requests fail. `None` where the
/// two differ too little to tell which of them is fixed.
pub(super) fn fixed(
    facts: &Facts,
    count: &Operand,
    rate: &Operand,
    narrow: &[Narrow],
) -> Option<(f64, f64)> {
    let levels: Vec<(f64, f64)> = facts
        .windows(Span::Knee)
        .iter()
        .filter(|window| is_limited(facts, window))
        .filter_map(|window| {
            let window = std::slice::from_ref(window);
            Some((facts.level(count, window, narrow)?, facts.level(rate, window, narrow)?))
        })
        .collect();
    if levels.len() < 2 {
        return None;
    }
    let (counts, rates): (Vec<f64>, Vec<f64>) = levels.into_iter().unzip();
    let (of_count, of_rate) = (stats::relative_spread(&counts)?, stats::relative_spread(&rates)?);
    ((of_rate - of_count).abs() >= APART).then_some((of_count, of_rate))
}

/// Whether enough requests fail in a stage for the limit to be reached.
fn is_limited(facts: &Facts, window: &Window) -> bool {
    let failed = facts.metric(&names::LOAD_ERRORS, std::slice::from_ref(window));
    failed.is_some_and(|share| share >= bounds::SOME_FAIL.value)
}
