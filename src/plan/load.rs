//! How much load, and when. Names follow k6 where k6 has the same thing.

use std::time::Duration;

use serde::Serialize;

/// How the load of a scenario changes over time. Rates are journeys per second.
///
/// With a rate, the model is open: journeys start on schedule, however slowly the target answers.
/// With virtual users (VUs), the model is closed: each VU starts a journey when its last one ends,
/// so a slow target gets less load.
///
/// ```
/// use std::time::Duration;
///
/// use kneepoint::plan::{Executor, Shape};
///
/// let stress = Shape::Stress.executor(100.0, Duration::from_secs(480));
/// assert_eq!(stress.name(), "steps");
/// assert_eq!(stress.highest_rate(), 200.0);
/// assert_eq!(stress.length(), Some(Duration::from_secs(480)));
/// ```
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "executor", rename_all = "kebab-case")]
pub enum Executor {
    /// A constant rate (k6's name).
    ConstantArrivalRate {
        /// Journeys per second.
        rate: f64,
        /// For how long.
        duration: Duration,
    },
    /// A rate that moves in straight lines (k6's name).
    RampingArrivalRate {
        /// Journeys per second at the beginning.
        start_rate: f64,
        /// Targets, and how long it takes to reach each. A target equal to the last one holds the
        /// rate.
        stages: Vec<RampStage>,
    },
    /// Several rates, each held for a time.
    Steps {
        /// Journeys per second of each step.
        rates: Vec<f64>,
        /// How long each is held.
        hold: Duration,
    },
    /// A constant number of VUs (k6's name).
    ConstantVus {
        /// How many.
        vus: u32,
        /// For how long.
        duration: Duration,
    },
    /// A number of VUs that moves in straight lines (k6's name). A VU that is removed first ends
    /// its journey.
    RampingVus {
        /// How many at the beginning.
        start_vus: u32,
        /// Targets, and how long it takes to reach each.
        stages: Vec<VuStage>,
    },
    /// Each VU does a number of journeys (k6's name).
    PerVuIterations {
        /// How many VUs.
        vus: u32,
        /// Journeys of each.
        iterations: u64,
        /// For how long, at most.
        max_duration: Duration,
    },
    /// The VUs share a number of journeys (k6's name).
    SharedIterations {
        /// How many VUs.
        vus: u32,
        /// Journeys of all.
        iterations: u64,
        /// For how long, at most.
        max_duration: Duration,
    },
    /// Requests at the times of a trace.
    Replay {
        /// Path of a CSV file, relative to the plan. Its columns are `at` (seconds), `request` (a
        /// name), and one for each value that the requests use.
        trace: String,
        /// Speed factor: 2 replays twice as fast.
        speed: f64,
    },
    /// A constant rate for hours, to find leaks and drift.
    Soak(Soak),
    /// Raises the rate until the system breaks, then takes finer steps around that point.
    Breakpoint(Breakpoint),
    /// Searches for the highest rate that meets every objective, by bisection.
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

    /// Most virtual users at one time; zero in the open model.
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

    /// Highest rate that it can ask for, in journeys per second; zero in the closed model.
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

    /// Whether it chooses its stages by what it measures.
    pub fn is_adaptive(&self) -> bool {
        matches!(self, Executor::Soak(_) | Executor::Breakpoint(_) | Executor::Capacity(_))
    }

    /// How long it takes at most, if that is known beforehand.
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

/// A search for the highest rate that meets every objective: doubles the rate until an objective is
/// broken, then bisects between the last good rate and the first bad one.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Capacity {
    /// First rate to try.
    pub start_rate: f64,
    /// Highest rate to try.
    pub max_rate: f64,
    /// How long each rate is held.
    pub hold: Duration,
    /// The search ends when the good rate is within this share of the bad one.
    pub precision: f64,
}

/// The spacing of journeys at one rate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Arrivals {
    /// Equally spaced.
    #[default]
    Even,
    /// At random, like many independent users (a Poisson process).
    Poisson,
}

/// One stage of a ramping arrival rate.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct RampStage {
    /// Journeys per second at its end.
    pub target: f64,
    /// How long it takes.
    pub duration: Duration,
}

/// A constant rate for hours.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Soak {
    /// Requests per second.
    pub rate: f64,
    /// For how long, at most.
    pub duration: Duration,
    /// Whether to stop as soon as it is clear for every resource whether it leaks.
    pub until_settled: bool,
    /// How long the load is off at the end, to see what recovers.
    pub recovery: Duration,
}

/// A search for the knee: a geometric rise to the first sign of it, a drain, then finer steps from
/// below the sign to beyond it.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Breakpoint {
    /// Journeys per second of the baseline and of the first stage.
    pub start_rate: f64,
    /// Highest rate to try.
    pub max_rate: f64,
    /// Ratio of the rate of one stage to that of the last, above 1.
    pub factor: f64,
    /// How long each stage is held.
    pub hold: Duration,
    /// How long the load is off at the end, to see what recovers.
    pub recovery: Duration,
    /// Whether to send a few short bursts after that, where requests were refused and the run does
    /// not tell whether their rate or their number is limited.
    pub probe: bool,
}

/// What a run never exceeds, whatever the load asks for.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Limits {
    /// Requests per second, over all scenarios.
    pub max_rate: f64,
    /// Requests in flight. Further requests wait, and count as backlog.
    pub max_in_flight: usize,
    /// Length of the run.
    pub max_duration: Duration,
    /// Share of failed requests in one stage above which the run ends; 1 for never.
    pub error_budget: f64,
    /// The only hosts that the run may load, each a name or `*.domain`; empty allows every host.
    pub hosts: Vec<String>,
    /// Path of a file whose appearance ends the run, or a URL that ends it once it answers with
    /// success.
    pub kill_switch: Option<String>,
}

/// Whether `allowed` includes a host: by its name, or by `*.domain` for every name below a domain.
///
/// ```
/// use kneepoint::plan::is_allowed_host;
///
/// let allowed = ["*.test.example".to_owned()];
/// assert!(is_allowed_host("shop.test.example", &allowed));
/// assert!(!is_allowed_host("test.example", &allowed));
/// ```
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
