//! The deadline of a request.

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use tokio::time::Sleep;

use super::failure::Failure;

/// When a request has to be over. One timer serves the requests of a connection one after another.
/// It is set again only when it fires too early, so that a request that is in time costs nothing.
pub(super) struct Deadline {
    sleep: Pin<Box<Sleep>>,
    at: Instant,
    /// When the timer fires, if it was set.
    armed: Option<Instant>,
}

impl Deadline {
    /// A deadline that has not been set. Needs a runtime with time.
    pub(super) fn new() -> Self {
        let at = Instant::now();
        Self { sleep: Box::pin(tokio::time::sleep(Duration::ZERO)), at, armed: None }
    }

    /// Sets the deadline. It is nearly always later than before, which costs nothing.
    pub(super) fn set(&mut self, at: Instant) {
        self.at = at;
        if self.armed.is_some_and(|armed| armed > at) {
            self.armed = None;
        }
    }

    /// Moves the deadline to `at` if it is earlier.
    pub(super) fn extend(&mut self, at: Instant) {
        self.at = self.at.max(at);
    }

    /// Whether it has passed.
    pub(super) fn is_over(&self) -> bool {
        Instant::now() >= self.at
    }

    /// Whether it has passed. If not, the task is woken when it may have passed. A deadline belongs
    /// to one task, so that one registered waker is enough for all its polls.
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

    /// The result of `future`, or [`Failure::Timeout`] if the deadline passes first.
    pub(super) async fn limit<T>(&mut self, future: impl Future<Output = T>) -> Result<T, Failure> {
        let mut future = pin!(future);
        poll_fn(|cx| match future.as_mut().poll(cx) {
            Poll::Ready(value) => Poll::Ready(Ok(value)),
            Poll::Pending => self.poll(cx).map(|()| Err(Failure::Timeout)),
        })
        .await
    }
}
