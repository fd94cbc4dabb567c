//! The knee against simulated systems whose capacity is known.

use std::time::Duration;

use super::*;
use crate::diagnose::scaling::erlang_c;
use crate::diagnose::stages::summarize_timeline;
use crate::diagnose::stats::Random;
use crate::recording::PlanSummary;
use crate::timeline::{
    EndpointTick, Histogram, LoadTick, Moment, ResponseClass, Stage, StageRole, Window,
};

/// A queue with `servers` servers, simulated a second at a time as a fluid.
#[derive(Clone)]
struct System {
    capacity: f64,
    servers: u32,
    /// Relative noise of the throughput of each stage.
    noise: f64,
    /// Added to every response time, in seconds.
    latency: f64,
    /// Requests per second beyond which it answers 429 at once.
    limit: f64,
    /// Share of requests that fail at once beyond this load.
    failing: (f64, f64),
    /// Capacity lost for each request per second offered beyond the capacity.
    collapse: f64,
    /// Requests in flight beyond which the generator gives up.
    room: f64,
}

impl System {
    fn new(capacity: f64, servers: u32) -> Self {
        Self {
            capacity,
            servers,
            noise: 0.01,
            latency: 0.0,
            limit: f64::INFINITY,
            failing: (f64::INFINITY, 0.0),
            collapse: 0.0,
            room: f64::INFINITY,
        }
    }
}

struct Run {
    system: System,
    random: Random,
    timeline: Timeline,
    queue: f64,
    sent: f64,
}

impl Run {
    fn new(system: &System, seed: u64) -> Self {
        Self {
            system: system.clone(),
            random: Random::new(seed),
            timeline: Timeline::default(),
            queue: 0.0,
            sent: 0.0,
        }
    }

    fn hold(&mut self, role: StageRole, rate: f64, seconds: u64) {
        let begin = self.timeline.end();
        let end = begin + Duration::from_secs(seconds);
        let window = Window::new(begin, end);
        self.timeline.stages.push(Stage { role, window, rate_from: rate, rate_to: rate });
        let wobble = 1.0 + self.system.noise * self.random.normal();
        for second in 0..seconds {
            self.second(begin + Duration::from_secs(second), rate, wobble);
        }
    }

    fn second(&mut self, begin: Moment, rate: f64, wobble: f64) {
        let system = self.system.clone();
        let due = (self.sent + rate).floor();
        let offered = due - self.sent.floor();
        self.sent += rate;
        let limited = (offered - system.limit).max(0.0).round();
        let (from, share) = system.failing;
        let failed = if rate > from { (share * offered).round() } else { 0.0 };
        let admitted = offered - limited - failed;
        let over = (rate - system.capacity).max(0.0);
        let jitter = 1.0 + system.noise * self.random.normal();
        let capacity = (system.capacity - system.collapse * over).max(1.0) * wobble * jitter;
        let held_back = (self.queue + admitted - capacity - system.room).max(0.0).round();
        let waiting = self.queue + admitted - held_back;
        let done = waiting.min(capacity).floor();
        let before = self.queue;
        self.queue = waiting - done;
        let service = f64::from(system.servers) / system.capacity;
        let load = (admitted / capacity * f64::from(system.servers))
            .min(0.995 * f64::from(system.servers));
        let wait = erlang_c(system.servers, load)
            .map_or(0.0, |probability| probability * service / (f64::from(system.servers) - load));
        let response = system.latency + service + wait + (before + self.queue) / 2.0 / capacity;
        let window = Window::new(begin, begin + Duration::from_secs(1));
        let mut endpoints = vec![endpoint(ResponseClass::Status(200), done, response)];
        if limited > 0.0 {
            endpoints.push(endpoint(ResponseClass::Status(429), limited, service / 5.0));
        }
        if failed > 0.0 {
            endpoints.push(endpoint(ResponseClass::Status(500), failed, service));
        }
        self.timeline.ticks.push(LoadTick {
            window,
            generator: "g".into(),
            offered: offered as u64,
            sent: (offered - held_back) as u64,
            held_back: held_back as u64,
            in_flight: (before + self.queue) / 2.0
                + offered * (response - (before + self.queue) / 2.0 / capacity),
            backlog: 0,
            lateness: Histogram::new(),
            connect_time: Histogram::new(),
            connects: 0,
            endpoints,
        });
    }

    fn verdict(&self) -> KneeVerdict {
        find(&summarize_timeline(&self.timeline, &PlanSummary::default()), &self.timeline)
    }
}

fn endpoint(class: ResponseClass, count: f64, response: f64) -> EndpointTick {
    let mut response_time = Histogram::new();
    for index in 0..count as u64 {
        // An exponential spread by its quantiles.
        let share = (index as f64 + 0.5) / count;
        response_time.record(Duration::from_secs_f64(response * -(1.0 - share).ln()));
    }
    EndpointTick {
        endpoint: "get".into(),
        class,
        service_time: response_time.clone(),
        response_time,
    }
}

/// Stages of equal steps from zero to `end` times the capacity, held `seconds` each.
fn ramp(system: &System, end: f64, count: usize, seconds: u64, seed: u64) -> Run {
    let mut run = Run::new(system, seed);
    for step in 1..=count {
        let rate = end * system.capacity * step as f64 / count as f64;
        run.hold(StageRole::Ramp, rate, seconds);
    }
    run
}

fn found(verdict: &KneeVerdict) -> &Knee {
    match verdict {
        KneeVerdict::Found(knee) => knee,
        other => panic!("no knee: {other:?}"),
    }
}

#[track_caller]
fn assert_near(knee: &Knee, rate: f64, tolerance: f64) {
    assert!((knee.rate / rate - 1.0).abs() <= tolerance, "{rate}: {knee:?}");
    assert!(knee.low <= knee.rate && knee.rate <= knee.high, "{knee:?}");
}

#[test]
fn no_knee_below_capacity_and_the_right_one_beyond() {
    for servers in [1, 8, 64] {
        for seed in 0..20 {
            let system = System::new(200.0, servers);
            for end in [0.5, 0.8, 0.95] {
                let verdict = ramp(&system, end, 40, 8, seed).verdict();
                let KneeVerdict::NotReached { proven_rate } = verdict else {
                    panic!("servers {servers}, seed {seed}, end {end}: {verdict:?}");
                };
                assert!((proven_rate - 200.0 * end).abs() < 2.0, "{proven_rate}");
            }
            for end in [1.1, 1.2, 1.5, 2.0, 3.0, 4.0] {
                let verdict = ramp(&system, end, 40, 8, seed).verdict();
                let KneeVerdict::Found(knee) = &verdict else {
                    panic!("servers {servers}, seed {seed}, end {end}: {verdict:?}");
                };
                assert!(
                    (knee.rate / 200.0 - 1.0).abs() <= 0.05,
                    "servers {servers}, seed {seed}, end {end}: {knee:?}"
                );
            }
        }
    }
}
