//! Orders to a worker from outside.

use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use tokio::sync::Notify;

use crate::timeline::Stage;

/// Orders for a worker, and the notification that wakes it.
#[derive(Default)]
pub(super) struct Inbox {
    orders: Mutex<Orders>,
    /// Notified when an order came, or a lane has something to report.
    pub(super) bell: Notify,
}

/// Orders since the worker last looked.
#[derive(Default)]
pub(super) struct Orders {
    /// Each with its flow.
    pub(super) stages: Vec<(usize, Stage)>,
    /// When to stop at the latest.
    pub(super) stop: Option<Instant>,
}

impl Inbox {
    /// Adds a stage to the schedule of a flow.
    pub(super) fn hold(&self, flow: usize, stage: &Stage) {
        self.orders.lock().unwrap_or_else(PoisonError::into_inner).stages.push((flow, *stage));
        self.bell.notify_one();
    }

    /// Ends arrivals. The worker ends when nothing is in flight, or at `deadline`.
    pub(super) fn stop(&self, deadline: Instant) {
        self.orders.lock().unwrap_or_else(PoisonError::into_inner).stop = Some(deadline);
        self.bell.notify_one();
    }

    /// Takes the orders that have come.
    pub(super) fn take(&self) -> Orders {
        std::mem::take(&mut *self.orders.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
