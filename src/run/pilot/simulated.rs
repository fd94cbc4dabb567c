//! A server of known capacity, for the tests of pilots.

use std::time::Duration;

use super::decision::PlannedStage;
use crate::timeline::{
    EndpointTick, Histogram, LoadTick, Moment, ResponseClass, Stage, StageRole, Timeline, Window,
};

/// A server that completes at most `capacity` requests a second, 10 ms each when unloaded.
pub(super) struct Server {
    pub capacity: f64,
    pub queue: f64,
    /// From an overload on it fails every request until its load is at most this.
    pub recovers_at: f64,
    has_collapsed: bool,
    now: Moment,
    pub timeline: Timeline,
}

impl Server {
    pub(super) fn new(capacity: f64) -> Self {
        Self {
            capacity,
            queue: 0.0,
            recovers_at: f64::INFINITY,
            has_collapsed: false,
            now: Moment::START,
            timeline: Timeline::default(),
        }
    }

    pub(super) fn hold(&mut self, level: PlannedStage) {
        let begin = self.now;
        let seconds = if level.role == StageRole::Drain { 5 } else { level.duration.as_secs() };
        for _ in 0..seconds {
            self.second(level.rate_from);
        }
        let window = Window::new(begin, self.now);
        self.timeline.stages.push(Stage { window, ..level.stage(begin) });
    }

    fn second(&mut self, rate: f64) {
        self.has_collapsed =
            rate > self.recovers_at && (self.has_collapsed || rate > self.capacity);
        let completed = (self.queue + rate).min(self.capacity);
        self.queue += rate - completed;
        let response = Duration::from_secs_f64(0.01 + self.queue / self.capacity);
        let mut times = Histogram::new();
        for _ in 0..completed.round() as u64 {
            times.record(response);
        }
        let end = self.now + Duration::from_secs(1);
        self.timeline.ticks.push(LoadTick {
            offered: rate.round() as u64,
            sent: rate.round() as u64,
            in_flight: completed * response.as_secs_f64(),
            endpoints: vec![EndpointTick {
                endpoint: "GET /".to_owned(),
                class: ResponseClass::Status(if self.has_collapsed { 503 } else { 200 }),
                response_time: times.clone(),
                service_time: times,
            }],
            ..LoadTick::empty(Window::new(self.now, end), "test")
        });
        self.now = end;
    }
}
