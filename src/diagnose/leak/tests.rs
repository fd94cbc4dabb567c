//! Thirty-five shapes of memory (warm-up, caches, collectors, allocators, leaks) with a known answer: two hours, a reading every ten seconds, in
//! MiB, below a limit of 4096 MiB.

use std::collections::BTreeMap;

use super::*;
use crate::diagnose::stats::Random;

/// Readings of a run and seconds between two; a shape's two hours are stretched over it.
type Length = (usize, f64);
const TWO_HOURS: Length = (720, 10.0);
const LIMIT: f64 = 4096.0;
const SEEDS: u64 = 20;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Leak,
    Undecided,
    None,
}

/// One shape in the making: minutes, noise, and a first-order autoregression.
struct Maker {
    random: Random,
    state: f64,
    floor: f64,
    bursts: Vec<(f64, f64)>,
}

impl Maker {
    fn white(&mut self) -> f64 {
        2.0 * self.random.normal()
    }

    /// AR(1) of coefficient `phi` whose own standard deviation is `deviation`.
    fn auto(&mut self, phi: f64, deviation: f64) -> f64 {
        let kick = deviation * (1.0 - phi * phi).sqrt() * self.random.normal();
        self.state = phi * self.state + kick;
        self.state
    }
}

fn saw(base: f64, height: f64, period: f64, t: f64) -> f64 {
    base + height * (t / period).fract()
}

type Formula = fn(&mut Maker, f64) -> f64;

fn after(t: f64, onset: f64) -> f64 {
    (t - onset).max(0.0)
}

const QUIET: &[(&str, Formula)] = &[
    ("N01", |m, _| 512.0 + m.white()),
    ("N02", |m, _| 512.0 + m.auto(0.95, 8.0)),
    ("N03", |m, _| 512.0 + m.auto(0.995, 15.0)),
    ("N04", |m, t| 256.0 + 300.0 * (1.0 - (-t / 10.0).exp()) + m.white()),
    ("N05", |m, t| 256.0 + 300.0 * (1.0 - (-t / 30.0).exp()) + m.white()),
    ("N06", |m, t| 256.0 + 60.0 * t.ln_1p() + m.white()),
    ("N07", |m, t| saw(400.0, 200.0, 6.0, t) + m.white()),
    ("N08", |m, t| saw(400.0, 300.0, 50.0, t) + m.white()),
    ("N09", |m, t| 400.0 + 2.5 * t + m.white()),
    ("N10", |m, t| 512.0 + if t > 40.0 { 150.0 } else { 0.0 } + m.white()),
    ("N11", |m, t| {
        let steps = [10.0, 25.0, 45.0].iter().filter(|at| t > **at).count();
        400.0 + 80.0 * steps as f64 + m.white()
    }),
    ("N12", |m, t| 300.0 + 0.4 * 1000.0 * (t / 60.0).min(1.0) + m.white()),
    ("N13", |m, t| 512.0 + 80.0 * (std::f64::consts::PI * t / 120.0).sin() + m.auto(0.9, 3.0)),
    ("N14", |m, _| {
        let value = 480.0 + m.auto(0.98, 40.0);
        m.floor = m.floor.max(value);
        m.floor
    }),
    ("N15", |m, _| 600.0 + m.auto(0.9, 4.0)),
    ("N16", |m, t| {
        if m.bursts.is_empty() {
            m.bursts = (0..12)
                .map(|_| {
                    let height = 20.0 * (1.0 - m.random.uniform()).powf(-1.0 / 1.5);
                    (120.0 * m.random.uniform(), height.min(800.0))
                })
                .collect();
        }
        let bursts = m.bursts.iter().filter(|(at, _)| t >= *at);
        512.0 + bursts.map(|(at, height)| height * (-(t - at) / 2.0).exp()).sum::<f64>() + m.white()
    }),
    ("N17", |m, t| 256.0 + 300.0 * (t / 84.0).min(1.0) + m.white()),
    ("N18", |m, t| 512.0 + 200.0 * (-t / 20.0).exp() + m.white()),
    ("N19", |m, _| (120.0 + m.auto(0.9, 3.0)).round()),
    ("N20", |m, t| 512.0 + 0.02 * t + m.white()),
];

const LEAKS: &[(&str, Formula)] = &[
    ("L01", |m, t| 512.0 + 2.0 * t + m.white()),
    ("L02", |m, t| 512.0 + 0.6 * t + m.auto(0.9, 6.0)),
    ("L03", |m, t| 256.0 + 300.0 * (1.0 - (-t / 10.0).exp()) + t + m.white()),
    ("L04", |m, t| saw(400.0, 200.0, 6.0, t) + 4.0 * (t / 6.0).floor() + m.white()),
    ("L05", |m, t| saw(400.0, 200.0, 20.0, t) + 20.0 * (t / 20.0).floor() + m.white()),
    ("L06", |m, t| 512.0 + 64.0 * (t / 20.0).floor() + m.white()),
    ("L07", |m, t| 512.0 + 2.0 * after(t, 40.0) + m.white()),
    ("L08", |m, t| 512.0 + 4.0 * after(t, 80.0) + m.white()),
    ("L09", |m, t| 512.0 + 0.01 * t * t + m.white()),
    ("L10", |m, t| 300.0 + 40.0 * t.sqrt() + m.white()),
    ("L11", |m, t| 512.0 + t + 60.0 * (std::f64::consts::TAU * t / 30.0).sin() + m.white()),
    ("L12", |m, t| 512.0 + 20.0 * (t % 60.0) + m.white()),
    ("L13", |m, t| (120.0 + 0.5 * t + 0.5 * m.random.normal()).round()),
    ("L14", |m, _| {
        if m.random.uniform() < 0.02 {
            m.floor += 5.0;
        }
        512.0 + m.floor + m.white()
    }),
    ("L15", |m, t| 512.0 + 200.0 * (-t / 20.0).exp() + 1.2 * t + m.white()),
];

fn series((readings, pace): Length, value: impl FnMut(f64) -> f64) -> Vec<Point> {
    let minutes = (0..readings).map(|index| 120.0 * index as f64 / readings as f64);
    let points = minutes.map(value).enumerate();
    points
        .map(|(index, value)| Point { at: Moment::from_secs_f64(index as f64 * pace), value })
        .collect()
}

fn judged(id: &str, formula: Formula, seed: u64, length: Length) -> LeakVerdict {
    let mut maker = Maker {
        random: Random::new(seed * 7919 + u64::from(id.as_bytes()[2])),
        state: 0.0,
        floor: 0.0,
        bursts: Vec::new(),
    };
    let points = series(length, |t| formula(&mut maker, t));
    let load = match id {
        "N12" => series(length, |t| 1000.0 * (t / 60.0).min(1.0)),
        "L11" => series(length, |t| 100.0 + 50.0 * (std::f64::consts::TAU * t / 30.0).sin()),
        _ => Vec::new(),
    };
    let half = length.0 as f64 * length.1 / 2.0;
    let restarts = if id == "L12" { vec![Moment::from_secs_f64(half)] } else { Vec::new() };
    let limit = if id == "L13" { 1024.0 } else { LIMIT };
    let context =
        Context { load: &load, limit: Some(limit), restarts: &restarts, uncollected: id == "N09" };
    verdict(&points, &context)
}

fn kind(verdict: &LeakVerdict) -> Kind {
    match verdict {
        LeakVerdict::Leak { .. } => Kind::Leak,
        LeakVerdict::Undecided { .. } => Kind::Undecided,
        LeakVerdict::NoLeak { .. } => Kind::None,
    }
}

/// How often each shape is called a leak, undecided and none.
fn rates(
    shapes: &[(&'static str, Formula)],
    seeds: std::ops::Range<u64>,
    length: Length,
) -> BTreeMap<&'static str, [u64; 3]> {
    let mut rates: BTreeMap<&str, [u64; 3]> = BTreeMap::new();
    for (id, formula) in shapes {
        for seed in seeds.clone() {
            let kind = kind(&judged(id, *formula, seed, length));
            rates.entry(id).or_default()[kind as usize] += 1;
        }
    }
    rates
}

#[test]
fn shapes_that_are_no_leak_are_not_called_one() {
    let rates = rates(QUIET, 0..SEEDS, TWO_HOURS);
    let leaks: u64 = rates.iter().filter(|(id, _)| **id != "N06").map(|(_, got)| got[0]).sum();
    assert!(leaks <= 4, "{leaks} of {} : {rates:?}", SEEDS * 19);
    assert!(rates["N06"][0] <= 2, "{rates:?}");
    assert_eq!(rates["N09"], [0, SEEDS, 0], "{rates:?}");
}

#[test]
fn shapes_that_leak_are_found() {
    let rates = rates(LEAKS, 0..SEEDS, TWO_HOURS);
    for id in ["L01", "L03", "L04", "L06", "L07", "L09", "L12", "L13", "L15"] {
        assert!(rates[id][0] >= SEEDS - 1, "{id}: {rates:?}");
    }
    for id in ["L02", "L11"] {
        assert!(rates[id][0] * 10 >= SEEDS * 8, "{id}: {rates:?}");
    }
    for id in ["L05", "L06", "L08", "L10"] {
        assert_eq!(rates[id][2], 0, "{id}: {rates:?}");
    }
}

#[test]
fn other_lengths_and_seeds_keep_the_verdicts() {
    for length in [(2880, 10.0), (120, 10.0), (300, 1.0)] {
        let quiet = rates(QUIET, 500..510, length);
        let leaks: u64 = quiet.values().map(|got| got[0]).sum();
        assert!(leaks <= 4, "{length:?}: {leaks} of 200: {quiet:?}");
        let leaking = rates(LEAKS, 500..510, length);
        for id in ["L01", "L03", "L06", "L07", "L13"] {
            assert!(leaking[id][0] >= 9, "{length:?} {id}: {leaking:?}");
        }
    }
}

#[test]
fn the_interval_of_the_slope_covers_the_true_one() {
    let slopes = [("L01", 2.0), ("L03", 1.0), ("L04", 4.0 / 6.0), ("L07", 2.0), ("L11", 1.0)];
    for (id, per_minute) in slopes {
        let (_, formula) = LEAKS.iter().find(|(leak, _)| *leak == id).unwrap();
        let covered = (900..940).filter(|seed| {
            let LeakVerdict::Leak { low, high, exhaustion, .. } =
                judged(id, *formula, *seed, TWO_HOURS)
            else {
                return false;
            };
            let exhaustion = exhaustion.unwrap();
            assert!(exhaustion.soonest <= exhaustion.expected);
            assert!(exhaustion.expected <= exhaustion.latest);
            (low..=high).contains(&(per_minute / 60.0))
        });
        let covered = covered.count();
        assert!(covered >= 34, "{id}: {covered} of 40");
    }
}

#[test]
fn a_short_or_empty_series_is_undecided_with_the_time_that_is_missing() {
    let context = Context { limit: Some(LIMIT), ..Context::default() };
    for (readings, pace) in [(0, 1.0), (1, 1.0), (39, 10.0), (200, 0.1)] {
        let points = series((readings, pace), |t| 100.0 + 10.0 * t);
        match verdict(&points, &context) {
            LeakVerdict::Undecided { more_seconds, .. } => assert!(more_seconds >= 1.0),
            other => panic!("{readings} readings: {other:?}"),
        }
    }
}

#[test]
fn a_constant_series_and_one_with_gaps_are_judged() {
    let context = Context { limit: Some(LIMIT), ..Context::default() };
    let constant = series((300, 1.0), |_| 100.0);
    assert_eq!(kind(&verdict(&constant, &context)), Kind::None);
    let mut gaps = series(TWO_HOURS, |t| 512.0 + 2.0 * t + (t * 17.0).sin());
    gaps.drain(300..360);
    gaps.retain(|point| point.at.nanos() % 7 != 0);
    assert_eq!(kind(&verdict(&gaps, &context)), Kind::Leak);
}

#[test]
fn growth_while_the_load_rises_to_the_end_decides_nothing() {
    let load = series(TWO_HOURS, |t| 10.0 * t);
    let points = series(TWO_HOURS, |t| 100.0 + 0.04 * t * t + (t * 17.0).sin());
    let context = Context { load: &load, limit: Some(LIMIT), ..Context::default() };
    assert_eq!(kind(&verdict(&points, &context)), Kind::Undecided);
}
