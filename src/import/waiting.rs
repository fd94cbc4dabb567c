//! Who decides when a request is sent: a schedule (open loop), or the answer to the one before
//! (closed loop). Files of many tools do not say.
//!
//! In a closed loop, N = X (R + Z): the users N and their think time Z are given, so the rate X is
//! what the response times R leave of it (the response time law of interactive systems: Denning &
//! Buzen 1978). In an open loop the rate is given, and the requests in flight X R are the outcome
//! (Little 1961). What hardly changes while the other does is what was given.

use crate::timeline::{LoadTick, Stage};

/// Share of the users that are in flight from which on all of them always are: the rest is the time
/// that the tool takes for each request.
const ALL: f64 = 0.8;
/// Share of the time in which that must be so.
const MOSTLY: f64 = 0.8;
/// What was given scatters at most this much as the outcome does.
const GIVEN: f64 = 0.5;
/// Largest relative change from second to second of what was given.
const STEADY: f64 = 0.1;
/// Fewest seconds between the first and the last that show what changes.
const SECONDS: usize = 5;
/// Part of a request in flight that is chance and not another user.
const CHANCE: f64 = 0.3;

/// Who decides when a request is sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum LoadModel {
    /// The files do not say.
    #[default]
    Unknown,
    /// Nobody says, and the users are connections, which a schedule has too.
    Connections,
    /// A schedule, whatever the number of users.
    Open,
    /// The answer to the request before, unless a schedule is plain to see.
    Closed,
}

/// Whether users that wait for their answers make this load, rather than a schedule: `spans` are
/// its levels of rates.
pub(super) fn is_closed(ticks: &[LoadTick], users: &[f64], spans: &[Stage]) -> bool {
    let (mut time, mut waiting) = (0.0, 0.0);
    let (mut cycles, mut thinks) = (Extent::default(), Extent::default());
    for span in spans {
        let seconds = span.window.begin.secs() as usize..span.window.end.secs() as usize;
        let (Some(held), Some(users)) = (ticks.get(seconds.clone()), users.get(seconds)) else {
            continue;
        };
        let count = held.len().max(1) as f64;
        let users = users.iter().sum::<f64>() / count;
        let in_flight = held.iter().map(|tick| tick.in_flight).sum::<f64>() / count;
        let rate = held.iter().map(|tick| tick.offered).sum::<u64>() as f64 / count;
        if rate == 0.0 || users == 0.0 {
            continue;
        }
        time += count;
        waiting += if in_flight >= ALL * users { count } else { 0.0 };
        cycles.add(users / rate);
        thinks.add((users - in_flight).max(0.0) / rate);
    }
    time > 0.0 && (waiting >= MOSTLY * time || thinks.length() < GIVEN * cycles.length())
}

/// The users in each second, where nobody counted them and the requests in flight show that they
/// wait for their answers.
pub(super) fn users(ticks: &[LoadTick], model: LoadModel) -> Option<Vec<f64>> {
    let sending = ticks.iter().rposition(|tick| tick.offered > 0)? + 1;
    // The first and the last second are rarely complete.
    let inner = if sending > 2 { 1..sending - 1 } else { 0..sending };
    let first = inner.start;
    let inner = ticks.get(inner)?;
    let in_flight: Vec<f64> = inner.iter().map(|tick| tick.in_flight).collect();
    let rates: Vec<f64> = inner.iter().map(|tick| tick.offered as f64).collect();
    let is_closed = match model {
        LoadModel::Open => false,
        LoadModel::Closed => !is_given(&rates, &in_flight),
        LoadModel::Unknown | LoadModel::Connections => is_given(&in_flight, &rates),
    };
    if !is_closed {
        return None;
    }
    let level = |second: usize| {
        let near = &in_flight[second.saturating_sub(1)..in_flight.len().min(second + 2)];
        (median(near.to_vec()) - CHANCE).ceil().max(1.0)
    };
    let last = in_flight.len().checked_sub(1);
    let places = (0..ticks.len()).map(|second| second.saturating_sub(first));
    Some(places.map(|place| last.map_or(1.0, |last| level(place.min(last)))).collect())
}

/// Whether `cause` hardly changes from second to second while `outcome` does.
fn is_given(cause: &[f64], outcome: &[f64]) -> bool {
    if cause.len() < SECONDS {
        return false;
    }
    let (cause, outcome) = (change(cause), change(outcome));
    cause < STEADY && cause < GIVEN * outcome
}

/// The usual change from one second to the next, relative to the values. The median does not see
/// the few at which a level ends.
fn change(values: &[f64]) -> f64 {
    let of_pair = |pair: &[f64]| {
        let sum = pair.iter().sum::<f64>();
        if sum > 0.0 { 2.0 * (pair[0] - pair[1]).abs() / sum } else { 0.0 }
    };
    median(values.windows(2).map(of_pair).collect())
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(0.0)
}

/// From the smallest to the largest value.
#[derive(Clone, Copy, Debug, Default)]
struct Extent(Option<(f64, f64)>);

impl Extent {
    fn add(&mut self, value: f64) {
        let (low, high) = self.0.unwrap_or((value, value));
        self.0 = Some((low.min(value), high.max(value)));
    }

    fn length(self) -> f64 {
        self.0.map_or(0.0, |(low, high)| high - low)
    }
}

#[cfg(test)]
mod tests {
    use super::super::stages::{span, stages};
    use super::*;

    /// Seconds with so many requests, of so many seconds each.
    fn ticks(seconds: &[(f64, f64)]) -> Vec<LoadTick> {
        let tick = |(second, (rate, response)): (usize, &(f64, f64))| {
            let window = span(second, second + 1);
            let (count, in_flight) = (rate.round() as u64, rate * response);
            LoadTick { offered: count, sent: count, in_flight, ..LoadTick::empty(window, "it") }
        };
        seconds.iter().enumerate().map(tick).collect()
    }

    /// Response times that change by a half, as those of a service whose machine is shared.
    fn uneven(seconds: usize) -> impl Iterator<Item = f64> {
        (0..seconds).map(|second| 0.02 * (1.0 + 0.5 * ((second * 7 % 10) as f64 / 10.0)))
    }

    #[test]
    fn users_whose_answers_become_slower_are_not_a_schedule() {
        for think in [0.0, 0.1] {
            // 4 users; twice as slow after half of the time.
            let response = |second: usize| if second < 10 { 0.02 } else { 0.1 };
            let seconds: Vec<_> = (0..20)
                .map(|second| (4.0 / (response(second) + think), response(second)))
                .collect();
            let found = stages(&ticks(&seconds), Some(&[4.0; 20]), LoadModel::Unknown, 0);
            assert!(found.len() == 1 && found[0].is_closed(), "{think}: {found:?}");
        }
    }

    #[test]
    fn a_schedule_with_as_many_users_throughout_stays_one() {
        let seconds: Vec<_> =
            (0..40).map(|second| (10.0 * f64::from(1 + second / 8), 0.02)).collect();
        let found = stages(&ticks(&seconds), Some(&[50.0; 40]), LoadModel::Unknown, 0);
        assert!(found.len() == 5 && found.iter().all(|stage| !stage.is_closed()), "{found:?}");
    }

    #[test]
    fn requests_in_flight_that_never_change_are_users() {
        let closed: Vec<_> = uneven(20).map(|response| (4.0 / response, response)).collect();
        let open: Vec<_> = uneven(20).map(|response| (100.0, response)).collect();
        let even = [(100.0, 0.04); 20];
        for model in [LoadModel::Unknown, LoadModel::Closed] {
            assert_eq!(users(&ticks(&closed), model), Some(vec![4.0; 20]), "{model:?}");
            assert_eq!(users(&ticks(&open), model), None, "{model:?}");
        }
        assert_eq!(users(&ticks(&even), LoadModel::Unknown), None);
        assert_eq!(users(&ticks(&even), LoadModel::Closed), Some(vec![4.0; 20]));
        assert_eq!(users(&ticks(&closed), LoadModel::Open), None);
    }

    #[test]
    fn levels_of_connections_are_levels_of_users() {
        let level = |users: f64| uneven(10).map(move |response| (users / response, response));
        let seconds: Vec<_> = [1.0, 2.0, 8.0].into_iter().flat_map(level).collect();
        let ticks = ticks(&seconds);
        let users = users(&ticks, LoadModel::Unknown).unwrap();
        let found = stages(&ticks, Some(&users), LoadModel::Connections, 0);
        let levels: Vec<f64> = found.iter().map(Stage::vus).collect();
        assert_eq!(levels, [1.0, 2.0, 8.0]);
    }

    #[test]
    fn a_poisson_load_is_not_taken_for_users() {
        // Counts scatter as their square root, and so do the requests in flight, which are fewer.
        let mut state = 7_u64;
        let mut chance = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            ((state >> 33) as f64 / f64::from(1_u32 << 31)).max(1e-9)
        };
        for _ in 0..50 {
            let mut seconds = vec![(0.0, 0.0); 30];
            let mut at = 0.0;
            while at < 30.0 {
                let took = -0.05 * chance().ln();
                let second: &mut (f64, f64) = &mut seconds[at as usize];
                *second = (second.0 + 1.0, second.1 + took);
                at -= chance().ln() / 60.0;
            }
            let seconds: Vec<_> =
                seconds.iter().map(|(count, took)| (*count, took / count.max(1.0))).collect();
            assert_eq!(users(&ticks(&seconds), LoadModel::Unknown), None);
        }
    }
}
