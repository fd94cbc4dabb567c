//! One thread that makes its share of the load: it hands journeys to lanes when they are due.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::SyncSender;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use rand::SeedableRng;
use rand::rngs::SmallRng;

use super::config::LoadConfig;
use super::connect::{Connector, Route};
use super::draws::Exhausted;
use super::exchange::Link;
use super::failures::{Capture, FailureTable};
use super::flow::{Due, Flow, Taken, Tally};
use super::governor::Governor;
use super::inbox::Inbox;
use super::meter::{Clock, Ended, Meter, Outlet};
use super::mix::{Look, Mix};
use super::nap::{LONGEST_NAP, Patience, shortest_nap};
use super::pacer::NEVER;
use super::program::Todo;
use super::retry::Retrying;
use super::session::Session;
use super::storm::Storm;
use super::wire::Rendered;
use crate::plan::{Connections, Reuse};
use crate::timeline::{Epoch, LoadTick, ResponseClass, Stage};

/// At least this many due journeys may wait, over all workers, even if few may run at a time.
const MIN_BACKLOG: usize = 100_000;

/// A timer fires up to this many nanoseconds late: the runtime counts in milliseconds.
const TIMER_GRAIN: u64 = 2_000_000;

/// At most this many connections of a worker wait for the other side to close them.
pub(super) const MAX_CLOSING: usize = 128;

/// How a worker starts the tasks that run journeys. The tasks use the worker, so it cannot name
/// them.
#[derive(Clone, Copy)]
pub(super) struct LaneStarts {
    /// Starts a lane of the open model with its first journey.
    pub(super) open: fn(Rc<Worker>, Job),
    /// Starts a virtual user: the index of its flow, and its number in the flow.
    pub(super) vu: fn(Rc<Worker>, usize, usize),
}

/// Everything that one worker needs to start.
pub(super) struct WorkerStart {
    pub(super) config: Arc<LoadConfig>,
    pub(super) worker: usize,
    pub(super) of: usize,
    pub(super) mix: Mix,
    pub(super) route: Route,
    pub(super) epoch: Epoch,
    pub(super) inbox: Arc<Inbox>,
    pub(super) ticks: SyncSender<LoadTick>,
    /// One for each flow.
    pub(super) tallies: Vec<Arc<Tally>>,
    /// What failed requests got, of all workers.
    pub(super) failures: Arc<FailureTable>,
    /// The first row of sequential data after those used, at the end of the last second.
    pub(super) rows: Arc<AtomicU64>,
    pub(super) lanes: LaneStarts,
}

/// What the dispatcher and the lanes of one worker share.
pub(super) struct Worker {
    pub(super) clock: Clock,
    pub(super) connector: Connector,
    pub(super) timeout: Duration,
    pub(super) keep_alive: bool,
    pub(super) reuse: Reuse,
    pub(super) is_https: bool,
    /// The reconnect storm, if the plan has one.
    pub(super) storm: Option<Rc<Storm>>,
    /// Connections that are no longer used and wait for the other side to close them.
    closing: Cell<usize>,
    stopping: Cell<bool>,
    pub(super) inbox: Arc<Inbox>,
    /// Decides when the worker may nap. `None` if it never may.
    pub(super) patience: Option<Rc<Patience>>,
    lanes: LaneStarts,
    state: RefCell<State>,
}

struct State {
    flows: Vec<Flow>,
    mix: Mix,
    meter: Meter,
    rows: Arc<AtomicU64>,
    outlet: Outlet,
    /// Holds every request to the highest rate, unless the schedule already does so.
    governor: Option<Governor>,
    /// How clients retry, if they do. It has its own random draws, so that the requests stay the
    /// same whatever fails.
    retrying: Option<(Retrying, SmallRng)>,
    /// Journeys that wait for a lane, over all flows.
    waiting: usize,
    max_backlog: usize,
    /// Idle lanes with a connection. The lane used last is used first, so that no more connections
    /// than needed are kept busy.
    idle: Vec<Rc<JobSlot>>,
    /// Journeys of the open model in progress.
    busy: usize,
    max_busy: usize,
    /// Lanes of the open model that lost their connection to the storm and have not reconnected.
    away: usize,
}

/// Where a lane waits for its next journey.
#[derive(Default)]
pub(super) struct JobSlot {
    job: Cell<Option<Job>>,
    waker: RefCell<Option<Waker>>,
}

/// A journey that begins now.
#[derive(Clone, Copy, Debug)]
pub(super) struct Job {
    pub(super) flow: usize,
    pub(super) due: Due,
    /// Whether the lane still has to record how late the generator was.
    pub(super) measure_lateness: bool,
}

impl JobSlot {
    fn give(&self, job: Job) {
        self.job.set(Some(job));
        if let Some(waker) = self.waker.borrow().as_ref() {
            waker.wake_by_ref();
        }
    }

    /// The job, if there is one. Otherwise the task is woken when a job comes.
    pub(super) fn poll_job(&self, cx: &mut Context<'_>) -> Poll<Job> {
        if let Some(job) = self.job.take() {
            return Poll::Ready(job);
        }
        let mut waker = self.waker.borrow_mut();
        if !waker.as_ref().is_some_and(|known| known.will_wake(cx.waker())) {
            *waker = Some(cx.waker().clone());
        }
        Poll::Pending
    }
}

impl Worker {
    pub(super) fn new(start: WorkerStart) -> Self {
        let WorkerStart { config, worker, of, mix, .. } = start;
        let share = |whole: usize| whole / of + usize::from(worker < whole % of);
        let max_backlog = config.max_in_flight.saturating_mul(4).max(MIN_BACKLOG);
        let clock = Clock(start.epoch);
        let names = config.requests.iter().map(|request| request.name.clone()).collect();
        let seed = config.seed.wrapping_add(worker as u64).rotate_left(32);
        let flows = config.flows.iter().zip(&start.tallies);
        let state = State {
            flows: flows.map(|(flow, tally)| Flow::new(&config, flow, tally, worker, of)).collect(),
            meter: Meter::new(config.generator.clone(), names, start.failures, clock.now()),
            mix,
            rows: start.rows,
            outlet: Outlet::new(start.ticks),
            governor: Governor::of(&config, of),
            retrying: config
                .target
                .retries
                .map(|policy| (Retrying::new(policy), SmallRng::seed_from_u64(seed))),
            waiting: 0,
            max_backlog: share(max_backlog),
            idle: Vec::new(),
            busy: 0,
            max_busy: share(config.most_at_a_time()).max(1),
            away: 0,
        };
        let patience = Patience::of(&config, &start.inbox).map(Rc::new);
        Self {
            clock,
            connector: Connector::new(start.route).with_patience(patience.clone()),
            timeout: config.target.timeout,
            keep_alive: config.target.connections == Connections::KeepAlive,
            reuse: config.target.reuse,
            is_https: config.target.url.https,
            storm: config.target.storm.map(|policy| Rc::new(Storm::new(policy, seed))),
            closing: Cell::new(0),
            stopping: Cell::new(false),
            inbox: start.inbox,
            lanes: start.lanes,
            patience,
            state: RefCell::new(state),
        }
    }

    pub(super) fn schedule(&self, stages: &[(usize, Stage)]) {
        let state = &mut *self.state.borrow_mut();
        for (flow, stage) in stages {
            if let Some(flow) = state.flows.get_mut(*flow) {
                flow.hold(stage);
            }
        }
    }

    pub(super) fn end_arrivals(&self) {
        let state = &mut *self.state.borrow_mut();
        self.stopping.set(true);
        let waited = state.flows.iter_mut().map(Flow::clear).sum();
        state.meter.held_back(waited);
        state.waiting = 0;
    }

    /// Whether sending has to end.
    pub(super) fn is_stopping(&self) -> bool {
        self.stopping.get()
    }

    /// Does everything that is due at `now`: journeys in their order, and ends of seconds. Lanes
    /// also call it whenever they look at the clock, so that a busy thread stays on time. Returns
    /// whether any journey was due.
    pub(super) fn catch_up(self: &Rc<Self>, now: u64) -> bool {
        let state = &mut *self.state.borrow_mut();
        let mut was_due = false;
        loop {
            let (due, flow) = state.earliest();
            let end = state.meter.end();
            if due <= now && due < end {
                was_due = true;
                match state.flows[flow].take(now) {
                    Taken::Due(due) => self.admit(state, flow, due, now),
                    Taken::Vus(numbers) => {
                        for number in numbers {
                            let worker = Rc::clone(self);
                            (self.lanes.vu)(worker, flow, number);
                        }
                    }
                }
            } else if end <= now {
                let tick = state.meter.close(end, state.waiting as u64);
                state.rows.store(state.mix.rows_used(), Ordering::Relaxed);
                state.outlet.send(tick);
            } else {
                return was_due;
            }
        }
    }

    /// Until when this thread may sleep whatever comes, and when the next nap after that ends.
    /// `None` if it may not sleep.
    pub(super) fn next_nap(&self, patience: &Patience, now: u64) -> Option<(u64, u64)> {
        let state = self.state.borrow();
        let is_patient = state.busy == patience.waiting()
            && (!state.idle.is_empty() || state.busy < state.max_busy)
            && state.waiting == 0
            && !self.stopping.get();
        let (due, flow) = state.earliest();
        let next = due.min(state.meter.end());
        if !is_patient || next > now.saturating_add(LONGEST_NAP) {
            return None;
        }
        match now.saturating_add(shortest_nap(state.rate())) {
            earliest if earliest > next => Some((earliest, NEVER)),
            _ => Some((next, state.flows[flow].after_next())),
        }
    }

    pub(super) fn is_napping(&self) -> bool {
        self.patience.as_ref().is_some_and(|patience| patience.is_on())
    }

    /// Whether the response of an endpoint may wait before it is read.
    pub(super) fn may_wait(&self, endpoint: usize) -> bool {
        self.patience.as_ref().is_some_and(|patience| patience.expects_short(endpoint))
    }

    /// Records the size of a response.
    pub(super) fn learn(&self, endpoint: usize, bytes: usize) {
        if let Some(patience) = &self.patience {
            patience.learn(endpoint, bytes);
        }
    }

    /// Begins one journey, queues it, or drops it. Each case is counted.
    fn admit(self: &Rc<Self>, state: &mut State, flow: usize, due: Due, now: u64) {
        state.meter.offered();
        if let Some(job_slot) = state.idle.pop() {
            state.meter.begun(now);
            state.busy += 1;
            job_slot.give(Job { flow, due, measure_lateness: true });
            return;
        }
        state.meter.late(due.intended, now);
        // A new client does not replace one that is reconnecting.
        if state.away == 0 && state.busy < state.max_busy {
            state.meter.begun(now);
            state.busy += 1;
            let job = Job { flow, due, measure_lateness: false };
            (self.lanes.open)(Rc::clone(self), job);
        } else if state.waiting < state.max_backlog {
            state.flows[flow].backlog.push_back(due);
            state.waiting += 1;
        } else {
            state.meter.held_back(1);
        }
    }

    /// How long the dispatcher may sleep. At high rates it wakes less often than journeys arrive:
    /// each wake-up costs as much as a request.
    pub(super) fn until_next(&self) -> Duration {
        let state = self.state.borrow();
        let distance = match state.rate() {
            rate if rate < 5_000.0 => 0,
            rate if rate < 20_000.0 => 100_000,
            _ => 250_000,
        };
        let next = state.earliest().0.min(state.meter.end());
        Duration::from_nanos(next.saturating_sub(self.clock.now()).max(distance))
    }

    /// Reads the clock, counts what is due by then, and chooses a journey. Returns the time and the
    /// first thing to do.
    pub(super) fn begin(
        self: &Rc<Self>,
        flow: usize,
        job: Option<Job>,
        session: &mut Session,
    ) -> (u64, Result<Todo, Exhausted>) {
        let now = self.clock.now();
        self.catch_up(now);
        let state = &mut *self.state.borrow_mut();
        if let Some(job) = job.filter(|job| job.measure_lateness) {
            state.meter.late(job.due.intended, now);
        }
        state.mix.begin(flow, job.and_then(|job| job.due.replayed), session);
        (now, state.mix.next(session))
    }

    /// The next thing to do in a journey.
    pub(super) fn next(&self, session: &mut Session) -> Result<Todo, Exhausted> {
        self.state.borrow_mut().mix.next(session)
    }

    /// Pauses for the think time of a user.
    pub(super) async fn think(self: &Rc<Self>, pause: Duration) {
        let planned = self.clock.now().saturating_add(pause.as_nanos() as u64);
        tokio::time::sleep(pause).await;
        let now = self.clock.now();
        self.catch_up(now);
        self.measure(|meter| meter.late(planned.saturating_add(TIMER_GRAIN), now));
    }

    /// How long a request has to wait to stay within the highest rate. `None` if it may be sent
    /// now.
    pub(super) fn reserve(&self, now: u64) -> Option<Duration> {
        let state = &mut *self.state.borrow_mut();
        let wait = state.governor.as_mut()?.reserve(now)?;
        state.meter.capped();
        Some(wait)
    }

    /// Counts a later request of a journey, at `now`.
    pub(super) fn follows(self: &Rc<Self>, now: u64) {
        self.catch_up(now);
        let state = &mut *self.state.borrow_mut();
        state.meter.offered();
        state.meter.begun(now);
    }

    /// How the response of an endpoint is inspected. `None` if it is not.
    pub(super) fn look(&self, endpoint: usize, session: &Session) -> Option<Look> {
        let mix = &self.state.borrow().mix;
        mix.looks(endpoint, session.journey).then(|| mix.look(endpoint, session.journey))
    }

    /// The request as bytes for the wire.
    pub(super) fn build(&self, endpoint: usize, session: &Session) -> Rendered {
        self.state.borrow().mix.build(endpoint, session)
    }

    /// Gives access to the measurements.
    pub(super) fn measure(&self, record: impl FnOnce(&mut Meter)) {
        record(&mut self.state.borrow_mut().meter);
    }

    /// Counts a value that was not found where the plan looks for it.
    pub(super) fn not_captured(&self, endpoint: usize, slot: usize) {
        let state = &mut *self.state.borrow_mut();
        let name = state.mix.captured_names()[slot].clone();
        state.meter.capture_failed(endpoint, &name);
    }

    /// How long to wait before the `attempt`-th retry of a request that ended in `class`. `None` if
    /// it is not retried.
    pub(super) fn retry(&self, attempt: u32, class: ResponseClass) -> Option<Duration> {
        let state = &mut *self.state.borrow_mut();
        let (retrying, random) = state.retrying.as_mut()?;
        if attempt == 1 {
            retrying.request();
        }
        let wait = retrying.wait(attempt, class, random).filter(|_| !self.stopping.get())?;
        state.meter.retried();
        Some(wait)
    }

    /// Counts the end of a request. `capture` has what it got if it failed.
    pub(super) fn finished(self: &Rc<Self>, done: &Ended, capture: &Capture) {
        self.catch_up(done.at);
        let state = &mut *self.state.borrow_mut();
        match done.class {
            Some(class) => {
                state.meter.done(done, class);
                if !class.is_success() {
                    state.meter.failed(done.endpoint, class, capture);
                }
            }
            None => state.meter.held_back(1),
        }
        state.meter.over(done.at);
        if self.stopping.get() && state.meter.in_flight() == 0 {
            self.inbox.bell.notify_one();
        }
    }

    /// Whether a journey continues after a request.
    pub(super) fn goes_on(&self, session: &Session, endpoint: usize, is_success: bool) -> bool {
        let state = self.state.borrow();
        is_success || !(state.mix.stops_on_failure(session.journey) || state.mix.captures(endpoint))
    }

    /// A journey of the open model did nothing, but was counted as a due request. Takes that back.
    pub(super) fn withdraw(&self) {
        let now = self.clock.now();
        self.measure(|meter| meter.withdrawn(now));
    }

    /// No data are left for a flow.
    pub(super) fn exhausted(&self, flow: usize) {
        let state = &mut *self.state.borrow_mut();
        state.flows[flow].is_exhausted = true;
        let waited = state.flows[flow].clear();
        state.waiting -= waited as usize;
        state.meter.held_back(waited);
    }

    /// Counts the end of a journey.
    pub(super) fn journey_ended(&self, journey: usize, is_whole: bool) {
        let state = &mut *self.state.borrow_mut();
        if !state.mix.is_single(journey) {
            state.meter.journey_ended(is_whole);
        }
    }

    /// Decides what a lane of the open model does after a journey.
    pub(super) fn end(&self, flow: usize, job_slot: &Rc<JobSlot>, standing: Standing) -> Next {
        let state = &mut *self.state.borrow_mut();
        if standing == Standing::Away && !self.stopping.get() {
            state.busy -= 1;
            state.away += 1;
            return Next::ComeBack;
        }
        if let Some(job) = state.next_job(flow, self.clock) {
            return Next::Serve(job);
        }
        state.busy -= 1;
        if standing == Standing::Connected {
            state.idle.push(Rc::clone(job_slot));
            Next::Wait
        } else {
            Next::Leave
        }
    }

    /// A lane that was away may connect again. Returns a waiting journey, if there is one.
    pub(super) fn is_back(&self, flow: usize) -> Option<Job> {
        let state = &mut *self.state.borrow_mut();
        state.away -= 1;
        state.busy += 1;
        state.next_job(flow, self.clock)
    }

    /// Whether virtual user `number`, who has done `done` journeys, begins another.
    pub(super) fn begins(&self, flow: usize, number: usize, done: u64) -> bool {
        let now = self.clock.now();
        !self.stopping.get() && self.state.borrow_mut().flows[flow].begins(number, done, now)
    }

    /// Closes a connection that is no longer used, gracefully if possible. If too many already wait
    /// for that, closes it at once.
    pub(super) fn see_off(self: &Rc<Self>, link: Link) {
        if self.closing.get() < MAX_CLOSING {
            self.closing.set(self.closing.get() + 1);
            let worker = Rc::clone(self);
            tokio::task::spawn_local(async move {
                link.close().await;
                worker.closing.set(worker.closing.get() - 1);
            });
        }
    }

    /// Removes a lane whose connection has ended from the idle ones, until [`Worker::end`] says
    /// what it does.
    pub(super) fn leave(&self, job_slot: &Rc<JobSlot>) {
        let state = &mut *self.state.borrow_mut();
        state.idle.retain(|idle| !Rc::ptr_eq(idle, job_slot));
        state.busy += 1;
    }

    pub(super) fn is_drained(&self) -> bool {
        self.state.borrow().meter.in_flight() == 0
    }

    pub(super) fn finish(self: &Rc<Self>) {
        let now = self.clock.now();
        self.catch_up(now);
        let state = &mut *self.state.borrow_mut();
        let tick = state.meter.close(now, 0);
        state.outlet.finish(tick);
    }
}

impl State {
    /// Journeys a second that are due now.
    fn rate(&self) -> f64 {
        self.flows.iter().map(Flow::rate).sum()
    }

    /// When the next flow has something to do, and which flow.
    fn earliest(&self) -> (u64, usize) {
        let next = |(index, flow): (usize, &Flow)| (flow.next(), index);
        self.flows.iter().enumerate().map(next).min().unwrap_or((u64::MAX, 0))
    }

    /// The next waiting journey, which begins now: of this flow, or else of another.
    fn next_job(&mut self, flow: usize, clock: Clock) -> Option<Job> {
        if self.waiting == 0 {
            return None;
        }
        let others = (0..self.flows.len()).filter(|other| *other != flow);
        let job = std::iter::once(flow).chain(others).find_map(|flow| {
            let due = self.flows[flow].backlog.pop_front()?;
            Some(Job { flow, due, measure_lateness: false })
        })?;
        self.waiting -= 1;
        self.meter.begun(clock.now());
        Some(job)
    }
}

/// The connection state of a lane after a journey.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    Connected,
    Unconnected,
    /// No connection: the storm took it.
    Away,
}

/// What a lane does after a journey.
pub(super) enum Next {
    /// Another journey is already waiting.
    Serve(Job),
    /// It keeps its connection and waits for a journey.
    Wait,
    /// It waits until it may connect again.
    ComeBack,
    /// It has no connection and nothing to do.
    Leave,
}
