//! The thread that feeds the model, beside the run.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::collect::Observation;
use crate::live::{About, Live, Seen, is_wanted};
use crate::run::Progress;
use crate::timeline::Batch;
use crate::viewer::{Viewer, yield_to_load};

/// News that may wait for the model: minutes of them. Further ones are counted and left out.
const WAITING: usize = 4096;
/// Longest time between two looks at what was lost.
const BEAT: Duration = Duration::from_millis(500);
/// Shortest time between two frames for the viewers of a page: load is counted in seconds, so that
/// more frames would have hardly more to show. Collectors report far more often.
const FRAME: Duration = Duration::from_secs(1);
/// How long it is waited until the model has taken in what was sent.
const SETTLING: Duration = Duration::from_secs(2);

/// The model with the thread that feeds it.
pub(super) struct Hub {
    live: Arc<Mutex<Live>>,
    sink: SyncSender<Seen>,
    lost: Arc<AtomicU64>,
    sent: AtomicU64,
    /// Grows with each change.
    taken: Arc<AtomicU64>,
    viewer: Arc<Mutex<Option<Arc<Viewer>>>>,
}

impl Hub {
    pub(super) fn start(about: About) -> io::Result<Self> {
        let live = Arc::new(Mutex::new(Live::new(about)));
        let (sink, news) = sync_channel(WAITING);
        let hub = Self {
            live: Arc::clone(&live),
            sink,
            lost: Arc::default(),
            sent: AtomicU64::new(0),
            taken: Arc::default(),
            viewer: Arc::default(),
        };
        let feeder = Feeder {
            live,
            news,
            lost: Arc::clone(&hub.lost),
            taken: Arc::clone(&hub.taken),
            viewer: Arc::clone(&hub.viewer),
        };
        std::thread::Builder::new().name("kp-live".into()).spawn(move || feeder.feed())?;
        Ok(hub)
    }

    /// Hands over what a viewer is shown of a run's news. Never waits.
    pub(super) fn tell(&self, progress: &Progress<'_>) {
        match progress {
            Progress::StageBegins(stage) => self.give(Seen::Begins(**stage)),
            Progress::StageEnded { stage, .. } => self.give(Seen::Ended(**stage)),
            Progress::Tick { tick, .. } => self.give(Seen::Tick(Box::new((*tick).clone()))),
            Progress::Event(text) => self.give(Seen::Event((*text).to_owned())),
            Progress::Reported(observation) => self.observe(observation),
        }
    }

    fn observe(&self, observation: &Observation) {
        match observation {
            Observation::Batch(batch) => {
                let is_shown = |it: &&crate::timeline::Reading| is_wanted(&it.key.metric);
                let readings: Vec<_> = batch.readings.iter().filter(is_shown).cloned().collect();
                if !readings.is_empty() {
                    let (collector, window) = (batch.collector.clone(), batch.window);
                    self.give(Seen::Batch(Batch { collector, window, readings }));
                }
            }
            Observation::Gap(gap) => self.give(Seen::Gap(gap.clone())),
            Observation::Quote(quote) => self.give(Seen::Quote(quote.clone())),
            // The run tells it as an event too.
            Observation::Event { .. } => {}
        }
    }

    pub(super) fn give(&self, seen: Seen) {
        match self.sink.try_send(seen) {
            Ok(()) => self.sent.fetch_add(1, Ordering::Relaxed),
            Err(_) => self.lost.fetch_add(1, Ordering::Relaxed),
        };
    }

    /// Waits until the model has taken in all that was handed over.
    pub(super) fn settle(&self) {
        let since = Instant::now();
        let sent = self.sent.load(Ordering::Relaxed);
        while self.taken.load(Ordering::Acquire) < sent && since.elapsed() < SETTLING {
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// A number that grows when there is something new to show.
    pub(super) fn version(&self) -> u64 {
        self.taken.load(Ordering::Acquire)
    }

    pub(super) fn live(&self) -> Arc<Mutex<Live>> {
        Arc::clone(&self.live)
    }

    pub(super) fn look(&self) -> MutexGuard<'_, Live> {
        self.live.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sends what is new to those who see a page, from here on.
    pub(super) fn publish_to(&self, viewer: Option<Arc<Viewer>>) {
        *self.viewer.lock().unwrap_or_else(PoisonError::into_inner) = viewer;
    }
}

/// Whether somebody who looks is waiting for it: the answer to a button, and what leads from the page
/// to the report.
fn is_waited_for(seen: &Seen) -> bool {
    matches!(seen, Seen::Paused(_) | Seen::Over(_) | Seen::Reported)
}

struct Feeder {
    live: Arc<Mutex<Live>>,
    news: Receiver<Seen>,
    lost: Arc<AtomicU64>,
    taken: Arc<AtomicU64>,
    viewer: Arc<Mutex<Option<Arc<Viewer>>>>,
}

impl Feeder {
    /// Feeds the model until nobody can hand over anything any more.
    fn feed(&self) {
        yield_to_load();
        let mut published = Instant::now();
        let mut is_stale = false;
        loop {
            let wait = if is_stale { FRAME.saturating_sub(published.elapsed()) } else { BEAT };
            let first = match self.news.recv_timeout(wait) {
                Ok(seen) => seen,
                Err(RecvTimeoutError::Timeout) => {
                    if std::mem::take(&mut is_stale) {
                        self.publish();
                        published = Instant::now();
                    }
                    continue;
                }
                Err(RecvTimeoutError::Disconnected) => return,
            };
            let (mut taken, mut is_urgent) = (0, false);
            {
                let mut live = self.live.lock().unwrap_or_else(PoisonError::into_inner);
                for seen in std::iter::once(first).chain(self.news.try_iter()) {
                    is_urgent |= is_waited_for(&seen);
                    live.see(seen);
                    taken += 1;
                }
                match self.lost.swap(0, Ordering::Relaxed) {
                    0 => {}
                    lost => live.see(Seen::Lost(lost)),
                }
            }
            is_stale = true;
            if is_urgent || published.elapsed() >= FRAME {
                self.publish();
                (published, is_stale) = (Instant::now(), false);
            }
            self.taken.fetch_add(taken, Ordering::Release);
        }
    }

    fn publish(&self) {
        if let Some(viewer) = &*self.viewer.lock().unwrap_or_else(PoisonError::into_inner) {
            viewer.publish();
        }
    }
}
