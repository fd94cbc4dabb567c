//! Runs of a simulated target: lognormal response times whose level wanders from second to second,
//! and whose runs differ as wholes. What a comparison says of two builds that are alike is known
//! beforehand.

use std::collections::BTreeMap;

use super::sample::{Regime, Requests, Sample, Slot, StageSample};
use super::tally::Counts;
use crate::diagnose::stats::Random;
use crate::recording::{Environment, PlanSummary};

/// Median response time in seconds.
const MEDIAN: f64 = 0.020;
/// Standard deviation of the logarithm of the response times within a second.
const SPREAD: f64 = 0.5;
/// How much a second resembles the one before it.
const FOLLOWS: f64 = 0.9;
/// How much slower each load of a ramp is than the one before.
const SLOWER: f64 = 0.1;
/// Values of the normal distribution to draw from, of equal probability.
const VALUES: usize = 8192;

/// A target and the machine that it runs on.
#[derive(Clone, Copy, Debug)]
pub struct Machine {
    /// Standard deviation of the level from second to second, in logs.
    pub level: f64,
    /// Standard deviation of a run as a whole, in logs.
    pub run_to_run: f64,
    /// Seconds of a run.
    pub seconds: usize,
    /// Requests of each second.
    pub rate: usize,
    /// Share of the requests that fail.
    pub failing: f64,
}

/// Draws runs.
pub struct Simulator {
    random: Random,
    values: Vec<f64>,
}

impl Simulator {
    pub fn new(seed: u64) -> Self {
        let mut random = Random::new(seed);
        let mut values: Vec<f64> = (0..VALUES).map(|_| (SPREAD * random.normal()).exp()).collect();
        values.sort_by(f64::total_cmp);
        Self { random, values }
    }

    /// A run whose response times are `factor` times the usual ones.
    pub fn run(&mut self, machine: Machine, factor: f64) -> Sample {
        self.ramp(machine, factor, 1)
    }

    /// A run that holds so many loads one after the other, each for the seconds of the machine.
    pub fn ramp(&mut self, machine: Machine, factor: f64, loads: usize) -> Sample {
        let whole = factor * (machine.run_to_run * self.random.normal()).exp();
        let mut level = self.random.normal();
        let mut stages = Vec::new();
        for load in 1..=loads {
            let machine = Machine { rate: machine.rate * load, ..machine };
            let mut slots = Vec::with_capacity(machine.seconds);
            for _ in 0..machine.seconds {
                level = FOLLOWS * level + (1.0 - FOLLOWS * FOLLOWS).sqrt() * self.random.normal();
                let slower = 1.0 + SLOWER * (load - 1) as f64;
                let micros = 1e6 * MEDIAN * whole * slower * (machine.level * level).exp();
                slots.push(Slot { requests: vec![self.second(machine, micros)] });
            }
            stages.push(stage(slots, machine.rate as f64));
        }
        sample(stages)
    }

    /// Runs of one build, made in one sitting that is as a whole slower or quicker by `sitting`, a
    /// standard deviation in logs.
    pub fn sitting(
        &mut self,
        machine: Machine,
        factor: f64,
        count: usize,
        (sitting, name): (f64, &str),
    ) -> Vec<Sample> {
        let whole = factor * (sitting * self.random.normal()).exp();
        let runs = self.runs(machine, whole, count);
        runs.into_iter().map(|run| run.in_session(name)).collect()
    }

    /// Runs of one build.
    pub fn runs(&mut self, machine: Machine, factor: f64, count: usize) -> Vec<Sample> {
        (0..count).map(|_| self.run(machine, factor)).collect()
    }

    fn second(&mut self, machine: Machine, micros: f64) -> Requests {
        let mut places: Vec<u32> = Vec::with_capacity(machine.rate);
        let mut requests = Requests { completed: machine.rate as u64, ..Requests::default() };
        for _ in 0..machine.rate {
            let value = self.values[self.random.bits() as usize % VALUES];
            if machine.failing > 0.0 && self.random.uniform() < machine.failing {
                requests.failed += 1;
            } else {
                places.push(place((micros * value) as u64));
            }
        }
        places.sort_unstable();
        let mut times: Counts = Vec::new();
        for place in places {
            match times.last_mut() {
                Some((last, count)) if *last == place => *count += 1,
                _ => times.push((place, 1)),
            }
        }
        Requests { times, ..requests }
    }
}

/// The place of a duration on the grid of the histograms.
pub fn place(micros: u64) -> u32 {
    let bucket = (micros | 255).ilog2() - 7;
    (bucket << 7) + (micros >> bucket) as u32
}

/// A stage below the knee.
fn stage(slots: Vec<Slot>, rate: f64) -> StageSample {
    StageSample {
        load: rate,
        is_closed: false,
        offered: rate,
        throughput: rate,
        regime: Regime::Below,
        slot_seconds: 1.0,
        slots,
        resources: BTreeMap::new(),
        memory_floor: None,
        own_cpu: None,
        parts: None,
        broken: Vec::new(),
    }
}

/// A run of these stages.
fn sample(stages: Vec<StageSample>) -> Sample {
    let seconds = stages.iter().map(|stage| stage.slots.len() as f64).sum();
    Sample {
        session: None,
        name: "simulated".to_owned(),
        plan: PlanSummary::default(),
        environment: Environment::default(),
        trouble: None,
        knee: None,
        capacity: None,
        endpoints: vec!["page".to_owned()],
        stages,
        causes: Vec::new(),
        pools: std::collections::BTreeMap::new(),
        objectives: Vec::new(),
        restarts: 0,
        seconds,
    }
}
