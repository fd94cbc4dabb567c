//! One thread that makes its share of the load: it hands arrivals to lanes when they are due.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::io;
use std::rc::Rc;
use std::sync::mpsc::SyncSender;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use tokio::runtime::{Builder, LocalOptions};
use tokio::sync::Notify;

use super::LoadConfig;
use super::connect::{Connector, Route};
use super::exchange::Link;
use super::lane;
use super::meter::{Clock, Ended, Meter, Outlet};
use super::mix::{Draft, Mix, Rendered};
use super::pacer::Schedule;
use super::timer::{Timer, shorten_slice};
use crate::plan::Connections;
use crate::timeline::{Epoch, LoadTick, Stage};

/// So many due requests may wait, over all workers, even where few may be in flight.
const MIN_BACKLOG: usize = 100_000;

/// So many connections of a worker may wait for the other side to close them.
pub(super) const MAX_CLOSING: usize = 128;

/// What a worker is told from outside.
#[derive(Default)]
pub(super) struct Inbox {
    orders: Mutex<Orders>,
    bell: Notify,
}

#[derive(Default)]
struct Orders {
    stages: Vec<Stage>,
    stop: Option<Instant>,
}

impl Inbox {
    /// Adds a stage to the schedule.
    pub(super) fn hold(&self, stage: &Stage) {
        self.orders.lock().unwrap_or_else(PoisonError::into_inner).stages.push(*stage);
        self.bell.notify_one();
    }

    /// Ends arrivals, and the worker when nothing is in flight or at `deadline`.
    pub(super) fn stop(&self, deadline: Instant) {
        self.orders.lock().unwrap_or_else(PoisonError::into_inner).stop = Some(deadline);
        self.bell.notify_one();
    }

    fn take(&self) -> Orders {
        std::mem::take(&mut *self.orders.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Everything that one worker starts with.
pub(super) struct Seat {
    pub(super) config: Arc<LoadConfig>,
    pub(super) worker: usize,
    pub(super) of: usize,
    pub(super) mix: Mix,
    pub(super) route: Route,
    pub(super) epoch: Epoch,
    pub(super) inbox: Arc<Inbox>,
    pub(super) ticks: SyncSender<LoadTick>,
}

/// Runs a worker on this thread until it is told to stop. `started` hears once whether it could
/// begin.
pub(super) fn work(seat: Seat, started: &SyncSender<io::Result<()>>) {
    shorten_slice();
    let runtime = Builder::new_current_thread()
        .enable_io()
        .enable_time()
        .build_local(LocalOptions::default());
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => return drop(started.send(Err(error))),
    };
    runtime.block_on(async {
        match Timer::new() {
            Ok(timer) => {
                drop(started.send(Ok(())));
                dispatch(seat, timer).await;
            }
            Err(error) => drop(started.send(Err(error))),
        }
    });
}

/// What the dispatcher and the lanes of one worker have in common.
pub(super) struct Worker {
    pub(super) clock: Clock,
    pub(super) connector: Connector,
    pub(super) timeout: Duration,
    pub(super) keep_alive: bool,
    /// Connections that are done with and wait for the other side to close them.
    closing: Cell<usize>,
    inbox: Arc<Inbox>,
    state: RefCell<State>,
}

struct State {
    schedule: Schedule,
    mix: Mix,
    meter: Meter,
    outlet: Outlet,
    /// Intended starts of requests that wait for a lane.
    backlog: VecDeque<u64>,
    max_backlog: usize,
    /// Lanes with a connection and nothing to do; the one used last is used first, so that no
    /// more connections are kept busy than needed.
    idle: Vec<Rc<Berth>>,
    max_in_flight: u64,
    stopping: bool,
}

/// Where a lane waits for its next request.
#[derive(Default)]
pub(super) struct Berth {
    job: Cell<Option<Job>>,
    waker: RefCell<Option<Waker>>,
}

/// A request that is to be sent now.
#[derive(Clone, Copy, Debug)]
pub(super) struct Job {
    /// Nanoseconds of the clock.
    pub(super) intended: u64,
    /// Whether the lane is yet to record how late the generator was.
    pub(super) measure_lateness: bool,
}

impl Berth {
    fn give(&self, job: Job) {
        self.job.set(Some(job));
        if let Some(waker) = self.waker.borrow().as_ref() {
            waker.wake_by_ref();
        }
    }

    /// The job that was given, if one was; else the task is woken when one is.
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

async fn dispatch(seat: Seat, mut timer: Timer) {
    let inbox = Arc::clone(&seat.inbox);
    let worker = Rc::new(Worker::new(seat));
    let mut deadline = None;
    loop {
        let orders = inbox.take();
        worker.catch_up(worker.clock.now());
        worker.schedule(&orders.stages);
        // Before the stop, which may have come while this thread had no core: what was due by
        // then was offered all the same.
        worker.catch_up(worker.clock.now());
        if orders.stop.is_some() {
            worker.end_arrivals();
        }
        deadline = deadline.or(orders.stop);
        if deadline.is_some_and(|deadline| worker.is_drained() || Instant::now() >= deadline) {
            break;
        }
        let mut wait = worker.until_next();
        if let Some(deadline) = deadline {
            wait = wait.min(deadline.saturating_duration_since(Instant::now()));
        }
        tokio::select! {
            biased;
            () = inbox.bell.notified() => {}
            () = timer.sleep(wait) => {}
        }
    }
    worker.finish();
}

impl Worker {
    fn new(seat: Seat) -> Self {
        let config = &seat.config;
        let share = |whole: usize| whole / seat.of + usize::from(seat.worker < whole % seat.of);
        let max_backlog = config.max_in_flight.saturating_mul(4).max(MIN_BACKLOG);
        let clock = Clock(seat.epoch);
        let names = config.requests.iter().map(|request| request.name.clone()).collect();
        let state = State {
            schedule: Schedule::new(seat.worker, seat.of, config.max_rate)
                .with_arrivals(config.arrivals, config.seed),
            meter: Meter::new(config.generator.clone(), names, clock.now()),
            mix: seat.mix,
            outlet: Outlet::new(seat.ticks),
            backlog: VecDeque::new(),
            max_backlog: share(max_backlog),
            idle: Vec::new(),
            max_in_flight: share(config.max_in_flight).max(1) as u64,
            stopping: false,
        };
        Self {
            clock,
            connector: Connector::new(seat.route),
            timeout: config.target.timeout,
            keep_alive: config.target.connections == Connections::KeepAlive,
            closing: Cell::new(0),
            inbox: seat.inbox,
            state: RefCell::new(state),
        }
    }

    fn schedule(&self, stages: &[Stage]) {
        let state = &mut *self.state.borrow_mut();
        for stage in stages {
            state.schedule.push(stage);
        }
    }

    fn end_arrivals(&self) {
        let state = &mut *self.state.borrow_mut();
        state.stopping = true;
        state.schedule.clear();
        state.meter.held_back(state.backlog.len() as u64);
        state.backlog.clear();
    }

    /// Does whatever is due at `now`: arrivals, in their order, and ends of seconds. Lanes call
    /// it too whenever they look at the clock, so that a busy thread stays on time.
    fn catch_up(self: &Rc<Self>, now: u64) {
        let state = &mut *self.state.borrow_mut();
        loop {
            let (due, end) = (state.schedule.next(), state.meter.end());
            if due <= now && due < end {
                state.schedule.advance();
                self.admit(state, due, now);
            } else if end <= now {
                let tick = state.meter.close(end, state.backlog.len() as u64);
                state.outlet.send(tick);
            } else {
                break;
            }
        }
    }

    /// Starts one request, or has it wait, or gives it up: each is counted.
    fn admit(self: &Rc<Self>, state: &mut State, intended: u64, now: u64) {
        state.meter.offered();
        if let Some(berth) = state.idle.pop() {
            state.meter.begun(now);
            berth.give(Job { intended, measure_lateness: true });
            return;
        }
        state.meter.late(intended, now);
        if state.meter.in_flight() < state.max_in_flight {
            state.meter.begun(now);
            let job = Job { intended, measure_lateness: false };
            tokio::task::spawn_local(lane::run(Rc::clone(self), job));
        } else if state.backlog.len() < state.max_backlog {
            state.backlog.push_back(intended);
        } else {
            state.meter.held_back(1);
        }
    }

    /// How long the dispatcher may sleep. At high rates it wakes less often than arrivals come:
    /// each wake-up costs as much as a request.
    fn until_next(&self) -> Duration {
        let state = self.state.borrow();
        let distance = match state.schedule.rate() {
            rate if rate < 5_000.0 => 0,
            rate if rate < 20_000.0 => 100_000,
            _ => 250_000,
        };
        let next = state.schedule.next().min(state.meter.end());
        Duration::from_nanos(next.saturating_sub(self.clock.now()).max(distance))
    }

    /// Takes the time, counts what is due by then, and draws the request for `job`. Returns the
    /// time.
    pub(super) fn begin(self: &Rc<Self>, job: Job, draft: &mut Draft) -> u64 {
        let now = self.clock.now();
        self.catch_up(now);
        let state = &mut *self.state.borrow_mut();
        if job.measure_lateness {
            state.meter.late(job.intended, now);
        }
        state.mix.draw(draft);
        now
    }

    /// The request as it goes on the wire.
    pub(super) fn build(&self, draft: &Draft) -> Rendered {
        self.state.borrow().mix.build(draft)
    }

    /// Gives access to what is measured.
    pub(super) fn measure(&self, record: impl FnOnce(&mut Meter)) {
        record(&mut self.state.borrow_mut().meter);
    }

    /// Counts the end of a request and says what the lane does next.
    pub(super) fn end(self: &Rc<Self>, done: &Ended, berth: &Rc<Berth>, connected: bool) -> Next {
        self.catch_up(done.at);
        let state = &mut *self.state.borrow_mut();
        match done.class {
            Some(class) => state.meter.done(done, class),
            None => state.meter.held_back(1),
        }
        if let Some(intended) = state.backlog.pop_front() {
            return Next::Serve(Job { intended, measure_lateness: false });
        }
        state.meter.over(done.at);
        if state.stopping && state.meter.in_flight() == 0 {
            self.inbox.bell.notify_one();
        }
        if connected {
            state.idle.push(Rc::clone(berth));
            Next::Wait
        } else {
            Next::Leave
        }
    }

    /// Closes a connection that is done with, in the best way there is. Where too many wait for
    /// that already, they are closed at once.
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

    /// Takes a lane whose connection has ended out of those that may be given a request.
    pub(super) fn leave(&self, berth: &Rc<Berth>) {
        self.state.borrow_mut().idle.retain(|idle| !Rc::ptr_eq(idle, berth));
    }

    fn is_drained(&self) -> bool {
        self.state.borrow().meter.in_flight() == 0
    }

    fn finish(self: &Rc<Self>) {
        let now = self.clock.now();
        self.catch_up(now);
        let state = &mut *self.state.borrow_mut();
        let tick = state.meter.close(now, 0);
        state.outlet.finish(tick);
    }
}

/// What a lane does after a request.
pub(super) enum Next {
    /// Another request waits already.
    Serve(Job),
    /// It keeps its connection and waits to be given a request.
    Wait,
    /// It has no connection and nothing to do.
    Leave,
}
