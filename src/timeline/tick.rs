//! What the load generator reports: stages, and one tick a second.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{FailureCount, Histogram, ResponseClass, Window};

/// The purpose of a stage.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StageRole {
    /// Low load, to measure the response time and the system without pressure.
    Baseline,
    /// The rise of a search, or the rates that the plan sets.
    Ramp,
    /// Fine steps around a sign of the knee.
    Refine,
    /// Beyond the knee, to record what saturates.
    Beyond,
    /// Low load after an overload, until the backlog is gone. The knee ignores it.
    Drain,
    /// No load, to see what recovers and what stays.
    Recovery,
    /// All its requests at once, at its beginning, to see how many a limit at the door lets in. The
    /// knee ignores it.
    Probe,
}

impl StageRole {
    /// Whether the stage shows how the system behaves at its offered load.
    pub fn is_measured(self) -> bool {
        !matches!(self, StageRole::Drain | StageRole::Recovery | StageRole::Probe)
    }
}

impl fmt::Display for StageRole {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            StageRole::Baseline => "baseline",
            StageRole::Ramp => "ramp",
            StageRole::Refine => "refine",
            StageRole::Beyond => "beyond",
            StageRole::Drain => "drain",
            StageRole::Recovery => "recovery",
            StageRole::Probe => "probe",
        })
    }
}

/// One level of offered load, held.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Stage {
    /// Its purpose.
    pub role: StageRole,
    /// When.
    pub window: Window,
    /// Requests per second at its beginning.
    pub rate_from: f64,
    /// Requests per second at its end; equal to `rate_from` if the rate is constant.
    pub rate_to: f64,
    /// Virtual users at its beginning, of scenarios in the closed model. They have no rate.
    #[serde(default)]
    pub vus_from: f64,
    /// Virtual users at its end.
    #[serde(default)]
    pub vus_to: f64,
}

impl Stage {
    /// A constant rate in the open model.
    pub fn constant(role: StageRole, window: Window, rate: f64) -> Self {
        Self { role, window, rate_from: rate, rate_to: rate, vus_from: 0.0, vus_to: 0.0 }
    }

    /// Mean number of virtual users.
    pub fn vus(&self) -> f64 {
        (self.vus_from + self.vus_to) / 2.0
    }

    /// Whether its load is only virtual users (closed model).
    pub fn is_closed(&self) -> bool {
        self.vus() > 0.0 && self.rate() == 0.0
    }

    /// Mean offered rate in requests per second.
    pub fn rate(&self) -> f64 {
        (self.rate_from + self.rate_to) / 2.0
    }

    /// Whether the load changes within the stage.
    pub fn is_ramping(&self) -> bool {
        (self.rate_from - self.rate_to).abs() > 1e-9 || (self.vus_from - self.vus_to).abs() > 1e-9
    }
}

/// Memory of an endpoint in a tick in addition to its histograms, in values of eight bytes.
const VALUES_OF_ENDPOINT: usize = 20;
/// Memory of a count of failures, in values of eight bytes. Ticks share their texts.
const VALUES_OF_FAILURE: usize = 2;

/// The requests of one endpoint and one class that ended within a tick.
#[derive(Clone, Debug, PartialEq)]
pub struct EndpointTick {
    /// Name of the request in the plan.
    pub endpoint: String,
    /// How they ended.
    pub class: ResponseClass,
    /// From the intended start to the end of the response.
    pub response_time: Histogram,
    /// From the actual send to the end of the response.
    pub service_time: Histogram,
}

/// The journeys that ended within a tick, and what happened in them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct JourneyTick {
    /// Journeys that completed.
    #[serde(default)]
    pub completed: u64,
    /// Journeys that ended early, because a request failed or a value was missing.
    #[serde(default)]
    pub abandoned: u64,
    /// Requests that had to wait for the run's `max_rate`.
    #[serde(default)]
    pub capped: u64,
    /// Retries. They are not part of [`LoadTick::sent`], which counts each request once.
    #[serde(default)]
    pub retries: u64,
    /// Failed checks, in words, and how often each failed.
    #[serde(default)]
    pub failed_checks: Vec<(String, u64)>,
}

impl JourneyTick {
    /// Whether every count is zero.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Adds the counts of another tick.
    pub fn absorb(&mut self, other: JourneyTick) {
        self.completed += other.completed;
        self.abandoned += other.abandoned;
        self.capped += other.capped;
        self.retries += other.retries;
        for (check, count) in other.failed_checks {
            self.count_failed(&check, count);
        }
    }

    /// Adds failures of a check.
    pub fn count_failed(&mut self, check: &str, count: u64) {
        match self.failed_checks.iter_mut().find(|(known, _)| known == check) {
            Some((_, known)) => *known += count,
            None => self.failed_checks.push((check.to_owned(), count)),
        }
    }
}

/// The phases of requests that got a response, as the generator sees them, over all endpoints. A
/// new connection comes first: `dns`, then [`LoadTick::connect_time`].
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Phases {
    /// Time to resolve the target's name, for connections that did so.
    pub dns: Histogram,
    /// Time of the TLS handshake, a part of the connect time.
    pub tls: Histogram,
    /// Time to hand the whole request to the kernel.
    pub send: Histogram,
    /// Time from then to the first byte of the response; zero if the response begins before the
    /// request is sent.
    pub wait: Histogram,
    /// Time from the first byte of the response to its end.
    pub receive: Histogram,
}

impl Phases {
    /// Adds everything in `other`.
    pub fn merge(&mut self, other: &Phases) {
        self.dns.merge(&other.dns);
        self.tls.merge(&other.tls);
        self.send.merge(&other.send);
        self.wait.merge(&other.wait);
        self.receive.merge(&other.receive);
    }

    fn compact(&mut self) {
        let Self { dns, tls, send, wait, receive } = self;
        [dns, tls, send, wait, receive].into_iter().for_each(Histogram::compact);
    }

    fn cells(&self) -> usize {
        let Self { dns, tls, send, wait, receive } = self;
        [dns, tls, send, wait, receive].into_iter().map(Histogram::cells).sum()
    }
}

/// What one generator did within one window, usually a second.
#[derive(Clone, Debug, PartialEq)]
pub struct LoadTick {
    /// The window.
    pub window: Window,
    /// Name of the generator, so that recordings of several merge.
    pub generator: String,
    /// Requests that the schedule asked for.
    pub offered: u64,
    /// Requests that were sent.
    pub sent: u64,
    /// Due requests that were never sent, because too many were already waiting.
    pub held_back: u64,
    /// Mean number of requests in flight: the integral over the window, divided by its length.
    pub in_flight: f64,
    /// Due requests that wait for a free connection at the end of the window.
    pub backlog: u64,
    /// Actual minus intended start of requests that had a free connection: how late the generator
    /// itself was.
    pub lateness: Histogram,
    /// Time to make each new connection after DNS, including TLS.
    pub connect_time: Histogram,
    /// New connections made.
    pub connects: u64,
    /// The phases of requests that got a response.
    pub phases: Phases,
    /// Outcome of journeys.
    pub journeys: JourneyTick,
    /// Completed requests by endpoint and class.
    pub endpoints: Vec<EndpointTick>,
    /// What those said that failed. Older recordings have none.
    pub failures: Vec<FailureCount>,
}

impl LoadTick {
    /// The tick of a generator that did nothing within `window`.
    pub fn empty(window: Window, generator: impl Into<String>) -> Self {
        Self {
            window,
            generator: generator.into(),
            offered: 0,
            sent: 0,
            held_back: 0,
            in_flight: 0.0,
            backlog: 0,
            lateness: Histogram::new(),
            connect_time: Histogram::new(),
            connects: 0,
            phases: Phases::default(),
            journeys: JourneyTick::default(),
            endpoints: Vec::new(),
            failures: Vec::new(),
        }
    }

    /// Adds the same generator's next tick. The window grows to contain both.
    pub fn append(&mut self, later: LoadTick) {
        let backlog = later.backlog;
        self.absorb(later, backlog);
    }

    /// Adds what another part of the generator did at the same time.
    pub fn join(&mut self, other: LoadTick) {
        let backlog = self.backlog.saturating_add(other.backlog);
        self.absorb(other, backlog);
    }

    /// A queue length at the end of the window is handled separately, because it adds up over parts
    /// but not over time.
    fn absorb(&mut self, other: LoadTick, backlog: u64) {
        let in_flight_secs =
            self.in_flight * self.window.secs() + other.in_flight * other.window.secs();
        self.window = Window::new(
            self.window.begin.min(other.window.begin),
            self.window.end.max(other.window.end),
        );
        let secs = self.window.secs();
        self.in_flight = if secs > 0.0 { in_flight_secs / secs } else { 0.0 };
        self.offered = self.offered.saturating_add(other.offered);
        self.sent = self.sent.saturating_add(other.sent);
        self.held_back = self.held_back.saturating_add(other.held_back);
        self.backlog = backlog;
        self.lateness.merge(&other.lateness);
        self.connect_time.merge(&other.connect_time);
        self.connects = self.connects.saturating_add(other.connects);
        self.phases.merge(&other.phases);
        self.journeys.absorb(other.journeys);
        FailureCount::absorb(&mut self.failures, other.failures);
        for endpoint in other.endpoints {
            let same = self
                .endpoints
                .iter_mut()
                .find(|known| known.endpoint == endpoint.endpoint && known.class == endpoint.class);
            match same {
                Some(known) => {
                    known.response_time.merge(&endpoint.response_time);
                    known.service_time.merge(&endpoint.service_time);
                }
                None => self.endpoints.push(endpoint),
            }
        }
    }

    /// Keeps only the non-zero counters of its histograms. For a tick that is complete.
    pub fn compact(&mut self) {
        self.lateness.compact();
        self.connect_time.compact();
        self.phases.compact();
        for endpoint in &mut self.endpoints {
            endpoint.response_time.compact();
            endpoint.service_time.compact();
        }
    }

    /// Its size in values of eight bytes: the counters of its histograms and the space of its
    /// texts.
    pub fn values(&self) -> usize {
        let of = |endpoint: &EndpointTick| {
            endpoint.response_time.cells() + endpoint.service_time.cells() + VALUES_OF_ENDPOINT
        };
        let endpoints: usize = self.endpoints.iter().map(of).sum();
        let failures = VALUES_OF_FAILURE * self.failures.len();
        endpoints
            + failures
            + self.lateness.cells()
            + self.connect_time.cells()
            + self.phases.cells()
    }

    /// Responses and failures that came within the window.
    pub fn completed(&self) -> u64 {
        self.endpoints.iter().map(|endpoint| endpoint.response_time.count()).sum()
    }

    /// Successful responses that came within the window.
    pub fn succeeded(&self) -> u64 {
        self.successes().map(Histogram::count).sum()
    }

    /// Response times of the successful responses, by endpoint and class.
    pub fn successes(&self) -> impl Iterator<Item = &Histogram> {
        let good = self.endpoints.iter().filter(|endpoint| endpoint.class.is_success());
        good.map(|endpoint| &endpoint.response_time)
    }
}
