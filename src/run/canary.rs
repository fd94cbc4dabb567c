//! Canaries: probe requests while the load runs, measured separately.
//!
//! Each canary has its own small generator. Its seconds become batches, like those of a collector,
//! and never ticks of the run: knee, throughput and objectives count only the load.

use std::sync::mpsc::Receiver;
use std::time::Duration;

use crate::load::{Generator, LoadConfig, LoadError};
use crate::plan::{Canary, Connections, Dns, Target};
use crate::timeline::{
    Batch, BatchBuilder, Epoch, Histogram, Labels, LoadTick, Moment, Source, Stage, StageRole,
    Window, names,
};

/// What canaries add to a recording.
pub(super) const SOURCE: Source = Source {
    name: names::CANARY,
    metrics: &[
        names::CANARY_RESPONSE_TIME,
        names::CANARY_RESPONSE_TIME_P50,
        names::CANARY_RESPONSE_TIME_MAX,
        names::CANARY_REQUESTS,
        names::CANARY_FAILURES,
    ],
    hint: "[[canary]] with the path of a cheap route",
};

/// The rate swings up and down by this share. At a constant rate, probes could arrive at the same
/// point of the period of a steady load each time, and find the target always busy or always idle.
const SWING: f64 = 0.2;
/// How long the rate rises, and how long it falls.
const LEG: Duration = Duration::from_secs(5);

/// The canaries of a run, until they are stopped.
#[derive(Default)]
pub(super) struct Canaries(Vec<RunningCanary>);

/// One canary that is running.
struct RunningCanary {
    generator: Generator,
    ticks: Receiver<LoadTick>,
    swing: RateSwing,
    record: CanaryCounts,
}

/// When a canary's requests are due.
struct RateSwing {
    /// Mean requests per second.
    rate: f64,
    /// End of what is scheduled so far.
    until: Moment,
    is_rising: bool,
}

/// Totals of a canary's requests.
struct CanaryCounts {
    name: String,
    /// Requests that ended since the start.
    requests: u64,
    /// How many of them failed.
    failures: u64,
}

impl Canaries {
    /// Starts `canaries` against the target of `load`, from `first` on.
    ///
    /// # Errors
    ///
    /// As for the load's own generator.
    pub(super) fn start(
        canaries: &[Canary],
        load: &LoadConfig,
        epoch: Epoch,
        first: Moment,
    ) -> Result<Self, LoadError> {
        let mut flights = Vec::new();
        for canary in canaries {
            let (generator, ticks) = Generator::start(config(canary, load), epoch)?;
            let swing = RateSwing { rate: canary.rate, until: first, is_rising: true };
            let name = canary.request.name.clone();
            let record = CanaryCounts { name, requests: 0, failures: 0 };
            flights.push(RunningCanary { generator, ticks, swing, record });
        }
        Ok(Self(flights))
    }

    /// What was measured since the last call. Call it at least every few seconds: it also schedules
    /// the next probes.
    pub(super) fn take(&mut self, now: Moment) -> Vec<Batch> {
        let batches = |flight: &mut RunningCanary| -> Vec<Batch> {
            while let Some(leg) = flight.swing.next_leg(now) {
                flight.generator.hold(0, &leg);
            }
            flight.ticks.try_iter().map(|tick| flight.record.batch(&tick)).collect()
        };
        self.0.iter_mut().flat_map(batches).collect()
    }

    /// Stops them at once and returns what was measured since the last [`Canaries::take`].
    pub(super) fn stop(&mut self) -> Vec<Batch> {
        let mut batches = Vec::new();
        for RunningCanary { generator, ticks, mut record, .. } in self.0.drain(..) {
            let late = generator.stop(Duration::ZERO);
            batches.extend(ticks.try_iter().chain(late).map(|tick| record.batch(&tick)));
        }
        batches
    }
}

/// The load's configuration, with a new connection for each request: a kept connection would not
/// pass through the accept queue.
fn config(canary: &Canary, load: &LoadConfig) -> LoadConfig {
    let unanswered = (canary.rate * load.target.timeout.as_secs_f64()).ceil() as usize + 1;
    LoadConfig {
        target: Target {
            connections: Connections::PerRequest,
            // A retry would hide what the probe is there to find.
            retries: None,
            // A probe waits only for the target: not for a client's pool, and not for DNS. It keeps
            // no connection that could be dropped.
            max_connections: None,
            dns: Dns::Once,
            storm: None,
            ..load.target.clone()
        },
        max_in_flight: unanswered.min(Canary::MAX_IN_FLIGHT),
        max_rate: canary.rate * (1.0 + SWING),
        workers: Some(1),
        generator: canary.request.name.clone(),
        ..load.clone()
    }
    .with_mix(vec![(canary.request.clone(), 1.0)])
}

impl RateSwing {
    /// The next leg, if what is scheduled ends within the length of one. Missed time is not made
    /// up.
    fn next_leg(&mut self, now: Moment) -> Option<Stage> {
        if self.until > now + LEG {
            return None;
        }
        let begin = self.until.max(now);
        let ends = (self.rate * (1.0 - SWING), self.rate * (1.0 + SWING));
        let (rate_from, rate_to) = if self.is_rising { ends } else { (ends.1, ends.0) };
        self.until = begin + LEG;
        self.is_rising = !self.is_rising;
        let window = Window::new(begin, self.until);
        Some(Stage { rate_from, ..Stage::constant(StageRole::Ramp, window, rate_to) })
    }
}

impl CanaryCounts {
    /// One tick as a batch. A second without a success has no response time.
    fn batch(&mut self, tick: &LoadTick) -> Batch {
        let mut good = Histogram::new();
        for endpoint in &tick.endpoints {
            let ended = endpoint.response_time.count();
            self.requests += ended;
            if endpoint.class.is_success() {
                good.merge(&endpoint.response_time);
            } else {
                self.failures += ended;
            }
        }
        let values = [
            (&names::CANARY_RESPONSE_TIME, good.mean()),
            (&names::CANARY_RESPONSE_TIME_P50, good.quantile(0.5)),
            (&names::CANARY_RESPONSE_TIME_MAX, good.max()),
            (&names::CANARY_REQUESTS, Some(self.requests as f64)),
            (&names::CANARY_FAILURES, Some(self.failures as f64)),
        ];
        let mut batch = BatchBuilder::new();
        for (metric, value) in values {
            let Some(value) = value else { continue };
            batch.push_labelled(metric, Labels::none().with("canary", self.name.as_str()), value);
        }
        Batch { collector: names::CANARY.to_owned(), window: tick.window, readings: batch.finish() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::timeline::{EndpointTick, ResponseClass};

    fn tick(second: f64, ended: &[(ResponseClass, u64)]) -> LoadTick {
        let endpoints = ended.iter().map(|(class, millis)| {
            let mut time = Histogram::new();
            time.record(Duration::from_millis(*millis));
            let (endpoint, service_time) = ("up".to_owned(), time.clone());
            EndpointTick { endpoint, class: *class, response_time: time, service_time }
        });
        let at = Moment::from_secs_f64;
        LoadTick {
            offered: 2,
            sent: 2,
            connects: 2,
            endpoints: endpoints.collect(),
            ..LoadTick::empty(Window::new(at(second), at(second + 1.0)), "up")
        }
    }

    #[test]
    fn probes_are_due_at_changing_distances_around_their_rate() {
        let at = Moment::from_secs_f64;
        let mut swing = RateSwing { rate: 2.0, until: at(1.5), is_rising: true };
        let legs: Vec<Stage> = std::iter::from_fn(|| swing.next_leg(at(0.0))).collect();
        let begins: Vec<Moment> = legs.iter().map(|leg| leg.window.begin).collect();
        assert_eq!(begins, [at(1.5)], "scheduled beyond the next few seconds");
        let next = swing.next_leg(at(3.0)).unwrap();
        assert_eq!(next.window.begin, legs[0].window.end);
        assert_eq!((legs[0].rate_to, legs[0].rate()), (next.rate_from, 2.0));
        // The program was stopped meanwhile.
        assert_eq!(swing.next_leg(at(60.0)).unwrap().window.begin, at(60.0));
    }

    #[test]
    fn a_tick_becomes_readings_of_its_canary() {
        let mut record = CanaryCounts { name: "up".to_owned(), requests: 0, failures: 0 };
        let mut values = |second, ended: &[(ResponseClass, u64)]| -> Vec<(String, f64)> {
            let batch = record.batch(&tick(second, ended));
            assert_eq!(batch.collector, "canary");
            assert_eq!(batch.at(), Moment::from_secs_f64(second + 0.5));
            let reading = |reading: crate::timeline::Reading| {
                assert_eq!(reading.key.labels.get("canary"), Some("up"));
                (reading.key.metric, reading.value)
            };
            batch.readings.into_iter().map(reading).collect()
        };
        let good = ResponseClass::Status(200);
        let both = values(1.0, &[(good, 2), (ResponseClass::Timeout, 900)]);
        let names = ["", ".p50", ".max"].map(|end| format!("canary.response_time{end}"));
        assert_eq!(both.len(), 5);
        for ((metric, value), name) in both.iter().zip(names) {
            assert_eq!(*metric, name, "a failure has no response time");
            assert!((*value - 0.002).abs() < 1e-5, "{metric} {value}");
        }
        let totals = |requests, failures| {
            vec![("canary.requests".to_owned(), requests), ("canary.failures".to_owned(), failures)]
        };
        assert_eq!(both[3..], totals(2.0, 1.0));
        // Totals go on, and what was not measured is absent.
        assert_eq!(values(2.0, &[(ResponseClass::Connect, 1)]), totals(3.0, 2.0));
        assert_eq!(values(3.0, &[]), totals(3.0, 2.0));
    }
}
