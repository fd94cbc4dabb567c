//! Shapes of memory, descriptors and connections over two hours, each with the verdict that is
//! right and the rates at which a reference detector called it a leak, undecided and none.
//!
//! Minutes and MiB, a reading every ten seconds, below a limit of 4096 MiB where nothing else is
//! said. Other lengths stretch the two hours.

use kneepoint::diagnose::stats::Random;
use kneepoint::timeline::{Moment, Point};

/// Which verdicts on a shape are right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expected {
    /// It leaks.
    Leak,
    /// It leaks, but too little growth shows to be sure.
    LeakOrUndecided,
    /// Nobody can tell.
    Undecided,
    /// It does not leak, but looks as if it did.
    NoneOrUndecided,
    /// It does not leak.
    None,
}

/// A shape with its right verdicts.
pub struct Shape {
    pub id: &'static str,
    pub right: Expected,
    pub formula: Formula,
    /// Percent of runs in which the reference detector says leak, undecided and none.
    pub reference: [u32; 3],
    /// The growth per minute at the end, where it is one number.
    pub slope: Option<f64>,
}

/// Readings and seconds between two; a shape's two hours are stretched over it.
pub type Length = (usize, f64);

pub type Formula = fn(&mut Maker, f64) -> f64;

/// Makes the values of one shape: noise, and a first-order autoregression.
pub struct Maker {
    random: Random,
    state: f64,
    floor: f64,
    bursts: Vec<(f64, f64)>,
}

impl Maker {
    pub fn white(&mut self) -> f64 {
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

fn after(t: f64, onset: f64) -> f64 {
    (t - onset).max(0.0)
}

/// The shapes that the thresholds were chosen with.
pub const SHAPES: &[Shape] = &[
    Shape {
        id: "N01",
        right: Expected::None,
        reference: [0, 0, 100],
        slope: None,
        formula: |m, _| 512.0 + m.white(),
    },
    Shape {
        id: "N02",
        right: Expected::None,
        reference: [0, 2, 98],
        slope: None,
        formula: |m, _| 512.0 + m.auto(0.95, 8.0),
    },
    Shape {
        id: "N03",
        right: Expected::None,
        reference: [0, 16, 83],
        slope: None,
        formula: |m, _| 512.0 + m.auto(0.995, 15.0),
    },
    Shape {
        id: "N04",
        right: Expected::None,
        reference: [0, 0, 100],
        slope: None,
        formula: |m, t| 256.0 + 300.0 * (1.0 - (-t / 10.0).exp()) + m.white(),
    },
    Shape {
        id: "N05",
        right: Expected::NoneOrUndecided,
        reference: [0, 44, 56],
        slope: None,
        formula: |m, t| 256.0 + 300.0 * (1.0 - (-t / 30.0).exp()) + m.white(),
    },
    Shape {
        id: "N06",
        right: Expected::NoneOrUndecided,
        reference: [8, 92, 0],
        slope: None,
        formula: |m, t| 256.0 + 60.0 * t.ln_1p() + m.white(),
    },
    Shape {
        id: "N07",
        right: Expected::None,
        reference: [0, 0, 100],
        slope: None,
        formula: |m, t| saw(400.0, 200.0, 6.0, t) + m.white(),
    },
    Shape {
        id: "N08",
        right: Expected::None,
        reference: [0, 0, 100],
        slope: None,
        formula: |m, t| saw(400.0, 300.0, 50.0, t) + m.white(),
    },
    Shape {
        id: "N09",
        right: Expected::Undecided,
        reference: [0, 100, 0],
        slope: None,
        formula: |m, t| 400.0 + 2.5 * t + m.white(),
    },
    Shape {
        id: "N10",
        right: Expected::None,
        reference: [0, 0, 100],
        slope: None,
        formula: |m, t| 512.0 + if t > 40.0 { 150.0 } else { 0.0 } + m.white(),
    },
    Shape {
        id: "N11",
        right: Expected::None,
        reference: [0, 0, 100],
        slope: None,
        formula: |m, t| {
            let steps = [10.0, 25.0, 45.0].iter().filter(|at| t > **at).count();
            400.0 + 80.0 * steps as f64 + m.white()
        },
    },
    Shape {
        id: "N12",
        right: Expected::None,
        reference: [0, 0, 100],
        slope: None,
        formula: |m, t| 300.0 + 0.4 * 1000.0 * (t / 60.0).min(1.0) + m.white(),
    },
    Shape {
        id: "N13",
        right: Expected::None,
        reference: [0, 0, 100],
        slope: None,
        formula: |m, t| 512.0 + 80.0 * (std::f64::consts::PI * t / 120.0).sin() + m.auto(0.9, 3.0),
    },
    Shape {
        id: "N14",
        right: Expected::None,
        reference: [0, 3, 96],
        slope: None,
        formula: |m, _| {
            let value = 480.0 + m.auto(0.98, 40.0);
            m.floor = m.floor.max(value);
            m.floor
        },
    },
    Shape {
        id: "N15",
        right: Expected::None,
        reference: [0, 0, 100],
        slope: None,
        formula: |m, _| 600.0 + m.auto(0.9, 4.0),
    },
    Shape {
        id: "N16",
        right: Expected::None,
        reference: [0, 0, 100],
        slope: None,
        formula: |m, t| {
            if m.bursts.is_empty() {
                m.bursts = (0..12)
                    .map(|_| {
                        let height = 20.0 * (1.0 - m.random.uniform()).powf(-1.0 / 1.5);
                        (120.0 * m.random.uniform(), height.min(800.0))
                    })
                    .collect();
            }
            let bursts = m.bursts.iter().filter(|(at, _)| t >= *at);
            512.0
                + bursts.map(|(at, height)| height * (-(t - at) / 2.0).exp()).sum::<f64>()
                + m.white()
        },
    },
    Shape {
        id: "N17",
        right: Expected::None,
        reference: [0, 0, 100],
        slope: None,
        formula: |m, t| 256.0 + 300.0 * (t / 84.0).min(1.0) + m.white(),
    },
    Shape {
        id: "N18",
        right: Expected::None,
        reference: [0, 0, 100],
        slope: None,
        formula: |m, t| 512.0 + 200.0 * (-t / 20.0).exp() + m.white(),
    },
    Shape {
        id: "N19",
        right: Expected::None,
        reference: [0, 0, 100],
        slope: None,
        formula: |m, _| (120.0 + m.auto(0.9, 3.0)).round(),
    },
    Shape {
        id: "N20",
        right: Expected::None,
        reference: [0, 0, 100],
        slope: None,
        formula: |m, t| 512.0 + 0.02 * t + m.white(),
    },
    Shape {
        id: "L01",
        right: Expected::Leak,
        reference: [100, 0, 0],
        slope: Some(2.0),
        formula: |m, t| 512.0 + 2.0 * t + m.white(),
    },
    Shape {
        id: "L02",
        right: Expected::Leak,
        reference: [83, 16, 0],
        slope: Some(0.6),
        formula: |m, t| 512.0 + 0.6 * t + m.auto(0.9, 6.0),
    },
    Shape {
        id: "L03",
        right: Expected::Leak,
        reference: [100, 0, 0],
        slope: Some(1.0),
        formula: |m, t| 256.0 + 300.0 * (1.0 - (-t / 10.0).exp()) + t + m.white(),
    },
    Shape {
        id: "L04",
        right: Expected::Leak,
        reference: [100, 0, 0],
        slope: Some(4.0 / 6.0),
        formula: |m, t| saw(400.0, 200.0, 6.0, t) + 4.0 * (t / 6.0).floor() + m.white(),
    },
    Shape {
        id: "L05",
        right: Expected::LeakOrUndecided,
        reference: [44, 55, 0],
        slope: None,
        formula: |m, t| saw(400.0, 200.0, 20.0, t) + 20.0 * (t / 20.0).floor() + m.white(),
    },
    Shape {
        id: "L06",
        right: Expected::Leak,
        reference: [100, 0, 0],
        slope: None,
        formula: |m, t| 512.0 + 64.0 * (t / 20.0).floor() + m.white(),
    },
    Shape {
        id: "L07",
        right: Expected::Leak,
        reference: [100, 0, 0],
        slope: Some(2.0),
        formula: |m, t| 512.0 + 2.0 * after(t, 40.0) + m.white(),
    },
    Shape {
        id: "L08",
        right: Expected::LeakOrUndecided,
        reference: [98, 1, 0],
        slope: None,
        formula: |m, t| 512.0 + 4.0 * after(t, 80.0) + m.white(),
    },
    Shape {
        id: "L09",
        right: Expected::Leak,
        reference: [100, 0, 0],
        slope: None,
        formula: |m, t| 512.0 + 0.01 * t * t + m.white(),
    },
    Shape {
        id: "L10",
        right: Expected::LeakOrUndecided,
        reference: [100, 0, 0],
        slope: None,
        formula: |m, t| 300.0 + 40.0 * t.sqrt() + m.white(),
    },
    Shape {
        id: "L11",
        right: Expected::Leak,
        reference: [97, 2, 0],
        slope: Some(1.0),
        formula: |m, t| 512.0 + t + 60.0 * (std::f64::consts::TAU * t / 30.0).sin() + m.white(),
    },
    Shape {
        id: "L12",
        right: Expected::Leak,
        reference: [100, 0, 0],
        slope: None,
        formula: |m, t| 512.0 + 20.0 * (t % 60.0) + m.white(),
    },
    Shape {
        id: "L13",
        right: Expected::Leak,
        reference: [100, 0, 0],
        slope: Some(0.5),
        formula: |m, t| (120.0 + 0.5 * t + 0.5 * m.random.normal()).round(),
    },
    Shape {
        id: "L14",
        right: Expected::LeakOrUndecided,
        reference: [37, 47, 15],
        slope: None,
        formula: |m, _| {
            if m.random.uniform() < 0.02 {
                m.floor += 5.0;
            }
            512.0 + m.floor + m.white()
        },
    },
    Shape {
        id: "L15",
        right: Expected::Leak,
        reference: [100, 0, 0],
        slope: None,
        formula: |m, t| 512.0 + 200.0 * (-t / 20.0).exp() + 1.2 * t + m.white(),
    },
];

/// Shapes that no threshold was tuned on.
pub const HELD_OUT: &[Shape] = &[
    // Two leaks at once.
    Shape {
        id: "H01",
        right: Expected::Leak,
        reference: [0, 0, 0],
        slope: Some(1.5),
        formula: |m, t| 512.0 + t + 5.0 * (t / 10.0).floor() + m.white(),
    },
    // A leak that stops.
    Shape {
        id: "H02",
        right: Expected::NoneOrUndecided,
        reference: [0, 0, 0],
        slope: None,
        formula: |m, t| 512.0 + 2.0 * t.min(60.0) + m.white(),
    },
    // Ballast that is let go before a leak shows.
    Shape {
        id: "H03",
        right: Expected::Leak,
        reference: [0, 0, 0],
        slope: Some(1.0),
        formula: |m, t| 900.0 - if t > 30.0 { 300.0 } else { 0.0 } + t + m.white(),
    },
    // A leak on a daily rhythm that the load does not tell.
    Shape {
        id: "H04",
        right: Expected::LeakOrUndecided,
        reference: [0, 0, 0],
        slope: None,
        formula: |m, t| 512.0 + 2.0 * t + 20.0 * (t / 12.0).sin() + m.white(),
    },
    // A cache that fills for most of the time, in steps.
    Shape {
        id: "H05",
        right: Expected::NoneOrUndecided,
        reference: [0, 0, 0],
        slope: None,
        formula: |m, t| 256.0 + 16.0 * (t / 4.0).floor().min(20.0) + m.white(),
    },
    // An allocator's high-water mark under bursts that never grow.
    Shape {
        id: "H06",
        right: Expected::NoneOrUndecided,
        reference: [0, 0, 0],
        slope: None,
        formula: |m, _| {
            let burst = 40.0 * -m.random.uniform().max(1e-9).ln();
            m.floor = m.floor.max(burst);
            400.0 + m.floor + m.white()
        },
    },
];

impl Maker {
    pub fn new(id: &str, seed: u64) -> Self {
        let kind: u64 = id.bytes().fold(0, |sum, byte| sum * 31 + u64::from(byte));
        Self { random: Random::new(seed * 7919 + kind), state: 0.0, floor: 0.0, bursts: Vec::new() }
    }
}

/// A series of a formula of minutes.
pub fn series((readings, pace): Length, value: impl FnMut(f64) -> f64) -> Vec<Point> {
    let minutes = (0..readings).map(|index| 120.0 * index as f64 / readings as f64);
    let at = |index: usize| Moment::from_secs_f64(index as f64 * pace);
    minutes.map(value).enumerate().map(|(index, value)| Point { at: at(index), value }).collect()
}
