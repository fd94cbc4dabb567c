//! A lane: a task with at most one connection that does one journey after another. In the open
//! model there are as many lanes as journeys ever ran at the same time. A new lane is started only
//! when no lane is idle. In the closed model each lane is a virtual user.

use std::future::{pending, poll_fn};
use std::pin::pin;
use std::rc::Rc;
use std::task::Poll;
use std::time::{Duration, Instant};

use tokio::time::sleep_until;

use super::deadline::Deadline;
use super::draws::Exhausted;
use super::exchange::Link;
use super::failure::Failure;
use super::failures::{Both, Capture};
use super::flow::Due;
use super::meter::{Ended, Meter};
use super::mix::Look;
use super::program::Todo;
use super::response::Observer;
use super::review::Review;
use super::session::Session;
use super::storm::{self, Exposure};
use super::worker::{Job, JobSlot, LaneStarts, Next, Standing, Worker};
use crate::timeline::ResponseClass;

/// A request that the target refuses unprocessed over a fresh connection is sent again at most this
/// often. The connection may be a shared one that has just begun to end.
const MOST_REFUSALS: usize = 3;

/// How a worker starts lanes.
pub(super) const STARTS: LaneStarts = LaneStarts {
    open: |worker, job| drop(tokio::task::spawn_local(run(worker, job))),
    vu: |worker, flow, number| drop(tokio::task::spawn_local(run_vu(worker, flow, number))),
};

/// Does the journey of `job`, then every further one it is given, until it has no connection to
/// keep.
async fn run(worker: Rc<Worker>, job: Job) {
    let mut lane = Lane::new(worker);
    let job_slot = Rc::new(JobSlot::default());
    let mut flow = job.flow;
    let mut job = Some(job);
    loop {
        if let Some(job) = job {
            flow = job.flow;
            lane.travel(flow, Some(job)).await;
        }
        job = match lane.worker.end(flow, &job_slot, lane.standing()) {
            Next::Serve(job) => Some(job),
            Next::Wait => {
                let job = lane.wait(&job_slot).await;
                if job.is_none() {
                    lane.worker.leave(&job_slot);
                }
                job
            }
            Next::ComeBack => {
                lane.hold_off().await;
                let job = lane.worker.is_back(flow);
                if job.is_none() && !lane.worker.is_stopping() {
                    lane.come_back().await;
                }
                job
            }
            Next::Leave => return,
        };
    }
}

/// Acts as virtual user `number` of `flow` for as long as that user is wanted.
async fn run_vu(worker: Rc<Worker>, flow: usize, number: usize) {
    let mut lane = Lane::new(worker);
    let mut done = 0;
    while lane.worker.begins(flow, number, done) {
        if !lane.travel(flow, None).await {
            // A journey that does nothing would otherwise block the thread.
            tokio::task::yield_now().await;
        }
        done += 1;
    }
    lane.part();
}

struct Lane {
    worker: Rc<Worker>,
    link: Option<Link>,
    deadline: Deadline,
    session: Session,
    /// What the current request got, if it failed.
    capture: Capture,
    exposure: Option<Exposure>,
    /// Requests served by the current connection.
    served: u64,
    /// When its last request ended, in nanoseconds of the clock.
    used: u64,
    /// When the last response arrived, if that was not just now.
    ended: Option<u64>,
}

impl Lane {
    fn new(worker: Rc<Worker>) -> Self {
        let (deadline, session) = (Deadline::new(), Session::default());
        let capture = Capture::default();
        let exposure = worker.storm.as_ref().map(Exposure::to);
        let (link, ended) = (None, None);
        Self { link, deadline, session, capture, exposure, served: 0, used: 0, ended, worker }
    }

    fn standing(&self) -> Standing {
        match &self.exposure {
            _ if self.link.is_some() => Standing::Connected,
            Some(exposure) if exposure.is_away() => Standing::Away,
            _ => Standing::Unconnected,
        }
    }

    /// Waits for a journey. `None` if the connection ends first.
    async fn wait(&mut self, job_slot: &JobSlot) -> Option<Job> {
        let idle_end = self.idle_end();
        while let Some(link) = &mut self.link {
            let given = poll_fn(|cx| match job_slot.poll_job(cx) {
                Poll::Ready(job) => Poll::Ready(Some(job)),
                Poll::Pending => link.poll_ended(cx).map(|()| None),
            });
            tokio::select! {
                biased;
                job = given => {
                    if job.is_none() {
                        self.part();
                    }
                    return job;
                }
                why = idle_ends(&mut self.exposure, idle_end) => self.lose(why),
            }
        }
        None
    }

    /// Pauses for the think time of a user.
    async fn think(&mut self, pause: Duration) {
        let worker = Rc::clone(&self.worker);
        let mut thinking = pin!(worker.think(pause));
        loop {
            let idle_end = self.link.as_ref().and(self.idle_end());
            tokio::select! {
                biased;
                () = &mut thinking => return,
                why = idle_ends(&mut self.exposure, idle_end) => self.lose(why),
            }
        }
    }

    /// When an unused connection reaches the longest idle time allowed.
    fn idle_end(&self) -> Option<Instant> {
        let idle = u64::try_from(self.worker.reuse.idle?.as_nanos()).ok()?;
        Some(self.worker.clock.instant(self.used.saturating_add(idle)))
    }

    /// Drops an unused connection.
    fn lose(&mut self, why: IdleEnd) {
        match why {
            IdleEnd::Storm => self.weather(),
            // Closed from this side, as a client with an idle timeout does.
            IdleEnd::Idle => self.link = None,
        }
    }

    /// Drops the connection, if the storm that has come takes it.
    fn weather(&mut self) {
        if let Some(exposure) = &mut self.exposure
            && self.link.is_some()
            && exposure.is_hit()
        {
            self.link = None;
        }
    }

    /// Waits until a connection lost to the storm may be made again. Returns whether that took any
    /// time.
    async fn hold_off(&self) -> bool {
        match &self.exposure {
            Some(exposure) => exposure.hold_off().await,
            None => false,
        }
    }

    /// Reconnects after the storm, without a request.
    async fn come_back(&mut self) {
        let now = self.worker.clock.now();
        (self.served, self.used) = (0, now);
        self.limit(now);
        self.link = self.connect().await.ok();
    }

    /// Sets the deadline for what begins `now`.
    fn limit(&mut self, now: u64) {
        let timeout = u64::try_from(self.worker.timeout.as_nanos()).unwrap_or(u64::MAX);
        self.deadline.set(self.worker.clock.instant(now.saturating_add(timeout)));
    }

    /// Closes the connection, if there is one.
    fn part(&mut self) {
        if let Some(link) = self.link.take() {
            self.worker.see_off(link);
        }
    }

    /// Does one journey of `flow`. Returns whether it sent or waited for anything. In the open
    /// model `job` is already counted, and its first request has begun.
    async fn travel(&mut self, flow: usize, job: Option<Job>) -> bool {
        let (now, mut todo) = self.worker.begin(flow, job, &mut self.session);
        let mut now = Some(now);
        let mut due = job.map(|job| job.due);
        let mut is_idle = true;
        let end = loop {
            match todo {
                Err(Exhausted) => {
                    self.worker.exhausted(flow);
                    break None;
                }
                Ok(Todo::Done) => break Some(true),
                Ok(Todo::Think(pause)) => {
                    now = None;
                    self.think(pause).await;
                }
                Ok(Todo::Request(endpoint)) => {
                    let now = now.take().unwrap_or_else(|| self.worker.clock.now());
                    if !self.serve(endpoint, due.take(), now).await {
                        break Some(false);
                    }
                }
            }
            is_idle = false;
            if self.worker.is_stopping() {
                break None;
            }
            todo = self.worker.next(&mut self.session);
        };
        if due.is_some() {
            self.worker.withdraw();
        }
        if let Some(is_whole) = end {
            self.worker.journey_ended(self.session.journey, is_whole);
        }
        !is_idle
    }

    /// Sends one request and waits for its end. Returns whether the journey continues. `due` is
    /// when the first request of a journey of the open model was meant to be sent.
    async fn serve(&mut self, endpoint: usize, due: Option<Due>, mut now: u64) -> bool {
        if let Some(wait) = self.worker.reserve(now) {
            tokio::time::sleep(wait).await;
            now = self.worker.clock.now();
        }
        let intended = match due {
            Some(due) => due.intended,
            None => {
                self.worker.follows(now);
                now
            }
        };
        let mut sent = None;
        let mut attempts = 0;
        let class = loop {
            let (class, at) = self.ask(endpoint, now, attempts > 0).await;
            sent.get_or_insert(at);
            attempts += 1;
            match class.and_then(|class| self.worker.retry(attempts, class)) {
                Some(wait) => tokio::time::sleep(wait).await,
                None => break class,
            }
            now = self.worker.clock.now();
        };
        let sent = sent.unwrap_or(now);
        let at = self.ended.take().unwrap_or_else(|| self.worker.clock.now()).max(sent);
        let done = Ended { endpoint, class, intended, sent, at };
        self.worker.finished(&done, &self.capture);
        self.used = at;
        let is_success = class.is_some_and(ResponseClass::is_success);
        self.worker.goes_on(&self.session, endpoint, is_success)
    }

    /// Sends a request once, at `now`. Returns how it ended, and when it was sent.
    async fn ask(
        &mut self,
        endpoint: usize,
        mut now: u64,
        is_retry: bool,
    ) -> (Option<ResponseClass>, u64) {
        if self.hold_off().await {
            now = self.worker.clock.now();
        }
        self.limit(now);
        self.renew();
        let mut sending = Sending { begun: now, sent: now, is_counted: is_retry };
        let mut capture = std::mem::take(&mut self.capture);
        capture.clear();
        let (result, is_as_expected) = match self.worker.look(endpoint, &self.session) {
            None => (self.attempt(endpoint, &mut sending, &mut capture).await, true),
            Some(look) => {
                let mut review = Review::new(&look.inspection, look.keeps_cookies);
                let mut both = Both(&mut review, &mut capture);
                let result = self.attempt(endpoint, &mut sending, &mut both).await;
                let is_as_expected =
                    result.is_ok() && self.settle(endpoint, &look, &mut review, &mut capture);
                (result, is_as_expected)
            }
        };
        match &result {
            Ok(_) => capture.finish(),
            Err(failure) => capture.fail(failure),
        }
        self.capture = capture;
        if let (Ok(_), Some(link)) = (&result, &self.link) {
            self.worker.measure(|meter| meter.exchanged(&link.spent));
            self.worker.learn(endpoint, link.received);
            self.ended = link.spent.ended.map(|ended| self.worker.clock.nanos(ended));
        }
        if result.is_err() {
            self.link = None;
        } else if !self.worker.keep_alive {
            self.part();
        }
        if self.exposure.as_mut().is_some_and(Exposure::has_come) {
            self.weather();
        }
        let class = match &result {
            Ok(status) if *status < 400 && !is_as_expected => Some(ResponseClass::Check),
            Ok(status) => Some(ResponseClass::Status(*status)),
            Err(failure) if failure.is_local() => None,
            Err(failure) => Some(failure.class()),
        };
        (class, sending.sent)
    }

    /// Closes a connection that has served for long enough.
    fn renew(&mut self) {
        if self.worker.reuse.requests.is_some_and(|most| self.served >= most) {
            self.part();
        }
        self.served += 1;
    }

    /// Stores what later steps need from a response. Returns whether it is as the plan expects.
    fn settle(
        &mut self,
        endpoint: usize,
        look: &Look,
        review: &mut Review<'_>,
        capture: &mut Capture,
    ) -> bool {
        let target = || self.worker.build(endpoint, &self.session).target();
        let target = if review.cookies.is_empty() { String::new() } else { target() };
        let missed = self.session.take_in(review, &target, self.worker.is_https);
        for check in &missed.checks {
            let check = look.inspection.text_of(*check);
            capture.fail_check(check);
            self.worker.measure(|meter| meter.check_failed(check));
        }
        if !missed.captures.is_empty() {
            capture.fail_check("a value to capture is missing");
        }
        for slot in &missed.captures {
            self.worker.not_captured(endpoint, *slot);
        }
        missed.is_empty()
    }

    /// Sends over the current connection, or else over a new one.
    async fn attempt(
        &mut self,
        endpoint: usize,
        sending: &mut Sending,
        observer: &mut impl Observer,
    ) -> Result<u16, Failure> {
        if let Some(link) = &mut self.link
            && link.is_ready().await
        {
            if !sending.is_counted {
                self.worker.measure(Meter::sent);
            }
            let request = self.worker.build(endpoint, &self.session);
            let first = self.worker.clock.instant(sending.sent);
            link.may_wait = self.worker.may_wait(endpoint);
            match link.exchange(&request, first, &mut self.deadline, observer).await {
                Err(failure) => {
                    let after = self.worker.clock.now().saturating_sub(sending.begun);
                    if !link.was_stale(&failure, Duration::from_nanos(after)) {
                        return Err(failure);
                    }
                    sending.is_counted = true;
                }
                done => return done,
            }
        }
        for _ in 0..MOST_REFUSALS {
            match self.attempt_anew(endpoint, sending, observer).await {
                Err(failure) if failure.is_refused() => sending.is_counted = true,
                done => return done,
            }
        }
        self.attempt_anew(endpoint, sending, observer).await
    }

    /// Sends over a connection that is new to this lane.
    async fn attempt_anew(
        &mut self,
        endpoint: usize,
        sending: &mut Sending,
        observer: &mut impl Observer,
    ) -> Result<u16, Failure> {
        self.part();
        self.served = 1;
        let link = self.connect().await;
        if !sending.is_counted && !link.as_ref().is_err_and(Failure::is_local) {
            self.worker.measure(Meter::sent);
        }
        let link = self.link.insert(link?);
        let connected = self.worker.clock.now();
        if !sending.is_counted {
            sending.sent = connected;
        }
        let request = self.worker.build(endpoint, &self.session);
        let connected = self.worker.clock.instant(connected);
        link.exchange(&request, connected, &mut self.deadline, observer).await
    }

    /// Makes a new connection and counts it.
    async fn connect(&mut self) -> Result<Link, Failure> {
        let link = self.worker.connector.connect(&mut self.deadline).await;
        if let Ok(Link { made: Some(made), .. }) = &link {
            self.worker.measure(|meter| meter.connected(made));
        }
        if let Some(exposure) = &mut self.exposure {
            exposure.tried(link.is_ok());
        }
        link
    }
}

/// What can happen to an unused connection.
#[derive(Clone, Copy, Debug)]
enum IdleEnd {
    /// The storm has come, and may take it.
    Storm,
    Idle,
}

/// Waits for an event that may end an unused connection, until `idle_end`.
async fn idle_ends(exposure: &mut Option<Exposure>, idle_end: Option<Instant>) -> IdleEnd {
    let idle = async {
        match idle_end {
            Some(end) => sleep_until(end.into()).await,
            None => pending().await,
        }
    };
    tokio::select! {
        () = storm::comes(exposure) => IdleEnd::Storm,
        () = idle => IdleEnd::Idle,
    }
}

/// A request on its way.
struct Sending {
    begun: u64,
    /// When it was first sent.
    sent: u64,
    /// Whether it is already counted as sent.
    is_counted: bool,
}
