//! Searches on servers whose capacity is known.

use super::super::pilot_for;
use super::super::simulated::Server;
use super::*;
use crate::diagnose::Knee;
use crate::diagnose::simulated::queue::{Simulation, System};
use crate::diagnose::stats::Random;
use crate::plan::{Executor, Limits};

/// Limits that no search of these tests comes near.
const LONGEST: Duration = Duration::from_secs(3600);

fn breakpoint(max_rate: f64) -> Breakpoint {
    Breakpoint {
        start_rate: 20.0,
        max_rate,
        factor: 1.5,
        hold: Duration::from_secs(5),
        recovery: Duration::from_secs(3),
        probe: true,
    }
}

fn search(capacity: f64, max_rate: f64) -> (Vec<Stage>, StopReason) {
    let search = Executor::Breakpoint(breakpoint(max_rate));
    let mut pilot = pilot_for(&search, &Limits::usual()).unwrap();
    let mut server = Server::new(capacity);
    for _ in 0..100 {
        match pilot.next(&server.timeline, &PlanSummary::default()) {
            Decision::Hold(level) => server.hold(level),
            Decision::Done(reason) => return (server.timeline.stages, reason),
        }
    }
    panic!("the search does not end: {:?}", server.timeline.stages);
}

#[test]
fn a_knee_is_looked_at_from_both_sides() {
    let (stages, reason) = search(200.0, 2000.0);
    assert_eq!(reason, StopReason::KneeFound);
    let around = |role| stages.iter().filter(move |stage| stage.role == role).map(Stage::rate);
    let below = around(StageRole::Refine).filter(|rate| *rate <= 200.0).count();
    let above =
        stages.iter().filter(|stage| stage.role.is_measured() && stage.rate() > 200.0).count();
    assert!(below >= 2 && above >= 3, "{stages:?}");
    assert_eq!(around(StageRole::Drain).count(), 1);
    assert_eq!(stages.last().map(|stage| stage.role), Some(StageRole::Recovery));
    assert!(stages.iter().all(|stage| stage.rate() < 500.0), "{stages:?}");
}

#[test]
fn a_knee_that_shows_only_at_the_top_is_looked_at_from_beyond() {
    let mut pilot = BreakpointPilot::new(breakpoint(2000.0), 10_000.0, LONGEST);
    let plan = PlanSummary::default();
    let mut server = Server::new(190.0);
    let reason = loop {
        match pilot.next(&server.timeline, &plan) {
            Decision::Hold(level) => {
                // For one stage it is slow, below what it carries else.
                let is_slow = level.role == StageRole::Ramp && level.rate_from > 150.0;
                server.capacity = if is_slow { 140.0 } else { 190.0 };
                server.hold(level);
            }
            Decision::Done(reason) => break reason,
        }
        assert!(server.timeline.stages.len() < 40, "it does not end");
    };
    assert_eq!(reason, StopReason::KneeFound);
    assert!(pilot.further < FURTHER, "{:?}", server.timeline.stages);
    let summaries = summarize_timeline(&server.timeline, &plan);
    let knee = knee::find(&summaries, &server.timeline);
    let KneeVerdict::Found(knee) = &knee else { panic!("{knee:?}") };
    assert!((180.0..200.0).contains(&knee.rate), "{knee:?}");
}

#[test]
fn without_a_knee_the_rise_ends_at_the_highest_rate() {
    let (stages, reason) = search(10_000.0, 300.0);
    assert_eq!(reason, StopReason::MaxRate);
    let highest = stages.iter().map(Stage::rate).fold(0.0, f64::max);
    assert!((highest - 300.0).abs() < 1e-9, "{stages:?}");
    assert!(stages.iter().all(|stage| stage.role != StageRole::Refine));
}

#[test]
fn a_system_that_is_slow_from_the_first_stage_is_looked_at_below_it() {
    let (stages, reason) = search(8.0, 300.0);
    assert_eq!(reason, StopReason::KneeFound);
    assert!(stages.iter().any(|stage| stage.role == StageRole::Refine && stage.rate() < 8.0));
}

#[test]
fn a_system_that_recovers_only_at_little_load_is_given_little_before_it_is_measured_again() {
    let mut pilot = BreakpointPilot::new(breakpoint(2000.0), 10_000.0, LONGEST);
    let plan = PlanSummary::default();
    let mut server = Server::new(110.0);
    server.recovers_at = 10.0;
    while let Decision::Hold(level) = pilot.next(&server.timeline, &plan) {
        server.hold(level);
    }
    let found = knee::find(&summarize_timeline(&server.timeline, &plan), &server.timeline);
    let KneeVerdict::Found(knee) = found else { panic!("{found:?}") };
    assert!(knee.low < 110.0 && knee.high > 110.0, "{knee:?}");
    assert!(knee.high - knee.low <= SHARP * knee.rate, "{knee:?}");
}

#[test]
fn a_system_that_never_recovers_is_not_waited_for_without_end() {
    let mut pilot = BreakpointPilot::new(breakpoint(2000.0), 10_000.0, LONGEST);
    let plan = PlanSummary::default();
    let mut server = Server::new(110.0);
    server.recovers_at = 0.0;
    while let Decision::Hold(level) = pilot.next(&server.timeline, &plan) {
        server.hold(level);
        assert!(server.timeline.stages.len() < 60, "it does not end");
    }
    let drains = server.timeline.stages.iter().filter(|it| it.role == StageRole::Drain);
    assert!(drains.count() <= (1 + QUIETER as usize) * DESCENTS as usize);
}

/// The knee that a search finds on `system`, and how many seconds it takes.
fn searched(system: &System, seed: u64) -> (Option<Knee>, f64) {
    let plan = PlanSummary::default();
    let capacity = system.capacity.min(system.limit).min(system.failing.0);
    let search = Executor::Breakpoint(breakpoint(10.0 * capacity));
    let limits = Limits { max_rate: 1e6, ..Limits::usual() };
    let mut pilot = pilot_for(&search, &limits).unwrap();
    let mut run = Simulation::new(system, seed);
    while let Decision::Hold(level) = pilot.next(&run.timeline, &plan) {
        let seconds = level.duration.as_secs();
        match level.role {
            StageRole::Drain => run.drain(level.rate_from, seconds),
            role => run.hold(role, level.rate_from, seconds),
        }
        assert!(run.timeline.stages.len() < 60, "it does not end");
    }
    let found = knee::find(&summarize_timeline(&run.timeline, &plan), &run.timeline);
    let knee = if let KneeVerdict::Found(knee) = found { Some(knee) } else { None };
    (knee, run.timeline.end().secs())
}

/// Systems that bend at 100 requests per second, or from the given share of that on.
fn systems() -> [(&'static str, System, f64); 10] {
    let plain = System::new(100.0, 4);
    let wide = System::new(1000.0, 4);
    [
        ("plain", plain.clone(), 1.0),
        ("noisy", System { noise: 0.03, ..plain.clone() }, 1.0),
        ("one server", System { noise: 0.02, ..System::new(100.0, 1) }, 1.0),
        ("many servers", System::new(100.0, 64), 1.0),
        ("random", System { poisson: true, ..plain.clone() }, 1.0),
        ("retrograde", System { collapse: 0.3, ..plain.clone() }, 1.0),
        ("soft", System { second: 0.4, ..plain.clone() }, 1.0),
        // Fresh it carries 100, and a quarter less for a while after an overload.
        ("tired", System { tired: (0.25, 15.0), ..plain }, 0.75),
        ("limited", System { limit: 100.0, ..wide.clone() }, 1.0),
        ("failing", System { failing: (100.0, 0.08), ..wide }, 1.0),
    ]
}

/// Searches of each system, with a capacity between 25 and 600 requests per second.
const SEARCHES: u64 = 8;

#[test]
fn searches_enclose_the_knee_and_take_no_longer_than_they_must() {
    let (mut all, mut sharp, mut right, mut seconds) = (0, 0, 0, 0.0);
    let mut table = Vec::new();
    for (name, system, least) in systems() {
        let mut random = Random::new(7);
        for seed in 0..SEARCHES {
            let times = 0.25 * 24.0_f64.powf(random.uniform());
            let mut system = System { capacity: times * system.capacity, ..system.clone() };
            system.limit *= times;
            system.failing.0 *= times;
            let (knee, took) = searched(&system, seed);
            all += 1;
            seconds += took;
            let Some(knee) = knee else {
                table.push(format!("{name}: none"));
                continue;
            };
            let width = (knee.high - knee.low) / knee.rate;
            sharp += u32::from(width <= SHARP);
            // Stages of a few seconds scatter by 3 %.
            let is_right = knee.low <= 103.0 * times && knee.high >= 97.0 * times * least;
            right += u32::from(is_right);
            assert!(knee.low < knee.rate && knee.rate < knee.high, "{name}: {knee:?}");
            if width > SHARP || !is_right {
                let (low, high) = (knee.low / times, knee.high / times);
                table.push(format!("{name}: {low:.0} to {high:.0} of 100 in {took:.0} s"));
            }
        }
    }
    let table = table.join("\n");
    let share = |count: u32| f64::from(count) / f64::from(all);
    assert!(share(sharp) >= 0.95, "{} within 8 %\n{table}", share(sharp));
    assert!(share(right) >= 0.9, "{} hold the capacity\n{table}", share(right));
    assert!(seconds / f64::from(all) < 100.0, "{seconds}");
}

#[test]
fn a_search_keeps_to_the_time_of_its_run() {
    // Time for the rise, the first descent and what lies beyond it, and for nothing more.
    let longest = Duration::from_secs(85);
    let plan = PlanSummary::default();
    let mut pilot = BreakpointPilot::new(breakpoint(2000.0), 10_000.0, longest);
    let mut run = Simulation::new(&System { poisson: true, ..System::new(90.0, 64) }, 3);
    while let Decision::Hold(level) = pilot.next(&run.timeline, &plan) {
        match level.role {
            StageRole::Drain => run.drain(level.rate_from, level.duration.as_secs()),
            role => run.hold(role, level.rate_from, level.duration.as_secs()),
        }
    }
    let drains = run.timeline.stages.iter().filter(|stage| stage.role == StageRole::Drain).count();
    assert_eq!(drains, 1, "{:?}", run.timeline.stages);
}
