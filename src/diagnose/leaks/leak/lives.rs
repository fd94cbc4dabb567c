//! Many short lives of a process as one series. A leak that kills a process every minute leaves no
//! life that is long enough to be judged by itself, but the same growth in many lives in a row is
//! strong evidence.

use crate::diagnose::terms::stats;

use super::prepare::Track;

/// Fewest whole lives that are laid over each other: growth by chance in all of so many has a
/// probability of one in 32.
const LIVES: usize = 5;
/// Fewest seconds and readings of one of them.
const SECONDS: f64 = 5.0;
const READINGS: usize = 4;
/// Fewest readings of all of them.
const ALL_READINGS: usize = 40;
/// Share of the usual length that a life must have to be whole.
const WHOLE: f64 = 0.75;

/// How many lives were laid over each other, the readings of all of them by the time since their
/// start, and that start; on the clock of the last of them. `None` where there are not enough.
///
/// Only lives whose start was seen count, and each only up to the length of the shortest: otherwise
/// some lives would have more weight at the end than at the start.
pub fn overlay(lives: &[Track]) -> Option<(usize, Track, f64)> {
    let begun: Vec<&Track> = lives.iter().skip(1).filter(|life| life.len() >= READINGS).collect();
    let lengths: Vec<f64> = begun.iter().map(|life| life.seconds()).collect();
    let usual = stats::median(&lengths)?;
    let whole: Vec<&Track> =
        begun.into_iter().filter(|life| life.seconds() >= WHOLE * usual).collect();
    let shortest = whole.iter().map(|life| life.seconds()).reduce(f64::min)?;
    let origin = whole.last()?.at[0];
    let mut readings: Vec<(f64, f64)> = whole
        .iter()
        .flat_map(|life| {
            life.at.iter().zip(&life.value).map(|(at, value)| (at - life.at[0], *value))
        })
        .filter(|(since, _)| *since <= shortest)
        .collect();
    if whole.len() < LIVES || shortest < SECONDS || readings.len() < ALL_READINGS {
        return None;
    }
    readings.sort_by(|a, b| a.0.total_cmp(&b.0));
    let (since, value): (Vec<f64>, Vec<f64>) = readings.into_iter().unzip();
    let at = since.into_iter().map(|since| origin + since).collect();
    Some((whole.len(), Track { at, value }, origin))
}
