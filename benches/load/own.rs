//! kneepoint itself, in a separate process that only makes load.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use kneepoint::load::{FlowConfig, FlowKind, Generator, Iterations, LoadConfig, PemFiles, Share};
use kneepoint::plan::{
    Action, Arrivals, Capture, CaptureSource, Check, Connections, Header, Journey, Request,
    Segment, Step, Target, TargetUrl, Template, ThinkTime,
};
use kneepoint::timeline::{Epoch, Histogram, LoadTick, Moment, Stage, StageRole, Window};
use serde::{Deserialize, Serialize};

use crate::outcome::Outcome;
use crate::process::{Cost, measure};
use crate::{ROLE, plain};

/// What a child process does.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Job {
    pub port: u16,
    pub secs: u64,
    pub load: Load,
    /// Whether each user sends the two requests of a journey instead of one plain request.
    pub is_journey: bool,
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub enum Load {
    Open {
        rate: f64,
        in_flight: usize,
        is_poisson: bool,
    },
    /// The same at even distances, with the plain client.
    Plain {
        rate: f64,
    },
    /// Virtual users. If they have think time, they start one after the other in the first seconds.
    Closed {
        vus: usize,
        think_secs: u64,
    },
}

impl Job {
    /// Runs it in a child process.
    pub fn run(&self) -> (Outcome, Cost) {
        let program = std::env::current_exe().expect("this program has a path");
        let role = serde_json::to_string(self).expect("a job is JSON");
        let patience = Duration::from_secs(self.secs + 30);
        let (output, cost) = measure(Command::new(program).env(ROLE, role), patience)
            .expect("this program starts and ends");
        let outcome: Outcome = serde_json::from_str(&output)
            .unwrap_or_else(|error| panic!("the child said `{output}`: {error}"));
        if outcome.failed > 0 {
            println!("{} of {} requests failed: {self:?}", outcome.failed, outcome.requests);
        }
        (outcome, cost)
    }
}

/// Runs as such a child process.
pub fn load_as_child(role: &str) {
    let job: Job = serde_json::from_str(role).expect("the role is a job");
    let outcome = match job.load {
        Load::Plain { rate } => plain::load(job.port, rate, job.secs),
        Load::Open { .. } | Load::Closed { .. } => outcome(&load(&job)),
    };
    println!("{}", serde_json::to_string(&outcome).expect("an outcome is JSON"));
}

fn outcome(ticks: &[LoadTick]) -> Outcome {
    let (mut lateness, mut response_time) = (Histogram::new(), Histogram::new());
    for tick in ticks {
        lateness.merge(&tick.lateness);
        tick.endpoints.iter().for_each(|endpoint| response_time.merge(&endpoint.response_time));
    }
    let requests = ticks.iter().map(LoadTick::completed).sum();
    let good: u64 = ticks.iter().map(LoadTick::succeeded).sum();
    let micros = |quantile| lateness.quantile(quantile).unwrap_or(0.0) * 1e6;
    let [p50, p99] = [0.5, 0.99].map(|at| response_time.quantile(at).unwrap_or(0.0));
    let lateness = [0.5, 0.99, 1.0].map(micros);
    Outcome { requests, failed: requests - good, lateness, p50, p99 }
}

fn load(job: &Job) -> Vec<LoadTick> {
    let epoch = Epoch::new(Instant::now());
    let (generator, receiver) = Generator::start(config(job), epoch).expect("the load starts");
    let begin = Moment::from_secs_f64(0.1);
    let end = begin + Duration::from_secs(job.secs);
    for stage in stages(&job.load, begin, end) {
        generator.hold(0, &stage);
    }
    thread::sleep(epoch.instant(end).saturating_duration_since(Instant::now()));
    let rest = generator.stop(Duration::from_secs(2));
    receiver.try_iter().chain(rest).collect()
}

fn stages(load: &Load, begin: Moment, end: Moment) -> Vec<Stage> {
    let silent = |begin, end| Stage::constant(StageRole::Ramp, Window::new(begin, end), 0.0);
    match *load {
        Load::Open { rate, .. } | Load::Plain { rate } => {
            vec![Stage::constant(StageRole::Ramp, Window::new(begin, end), rate)]
        }
        Load::Closed { vus, think_secs: 0 } => {
            let vus = vus as f64;
            vec![Stage { vus_from: vus, vus_to: vus, ..silent(begin, end) }]
        }
        Load::Closed { vus, .. } => {
            let (vus, all) = (vus as f64, begin + Duration::from_secs(3));
            vec![
                Stage { vus_to: vus, ..silent(begin, all) },
                Stage { vus_from: vus, vus_to: vus, ..silent(all, end) },
            ]
        }
    }
}

fn config(job: &Job) -> LoadConfig {
    let host = Ipv4Addr::LOCALHOST.to_string();
    let url = TargetUrl { https: false, host, port: job.port, base_path: String::new() };
    let (connections, timeout) = (Connections::KeepAlive, Duration::from_secs(10));
    let (kind, max_in_flight, think) = match job.load {
        Load::Open { in_flight, is_poisson, .. } => {
            let arrivals = if is_poisson { Arrivals::Poisson } else { Arrivals::Even };
            (FlowKind::Open(arrivals), in_flight, None)
        }
        Load::Plain { .. } => (FlowKind::Open(Arrivals::Even), 1, None),
        Load::Closed { vus, think_secs } => {
            let think = (think_secs > 0).then(|| ThinkTime::Fixed(Duration::from_secs(think_secs)));
            (FlowKind::Closed(Iterations::Unlimited), vus, think)
        }
    };
    let requests = if job.is_journey { vec![login(), orders()] } else { vec![get("home", "/")] };
    let last = requests.len() - 1;
    let steps = (0..requests.len()).map(|index| Step {
        think: think.filter(|_| index == last),
        ..Step::of(Action::Request(index))
    });
    let journey = Journey {
        cookies: job.is_journey,
        steps: steps.collect(),
        ..Journey::of_one("journey", 1.0, 0)
    };
    LoadConfig {
        target: Target { connections, timeout, ..Target::usual(url) },
        requests,
        journeys: vec![journey],
        flows: vec![FlowConfig { journeys: vec![0], kind }],
        data: BTreeMap::new(),
        max_in_flight,
        max_rate: 1e6,
        workers: Some(1),
        share: Share::WHOLE,
        takeover: kneepoint::load::Takeover::default(),
        seed: 1,
        generator: "bench".into(),
        pem: PemFiles::default(),
    }
}

fn get(name: &str, path: &str) -> Request {
    Request::get(name, Template(vec![Segment::Text(path.into())]))
}

/// Answers with a token, which the next step sends, and a cookie, which the client returns.
fn login() -> Request {
    let source = CaptureSource::Json("$.user.token".into());
    Request {
        captures: vec![Capture { name: "token".into(), source }],
        checks: vec![Check::Status(vec![200]), Check::Json("$.ok".into(), true.into())],
        ..get("login", "/login")
    }
}

fn orders() -> Request {
    let token = vec![Segment::Text("Bearer ".into()), Segment::Value("token".into())];
    Request {
        headers: vec![("authorization".into(), Header::Plain(Template(token)))],
        checks: vec![Check::Status(vec![200]), Check::Json("$.count".into(), 1.into())],
        ..get("orders", "/orders")
    }
}
