//! What a pilot decides, and what it is asked.

use std::time::Duration;

use crate::recording::{PlanSummary, StopReason};
use crate::timeline::{Moment, Stage, StageRole, Timeline, Window};

/// How long a backlog can take to drain before the next stage starts anyway. Long stages leave long
/// queues: twice the length of a stage, if that is more.
pub(super) const LONGEST_DRAIN: Duration = Duration::from_secs(20);

/// Ticks are a second long.
const SHORTEST_REST: Duration = Duration::from_secs(1);

/// What a pilot decides to do next.
#[derive(Clone, Debug, PartialEq)]
pub enum Decision {
    /// Hold this stage.
    Hold(PlannedStage),
    /// The run is over.
    Done(StopReason),
}

/// A stage that is planned, before it has a beginning. Rates are requests per second.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PlannedStage {
    /// Its purpose.
    pub role: StageRole,
    /// Requests per second at its begin.
    pub rate_from: f64,
    /// Requests per second at its end.
    pub rate_to: f64,
    /// Virtual users at its begin.
    pub vus_from: f64,
    /// Virtual users at its end.
    pub vus_to: f64,
    /// How long to hold it; for a drain, at most.
    pub duration: Duration,
}

impl PlannedStage {
    pub(super) fn constant(role: StageRole, rate: f64, duration: Duration) -> Self {
        let (vus_from, vus_to) = (0.0, 0.0);
        Self { role, rate_from: rate, rate_to: rate, vus_from, vus_to, duration }
    }

    /// What is left of it after so long; `None` if that is too short to be measured.
    pub(in crate::run) fn after(&self, gone: Duration) -> Option<Self> {
        let duration = self.duration.checked_sub(gone).filter(|left| *left >= SHORTEST_REST)?;
        let share = gone.as_secs_f64() / self.duration.as_secs_f64();
        let at = |from: f64, to: f64| from + (to - from) * share;
        Some(Self {
            rate_from: at(self.rate_from, self.rate_to),
            vus_from: at(self.vus_from, self.vus_to),
            duration,
            ..*self
        })
    }

    /// The same stage, with its beginning.
    pub fn stage(&self, begin: Moment) -> Stage {
        Stage {
            role: self.role,
            window: Window::new(begin, begin + self.duration),
            rate_from: self.rate_from,
            rate_to: self.rate_to,
            vus_from: self.vus_from,
            vus_to: self.vus_to,
        }
    }
}

/// Chooses the stages of a run.
pub trait Pilot {
    /// The next stage, or the end of the run. `timeline` has everything measured so far.
    fn next(&mut self, timeline: &Timeline, plan: &PlanSummary) -> Decision;

    /// Whether it needs collected series. Such a pilot is also asked, while it holds a stage,
    /// whether that was long enough.
    fn looks_at_series(&self) -> bool {
        false
    }

    /// Whether `stage` was held long enough. Its window ends now.
    fn is_enough(&mut self, _timeline: &Timeline, _plan: &PlanSummary, _stage: &Stage) -> bool {
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rest_of_a_ramp_goes_on_where_it_was() {
        let ramp = PlannedStage {
            rate_from: 10.0,
            ..PlannedStage::constant(StageRole::Ramp, 50.0, Duration::from_secs(40))
        };
        let rest = ramp.after(Duration::from_secs(10)).unwrap();
        assert_eq!((rest.rate_from, rest.rate_to), (20.0, 50.0));
        assert_eq!(rest.duration, Duration::from_secs(30));
        assert_eq!(ramp.after(Duration::from_millis(39_500)), None);
        assert_eq!(ramp.after(Duration::from_secs(50)), None);
    }
}
