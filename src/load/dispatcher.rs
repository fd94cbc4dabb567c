//! The thread of one worker. It starts the worker, passes orders from outside to it, and wakes when
//! something is due.

use std::cell::RefCell;
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::mpsc::SyncSender;
use std::time::Instant;

use tokio::runtime::{Builder, LocalOptions};

use super::timer::{Timer, shorten_slice};
use super::worker::{Worker, WorkerStart};

/// At most this many names are resolved at the same time.
const RESOLVING: usize = 64;

thread_local! {
    /// The worker of this thread, once it has begun.
    static HERE: RefCell<Option<Rc<Worker>>> = const { RefCell::new(None) };
}

/// Runs a worker on this thread until it is told to stop. `started` receives once whether it could
/// begin.
pub(super) fn work(start: WorkerStart, started: &SyncSender<io::Result<()>>) {
    shorten_slice();
    let runtime = Builder::new_current_thread()
        .enable_io()
        .enable_time()
        // These threads only resolve names.
        .max_blocking_threads(RESOLVING)
        .on_thread_park(|| HERE.with_borrow(|worker| worker.iter().for_each(rest)))
        .build_local(LocalOptions::default());
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => return drop(started.send(Err(error))),
    };
    runtime.block_on(async {
        match Timer::new() {
            Ok(timer) => {
                drop(started.send(Ok(())));
                dispatch(start, timer).await;
            }
            Err(error) => drop(started.send(Err(error))),
        }
    });
    // A name server that does not answer must not delay the end.
    runtime.shutdown_background();
}

async fn dispatch(start: WorkerStart, mut timer: Timer) {
    let inbox = Arc::clone(&start.inbox);
    let worker = Rc::new(Worker::new(start));
    HERE.set(Some(Rc::clone(&worker)));
    let mut storm = worker.storm.clone();
    let mut deadline = None;
    loop {
        let orders = inbox.take();
        worker.catch_up(worker.clock.now());
        worker.schedule(&orders.stages);
        let begin = orders.stages.iter().map(|(_, stage)| stage.window.begin).min();
        if let Some(begin) = begin
            && let Some(storm) = storm.take()
        {
            let begin = worker.clock.0.instant(begin);
            tokio::task::spawn_local(async move { storm.rage(begin).await });
        }
        // Before the stop, which may have come while this thread had no core: journeys due by then
        // still count as offered.
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
            () = timer.sleep(wait), if !worker.is_napping() => {}
        }
    }
    HERE.set(None);
    worker.finish();
}

/// Before this thread waits for its next event, it naps for as long as that event may wait.
fn rest(worker: &Rc<Worker>) {
    let Some(patience) = &worker.patience else { return };
    let mut now = worker.clock.now();
    while let Some((until, after)) = worker.next_nap(patience, now) {
        if until > now && patience.nap(now, until, after).is_err() {
            break;
        }
        now = worker.clock.now();
        if worker.catch_up(now) {
            return;
        }
    }
    patience.is_awake();
}
