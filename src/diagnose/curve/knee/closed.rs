//! The knee of a closed system, whose users wait for their answers: the load at which its two
//! asymptotes cross, N* = X_max (R₀ + Z) (Denning & Buzen 1978, section 8).
//!
//! Throughput cannot fall behind such a load and bends slowly, so two lines that are fitted to the
//! bend itself meet too low. The level part is measured where the system is full.

use crate::diagnose::curve::users::UNLOADED;
use crate::diagnose::terms::wording;

use super::place::Placed;
use super::signs::{CurvePoint, Z};

/// Multiple of the saturation point from which on throughput is that of a full system. With half of
/// a second between two requests and four servers (M/M/4), it is 99.5 % of it there.
const DEEP: f64 = 1.3;
/// Share of the best goodput below which a level is one of a collapse.
const HELD: f64 = 0.93;
/// Share by which the throughput of a full system may exceed the best that was seen, where no level
/// lies deep in the saturation: with one server, N* of 50 and exponential times, a tenth is missing
/// at N* itself.
const UNSEEN: f64 = 0.12;
/// Ratio of the most to the fewest users from which on throughput shows whether it follows them.
const APART: f64 = 1.5;
/// Rounds in which the saturation point and the levels beyond it agree.
const ROUNDS: usize = 8;

/// Whether all loads are numbers of users.
pub fn is_closed(points: &[CurvePoint]) -> bool {
    points.iter().all(|point| point.users.is_some())
}

/// Why a closed load shows no bend and no lack of one: throughput is what its users were answered,
/// so only levels that differ tell whether it follows them. `None` where they do.
pub fn too_few_levels(points: &[CurvePoint]) -> Option<String> {
    if !is_closed(points) {
        return None;
    }
    let users = || points.iter().filter_map(|point| point.users);
    let (fewest, most) = (users().fold(f64::INFINITY, f64::min), users().fold(0.0, f64::max));
    if most >= APART * fewest {
        return None;
    }
    let held = match wording::number(fewest) == wording::number(most) {
        true => format!("the run had {} users throughout", wording::number(most)),
        false => format!("{} to {} users", wording::number(fewest), wording::number(most)),
    };
    Some(format!(
        "levels of users that differ: {held}, who wait for their answers, so that throughput is what \
         the target allows and cannot fall behind; step the number of users up, such as {}",
        steps(most)
    ))
}

/// Levels from few users to beyond those that were there.
fn steps(most: f64) -> String {
    let levels = [0.1, 0.25, 0.5, 1.0, 2.0].map(|share| (share * most).round().max(1.0));
    let mut levels = levels.map(wording::number).to_vec();
    levels.dedup();
    levels.join(", ")
}

/// Where the asymptotes cross; `points` are in order of load.
pub fn crossing(points: &[CurvePoint]) -> Option<Placed> {
    let best = points.iter().map(|point| point.goodput).fold(0.0, f64::max);
    let mut most = best;
    let mut full: Vec<&CurvePoint> = Vec::new();
    for _ in 0..ROUNDS {
        let is_full = |it: &&CurvePoint| it.offered >= DEEP * most && it.goodput >= HELD * best;
        full = points.iter().filter(is_full).collect();
        let seconds: f64 = full.iter().map(|point| point.seconds).sum();
        let answered: f64 = full.iter().map(|point| point.goodput * point.seconds).sum();
        let next = if seconds > 0.0 { answered / seconds } else { best };
        let is_settled = (next - most).abs() < 1e-3 * most;
        most = next;
        if is_settled {
            break;
        }
    }
    let seen = if full.is_empty() { best_of(points)? } else { full };
    let seconds: f64 = seen.iter().map(|point| point.seconds).sum();
    let squares: f64 = seen.iter().map(|point| (point.error * point.seconds).powi(2)).sum();
    let error = squares.sqrt() / seconds / most;
    let half = Z * error.hypot(error_of_cycle(points));
    let is_deep = seen.iter().any(|point| point.offered >= DEEP * most);
    let above = if is_deep { half } else { half.max(UNSEEN) };
    Some(Placed { rate: most, low: most * (1.0 - half).max(0.0), high: most * (1.0 + above) })
}

fn best_of(points: &[CurvePoint]) -> Option<Vec<&CurvePoint>> {
    points.iter().max_by(|a, b| a.goodput.total_cmp(&b.goodput)).map(|best| vec![best])
}

/// Relative standard error of R₀ + Z: of that many response times and think times that scatter as
/// much as they are long (exponential times).
fn error_of_cycle(points: &[CurvePoint]) -> f64 {
    let all: f64 = points.iter().map(|point| point.completed as f64).sum();
    let Some(lowest) = points.iter().find(|point| point.response.is_some()) else { return 0.0 };
    let response = lowest.response.map_or(0.0, |it| it.mean);
    let users = lowest.users.unwrap_or(0.0);
    let cycle = if lowest.offered > 0.0 { users / lowest.offered } else { response };
    let share = (response / cycle.max(f64::MIN_POSITIVE)).min(1.0);
    let unloaded = (lowest.completed as f64).max(UNLOADED.min(all)).max(1.0);
    (share / unloaded.sqrt()).hypot((1.0 - share) / all.max(1.0).sqrt())
}

#[cfg(test)]
mod tests {
    use super::super::{KneeVerdict, find};
    use crate::diagnose::curve::stages::summarize_timeline;
    use crate::diagnose::simulated::closed::ClosedSystem;
    use crate::diagnose::terms::model::{Knee, StageSummary};
    use crate::recording::PlanSummary;

    /// Four servers of 40 ms each, and half a second between two requests.
    const SHOP: ClosedSystem = ClosedSystem { servers: 4, service: 0.04, think: 0.5 };

    fn judged(
        system: ClosedSystem,
        levels: &[usize],
        seed: u64,
    ) -> (Vec<StageSummary>, KneeVerdict) {
        let timeline = system.run(levels, 20, seed);
        let stages = summarize_timeline(&timeline, &PlanSummary::default());
        let verdict = find(&stages, &timeline);
        (stages, verdict)
    }

    /// The interval of the knee in users.
    fn in_users(stages: &[StageSummary], knee: &Knee) -> (f64, f64) {
        let users = |rate: f64| rate * stages[0].vus.unwrap_or(0.0) / stages[0].offered;
        (users(knee.low), users(knee.high))
    }

    /// How many of `seeds` have a knee whose interval holds the throughput of a full system and the
    /// saturation point.
    fn met(system: ClosedSystem, levels: &[usize], seeds: u64) -> u64 {
        let most = system.servers as f64 / system.service;
        let saturation = most * (system.service + system.think);
        let is_met = |seed: &u64| {
            let (stages, verdict) = judged(system, levels, *seed);
            let KneeVerdict::Found(knee) = verdict else { return false };
            let (low, high) = in_users(&stages, &knee);
            (knee.low..=knee.high).contains(&most) && (low..=high).contains(&saturation)
        };
        (0..seeds).filter(is_met).count() as u64
    }

    #[test]
    fn the_interval_holds_the_saturation_point_and_the_highest_throughput() {
        let levels = [1, 25, 50, 75, 100, 150, 200, 300, 400];
        let met = met(SHOP, &levels, 100);
        assert!(met >= 90, "{met} of 100, such as {:?}", judged(SHOP, &levels, 0));
    }

    #[test]
    fn one_server_many_servers_and_no_think_time_have_their_knees() {
        let quick = ClosedSystem { servers: 1, service: 0.01, think: 0.5 };
        let many = ClosedSystem { servers: 32, service: 0.2, think: 2.0 };
        let hasty = ClosedSystem { servers: 8, service: 0.05, think: 0.0 };
        for (system, levels) in [
            (quick, &[5, 15, 25, 35, 45, 55, 65, 75, 100, 150][..]),
            (many, &[10, 60, 110, 160, 220, 280, 350, 420, 500, 600]),
            (hasty, &[1, 2, 3, 4, 6, 8, 10, 12, 16, 24]),
        ] {
            let met = met(system, levels, 40);
            // Two intervals of 95 %, both of which must hold.
            assert!(met >= 34, "{met} of 40 with {} servers", system.servers);
        }
    }

    #[test]
    fn one_level_of_users_says_nothing_of_a_limit() {
        for users in [5, 50, 200] {
            let (_, verdict) = judged(SHOP, &[users, users], 1);
            let KneeVerdict::Inconclusive { missing } = verdict else {
                panic!("{users}: {verdict:?}")
            };
            assert!(missing[0].contains("step the number of users up"), "{missing:?}");
        }
    }

    #[test]
    fn a_load_up_to_half_of_the_saturation_point_has_no_knee() {
        let mut told = 0;
        for seed in 0..100 {
            let (_, verdict) = judged(SHOP, &[1, 5, 9, 13, 17, 21, 25, 27], seed);
            assert!(!matches!(verdict, KneeVerdict::Found(_)), "{seed}: {verdict:?}");
            told += usize::from(matches!(verdict, KneeVerdict::NotReached { .. }));
        }
        assert!(told >= 95, "only {told} of 100 loads are told to be carried");
    }
}
