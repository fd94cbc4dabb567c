//! How much load, and when. Names follow k6 where k6 has the thing.

use std::time::Duration;

use serde::Serialize;

/// A load shape. Where it says a rate, the model is open: journeys start when the schedule says so,
/// whatever the target does. Where it says virtual users (VUs), the model is closed: each of them
/// begins a journey when the one before is over, so that a slow target gets less load.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "executor", rename_all = "kebab-case")]
pub enum Executor {
    /// One rate, held (k6's name).
    ConstantArrivalRate {
        /// Requests per second.
        rate: f64,
        /// For how long.
        duration: Duration,
    },
    /// From rate to rate in straight lines (k6's name).
    RampingArrivalRate {
        /// Requests per second at the begin.
        start_rate: f64,
        /// Targets and how long it takes to reach each; a target equal to the rate before it
        /// holds the rate.
        stages: Vec<RampStage>,
    },
    /// Rates one after the other, each held.
    Steps {
        /// Requests per second of each step.
        rates: Vec<f64>,
        /// How long each is held.
        hold: Duration,
    },
    /// So many VUs (k6's name).
    ConstantVus {
        /// How many.
        vus: u32,
        /// For how long.
        duration: Duration,
    },
    /// From number to number of VUs in straight lines (k6's name). A VU that is too many ends its
    /// journey first.
    RampingVus {
        /// How many at the begin.
        start_vus: u32,
        /// Targets and how long it takes to reach each.
        stages: Vec<VuStage>,
    },
    /// Each VU does so many journeys (k6's name).
    PerVuIterations {
        /// How many VUs.
        vus: u32,
        /// Journeys of each.
        iterations: u64,
        /// For how long at the most.
        max_duration: Duration,
    },
    /// The VUs share so many journeys (k6's name).
    SharedIterations {
        /// How many VUs.
        vus: u32,
        /// Journeys of all.
        iterations: u64,
        /// For how long at the most.
        max_duration: Duration,
    },
    /// Requests at the times of a trace.
    Replay {
        /// A CSV file with the columns `at` (seconds), `request` (a name) and one for each value
        /// that the requests take; relative to the plan.
        trace: String,
        /// How many times as fast.
        speed: f64,
    },
    /// One rate for long, to find what leaks and drifts.
    Soak(Soak),
    /// Upwards until the system breaks, then finer around that point.
    Breakpoint(Breakpoint),
    /// The highest rate that meets every objective, by halving.
    Capacity(Capacity),
}

impl Executor {
    /// Its name in plans and reports.
    pub fn name(&self) -> &'static str {
        match self {
            Executor::ConstantArrivalRate { .. } => "constant-arrival-rate",
            Executor::RampingArrivalRate { .. } => "ramping-arrival-rate",
            Executor::Steps { .. } => "steps",
            Executor::ConstantVus { .. } => "constant-vus",
            Executor::RampingVus { .. } => "ramping-vus",
            Executor::PerVuIterations { .. } => "per-vu-iterations",
            Executor::SharedIterations { .. } => "shared-iterations",
            Executor::Replay { .. } => "replay",
            Executor::Soak(_) => "soak",
            Executor::Breakpoint(_) => "breakpoint",
            Executor::Capacity(_) => "capacity",
        }
    }

    /// Most virtual users at a time; zero in the open model.
    pub fn most_vus(&self) -> u32 {
        match self {
            Executor::ConstantVus { vus, .. }
            | Executor::PerVuIterations { vus, .. }
            | Executor::SharedIterations { vus, .. } => *vus,
            Executor::RampingVus { start_vus, stages } => {
                stages.iter().map(|stage| stage.target).fold(*start_vus, u32::max)
            }
            _ => 0,
        }
    }

    /// Highest rate in journeys per second that it may ask for; zero where it names none.
    pub fn highest_rate(&self) -> f64 {
        match self {
            Executor::ConstantArrivalRate { rate, .. } => *rate,
            Executor::RampingArrivalRate { start_rate, stages } => {
                stages.iter().map(|stage| stage.target).fold(*start_rate, f64::max)
            }
            Executor::Steps { rates, .. } => rates.iter().copied().fold(0.0, f64::max),
            Executor::Soak(soak) => soak.rate,
            Executor::Breakpoint(search) => search.max_rate,
            Executor::Capacity(search) => search.max_rate,
            _ => 0.0,
        }
    }

    /// Whether it chooses its stages by what it has measured.
    pub fn is_adaptive(&self) -> bool {
        matches!(self, Executor::Soak(_) | Executor::Breakpoint(_) | Executor::Capacity(_))
    }

    /// How long it takes at the most, where that is known beforehand.
    pub fn length(&self) -> Option<Duration> {
        let sum = |durations: &mut dyn Iterator<Item = Duration>| {
            durations.fold(Duration::ZERO, Duration::saturating_add)
        };
        Some(match self {
            Executor::ConstantArrivalRate { duration, .. }
            | Executor::ConstantVus { duration, .. } => *duration,
            Executor::PerVuIterations { max_duration, .. }
            | Executor::SharedIterations { max_duration, .. } => *max_duration,
            Executor::RampingArrivalRate { stages, .. } => {
                sum(&mut stages.iter().map(|stage| stage.duration))
            }
            Executor::RampingVus { stages, .. } => {
                sum(&mut stages.iter().map(|stage| stage.duration))
            }
            Executor::Steps { rates, hold } => {
                hold.saturating_mul(u32::try_from(rates.len()).unwrap_or(u32::MAX))
            }
            Executor::Soak(soak) => soak.length(),
            Executor::Replay { .. } | Executor::Breakpoint(_) | Executor::Capacity(_) => {
                return None;
            }
        })
    }
}

/// One stage of ramping VUs.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct VuStage {
    /// VUs at its end.
    pub target: u32,
    /// How long it takes.
    pub duration: Duration,
}

/// The search for the highest rate that meets every objective: a geometric rise to the first one
/// that breaks an objective, then halving between the last good and the first bad one.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Capacity {
    /// First rate that is tried.
    pub start_rate: f64,
    /// Highest rate that is tried.
    pub max_rate: f64,
    /// How long each rate is held.
    pub hold: Duration,
    /// The search ends when the good and the bad rate are no further apart than this share.
    pub precision: f64,
}

/// How requests follow each other at one rate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Arrivals {
    /// At equal distances.
    #[default]
    Even,
    /// At random, as those of many users who know nothing of each other (a Poisson process).
    Poisson,
}

/// One stage of a ramping arrival rate.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct RampStage {
    /// Requests per second at its end.
    pub target: f64,
    /// How long it takes.
    pub duration: Duration,
}

/// One rate for long.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Soak {
    /// Requests per second.
    pub rate: f64,
    /// For how long at the most.
    pub duration: Duration,
    /// Whether to stop as soon as every resource is settled: it leaks, or it does not.
    pub until_settled: bool,
    /// How long the load is off at the end, to see what comes back.
    pub recovery: Duration,
}

/// The search for the knee: a geometric rise that stops at the first sign of it, a drain, finer
/// steps from below the sign to beyond it.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Breakpoint {
    /// Requests per second of the baseline and of the first stage.
    pub start_rate: f64,
    /// Highest rate that is tried.
    pub max_rate: f64,
    /// Ratio of one stage's rate to the one before, above 1.
    pub factor: f64,
    /// How long each stage is held.
    pub hold: Duration,
    /// How long the load is off at the end, to see what comes back.
    pub recovery: Duration,
}

/// What a run may never exceed, whatever the load asks for.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Limits {
    /// Requests per second over everything.
    pub max_rate: f64,
    /// Requests in flight; what is due beyond them waits, and is counted as backlog.
    pub max_in_flight: usize,
    /// Length of the run.
    pub max_duration: Duration,
    /// Share of failed requests, over one stage, at which the run ends; 1 for never.
    pub error_budget: f64,
    /// The only hosts that may be loaded, each a name or `*.domain`; any where there are none.
    pub hosts: Vec<String>,
    /// A file whose appearance ends the run, or a URL that does so once it answers with success.
    pub kill_switch: Option<String>,
}

/// Whether a host is among `allowed`: by its name, or by `*.domain` for all below a domain.
pub fn is_allowed_host(host: &str, allowed: &[String]) -> bool {
    allowed.iter().any(|allowed| match allowed.strip_prefix("*.") {
        Some(domain) => {
            let below =
                host.len().checked_sub(domain.len()).and_then(|at| host.split_at_checked(at));
            below.is_some_and(|(name, end)| {
                end.eq_ignore_ascii_case(domain) && name.len() > 1 && name.ends_with('.')
            })
        }
        None => host.eq_ignore_ascii_case(allowed),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_allowed_by_name_or_below_a_domain() {
        let allowed = ["localhost", "*.test.example"].map(str::to_owned);
        for (host, is_allowed) in [
            ("LOCALHOST", true),
            ("a.test.example", true),
            ("a.b.test.example", true),
            ("test.example", false),
            ("btest.example", false),
            (".test.example", false),
            ("127.0.0.1", false),
        ] {
            assert_eq!(is_allowed_host(host, &allowed), is_allowed, "{host}");
        }
        assert!(!is_allowed_host("localhost", &[]));
    }
}
