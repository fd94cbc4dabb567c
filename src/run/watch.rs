//! Watches the load second by second for reasons to stop the run, and for the end of a backlog.

use crate::plan::Limits;
use crate::recording::StopReason;
use crate::timeline::{LoadTick, Moment, ResponseClass, Stage, StageRole};

/// The target is gone after this many seconds in which every request failed to connect.
const SECONDS_WITHOUT_TARGET: u32 = 10;
/// Requests of a stage before the error budget is judged.
const REQUESTS_TO_JUDGE: u64 = 50;
/// A backlog is gone after this many calm seconds in a row.
const CALM_SECONDS: u32 = 2;
/// A second is calm if no more requests are in flight than this multiple of what the baseline would
/// have at the same rate (Little's law),
const CALM_RATIO: f64 = 2.0;
/// or no more than this many: so few are not a backlog.
const CALM_REQUESTS: f64 = 2.0;

/// What the load has shown so far that can end a stage or a run.
pub struct Watch {
    error_budget: f64,
    /// Beginning of the stage that the counts below belong to.
    stage: Option<Moment>,
    completed: u64,
    failed: u64,
    calm_seconds: u32,
    seconds_without_target: u32,
    baseline: Residence,
}

/// How long requests stay in flight, by Little's law (L = λW).
#[derive(Default)]
struct Residence {
    /// Integral of the requests in flight over time, in request seconds.
    in_flight_seconds: f64,
    completed: u64,
}

impl Residence {
    fn add(&mut self, tick: &LoadTick) {
        self.in_flight_seconds += tick.in_flight * tick.window.secs();
        self.completed += tick.completed();
    }

    /// Requests in flight at `rate` requests per second; zero if nothing was measured.
    fn in_flight_at(&self, rate: f64) -> f64 {
        self.in_flight_seconds / self.completed.max(1) as f64 * rate
    }
}

impl Watch {
    /// A watch over a run with these limits.
    pub fn new(limits: &Limits) -> Self {
        Self {
            error_budget: limits.error_budget,
            stage: None,
            completed: 0,
            failed: 0,
            calm_seconds: 0,
            seconds_without_target: 0,
            baseline: Residence::default(),
        }
    }

    /// Takes in one second of load. Returns the reason if the run has to end.
    pub fn see(&mut self, tick: &LoadTick, stage: Option<&Stage>) -> Option<StopReason> {
        self.count_connections(tick);
        if let Some(stage) = stage {
            self.see_stage(tick, stage);
        }
        if self.seconds_without_target >= SECONDS_WITHOUT_TARGET {
            return Some(StopReason::TargetGone(format!(
                "every request failed to connect for {SECONDS_WITHOUT_TARGET} s"
            )));
        }
        self.budget_is_spent().then_some(StopReason::ErrorBudget)
    }

    /// Whether the backlog of an overload is gone.
    pub fn is_drained(&self) -> bool {
        self.calm_seconds >= CALM_SECONDS
    }

    fn see_stage(&mut self, tick: &LoadTick, stage: &Stage) {
        if self.stage != Some(stage.window.begin) {
            self.stage = Some(stage.window.begin);
            (self.completed, self.failed, self.calm_seconds) = (0, 0, 0);
        }
        // The first second of a stage partly belongs to the stage before it.
        if tick.window.begin < stage.window.begin {
            return;
        }
        // A burst is meant to be refused in part.
        if stage.role == StageRole::Probe {
            return;
        }
        self.completed += tick.completed();
        self.failed += tick.completed() - tick.succeeded();
        if stage.role == StageRole::Baseline {
            self.baseline.add(tick);
        }
        let usual = CALM_RATIO * self.baseline.in_flight_at(stage.rate());
        // Without this, a target that fails every request at once would look calm.
        let answers = 2 * tick.succeeded() >= tick.completed();
        let calm = answers && tick.backlog == 0 && tick.in_flight <= usual.max(CALM_REQUESTS);
        self.calm_seconds = if calm { self.calm_seconds + 1 } else { 0 };
    }

    /// Counts seconds without a connection. A second in which no request ended does not count.
    fn count_connections(&mut self, tick: &LoadTick) {
        let refused: u64 = tick
            .endpoints
            .iter()
            .filter(|endpoint| endpoint.class == ResponseClass::Connect)
            .map(|endpoint| endpoint.response_time.count())
            .sum();
        match tick.completed() {
            0 => {}
            completed if completed == refused => self.seconds_without_target += 1,
            _ => self.seconds_without_target = 0,
        }
    }

    fn budget_is_spent(&self) -> bool {
        let ratio = self.failed as f64 / self.completed.max(1) as f64;
        self.completed >= REQUESTS_TO_JUDGE && ratio > self.error_budget
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::timeline::{EndpointTick, Histogram, Window};

    fn moment(second: u64) -> Moment {
        Moment::from_nanos(second * 1_000_000_000)
    }

    fn stage(role: StageRole, begin: u64, rate: f64) -> Stage {
        let window = Window::new(moment(begin), moment(begin + 20));
        Stage::constant(role, window, rate)
    }

    /// The second from `begin` on, in which so many requests ended in these ways.
    fn tick(begin: u64, in_flight: f64, ended: &[(ResponseClass, u64)]) -> LoadTick {
        let endpoints = ended.iter().map(|(class, count)| {
            let mut times = Histogram::new();
            (0..*count).for_each(|_| times.record(Duration::from_millis(5)));
            EndpointTick {
                endpoint: "GET /".to_owned(),
                class: *class,
                response_time: times.clone(),
                service_time: times,
            }
        });
        LoadTick {
            in_flight,
            endpoints: endpoints.collect(),
            ..LoadTick::empty(Window::new(moment(begin), moment(begin + 1)), "test")
        }
    }

    fn watch(error_budget: f64) -> Watch {
        Watch::new(&Limits { error_budget, ..Limits::usual() })
    }

    const OK: ResponseClass = ResponseClass::Status(200);
    const BUSY: ResponseClass = ResponseClass::Status(503);

    #[test]
    fn a_target_that_refuses_every_connection_for_ten_seconds_is_gone() {
        let mut watch = watch(1.0);
        let gone = |second| tick(second, 0.0, &[(ResponseClass::Connect, 5)]);
        for second in 0..9 {
            assert_eq!(watch.see(&gone(second), None), None);
        }
        // A second without any end is no sign of life, and one answer is.
        assert_eq!(watch.see(&tick(9, 0.0, &[]), None), None);
        let answered = tick(10, 0.0, &[(ResponseClass::Connect, 5), (OK, 1)]);
        assert_eq!(watch.see(&answered, None), None);
        for second in 11..20 {
            assert_eq!(watch.see(&gone(second), None), None);
        }
        let reason = watch.see(&gone(20), None);
        assert!(matches!(reason, Some(StopReason::TargetGone(_))), "{reason:?}");
    }

    #[test]
    fn failures_with_an_answer_are_no_sign_of_a_target_that_is_gone() {
        let mut watch = watch(1.0);
        let stage = stage(StageRole::Beyond, 0, 50.0);
        for second in 0..20 {
            let failing = tick(second, 9.0, &[(BUSY, 90), (ResponseClass::Timeout, 10)]);
            assert_eq!(watch.see(&failing, Some(&stage)), None, "second {second}");
        }
    }

    #[test]
    fn an_error_budget_is_of_one_stage_and_of_enough_requests() {
        let mut watch = watch(0.5);
        let first = stage(StageRole::Ramp, 0, 50.0);
        let second = stage(StageRole::Ramp, 2, 50.0);
        assert_eq!(watch.see(&tick(0, 1.0, &[(BUSY, 49)]), Some(&first)), None);
        // The last second of the first stage, told within the second one.
        assert_eq!(watch.see(&tick(1, 1.0, &[(BUSY, 49)]), Some(&second)), None);
        assert_eq!(watch.see(&tick(2, 1.0, &[(BUSY, 30), (OK, 30)]), Some(&second)), None);
        let spent = watch.see(&tick(3, 1.0, &[(BUSY, 1)]), Some(&second));
        assert_eq!(spent, Some(StopReason::ErrorBudget));
    }

    #[test]
    fn without_an_error_budget_nothing_but_errors_is_borne() {
        let mut watch = watch(1.0);
        let stage = stage(StageRole::Beyond, 0, 50.0);
        assert_eq!(watch.see(&tick(0, 1.0, &[(BUSY, 1000)]), Some(&stage)), None);
    }

    #[test]
    fn a_drain_ends_when_in_flight_is_what_the_baseline_has_at_that_rate() {
        // 20 ms each: 0.2 in flight at 10/s, 5 at 250/s.
        let mut watch = watch(1.0);
        let baseline = stage(StageRole::Baseline, 0, 10.0);
        for second in 0..5 {
            watch.see(&tick(second, 0.2, &[(OK, 10)]), Some(&baseline));
        }
        let drain = stage(StageRole::Drain, 5, 250.0);
        watch.see(&tick(5, 400.0, &[(OK, 250)]), Some(&drain));
        watch.see(&tick(6, 6.0, &[(OK, 250)]), Some(&drain));
        assert!(!watch.is_drained(), "one calm second is none");
        watch.see(&tick(7, 1.0, &[(ResponseClass::Status(504), 250)]), Some(&drain));
        assert!(!watch.is_drained(), "it fails all the same");
        watch.see(&tick(8, 11.0, &[(OK, 250)]), Some(&drain));
        watch.see(&tick(9, 6.0, &[(OK, 250)]), Some(&drain));
        watch.see(&tick(10, 9.0, &[(OK, 250)]), Some(&drain));
        assert!(watch.is_drained());
        // The next drain begins anew.
        let again = stage(StageRole::Drain, 40, 250.0);
        watch.see(&tick(40, 400.0, &[(OK, 250)]), Some(&again));
        assert!(!watch.is_drained());
    }

    #[test]
    fn a_drain_ends_where_the_baseline_had_nothing_in_flight_and_not_over_a_backlog() {
        let mut watch = watch(1.0);
        watch.see(&tick(0, 0.0, &[]), Some(&stage(StageRole::Baseline, 0, 10.0)));
        let drain = stage(StageRole::Drain, 1, 10.0);
        let waiting = LoadTick { backlog: 3, ..tick(1, 1.0, &[(OK, 10)]) };
        for _ in 0..9 {
            watch.see(&waiting, Some(&drain));
        }
        assert!(!watch.is_drained());
        for second in 2..4 {
            watch.see(&tick(second, 2.0, &[(OK, 10)]), Some(&drain));
        }
        assert!(watch.is_drained());
    }
}
