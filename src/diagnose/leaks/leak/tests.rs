//! What the battery of shapes (`tests/leaks`) does not say: series that are short, empty, constant,
//! or under a load that rises.

use super::*;

const LIMIT: f64 = 4096.0;

/// So many readings, a pace in seconds apart, of a formula of minutes.
fn series(readings: usize, pace: f64, value: impl Fn(f64) -> f64) -> Vec<Point> {
    let at = |index: usize| index as f64 * pace;
    let point =
        |index| Point { at: Moment::from_secs_f64(at(index)), value: value(at(index) / 60.0) };
    (0..readings).map(point).collect()
}

fn is_leak(verdict: &LeakVerdict) -> bool {
    matches!(verdict, LeakVerdict::Leak { .. })
}

#[test]
fn a_short_or_empty_series_is_undecided_with_the_time_that_is_missing() {
    let context = Context { limit: Some(LIMIT), ..Context::default() };
    for (readings, pace) in [(0, 1.0), (1, 1.0), (39, 10.0), (200, 0.1)] {
        let points = series(readings, pace, |t| 100.0 + 10.0 * t);
        match verdict(&points, &context) {
            LeakVerdict::Undecided { more_seconds, .. } => assert!(more_seconds >= 1.0),
            other => panic!("{readings} readings: {other:?}"),
        }
    }
}

#[test]
fn a_constant_series_and_one_with_gaps_are_judged() {
    let context = Context { limit: Some(LIMIT), ..Context::default() };
    let constant = series(300, 1.0, |_| 100.0);
    assert!(matches!(verdict(&constant, &context), LeakVerdict::NoLeak { .. }));
    let mut gaps = series(720, 10.0, |t| 512.0 + 2.0 * t + (t * 17.0).sin());
    gaps.drain(300..360);
    gaps.retain(|point| point.at.nanos() % 7 != 0);
    assert!(is_leak(&verdict(&gaps, &context)));
}

#[test]
fn growth_while_the_load_rises_to_the_end_decides_nothing() {
    let load = series(720, 10.0, |t| 10.0 * t);
    let points = series(720, 10.0, |t| 100.0 + 0.04 * t * t + (t * 17.0).sin());
    let context = Context { load: &load, limit: Some(LIMIT), ..Context::default() };
    assert!(matches!(verdict(&points, &context), LeakVerdict::Undecided { .. }));
}

#[test]
fn what_a_wide_scatter_would_hide_is_undecided_below_a_near_limit() {
    let points = series(300, 1.0, |t| 1000.0 + 30.0 * (t * 700.0).sin());
    let at = |limit| verdict(&points, &Context { limit: Some(limit), ..Context::default() });
    assert!(
        matches!(at(1100.0), LeakVerdict::Undecided { more_seconds, .. } if more_seconds > 1.0)
    );
    assert!(matches!(at(1e9), LeakVerdict::NoLeak { .. }));
}

#[test]
fn each_step_of_the_way_is_told_in_order() {
    let points = series(720, 10.0, |t| 512.0 + 2.0 * t + (t * 17.0).sin());
    let context = Context { limit: Some(LIMIT), ..Context::default() };
    let analysis = analyse(&points, &context);
    assert!(is_leak(&analysis.verdict));
    let steps: Vec<GateKind> = analysis.gates.iter().map(|gate| gate.kind).collect();
    let decisive = [
        GateKind::Certain,
        GateKind::Matters,
        GateKind::Spread,
        GateKind::GoesOn,
        GateKind::Persists,
        GateKind::Unbounded,
    ];
    assert_eq!(steps[..4], [GateKind::Life, GateKind::StartUp, GateKind::Floors, GateKind::Resets]);
    assert_eq!(steps[4..], decisive);
    assert!(analysis.gates.iter().all(|gate| gate.passed != Some(false)));
    assert!(analysis.floors.len() > 20);
}

/// A heap that is collected every 40 s and never falls back to where it was; `floor` gives what is
/// left after each collection, in MiB.
fn heap(floor: &[f64]) -> Vec<Point> {
    let at = |second: usize| {
        let (cycle, within) = (second / 40, second % 40);
        let above = 160.0 * within as f64 / 40.0;
        let value = floor[cycle.min(floor.len() - 1)] + above;
        Point { at: Moment::from_secs_f64(second as f64), value }
    };
    (0..40 * floor.len()).map(at).collect()
}

#[test]
fn a_heap_whose_floors_rise_is_never_without_a_leak_although_one_step_is_half_of_the_rise() {
    // From 106 MiB to 1.7 GiB in ten minutes: the largest step is just over half of the rise.
    let floors: Vec<f64> = [
        106.0, 150.0, 190.0, 240.0, 300.0, 1130.0, 1200.0, 1250.0, 1330.0, 1390.0, 1460.0, 1530.0,
        1600.0, 1680.0, 1730.0,
    ]
    .to_vec();
    for limit in [None, Some(4096.0), Some(262_144.0)] {
        let found = verdict(&heap(&floors), &Context { limit, ..Context::default() });
        assert!(!matches!(found, LeakVerdict::NoLeak { .. }), "{limit:?}: {found:?}");
    }
}

#[test]
fn a_single_step_is_no_leak_only_once_it_was_watched_for_long_after_it() {
    let step = |minute: f64| {
        let points = series(720, 10.0, move |t| {
            512.0 + if t > minute { 150.0 } else { 0.0 } + (t * 17.0).sin()
        });
        verdict(&points, &Context { limit: Some(LIMIT), ..Context::default() })
    };
    assert!(matches!(step(70.0), LeakVerdict::NoLeak { .. }), "{:?}", step(70.0));
    assert!(matches!(step(116.0), LeakVerdict::Undecided { .. }), "{:?}", step(116.0));
}

#[test]
fn no_leak_needs_a_small_bound_without_a_limit_too() {
    let scattered = |by: f64| {
        let points = series(100, 1.0, |t| 100.0 + by * (t * 700.0).sin());
        verdict(&points, &Context::default())
    };
    assert!(matches!(scattered(1.0), LeakVerdict::NoLeak { .. }), "{:?}", scattered(1.0));
    assert!(matches!(scattered(99.0), LeakVerdict::Undecided { .. }), "{:?}", scattered(99.0));
}

#[test]
fn a_series_at_its_limit_is_undecided_since_it_cannot_grow() {
    let points = series(300, 1.0, |_| 700.0);
    let found = verdict(&points, &Context { limit: Some(700.0), ..Context::default() });
    let LeakVerdict::Undecided { why, more_seconds } = found else { panic!("{found:?}") };
    assert!(why.contains("at its limit") && more_seconds == 0.0, "{why}");
}

/// A process that is replaced every 50 s; `value` gives what it has after so many seconds.
fn replaced(lives: usize, value: impl Fn(f64) -> f64) -> (Vec<Point>, Vec<Moment>) {
    let all = 0..lives * 50;
    let point = |second: usize| Point {
        at: Moment::from_secs_f64(second as f64),
        value: value((second % 50) as f64) + ((second * 7) % 11) as f64 * 0.3,
    };
    let restarts = (1..lives).map(|life| Moment::from_secs_f64(50.0 * life as f64));
    (all.map(point).collect(), restarts.collect())
}

#[test]
fn the_same_growth_in_many_short_lives_in_a_row_is_a_leak() {
    let judged = |lives, value: &dyn Fn(f64) -> f64| {
        let (points, restarts) = replaced(lives, value);
        let context = Context { limit: Some(512.0), restarts: &restarts, ..Context::default() };
        analyse(&points, &context)
    };
    let leaking = judged(10, &|second| 50.0 + 8.0 * second);
    let LeakVerdict::Leak { slope, .. } = leaking.verdict else { panic!("{leaking:?}") };
    assert!((slope / 8.0 - 1.0).abs() < 0.05, "{slope}");
    assert_eq!(leaking.gates[0].kind, GateKind::Lives);
    // A start-up that ends in each life, and too few lives.
    let warm = judged(10, &|second| 50.0 + 100.0 * (1.0 - (-second / 5.0).exp()));
    assert!(!is_leak(&warm.verdict), "{warm:?}");
    let few = judged(3, &|second| 50.0 + 8.0 * second);
    assert!(matches!(few.verdict, LeakVerdict::Undecided { .. }), "{few:?}");
}

#[test]
fn growth_that_open_requests_can_hold_is_undecided() {
    // 200 requests more, and as many descriptors.
    let held = series(720, 10.0, |t| 10.0 + 200.0 * t / 120.0);
    let points = series(720, 10.0, |t| (30.0 + 200.0 * t / 120.0).round());
    let at = |each| {
        let context = Context { held: &held, each, limit: Some(1024.0), ..Context::default() };
        verdict(&points, &context)
    };
    let found = at(4.0);
    let LeakVerdict::Undecided { why, .. } = &found else { panic!("{found:?}") };
    assert!(why.contains("open requests"), "{why}");
    assert!(is_leak(&at(0.1)), "so few requests cannot hold so much");
}
