//! The loop that drives all collectors. Each collector has its own thread and a cadence on a fixed
//! grid. The loop sets the window of each reading and reports every missing reading as a gap with
//! its reason.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{SyncSender, TrySendError};
use std::sync::{Arc, Condvar, Mutex, PoisonError, mpsc};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::plan::CollectorConfig;
use crate::timeline::{
    Batch, BatchBuilder, Epoch, Gap, Labels, Moment, Quote, SeriesKey, Window, names,
};

use super::proc::thread_cpu_seconds;
use super::{CollectorSpec, OpenError, OpenResult, TargetHint};

/// Time limit for opening all collectors together.
const OPEN_LIMIT: Duration = Duration::from_secs(5);
/// How long [`Sampler::stop`] waits for readings in progress.
const STOP_LIMIT: Duration = Duration::from_secs(3);
/// The longest pause after a failed reading.
const LONGEST_BACK_OFF: Duration = Duration::from_secs(5);
/// Slots at least this long are read at their start. Shorter slots are read at a random time
/// inside, because a service with a periodic behaviour could otherwise always be read in the same
/// phase.
const JITTER_BELOW: Duration = Duration::from_secs(1);
/// Share of one core that a collector may use if the plan sets no cadence. A collector that costs
/// more is read less often, so that watching does not disturb the system.
const MOST_CPU: f64 = 0.01;
/// The cadence is stretched by at most this factor.
const MOST_STRETCHED: f64 = 50.0;
/// Weight of one reading in the mean cost. Kept low because a reading sometimes costs ten times as
/// much.
const COST_WEIGHT: f64 = 0.02;
/// No cadence is shorter than this, even if the plan asks for it.
const SHORTEST_INTERVAL: Duration = Duration::from_millis(5);

/// What the sampler reports.
#[derive(Clone, Debug, PartialEq)]
pub enum Observation {
    /// One reading of a collector.
    Batch(Batch),
    /// One missing reading, or several in a row for the same reason.
    Gap(Gap),
    /// The original words behind a series.
    Quote(Quote),
    /// An event worth a line in the report, such as a restart of the target.
    Event {
        /// When it was seen.
        at: Moment,
        /// What happened, prefixed with the collector's instance name.
        text: String,
    },
}

/// A collector that is ready to be read.
pub struct Opened {
    /// Its entry in the registry.
    pub spec: &'static CollectorSpec,
    /// The plan's options for it.
    pub config: CollectorConfig,
    /// The collector itself.
    pub collector: Box<dyn super::Collector>,
}

impl Opened {
    /// Time between two looks: from the plan, or else the collector's default.
    pub fn interval(&self) -> Duration {
        self.config.interval.unwrap_or(self.spec.interval).max(SHORTEST_INTERVAL)
    }
}

impl std::fmt::Debug for Opened {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Opened").field("instance", &self.config.instance).finish_non_exhaustive()
    }
}

/// Opens every collector in parallel and reports all failures. Both lists keep the order of
/// `configs`.
///
/// Takes at most about five seconds: a collector that does not answer by then counts as failed and
/// is abandoned.
pub fn open_all(
    configs: &[CollectorConfig],
    hint: &TargetHint,
) -> (Vec<Opened>, Vec<(CollectorConfig, OpenError)>) {
    open_within(OPEN_LIMIT, super::find, configs, hint)
}

fn open_within(
    limit: Duration,
    find: impl Fn(&str) -> Option<&'static CollectorSpec>,
    configs: &[CollectorConfig],
    hint: &TargetHint,
) -> (Vec<Opened>, Vec<(CollectorConfig, OpenError)>) {
    let deadline = Instant::now() + limit;
    let under_way: Vec<_> = configs
        .iter()
        .map(|config| {
            let spec = find(&config.name).ok_or_else(|| {
                OpenError::new(
                    format!("there is no collector `{}`", config.name),
                    "see `kneepoint list collectors`",
                )
            })?;
            Ok((spec, open_aside(spec, config, hint)?))
        })
        .collect();
    let (mut opened, mut failed) = (Vec::new(), Vec::new());
    for (config, started) in configs.iter().zip(under_way) {
        let result = started.and_then(|(spec, answer)| {
            let left = deadline.saturating_duration_since(Instant::now());
            match answer.recv_timeout(left) {
                Ok(result) => result.map(|collector| (spec, collector)),
                Err(mpsc::RecvTimeoutError::Timeout) => Err(OpenError::new(
                    format!("`{}` did not open within {} s", config.instance, limit.as_secs_f64()),
                    "check that what it reads is reachable from here, or take it out of the plan",
                )),
                Err(mpsc::RecvTimeoutError::Disconnected) => Err(OpenError::new(
                    format!("`{}` panicked while it opened", config.instance),
                    "this is a bug in kneepoint: please report it with the output above",
                )),
            }
        });
        match result {
            Ok((spec, collector)) => {
                opened.push(Opened { spec, config: config.clone(), collector });
            }
            Err(error) => failed.push((config.clone(), error)),
        }
    }
    (opened, failed)
}

/// Starts opening one collector on its own thread; returns the receiver of its answer.
fn open_aside(
    spec: &'static CollectorSpec,
    config: &CollectorConfig,
    hint: &TargetHint,
) -> Result<mpsc::Receiver<OpenResult>, OpenError> {
    let (answer, receiver) = mpsc::sync_channel(1);
    let (config, hint) = (config.clone(), hint.clone());
    let instance = config.instance.clone();
    thread::Builder::new()
        .name(format!("open-{instance}"))
        .spawn(move || {
            // The receiver is gone if opening took too long: nobody needs the answer then.
            let _abandoned = answer.send((spec.open)(&config, &hint)).is_err();
        })
        .map_err(|error| {
            OpenError::new(
                format!("cannot start a thread for `{instance}`: {error}"),
                "raise the limit of processes (`ulimit -u`)",
            )
        })?;
    Ok(receiver)
}

/// Drives collectors until stopped.
#[derive(Debug)]
pub struct Sampler {
    stop: Arc<Stop>,
    threads: Vec<JoinHandle<()>>,
}

impl Sampler {
    /// Starts a thread for each collector. All observations go into `sink`.
    ///
    /// A thread that cannot be started is reported as an event and a gap.
    pub fn start(opened: Vec<Opened>, epoch: Epoch, sink: SyncSender<Observation>) -> Sampler {
        let stop = Arc::new(Stop::default());
        let mut threads = Vec::new();
        for one in opened {
            let instance = one.config.instance.clone();
            let outlet = ObservationSink::new(instance.clone(), sink.clone());
            let stop = Arc::clone(&stop);
            let builder = thread::Builder::new().name(format!("kp-{instance}"));
            match builder.spawn(move || CollectorLoop::new(one, epoch, outlet).run(&stop)) {
                Ok(thread) => threads.push(thread),
                Err(error) => {
                    let mut outlet = ObservationSink::new(instance, sink.clone());
                    let now = epoch.moment(Instant::now());
                    outlet.gap(Window::new(now, now), format!("cannot start a thread: {error}"));
                    outlet.event(now, &format!("is not read: cannot start a thread ({error})"));
                }
            }
        }
        // The channel must close when the last thread ends, so this call drops its own sender.
        drop(sink);
        Sampler { stop, threads }
    }

    /// Ends the readings and waits up to three seconds for those in progress. A collector that is
    /// stuck longer is abandoned.
    pub fn stop(self) {
        self.stop.raise();
        let deadline = Instant::now() + STOP_LIMIT;
        for thread in self.threads {
            while !thread.is_finished() && Instant::now() < deadline {
                thread::sleep(Duration::from_millis(2));
            }
            if thread.is_finished() {
                // A panic outside the collector's code: the gap was not reported. The rest of the
                // run continues.
                let _panicked = thread.join().is_err();
            }
        }
    }
}

/// A flag that threads can wait on.
#[derive(Debug, Default)]
struct Stop {
    raised: Mutex<bool>,
    changed: Condvar,
}

impl Stop {
    fn raise(&self) {
        *self.raised.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.changed.notify_all();
    }

    /// Waits until `due`; returns `true` if the flag was raised before.
    fn wait_until(&self, due: Instant) -> bool {
        let mut raised = self.raised.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            let left = due.saturating_duration_since(Instant::now());
            if *raised || left.is_zero() {
                return *raised;
            }
            let waited = self.changed.wait_timeout(raised, left);
            raised = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

/// The fixed grid of slots, counted from the epoch.
#[derive(Clone, Copy, Debug)]
struct SampleTimes {
    interval: Duration,
}

impl SampleTimes {
    fn begin(self, slot: u64) -> Moment {
        let nanos = u64::try_from(self.interval.as_nanos()).unwrap_or(u64::MAX);
        Moment::from_nanos(nanos.saturating_mul(slot))
    }

    fn slot(self, at: Moment) -> u64 {
        at.nanos() / u64::try_from(self.interval.as_nanos()).unwrap_or(u64::MAX).max(1)
    }

    /// When to read in `slot`; `random` is from 0 to 1.
    fn due(self, slot: u64, random: f64) -> Moment {
        let jitter = if self.interval < JITTER_BELOW { random } else { 0.0 };
        self.begin(slot) + self.interval.mul_f64(jitter.clamp(0.0, 0.999))
    }
}

/// The loop of one collector.
struct CollectorLoop {
    one: Opened,
    epoch: Epoch,
    grid: SampleTimes,
    outlet: ObservationSink,
    /// Number of failed readings in a row.
    failures: u32,
    labels: Labels,
    /// Processor seconds of one reading, averaged over recent readings.
    cost: f64,
    told_stretched: bool,
}

impl CollectorLoop {
    fn new(one: Opened, epoch: Epoch, outlet: ObservationSink) -> Self {
        let grid = SampleTimes { interval: one.interval() };
        let labels = Labels::none().with("collector", one.config.instance.as_str());
        Self { one, epoch, grid, outlet, failures: 0, labels, cost: 0.0, told_stretched: false }
    }

    fn now(&self) -> Moment {
        self.epoch.moment(Instant::now())
    }

    fn run(mut self, stop: &Stop) {
        let mut slot = self.grid.slot(self.now());
        let mut due = self.now();
        while !stop.wait_until(self.epoch.instant(due)) && !self.outlet.closed {
            let woken = self.now();
            let current = self.grid.slot(woken);
            let late = woken.since(due);
            // A look due at the end of its slot may slip into the next slot. It still counts as a
            // look.
            if current > slot && late >= self.grid.interval {
                let missed = Window::new(due, self.grid.begin(current));
                let late = late.as_millis();
                self.outlet.gap(missed, format!("woke {late} ms late: the machine was too busy"));
            }
            let Some(read) = self.read() else { break };
            let reached = self.grid.slot(read.end);
            slot = current + 1;
            if self.failures > 0 {
                due = read.end + self.back_off();
                slot = self.grid.slot(due);
                continue;
            }
            if reached > slot {
                let took = read.end.since(read.begin).as_millis();
                let missed = Window::new(self.grid.begin(slot), self.grid.begin(reached));
                self.outlet.gap(missed, format!("the previous reading took {took} ms"));
                slot = reached;
            }
            if self.adapt() {
                slot = self.grid.slot(read.end) + 1;
            }
            due = self.grid.due(slot, rand::random::<f64>());
        }
        self.outlet.flush();
    }

    /// Sets the cadence from the cost of a reading; returns `true` if it changed.
    fn adapt(&mut self) -> bool {
        let interval = stretched(self.one.interval(), self.cost);
        let is_fixed = self.one.config.interval.is_some() || !self.one.collector.costs_by_look();
        if is_fixed || interval == self.grid.interval {
            return false;
        }
        self.grid = SampleTimes { interval };
        if !self.told_stretched {
            self.told_stretched = true;
            let text = format!(
                "reads less often than every {} ms, so that it takes at most {} % of a core",
                self.one.interval().as_millis(),
                MOST_CPU * 100.0
            );
            self.outlet.event(self.now(), &text);
        }
        true
    }

    /// The pause after a failed reading: the interval, doubled with each failure in a row.
    fn back_off(&self) -> Duration {
        let doubled = 1u32 << self.failures.saturating_sub(1).min(16);
        self.grid.interval.saturating_mul(doubled).min(LONGEST_BACK_OFF.max(self.grid.interval))
    }

    /// Takes one reading; `None` if the collector panicked and must end.
    fn read(&mut self) -> Option<Window> {
        let collector = &mut self.one.collector;
        let begin = Instant::now();
        let cpu_before = thread_cpu_seconds();
        let result = catch_unwind(AssertUnwindSafe(|| {
            let mut batch = BatchBuilder::new();
            let sampled = collector.sample(&mut batch).map(|()| batch);
            let end = Instant::now();
            (sampled, end, collector.events(), collector.quotes())
        }));
        let window = |end| Window::new(self.epoch.moment(begin), self.epoch.moment(end));
        let (sampled, end, events, quotes) = match result {
            Ok(read) => read,
            Err(panic) => {
                let window = window(Instant::now());
                let said = panic_text(panic.as_ref());
                self.outlet.gap(window, format!("the collector panicked: {said}"));
                self.outlet.event(window.end, "is no longer read: the collector panicked");
                return None;
            }
        };
        let window = window(end);
        for text in events {
            self.outlet.event(window.end, &text);
        }
        for (key, text) in quotes {
            self.outlet.quote(window.end, key, text);
        }
        match sampled {
            Ok(mut batch) => {
                self.failures = 0;
                if let Some(seconds) = thread_cpu_seconds() {
                    let cost = seconds - cpu_before.unwrap_or(seconds);
                    self.cost += COST_WEIGHT * (cost - self.cost);
                    batch.push_labelled(&names::COLLECTOR_CPU_TIME, self.labels.clone(), seconds);
                }
                self.outlet.batch(window, batch);
            }
            Err(error) => {
                self.failures = self.failures.saturating_add(1);
                self.outlet.gap(window, error.to_string());
            }
        }
        Some(window)
    }
}

/// The cadence at which a reading of `cost` processor seconds stays within its share: a whole
/// multiple of `interval`.
fn stretched(interval: Duration, cost: f64) -> Duration {
    let times = (cost / (MOST_CPU * interval.as_secs_f64())).ceil().clamp(1.0, MOST_STRETCHED);
    interval.saturating_mul(times as u32)
}

/// The output of one collector's loop. It never waits: what does not fit is counted, and reported
/// as one gap as soon as there is room.
struct ObservationSink {
    instance: String,
    sink: SyncSender<Observation>,
    lost: Option<(Window, u64)>,
    closed: bool,
}

impl ObservationSink {
    fn new(instance: String, sink: SyncSender<Observation>) -> Self {
        Self { instance, sink, lost: None, closed: false }
    }

    fn batch(&mut self, window: Window, batch: BatchBuilder) {
        let collector = self.instance.clone();
        let batch = Batch { collector, window, readings: batch.finish() };
        self.send(window, Observation::Batch(batch));
    }

    fn gap(&mut self, window: Window, reason: String) {
        let gap = Gap { collector: self.instance.clone(), window, reason };
        self.send(window, Observation::Gap(gap));
    }

    fn quote(&mut self, at: Moment, key: SeriesKey, text: String) {
        let quote = Quote { at, collector: self.instance.clone(), key, text };
        self.send(Window::new(at, at), Observation::Quote(quote));
    }

    fn event(&mut self, at: Moment, text: &str) {
        let text = format!("{}: {text}", self.instance);
        self.send(Window::new(at, at), Observation::Event { at, text });
    }

    fn send(&mut self, window: Window, observation: Observation) {
        if !self.tell_lost() || !self.offer(observation) {
            let (from, count) = self.lost.map_or((window, 0), |lost| lost);
            let end = from.end.max(window.end);
            self.lost = Some((Window::new(from.begin, end), count + 1));
        }
    }

    /// Reports what was lost; `false` if there is no room even for that.
    fn tell_lost(&mut self) -> bool {
        let Some((window, count)) = self.lost else { return true };
        let reason = format!("{count} readings are lost: they came faster than they were written");
        let gap = Gap { collector: self.instance.clone(), window, reason };
        let told = self.offer(Observation::Gap(gap));
        if told {
            self.lost = None;
        }
        told
    }

    fn offer(&mut self, observation: Observation) -> bool {
        match self.sink.try_send(observation) {
            Ok(()) => true,
            Err(TrySendError::Full(_)) => false,
            Err(TrySendError::Disconnected(_)) => {
                self.closed = true;
                false
            }
        }
    }

    /// The last chance to report what was lost: waits briefly for room.
    fn flush(&mut self) {
        for _ in 0..20 {
            if self.closed || self.tell_lost() {
                return;
            }
            thread::sleep(Duration::from_millis(5));
        }
    }
}

/// The message of a panic, if it has one.
fn panic_text(panic: &(dyn std::any::Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("without a word")
}

#[cfg(test)]
mod tests;
