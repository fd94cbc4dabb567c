//! A queue whose capacity is known, simulated a second at a time.

use std::time::Duration;

use crate::diagnose::conclude::scaling::erlang_c;
use crate::diagnose::terms::stats::Random;
use crate::timeline::{EndpointTick, LoadTick, Moment, Stage, StageRole, Timeline, Window};

use super::{answered, on_time};

/// A queue with `servers` servers, simulated a second at a time as a fluid.
#[derive(Clone)]
pub struct System {
    pub capacity: f64,
    pub servers: u32,
    /// Relative noise of the throughput of each stage.
    pub noise: f64,
    /// Added to every response time, in seconds.
    pub latency: f64,
    /// Requests per second beyond which it answers 429 at once.
    pub limit: f64,
    /// Share of requests that fail at once beyond this load.
    pub failing: (f64, f64),
    /// Capacity lost for each request per second offered beyond the capacity.
    pub collapse: f64,
    /// Requests in flight beyond which the generator gives up.
    pub room: f64,
    /// Arrivals and departures scatter as Poisson's do.
    pub poisson: bool,
    /// Slope of the throughput between the capacity and a second one at twice the capacity.
    pub second: f64,
    /// Beyond this load this share of the responses takes so many seconds longer.
    pub tail: (f64, f64, f64),
    /// Once in so many seconds, whatever the load, this share of the responses takes so many
    /// seconds longer; never where it is 0.
    pub pause: (u64, f64, f64),
    /// Share of its capacity that it loses while a queue waits, and the seconds in which it gets
    /// two thirds of that back afterwards.
    pub tired: (f64, f64),
}

impl System {
    pub fn new(capacity: f64, servers: u32) -> Self {
        Self {
            capacity,
            servers,
            noise: 0.01,
            latency: 0.0,
            limit: f64::INFINITY,
            failing: (f64::INFINITY, 0.0),
            collapse: 0.0,
            room: f64::INFINITY,
            poisson: false,
            second: 0.0,
            tail: (f64::INFINITY, 0.0, 0.0),
            pause: (0, 0.0, 0.0),
            tired: (0.0, 1.0),
        }
    }
}

/// A system under load.
pub struct Simulation {
    pub system: System,
    random: Random,
    pub timeline: Timeline,
    pub queue: f64,
    sent: f64,
    /// Share of the capacity that is lost at present.
    lost: f64,
}

impl Simulation {
    pub fn new(system: &System, seed: u64) -> Self {
        Self {
            system: system.clone(),
            random: Random::new(seed),
            timeline: Timeline::default(),
            queue: 0.0,
            sent: 0.0,
            lost: 0.0,
        }
    }

    /// Holds a rate for some seconds.
    pub fn hold(&mut self, role: StageRole, rate: f64, seconds: u64) {
        let begin = self.timeline.end();
        let end = begin + Duration::from_secs(seconds);
        let window = Window::new(begin, end);
        self.timeline.stages.push(Stage::constant(role, window, rate));
        let wobble = 1.0 + self.system.noise * self.random.normal();
        for second in 0..seconds {
            self.second(begin + Duration::from_secs(second), rate, wobble);
        }
    }

    /// Holds a rate until nothing has waited for two seconds, for `longest` seconds at most.
    pub fn drain(&mut self, rate: f64, longest: u64) {
        let begin = self.timeline.end();
        let mut calm = 0;
        for second in 0..longest {
            self.second(begin + Duration::from_secs(second), rate, 1.0);
            calm = if self.queue < 1.0 { calm + 1 } else { 0 };
            if calm == 2 {
                break;
            }
        }
        let window = Window::new(begin, self.timeline.end());
        self.timeline.stages.push(Stage::constant(StageRole::Drain, window, rate));
    }

    fn second(&mut self, begin: Moment, rate: f64, wobble: f64) {
        let system = self.system.clone();
        let scatter = if system.poisson { self.random.normal() } else { 0.0 };
        let due = (self.sent + (rate + scatter * rate.sqrt()).max(0.0)).floor();
        let offered = due - self.sent.floor();
        self.sent = (self.sent + rate + scatter * rate.sqrt()).max(due);
        let limited = (offered - system.limit).max(0.0).round();
        let (from, share) = system.failing;
        let failed = if rate > from { (share * offered).round() } else { 0.0 };
        let admitted = offered - limited - failed;
        let over = (rate - system.capacity).max(0.0);
        let jitter = 1.0 + system.noise * self.random.normal();
        let beyond = system.second * over.min(system.capacity);
        let scatter = if system.poisson { self.random.normal() } else { 0.0 };
        let capacity = (system.capacity + beyond - system.collapse * over).max(1.0);
        let capacity = capacity * (1.0 - self.lost);
        let capacity = (capacity * wobble * jitter + scatter * capacity.sqrt()).max(1.0);
        let held_back = (self.queue + admitted - capacity - system.room).max(0.0).round();
        let waiting = self.queue + admitted - held_back;
        let done = waiting.min(capacity).floor();
        let before = self.queue;
        self.queue = waiting - done;
        let (share, recovers) = system.tired;
        self.lost = match self.queue > capacity / 4.0 {
            true => share,
            false => self.lost * (-1.0 / recovers).exp(),
        };
        let service = f64::from(system.servers) / system.capacity;
        let load = (admitted / capacity * f64::from(system.servers))
            .min(0.995 * f64::from(system.servers));
        let wait = erlang_c(system.servers, load)
            .map_or(0.0, |probability| probability * service / (f64::from(system.servers) - load));
        let response = system.latency + service + wait + (before + self.queue) / 2.0 / capacity;
        let window = Window::new(begin, begin + Duration::from_secs(1));
        let (from, share, longer) = system.tail;
        let (every, paused, pause) = system.pause;
        let second = begin.secs().round() as u64;
        let slow = [
            (if rate > from { share } else { 0.0 }, longer),
            (if every > 0 && second.is_multiple_of(every) { paused } else { 0.0 }, pause),
        ];
        let mut endpoints = vec![with_slow(spread(200, done, response), done, &slow)];
        if limited > 0.0 {
            endpoints.push(spread(429, limited, service / 5.0));
        }
        if failed > 0.0 {
            endpoints.push(spread(500, failed, service));
        }
        self.timeline.ticks.push(LoadTick {
            offered: offered as u64,
            sent: (offered - held_back) as u64,
            held_back: held_back as u64,
            in_flight: (before + self.queue) / 2.0
                + offered * (response - (before + self.queue) / 2.0 / capacity),
            lateness: on_time(1),
            endpoints,
            ..LoadTick::empty(window, "g")
        });
    }
}

/// Responses whose times are spread exponentially, by their quantiles.
fn spread(status: u16, count: f64, mean: f64) -> EndpointTick {
    let quantile = |index: u64| -(1.0 - (index as f64 + 0.5) / count).ln();
    answered(status, count as u64, |index| mean * quantile(index))
}

/// The same responses, of which shares take some seconds longer: those are drawn from all of them.
fn with_slow(mut endpoint: EndpointTick, count: f64, slow: &[(f64, f64)]) -> EndpointTick {
    for (share, longer) in slow.iter().filter(|(share, _)| *share > 0.0) {
        let number = (share * count).round() as u64;
        let usual = endpoint.response_time.quantile(0.5).unwrap_or(0.0);
        let more = answered(200, number, |_| usual + longer);
        endpoint.response_time.merge(&more.response_time);
    }
    endpoint
}

/// Stages of equal steps from zero to `end` times the capacity, held `seconds` each.
pub fn ramp(system: &System, end: f64, count: usize, seconds: u64, seed: u64) -> Simulation {
    let mut run = Simulation::new(system, seed);
    for step in 1..=count {
        let rate = end * system.capacity * step as f64 / count as f64;
        run.hold(StageRole::Ramp, rate, seconds);
    }
    run
}
