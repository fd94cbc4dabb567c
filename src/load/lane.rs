//! A lane: a task with at most one connection that serves one request after the other. There are
//! as many as requests were ever in flight at a time; none is spawned for a request where one is
//! idle.

use std::future::poll_fn;
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

use super::exchange::{Deadline, Failure, Link};
use super::meter::Ended;
use super::mix::Draft;
use super::worker::{Berth, Job, Next, Worker};
use crate::timeline::ResponseClass;

/// Serves `job`, then whatever else is given, until there is no connection left to keep.
pub(super) async fn run(worker: Rc<Worker>, mut job: Job) {
    let mut lane = Lane { link: None, deadline: Deadline::new(), draft: Draft::default(), worker };
    let berth = Rc::new(Berth::default());
    loop {
        let ended = lane.serve(job).await;
        job = match lane.worker.end(&ended, &berth, lane.link.is_some()) {
            Next::Serve(job) => job,
            Next::Wait => match lane.wait(&berth).await {
                Some(job) => job,
                None => {
                    lane.worker.leave(&berth);
                    return lane.part();
                }
            },
            Next::Leave => return,
        };
    }
}

struct Lane {
    worker: Rc<Worker>,
    link: Option<Link>,
    deadline: Deadline,
    draft: Draft,
}

impl Lane {
    /// Waits for a request; `None` when the connection ends first.
    async fn wait(&mut self, berth: &Berth) -> Option<Job> {
        let link = &mut self.link;
        poll_fn(|cx| match berth.poll_job(cx) {
            Poll::Ready(job) => Poll::Ready(Some(job)),
            Poll::Pending => match link {
                Some(link) => link.poll_ended(cx).map(|()| None),
                None => Poll::Ready(None),
            },
        })
        .await
    }

    /// Has the connection closed, if there is one.
    fn part(&mut self) {
        if let Some(link) = self.link.take() {
            self.worker.see_off(link);
        }
    }

    /// Sends one request and waits for its end.
    async fn serve(&mut self, job: Job) -> Ended {
        let begun = self.worker.begin(job, &mut self.draft);
        let timeout = u64::try_from(self.worker.timeout.as_nanos()).unwrap_or(u64::MAX);
        self.deadline.set(self.worker.clock.instant(begun.saturating_add(timeout)));
        let mut sent = begun;
        let result = self.attempt(begun, &mut sent).await;
        if let (Ok(_), Some(link)) = (&result, &self.link) {
            self.worker.measure(|meter| meter.exchanged(&link.spent));
        }
        if result.is_err() {
            self.link = None;
        } else if !self.worker.keep_alive {
            self.part();
        }
        let class = match result {
            Ok(status) => Some(ResponseClass::Status(status)),
            Err(failure) if failure.is_local() => None,
            Err(failure) => Some(failure.class()),
        };
        let (endpoint, at) = (self.draft.endpoint, self.worker.clock.now());
        Ended { endpoint, class, intended: job.intended, sent, at }
    }

    /// Over the connection at hand, else over a new one. `sent` becomes the time of the first
    /// send.
    async fn attempt(&mut self, begun: u64, sent: &mut u64) -> Result<u16, Failure> {
        let mut again = false;
        if let Some(link) = &mut self.link
            && link.is_ready().await
        {
            self.worker.measure(super::meter::Meter::sent);
            let request = self.worker.build(&self.draft);
            match link.exchange(&request, &mut self.deadline, &mut ()).await {
                Err(failure) => {
                    let after = self.worker.clock.now().saturating_sub(begun);
                    if !link.was_stale(&failure, Duration::from_nanos(after)) {
                        return Err(failure);
                    }
                    again = true;
                }
                done => return done,
            }
        }
        self.part();
        let made = self.worker.connector.connect(&mut self.deadline).await;
        let is_sent = !again && !made.as_ref().is_err_and(Failure::is_local);
        self.worker.measure(|meter| {
            if is_sent {
                meter.sent();
            }
            if let Ok(Link { made: Some(made), .. }) = &made {
                meter.connected(made);
            }
        });
        let link = self.link.insert(made?);
        if !again {
            *sent = self.worker.clock.now();
        }
        let request = self.worker.build(&self.draft);
        link.exchange(&request, &mut self.deadline, &mut ()).await
    }
}
