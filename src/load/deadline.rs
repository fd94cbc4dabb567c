//! When a request has to be over.

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use tokio::time::Sleep;

use super::failure::Failure;

/// When a request has to be over. One timer serves a connection's requests one after the other:
/// it is set anew only when it rings too early, so that a request that is in time costs nothing.
pub(super) struct Deadline {
    sleep: Pin<Box<Sleep>>,
    at: Instant,
    /// When the timer rings, if it was set.
    armed: Option<Instant>,
}

impl Deadline {
    /// A deadline that has not been set. Needs a runtime with time around it.
    pub(super) fn new() -> Self {
        let at = Instant::now();
        Self { sleep: Box::pin(tokio::time::sleep(Duration::ZERO)), at, armed: None }
    }

    /// Sets it. Nearly always to a later time than before, which costs nothing.
    pub(super) fn set(&mut self, at: Instant) {
        self.at = at;
        if self.armed.is_some_and(|armed| armed > at) {
            self.armed = None;
        }
    }

    /// Sets it to `at` where it is earlier.
    pub(super) fn extend(&mut self, at: Instant) {
        self.at = self.at.max(at);
    }

    /// Whether it has passed.
    pub(super) fn is_over(&self) -> bool {
        Instant::now() >= self.at
    }

    /// Whether it has passed; if not, the task will be woken when it may have. A deadline belongs
    /// to one task, so that one registered waker is good for all its polls.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            if self.armed.is_some() {
                if !self.sleep.is_elapsed() {
                    return Poll::Pending;
                }
                self.armed = None;
                if Instant::now() >= self.at {
                    return Poll::Ready(());
                }
            }
            self.sleep.as_mut().reset(self.at.into());
            self.armed = Some(self.at);
            if self.sleep.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
        }
    }

    /// What `future` comes to, or [`Failure::Timeout`] when the deadline passes first.
    pub(super) async fn limit<T>(&mut self, future: impl Future<Output = T>) -> Result<T, Failure> {
        let mut future = pin!(future);
        poll_fn(|cx| match future.as_mut().poll(cx) {
            Poll::Ready(value) => Poll::Ready(Ok(value)),
            Poll::Pending => self.poll(cx).map(|()| Err(Failure::Timeout)),
        })
        .await
    }
}
