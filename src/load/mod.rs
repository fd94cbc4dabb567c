//! Makes load. In the open model the schedule decides when journeys start, whatever the target
//! does. The first request of a journey is measured from its intended start. In the closed model a
//! virtual user starts a journey when its previous one has ended. A plain request is a journey of
//! one step.
//!
//! ```text
//! Stage ─► flow (pacer, crew) ─► worker (a thread: dispatcher + lanes) ─► meter ─► one LoadTick a second
//!              lane ─► program (journey), mix (request) ─► connect, exchange ─► target ─► response ─► review
//! ```
//!
//! If a worker waits only for short responses, it sleeps until the next journey is due. It then
//! takes the arrival time of each response from the kernel.
//!
//! Every request carries the header `x-kneepoint: synthetic`. Memory and connections are bounded
//! whatever the target does. Each arrival of the schedule is accounted for: over a run,
//! `offered` = `sent` + `held_back` + what still waits for a connection.

mod config;
mod connect;
mod cookies;
mod crew;
mod data;
mod deadline;
mod decode;
mod descriptors;
mod dispatcher;
mod draws;
mod endpoint;
mod error;
mod exchange;
mod failure;
mod failures;
mod flow;
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzzing;
mod governor;
mod http2;
mod inbox;
mod lane;
mod meter;
mod mix;
mod nap;
mod pacer;
mod preview;
mod probe;
mod program;
mod proxy;
mod rehearsal;
mod resolve;
mod response;
mod retry;
mod review;
mod session;
mod share;
mod stopwatch;
mod storm;
mod stream;
mod streaming;
mod tcp;
#[cfg(test)]
mod tests;
mod timer;
mod tls;
mod websocket;
mod wire;
mod worker;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

pub use config::{Arrival, FlowConfig, FlowKind, Iterations, LoadConfig, Takeover};
pub use data::{ResolvedData, ResolvedValues};
pub use error::LoadError;
use flow::Tally;
use inbox::Inbox;
pub use preview::{Preview, preview};
pub use probe::{Once, ProbeReport, Probed, once, probe, probe_again};
pub use rehearsal::{Rehearsed, rehearse};
pub use share::Share;
pub use tls::{PemFiles, check_tls};
pub use websocket::{SessionCounts, SessionTick, Sessions, probe_websocket};
use worker::WorkerStart;

use crate::timeline::{Epoch, LoadTick, Stage};

/// One thread can send this many requests a second with room to spare.
const RATE_PER_WORKER: f64 = 15_000.0;
/// Queue of ticks for a slow reader, in seconds of load. Further ticks are merged.
const TICKS_WAITING: usize = 64;

/// The threads that make load, until stopped.
pub struct Generator {
    inboxes: Vec<Arc<Inbox>>,
    workers: Vec<JoinHandle<()>>,
    combiner: Option<JoinHandle<Vec<LoadTick>>>,
    stopping: Arc<AtomicBool>,
    /// One for each flow.
    tallies: Vec<Arc<Tally>>,
    /// One for each worker: see [`Generator::rows_used`].
    rows: Vec<Arc<AtomicU64>>,
}

impl Generator {
    /// Resolves the target, starts the threads and returns the receiver of their ticks. One tick
    /// comes each second from now on, even without load. Each ends at a whole second of `epoch`.
    /// Ticks that are not read in time are merged into one longer tick.
    ///
    /// # Errors
    ///
    /// When the target has no address, a request is not valid on the wire, or the process may not
    /// have the threads and sockets it needs.
    pub fn start(
        config: LoadConfig,
        epoch: Epoch,
    ) -> Result<(Generator, Receiver<LoadTick>), LoadError> {
        let of = worker_count(&config);
        make_room(&config)?;
        let (share, config) = (config.share, Arc::new(config.cut()));
        let route = connect::Route::resolve(&config)?;
        let stopping = Arc::new(AtomicBool::new(false));
        let mut generator = Generator {
            inboxes: Vec::new(),
            workers: Vec::new(),
            combiner: None,
            stopping: Arc::clone(&stopping),
            tallies: config.flows.iter().map(|flow| Arc::new(Tally::of(&flow.kind))).collect(),
            rows: Vec::new(),
        };
        let mut outlets = Vec::new();
        let failures = Arc::default();
        let (own, of) = (of, share.workers(of));
        for worker in (0..own).map(|worker| share.worker(worker)) {
            let mix = mix::Mix::compile(&config, worker, of).map_err(LoadError::first)?;
            let inbox = Arc::new(Inbox::default());
            let (ticks, outlet) = sync_channel(TICKS_WAITING);
            outlets.push(outlet);
            generator.inboxes.push(Arc::clone(&inbox));
            let (config, route) = (Arc::clone(&config), route.clone());
            let tallies = generator.tallies.clone();
            let failures = Arc::clone(&failures);
            let rows = Arc::default();
            generator.rows.push(Arc::clone(&rows));
            let worker_start = WorkerStart {
                config,
                worker,
                of,
                mix,
                route,
                epoch,
                inbox,
                ticks,
                tallies,
                failures,
                rows,
                lanes: lane::STARTS,
            };
            generator.workers.push(start_worker(worker_start)?);
        }
        let (sender, receiver) = sync_channel(TICKS_WAITING);
        let combiner = thread::Builder::new().name("kp-load-ticks".into());
        let combine = move || meter::combine(&outlets, sender, &stopping);
        generator.combiner = Some(combiner.spawn(combine)?);
        Ok((generator, receiver))
    }

    /// Schedules `stage` for one flow. In the open model the rate changes in a straight line from
    /// the first rate of the stage to its last, cut at `max_rate`. A rate of zero sends nothing. In
    /// the closed model the stage sets the number of virtual users until another stage changes it.
    /// If a stage begins before the previous one ends, it takes over at its start.
    pub fn hold(&self, flow: usize, stage: &Stage) {
        for inbox in &self.inboxes {
            inbox.hold(flow, stage);
        }
    }

    /// Whether every virtual user of a flow has done all its work.
    pub fn is_done(&self, flow: usize) -> bool {
        self.tallies.get(flow).is_some_and(|tally| tally.is_done())
    }

    /// The first row of sequential data after those that journeys had used at the end of the last second.
    pub fn rows_used(&self) -> u64 {
        self.rows.iter().map(|rows| rows.load(Ordering::Relaxed)).max().unwrap_or(0)
    }

    /// Ends arrivals at once, waits up to `grace` for requests in flight, and returns the ticks
    /// since then. The receiver may still hold older ticks: read it first. Journeys that waited for
    /// a connection are counted as held back. Requests still in flight after `grace` are cut off.
    /// They count as sent, without an end.
    pub fn stop(mut self, grace: Duration) -> Vec<LoadTick> {
        self.end(grace)
    }

    fn end(&mut self, grace: Duration) -> Vec<LoadTick> {
        self.stopping.store(true, Ordering::Release);
        let deadline = Instant::now() + grace;
        for inbox in &self.inboxes {
            inbox.stop(deadline);
        }
        for worker in self.workers.drain(..) {
            // A worker that panicked has reported it on stderr. The ticks of the others are still
            // good.
            drop(worker.join());
        }
        self.combiner.take().and_then(|combiner| combiner.join().ok()).unwrap_or_default()
    }
}

impl Drop for Generator {
    fn drop(&mut self) {
        self.end(Duration::ZERO);
    }
}

/// Raises the descriptor limit of this process to what `config` needs.
///
/// # Errors
///
/// When the process may not raise it that far. At full load a lack of descriptors would look like
/// an error of the target.
pub fn make_room(config: &LoadConfig) -> Result<(), LoadError> {
    descriptors::make_room(config.share.largest(config.max_in_flight), worker_count(config))
}

/// The same for several parts of one load that this process makes.
///
/// # Errors
///
/// As for one.
pub fn make_room_for<'a>(parts: impl Iterator<Item = &'a LoadConfig>) -> Result<(), LoadError> {
    let of =
        |config: &LoadConfig| (config.share.largest(config.max_in_flight), worker_count(config));
    let (sockets, workers) = parts.map(of).fold((0usize, 0usize), |sum, one| {
        (sum.0.saturating_add(one.0), sum.1.saturating_add(one.1))
    });
    descriptors::make_room(sockets, workers)
}

/// How many threads of a generator with so many `cores` make its share of a load. Several
/// generators of one load have to use the same number.
pub fn workers_for(max_rate: f64, share: Share, cores: usize) -> usize {
    let needed = (max_rate / share.of() as f64 / RATE_PER_WORKER).ceil().max(1.0) as usize;
    needed.min(cores)
}

fn worker_count(config: &LoadConfig) -> usize {
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let most = config.most_at_a_time() / config.share.of();
    let wanted = || workers_for(config.max_rate, config.share, cores);
    config.workers.unwrap_or_else(wanted).clamp(1, most.max(1))
}

fn start_worker(worker_start: WorkerStart) -> Result<JoinHandle<()>, LoadError> {
    let (started, start) = sync_channel(1);
    let thread = thread::Builder::new()
        .name(format!("kp-load-{}", worker_start.worker))
        .spawn(move || dispatcher::work(worker_start, &started))?;
    match start.recv() {
        Ok(Ok(())) => Ok(thread),
        Ok(Err(error)) => Err(LoadError::Thread(error)),
        Err(_) => Err(LoadError::Thread(std::io::Error::other("it ended at once"))),
    }
}
