//! Finds the stages of a load that another tool made: they are not in its results.

use std::collections::{BTreeMap, BTreeSet};

use super::waiting::{self, LoadModel};
use crate::timeline::{LoadTick, Moment, Stage, StageRole, Window};

/// Shortest stage in seconds, and most stages of a run.
const SHORTEST_STAGE: usize = 4;
const MOST_STAGES: usize = 40;
/// Loads that differ by at most this share are one stage.
const SAME_LOAD: f64 = 0.05;
/// Where the number of users stays the same while the highest rate of a stage is this many times
/// the lowest, the tool sends at a rate: its users are only those who wait to send. Unless they wait
/// for answers, and the response times explain the rates.
const OTHER_LOAD: f64 = 1.5;

/// Seconds of a run, counted from its begin, as a window.
pub(super) fn span(from: usize, to: usize) -> Window {
    let at = |second: usize| Moment::from_secs_f64(second as f64);
    Window::new(at(from), at(to))
}

/// Users of all files in each second; none where no file knows any. Users of files that cover the
/// same time run beside each other.
pub(super) fn users(files: &[BTreeMap<i64, f64>], begin: i64, count: usize) -> Option<Vec<f64>> {
    let ends =
        |file: &BTreeMap<i64, f64>| Some((*file.first_key_value()?.0, *file.last_key_value()?.0));
    let files: Vec<_> = files.iter().filter_map(|file| Some((file, ends(file)?))).collect();
    let first = files.iter().min_by_key(|(_, (first, _))| *first)?;
    // Before the first count, as many as then: users are counted when a request ends.
    let mut known = first.0.values().next().copied().unwrap_or(0.0);
    let users: Vec<f64> = (begin..)
        .take(count)
        .map(|second| {
            let running = files.iter().filter(|(_, (from, to))| (*from..=*to).contains(&second));
            let last = running.filter_map(|(file, _)| file.range(..=second).next_back());
            known = last.map(|(_, users)| *users).reduce(|sum, more| sum + more).unwrap_or(known);
            known
        })
        .collect();
    users.iter().any(|users| *users > 0.0).then_some(users)
}

/// The stages: levels of users where those are known and make the load, else of rates. What a tool
/// counts by intervals of `grain` seconds is spread over them, so that no stage may end in one.
pub(super) fn stages(
    ticks: &[LoadTick],
    users: Option<&[f64]>,
    model: LoadModel,
    grain: usize,
) -> Vec<Stage> {
    // The last second is rarely complete, unless it is one of an interval, and after the last send
    // there is no load.
    let last = ticks.iter().rposition(|tick| tick.offered > 0).unwrap_or(0);
    let sending = if grain > 0 { last + 1 } else { last.max(1) };
    let length = SHORTEST_STAGE.max(sending.div_ceil(MOST_STAGES));
    let length = length.next_multiple_of(grain.max(1));
    let by_rate = of_rates(ticks, sending, length);
    let Some(users) = users else { return by_rate };
    let by_users = of_users(users, sending, length);
    let rates = by_rate.iter().map(Stage::rate);
    let highest = rates.clone().fold(0.0, f64::max);
    let lowest = rates.fold(f64::INFINITY, f64::min);
    let are_even = highest < OTHER_LOAD * lowest;
    let by_number = match model {
        // A schedule has more connections where it has more requests in progress.
        LoadModel::Connections => are_even && are_one_level(&by_users),
        _ => are_even || by_users.len() > 1,
    };
    let spans = if by_users.len() > by_rate.len() { &by_users } else { &by_rate };
    let users_make_the_load = by_number || waiting::is_closed(ticks, users, spans);
    if users_make_the_load && !by_users.is_empty() { by_users } else { by_rate }
}

/// Whether the numbers of users of all stages are about the same.
fn are_one_level(stages: &[Stage]) -> bool {
    let users = || stages.iter().map(Stage::vus);
    users().fold(0.0, f64::max) < OTHER_LOAD * users().fold(f64::INFINITY, f64::min)
}

/// Spans in which the number of users hardly changed, or climbs that were too short for a stage at
/// each number.
fn of_users(users: &[f64], sending: usize, length: usize) -> Vec<Stage> {
    let users = &users[..sending.min(users.len())];
    let mut spans: Vec<(usize, usize)> = Vec::new();
    let mut begin = 0;
    for second in 1..users.len() {
        let mean = mean(&users[begin..second]);
        let is_other = (users[second] - mean).abs() > SAME_LOAD * mean;
        if is_other && second - begin >= length {
            spans.push((begin, second));
            begin = second;
        }
    }
    // A rest that is shorter than a stage is its users' going, and not a load that was held.
    if users.len() - begin >= length || spans.is_empty() {
        spans.push((begin, users.len()));
    }
    let stage = |(from, to): (usize, usize)| {
        let vus = mean(&users[from..to]);
        let stage = Stage::constant(StageRole::Ramp, span(from, to), 0.0);
        Stage { vus_from: vus, vus_to: vus, ..stage }
    };
    spans.into_iter().map(stage).filter(|stage| stage.vus() > 0.0).collect()
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len().max(1) as f64
}

/// Spans in which the rate hardly changed.
fn of_rates(ticks: &[LoadTick], sending: usize, length: usize) -> Vec<Stage> {
    let rate = |from: usize, to: usize| {
        let offered: u64 = ticks[from..to].iter().map(|tick| tick.offered).sum();
        offered as f64 / (to - from) as f64
    };
    let mut begins: BTreeSet<usize> = (0..sending).step_by(length).collect();
    // A rest that is shorter than a stage belongs to the stage before it.
    begins.retain(|begin| *begin == 0 || sending - begin >= length);
    let mut spans: Vec<(usize, usize)> = Vec::new();
    let ends = begins.iter().skip(1).copied().chain([sending]);
    for (from, to) in begins.iter().copied().zip(ends) {
        match spans.last_mut() {
            Some(last)
                if (rate(last.0, last.1) - rate(from, to)).abs()
                    <= SAME_LOAD * rate(last.0, last.1) =>
            {
                last.1 = to;
            }
            _ => spans.push((from, to)),
        }
    }
    let stage = |(from, to): (usize, usize)| {
        Stage::constant(StageRole::Ramp, span(from, to), rate(from, to))
    };
    spans.into_iter().map(stage).collect()
}
