//! What the bursts after a run tell of a limit at the door.
//!
//! A limit on requests at a time lets in as many requests of a burst as were in work under load, and
//! nobody else until one of them is done. A rate limit lets in what its bucket holds: all of a burst,
//! or hardly any of it.

use crate::diagnose::terms::operand::Operand;
use crate::diagnose::terms::span::Span;
use crate::diagnose::terms::stats;
use crate::timeline::{Moment, Stage, StageRole};

use super::facts::Facts;

/// A limit on requests at a time lets in this many times what was in work under load: a burst is not
/// quite at once, and under load a place is free for a moment.
const SAME: std::ops::RangeInclusive<f64> = 0.7..=1.3;
/// A rate limit lets through more than this, or less than that. A limit on requests at a time is nearly
/// full under load; one in each of a few processes, between which the load is uneven, for three quarters.
const THROUGH: f64 = 1.6;
const HARDLY: f64 = 0.5;
/// Of two bursts half a request apart a limit on requests at a time lets in as many as of one.
const SAME_TWICE: f64 = 1.25;
/// Fewer than this at a time are what the smallest buckets hold as well.
const FEW: f64 = 2.5;

/// How many requests of a burst were admitted, and how many were in work under load. `None` where no
/// burst was sent, or where they do not tell what is limited.
pub(super) fn burst(facts: &Facts, in_work: &Operand) -> Option<(f64, f64)> {
    let levels = facts.windows(Span::Knee);
    let level = |window| facts.level(in_work, std::slice::from_ref(window), &[]);
    let in_work = levels.iter().filter_map(level).reduce(f64::max).filter(|most| *most > 0.0)?;
    let (single, double) = admitted(facts);
    let one = stats::mean(&single)?;
    let times = one / in_work;
    let is_rate = !(HARDLY..=THROUGH).contains(&times);
    let is_count = SAME.contains(&times)
        && in_work >= FEW
        && double.iter().all(|two| *two <= SAME_TWICE * one)
        && !double.is_empty();
    (is_rate || is_count).then_some((one, in_work))
}

/// Successes of each single burst, and of each pair of bursts.
fn admitted(facts: &Facts) -> (Vec<f64>, Vec<f64>) {
    let probes: Vec<&Stage> =
        facts.stages().iter().filter(|stage| stage.role == StageRole::Probe).collect();
    let longest = probes.iter().map(|stage| stage.window.secs()).fold(0.0, f64::max);
    // A short one is the first of a pair.
    let is_short = |stage: &Stage| stage.window.secs() < longest / 2.0;
    let (mut single, mut double) = (Vec::new(), Vec::new());
    let mut pair: Option<Moment> = None;
    for (index, stage) in probes.iter().enumerate() {
        if is_short(stage) {
            pair.get_or_insert(stage.window.begin);
            continue;
        }
        let begin = pair.unwrap_or(stage.window.begin);
        let end = probes.get(index + 1).map(|next| next.window.begin);
        // A tick belongs to the burst that began last before its end.
        let within = facts
            .all_ticks()
            .iter()
            .filter(|tick| tick.window.end > begin && end.is_none_or(|end| tick.window.end <= end));
        let count = within.map(|tick| tick.succeeded()).sum::<u64>() as f64;
        match pair.take() {
            Some(_) => double.push(count),
            None => single.push(count),
        }
    }
    (single, double)
}
