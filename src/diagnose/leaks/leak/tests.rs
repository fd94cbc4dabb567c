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
