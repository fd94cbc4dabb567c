//! Thirty-five shapes of memory with a known answer: two hours, a reading every ten seconds, in
//! MiB, below a limit of 4096 MiB.

use std::collections::BTreeMap;

use super::*;
use crate::diagnose::stats::Random;

const READINGS: usize = 720;
const PACE: f64 = 10.0;
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

fn series(readings: usize, pace: f64, value: impl FnMut(f64) -> f64) -> Vec<Point> {
    let seconds: Vec<f64> = (0..readings).map(|index| index as f64 * pace).collect();
    let values: Vec<f64> = seconds.iter().map(|at| at / 60.0).map(value).collect();
    let point = |(at, value): (&f64, f64)| Point { at: Moment::from_secs_f64(*at), value };
    seconds.iter().zip(values).map(point).collect()
}

fn judged(id: &str, formula: Formula, seed: u64) -> LeakVerdict {
    let mut maker = Maker {
        random: Random::new(seed * 7919 + u64::from(id.as_bytes()[2])),
        state: 0.0,
        floor: 0.0,
        bursts: Vec::new(),
    };
    let points = series(READINGS, PACE, |t| formula(&mut maker, t));
    let load = match id {
        "N12" => series(READINGS, PACE, |t| 1000.0 * (t / 60.0).min(1.0)),
        "L11" => {
            series(READINGS, PACE, |t| 100.0 + 50.0 * (std::f64::consts::TAU * t / 30.0).sin())
        }
        _ => Vec::new(),
    };
    let restarts = if id == "L12" { vec![Moment::from_secs_f64(3600.0)] } else { Vec::new() };
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

fn rates(shapes: &[(&'static str, Formula)]) -> BTreeMap<&'static str, [u64; 3]> {
    let mut rates: BTreeMap<&str, [u64; 3]> = BTreeMap::new();
    for (id, formula) in shapes {
        for seed in 0..SEEDS {
            let kind = kind(&judged(id, *formula, seed));
            rates.entry(id).or_default()[kind as usize] += 1;
        }
    }
    rates
}

#[test]
fn shapes_that_are_no_leak_are_not_called_one() {
    let rates = rates(QUIET);
    eprintln!("{rates:?}");
    let leaks: u64 = rates.iter().filter(|(id, _)| **id != "N06").map(|(_, got)| got[0]).sum();
    assert!(leaks <= 4, "{leaks} of {} : {rates:?}", SEEDS * 19);
    assert!(rates["N06"][0] <= 2, "{rates:?}");
    assert_eq!(rates["N09"], [0, SEEDS, 0], "{rates:?}");
}

#[test]
fn shapes_that_leak_are_found() {
    let rates = rates(LEAKS);
    eprintln!("{rates:?}");
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
