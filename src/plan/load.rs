//! How much load, and when. Names follow k6 where k6 has the thing.

use std::time::Duration;

use serde::Serialize;

/// A load shape in the open model: requests start when the schedule says so, whatever the target
/// does.
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
    /// One rate for long, to find what leaks and drifts.
    Soak(Soak),
    /// Upwards until the system breaks, then finer around that point.
    Breakpoint(Breakpoint),
}

impl Executor {
    /// Its name in plans and reports.
    pub fn name(&self) -> &'static str {
        match self {
            Executor::ConstantArrivalRate { .. } => "constant-arrival-rate",
            Executor::RampingArrivalRate { .. } => "ramping-arrival-rate",
            Executor::Steps { .. } => "steps",
            Executor::Soak(_) => "soak",
            Executor::Breakpoint(_) => "breakpoint",
        }
    }
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
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Limits {
    /// Requests per second over everything.
    pub max_rate: f64,
    /// Requests in flight; what is due beyond them waits, and is counted as backlog.
    pub max_in_flight: usize,
    /// Length of the run.
    pub max_duration: Duration,
    /// Share of failed requests, over one stage, at which the run ends; 1 for never.
    pub error_budget: f64,
}
