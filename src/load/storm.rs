//! A reconnect storm: which connections are lost and when, and how long their clients wait.

use std::cell::{Cell, RefCell};
use std::future::pending;
use std::rc::Rc;
use std::time::{Duration, Instant};

use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};
use tokio::sync::watch;
use tokio::time::{sleep, sleep_until};

use crate::plan::{self, Backoff};

/// The storm over the connections of one worker.
pub(super) struct Storm {
    policy: plan::ReconnectStorm,
    /// Notified when the storm comes.
    bell: watch::Sender<()>,
    /// Connections that have noticed the latest storm so far.
    met: Cell<u64>,
    random: RefCell<SmallRng>,
}

impl Storm {
    pub(super) fn new(policy: plan::ReconnectStorm, seed: u64) -> Self {
        let random = RefCell::new(SmallRng::seed_from_u64(seed));
        Self { policy, bell: watch::Sender::new(()), met: Cell::new(0), random }
    }

    /// Comes whenever the plan says. The first stage began at `begin`.
    pub(super) async fn rage(&self, begin: Instant) {
        let mut elapsed = Duration::ZERO;
        while let Some(next) = self.policy.drop.next(elapsed) {
            let Some(at) = begin.checked_add(next) else { return };
            sleep_until(at.into()).await;
            self.met.set(0);
            self.bell.send_replace(());
            elapsed = next;
        }
    }

    /// Whether the storm takes the next connection.
    fn hits(&self) -> bool {
        let number = self.met.get();
        self.met.set(number + 1);
        is_hit(number, self.policy.drop.share)
    }
}

/// What the storm does to one client and its connection.
pub(super) struct Exposure {
    storm: Rc<Storm>,
    bell: watch::Receiver<()>,
    /// The state of reconnecting, once the connection was lost.
    comeback: Option<Comeback>,
}

struct Comeback {
    /// Attempts that failed so far.
    attempts: u32,
    /// When the next one is allowed.
    at: Instant,
}

impl Exposure {
    pub(super) fn to(storm: &Rc<Storm>) -> Self {
        let bell = storm.bell.subscribe();
        Self { storm: Rc::clone(storm), bell, comeback: None }
    }

    /// Whether the storm has come since the last call, or since the connection was made.
    pub(super) fn has_come(&mut self) -> bool {
        let has_come = self.bell.has_changed().unwrap_or(false);
        if has_come {
            self.bell.mark_unchanged();
        }
        has_come
    }

    /// Whether the connection is among the lost ones.
    pub(super) fn is_hit(&mut self) -> bool {
        let is_hit = self.storm.hits();
        if is_hit {
            self.put_off(0);
        }
        is_hit
    }

    /// Whether the connection was lost and the client has not reconnected.
    pub(super) fn is_away(&self) -> bool {
        self.comeback.is_some()
    }

    /// Waits until a lost connection may be made again. Returns whether that took any time.
    pub(super) async fn hold_off(&self) -> bool {
        let wait =
            self.comeback.as_ref().map(|back| back.at.saturating_duration_since(Instant::now()));
        let wait = wait.filter(|wait| !wait.is_zero());
        if let Some(wait) = wait {
            sleep(wait).await;
        }
        wait.is_some()
    }

    /// A connection was made, or the attempt failed.
    pub(super) fn tried(&mut self, is_made: bool) {
        if is_made {
            self.bell.mark_unchanged();
            self.comeback = None;
        } else if let Some(Comeback { attempts, .. }) = self.comeback {
            self.put_off(attempts + 1);
        }
    }

    fn put_off(&mut self, attempts: u32) {
        let random = &mut self.storm.random.borrow_mut();
        let at = Instant::now() + wait(&self.storm.policy.backoff, attempts, random);
        self.comeback = Some(Comeback { attempts, at });
    }
}

/// Waits until the storm comes: for ever if there is none.
pub(super) async fn comes(exposure: &mut Option<Exposure>) {
    if let Some(exposure) = exposure
        && exposure.bell.changed().await.is_ok()
    {
        return;
    }
    pending::<()>().await;
}

/// Whether the connection with this number, counted from zero, is in the lost share. The lost ones
/// are spread evenly, so that the share is the same for early and late connections.
pub(super) fn is_hit(number: u64, share: f64) -> bool {
    let before = |number: u64| (number as f64 * share).floor();
    before(number + 1) > before(number)
}

/// How long a client waits before attempt `attempt`, counted from zero.
pub(super) fn wait(backoff: &Backoff, attempt: u32, random: &mut SmallRng) -> Duration {
    backoff.limit(attempt).mul_f64(random.random_range(0.5..=1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_of_any_number_is_hit_and_spread() {
        for (share, of, hits) in [(0.5, 40, 20), (0.1, 40, 4), (0.0, 9, 0), (1.0, 9, 9)] {
            let hit: Vec<u64> = (0..of).filter(|number| is_hit(*number, share)).collect();
            assert_eq!(hit.len(), hits);
            let early = hit.iter().filter(|number| **number < of / 2).count();
            assert!(early.abs_diff(hits - early) <= 1, "{hit:?}");
        }
    }
}
