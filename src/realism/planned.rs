//! What a plan would do, in the same numbers as what users did.

use std::time::Duration;

use super::kinds::Kinds;
use super::sessions::Sessions;
use crate::plan::{Executor, Plan};

/// What a plan would send. Fill it with the requests that are drawn from the plan, user by user.
#[derive(Clone, Debug, Default)]
pub struct Planned {
    pub(super) kinds: Kinds,
    /// Each user of the plan is a client of its own.
    pub(super) sessions: Sessions,
    users: u64,
    /// Seconds since the user began.
    at: f64,
    /// The most requests per second that it asks for, if that is known beforehand.
    pub(super) peak: Peak,
    pub(super) retries: bool,
    pub(super) max_connections: Option<usize>,
    /// Whether its rate is one number or a few, and not a search.
    pub(super) is_steady: bool,
}

/// The highest rate of a plan.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) enum Peak {
    /// Requests per second.
    Rate(f64),
    /// Every request comes at the time that it had in a log.
    Replayed,
    /// Virtual users wait for answers, which nobody knows beforehand.
    #[default]
    Unknown,
}

impl Planned {
    /// The rates and the clients of a plan; its requests are added one by one.
    pub fn of(plan: &Plan) -> Self {
        let executors = || plan.scenarios.iter().map(|scenario| &scenario.executor);
        let is_replay = |executor: &Executor| matches!(executor, Executor::Replay { .. });
        let peak = if executors().any(is_replay) {
            Peak::Replayed
        } else if executors().any(|executor| executor.most_vus() > 0) {
            Peak::Unknown
        } else {
            let of = |scenario| plan.requests_per_journey(scenario);
            let rates =
                plan.scenarios.iter().map(|it| it.executor.highest_rate() * of(it)).sum::<f64>();
            Peak::Rate(rates.min(plan.limits.max_rate))
        };
        Self {
            peak,
            retries: plan.target.retries.is_some(),
            max_connections: plan.target.max_connections,
            is_steady: !executors().any(Executor::is_adaptive),
            ..Self::default()
        }
    }

    /// A user begins.
    pub fn begin(&mut self) {
        self.users += 1;
        self.at = 0.0;
    }

    /// The user pauses.
    pub fn think(&mut self, time: Duration) {
        self.at += time.as_secs_f64();
    }

    /// The user asks for `target`.
    pub fn request(&mut self, method: &str, target: &str) {
        if let Some(counted) = self.kinds.count(method, target) {
            self.sessions.add(self.users, self.at as i64, counted, false);
        }
    }

    /// Whether users of the plan do one thing after another.
    pub(super) fn has_journeys(&self) -> bool {
        self.sessions.longer > 0
    }
}
