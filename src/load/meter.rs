//! Measurements by second: those of one worker, and those of all workers combined.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError};
use std::time::{Duration, Instant};

use super::failures::{Capture, FailureMeter, FailureTable};
use super::stopwatch::{Made, Spent};
use crate::timeline::{
    EndpointTick, Epoch, Histogram, JourneyTick, LoadTick, Moment, Phases, ResponseClass, Window,
};

/// Nanoseconds in a second.
pub(super) const SECOND: u64 = 1_000_000_000;

/// The clock of the run.
#[derive(Clone, Copy)]
pub(super) struct Clock(pub(super) Epoch);

impl Clock {
    /// Nanoseconds since the start of the run.
    pub(super) fn now(&self) -> u64 {
        self.0.moment(Instant::now()).nanos()
    }

    /// Nanoseconds from the start of the run to `instant`.
    pub(super) fn nanos(&self, instant: Instant) -> u64 {
        self.0.moment(instant).nanos()
    }

    /// The instant `nanos` after the start of the run.
    pub(super) fn instant(&self, nanos: u64) -> Instant {
        self.0.instant(Moment::from_nanos(nanos))
    }
}

/// One finished request. Times are nanoseconds of the clock.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ended {
    pub(super) endpoint: usize,
    /// How it ended. `None` if it never left this machine.
    pub(super) class: Option<ResponseClass>,
    pub(super) intended: u64,
    pub(super) sent: u64,
    pub(super) at: u64,
}

/// What one worker measures in the current second.
pub(super) struct Meter {
    generator: String,
    /// Names that are measured separately, each once.
    names: Vec<String>,
    /// For each endpoint: its index among the names.
    places: Vec<usize>,
    begin: u64,
    end: u64,
    in_flight: u64,
    /// Nanoseconds in flight, summed over requests, up to `changed`.
    area: u64,
    changed: u64,
    offered: u64,
    sent: u64,
    held_back: u64,
    lateness: Histogram,
    connect_time: Histogram,
    connects: u64,
    phases: Phases,
    journeys: JourneyTick,
    /// For each name: the ways in which its requests ended.
    outcomes: Vec<Vec<Outcome>>,
    failures: FailureMeter,
}

struct Outcome {
    class: ResponseClass,
    response_time: Histogram,
    service_time: Histogram,
}

impl Meter {
    /// Starts at `now`. Its first second ends at a whole second of the run. Endpoints with the same
    /// name are measured together. All workers share the table of failures.
    pub(super) fn new(
        generator: String,
        endpoints: Vec<String>,
        failures: Arc<FailureTable>,
        now: u64,
    ) -> Self {
        let mut names: Vec<String> = Vec::new();
        let mut places = Vec::new();
        for name in endpoints {
            let known = names.iter().position(|known| *known == name);
            places.push(known.unwrap_or(names.len()));
            if known.is_none() {
                names.push(name);
            }
        }
        Self {
            outcomes: names.iter().map(|_| Vec::new()).collect(),
            generator,
            names,
            places,
            journeys: JourneyTick::default(),
            begin: now,
            end: (now / SECOND + 1) * SECOND,
            in_flight: 0,
            area: 0,
            changed: now,
            offered: 0,
            sent: 0,
            held_back: 0,
            lateness: Histogram::new(),
            connect_time: Histogram::new(),
            connects: 0,
            phases: Phases::default(),
            failures: FailureMeter::new(failures),
        }
    }

    /// When the current second ends.
    pub(super) fn end(&self) -> u64 {
        self.end
    }

    /// Requests in flight now.
    pub(super) fn in_flight(&self) -> u64 {
        self.in_flight
    }

    pub(super) fn offered(&mut self) {
        self.offered += 1;
    }

    pub(super) fn held_back(&mut self, count: u64) {
        self.held_back += count;
    }

    pub(super) fn sent(&mut self) {
        self.sent += 1;
    }

    pub(super) fn late(&mut self, intended: u64, now: u64) {
        self.lateness.record(Duration::from_nanos(now.saturating_sub(intended)));
    }

    pub(super) fn connected(&mut self, made: &Made) {
        self.connects += 1;
        self.connect_time.record(made.connect_time);
        if let Some(dns_time) = made.dns_time {
            self.phases.dns.record(dns_time);
        }
        if let Some(tls_time) = made.tls_time {
            self.phases.tls.record(tls_time);
        }
    }

    /// Where the time of an answered request went.
    pub(super) fn exchanged(&mut self, spent: &Spent) {
        self.phases.send.record(spent.send);
        self.phases.wait.record(spent.wait);
        self.phases.receive.record(spent.receive);
    }

    pub(super) fn begun(&mut self, at: u64) {
        self.integrate(at);
        self.in_flight += 1;
    }

    pub(super) fn over(&mut self, at: u64) {
        self.integrate(at);
        // The request was counted as in flight until now, but was so only until `at`.
        let after = self.changed.saturating_sub(at.max(self.begin));
        self.area = self.area.saturating_sub(after);
        self.in_flight = self.in_flight.saturating_sub(1);
    }

    pub(super) fn done(&mut self, done: &Ended, class: ResponseClass) {
        let Some(place) = self.places.get(done.endpoint) else { return };
        let outcomes = &mut self.outcomes[*place];
        let at = outcomes.iter().position(|outcome| outcome.class == class);
        let at = at.unwrap_or_else(|| {
            let (response_time, service_time) = (Histogram::new(), Histogram::new());
            outcomes.push(Outcome { class, response_time, service_time });
            outcomes.len() - 1
        });
        let since = |begin: u64| Duration::from_nanos(done.at.saturating_sub(begin));
        outcomes[at].response_time.record(since(done.intended));
        outcomes[at].service_time.record(since(done.sent));
    }

    /// Counts what a failed request got.
    pub(super) fn failed(&mut self, endpoint: usize, class: ResponseClass, capture: &Capture) {
        let Some(place) = self.places.get(endpoint) else { return };
        self.failures.count(*place, &self.names[*place], class, capture);
    }

    /// A request that was counted as due is not sent.
    pub(super) fn withdrawn(&mut self, at: u64) {
        self.offered = self.offered.saturating_sub(1);
        self.over(at);
    }

    pub(super) fn retried(&mut self) {
        self.journeys.retries += 1;
    }

    pub(super) fn capped(&mut self) {
        self.journeys.capped += 1;
    }

    pub(super) fn check_failed(&mut self, check: &str) {
        self.journeys.count_failed(check, 1);
    }

    pub(super) fn capture_failed(&mut self, endpoint: usize, name: &str) {
        let place = self.places.get(endpoint).and_then(|place| self.names.get(*place));
        let endpoint = place.map_or("", String::as_str);
        self.journeys.count_failed(&format!("{endpoint}: `{name}` is found"), 1);
    }

    pub(super) fn journey_ended(&mut self, is_whole: bool) {
        match is_whole {
            true => self.journeys.completed += 1,
            false => self.journeys.abandoned += 1,
        }
    }

    fn integrate(&mut self, at: u64) {
        // A late event may belong to the second that has just ended.
        let at = at.min(self.end);
        self.area += self.in_flight * at.saturating_sub(self.changed);
        self.changed = self.changed.max(at);
    }

    /// Ends the current second at `at`, even if it is not complete, and begins the next.
    pub(super) fn close(&mut self, at: u64, backlog: u64) -> LoadTick {
        let at = at.min(self.end);
        self.integrate(at);
        let window = Window::new(Moment::from_nanos(self.begin), Moment::from_nanos(at));
        let span = at.saturating_sub(self.begin).max(1);
        let mut endpoints = Vec::new();
        for (name, outcomes) in self.names.iter().zip(&mut self.outcomes) {
            endpoints.extend(outcomes.drain(..).map(|outcome| EndpointTick {
                endpoint: name.clone(),
                class: outcome.class,
                response_time: outcome.response_time,
                service_time: outcome.service_time,
            }));
        }
        let tick = LoadTick {
            window,
            generator: self.generator.clone(),
            offered: std::mem::take(&mut self.offered),
            sent: std::mem::take(&mut self.sent),
            held_back: std::mem::take(&mut self.held_back),
            in_flight: self.area as f64 / span as f64,
            backlog,
            lateness: std::mem::take(&mut self.lateness),
            connect_time: std::mem::take(&mut self.connect_time),
            connects: std::mem::take(&mut self.connects),
            journeys: std::mem::take(&mut self.journeys),
            phases: std::mem::take(&mut self.phases),
            endpoints,
            failures: self.failures.take(),
        };
        self.begin = at;
        self.changed = at;
        self.area = 0;
        self.end = (at / SECOND + 1) * SECOND;
        tick
    }
}

/// Passes ticks to a receiver that may be slow. A tick that the receiver does not take in time is
/// merged into the next one. So memory is bounded, nothing is lost and the sender never waits.
pub(super) struct Outlet {
    sender: SyncSender<LoadTick>,
    waiting: Option<LoadTick>,
}

impl Outlet {
    pub(super) fn new(sender: SyncSender<LoadTick>) -> Self {
        Self { sender, waiting: None }
    }

    /// Passes the tick on, now or with the next tick.
    pub(super) fn send(&mut self, tick: LoadTick) {
        let tick = self.with_waiting(tick);
        match self.sender.try_send(tick) {
            Ok(()) => {}
            Err(TrySendError::Full(tick) | TrySendError::Disconnected(tick)) => {
                self.waiting = Some(tick);
            }
        }
    }

    /// Passes on the last tick, and waits until it is taken.
    pub(super) fn finish(&mut self, tick: LoadTick) {
        let tick = self.with_waiting(tick);
        // Fails only when the receiver is gone.
        drop(self.sender.send(tick));
    }

    fn with_waiting(&mut self, tick: LoadTick) -> LoadTick {
        match self.waiting.take() {
            None => tick,
            Some(mut waiting) => {
                waiting.append(tick);
                waiting
            }
        }
    }
}

/// Combines the ticks of the workers, second by second, until the last worker is gone. Returns the
/// ticks since `stopping` was set, and those that the receiver had no room for.
pub(super) fn combine(
    workers: &[Receiver<LoadTick>],
    sender: SyncSender<LoadTick>,
    stopping: &AtomicBool,
) -> Vec<LoadTick> {
    let mut outlet = Outlet::new(sender);
    let mut rest = Vec::new();
    while let Some(whole) = next_second(workers) {
        if stopping.load(Ordering::Acquire) {
            rest.extend(outlet.waiting.take());
            rest.push(whole);
        } else {
            outlet.send(whole);
        }
    }
    rest.extend(outlet.waiting.take());
    rest
}

/// The work of all workers up to the next end of a tick that they have in common. `None` once all
/// are gone. A worker with merged ticks is ahead or behind by whole seconds.
fn next_second(workers: &[Receiver<LoadTick>]) -> Option<LoadTick> {
    let mut parts: Vec<Option<LoadTick>> =
        workers.iter().map(|worker| worker.recv().ok()).collect();
    loop {
        let end = parts.iter().flatten().map(|part| part.window.end).max()?;
        let mut caught_up = true;
        for (part, worker) in parts.iter_mut().zip(workers) {
            let Some(part) = part.as_mut().filter(|part| part.window.end < end) else { continue };
            // The last ticks end at slightly different times. Then there is nothing to wait for.
            if let Ok(later) = worker.recv() {
                part.append(later);
                caught_up = false;
            }
        }
        if caught_up {
            break;
        }
    }
    parts.into_iter().flatten().reduce(|mut whole, part| {
        whole.join(part);
        whole
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_counted_out_late_was_in_flight_until_it_was_over() {
        let mut meter = Meter::new("here".into(), vec!["home".into()], Arc::default(), 0);
        let tenth = SECOND / 10;
        meter.begun(tenth);
        // Another one begins before the end of the first is known.
        meter.begun(4 * tenth);
        meter.over(2 * tenth);
        meter.over(6 * tenth);
        assert!((meter.close(SECOND, 0).in_flight - 0.3).abs() < 1e-9);
        // A request that ended in the previous second does not count in this one.
        meter.begun(SECOND + tenth);
        meter.begun(SECOND + tenth);
        meter.over(SECOND - tenth);
        meter.over(SECOND + 2 * tenth);
        assert!((meter.close(2 * SECOND, 0).in_flight - 0.1).abs() < 1e-9);
    }
}
