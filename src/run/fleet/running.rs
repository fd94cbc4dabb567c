//! Generators that make a load: passes on stages, keeps their leases, and takes in what they report.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use super::connect::{Fleet, OnLoss};
use super::node::{Node, last_words};
use super::parts::{Parts, RowsSeen};
use crate::collect::Observation;
use crate::load::LoadError;
use crate::recording::Entry;
use crate::remote::{
    AckMessage, LinesMessage, Message, News, RefillMessage, RefuseMessage, StageMessage,
    StartMessage, StopMessage,
};
use crate::run::load_source::{LoadSource, Loss};
use crate::timeline::{
    Batch, Epoch, GENERATOR_LABEL, Gap, LoadTick, Moment, Reading, SeriesKey, Stage,
    metric_of_generators,
};

/// A generator ends its load if nothing comes from the coordinator for so long. The coordinator takes a
/// generator for lost after the same time.
const LEASE: Duration = Duration::from_secs(5);
/// After its lease, a lost generator has ended for certain this much later: its clock may be off, and its
/// last requests end.
const ENDED: Duration = Duration::from_secs(1);
/// Between two renewals of the leases.
const RENEWAL: Duration = Duration::from_secs(1);
/// Drift of a clock since the start, in seconds, from which on it is told: a tenth of a tick.
const MOST_DRIFT: f64 = 0.1;
/// Between two looks at the clocks.
const PINGS: Duration = Duration::from_secs(5);
/// Longest wait for a message before everything else is looked at.
const BEAT: Duration = Duration::from_millis(20);
/// A stage reaches every generator this long before it begins.
const NOTICE: Duration = Duration::from_secs(2);
/// Ticks of each generator that may wait for the conductor: a minute of them.
const TICKS_WAITING: usize = 64;
/// Stages that may wait for a generator. A plan that is known beforehand tells all of its own at once.
const ORDERS_WAITING: usize = 10_000;
/// How much longer than the requests in flight a generator may take to say what it did at last.
const LAST_WORDS: Duration = Duration::from_secs(5);

/// Generators that make a load, until stopped.
pub(in crate::run) struct RunningFleet {
    orders: Vec<SyncSender<NodeOrder>>,
    threads: Vec<JoinHandle<()>>,
    shared: Arc<Shared>,
    on_loss: OnLoss,
    most_parts: usize,
    parts: RefCell<Parts>,
    /// What was told so far.
    stages: RefCell<Vec<StageMessage>>,
}

/// What one generator is told.
#[derive(Clone, Copy)]
enum NodeOrder {
    Stage(StageMessage),
    Refill(RefillMessage),
    /// End, with so much time for requests in flight.
    Stop(Duration),
}

/// What the threads of the generators tell the conductor.
#[derive(Default)]
struct Shared {
    /// What was lost, and is not told yet.
    losses: Mutex<VecDeque<Lost>>,
    /// By flow: how many generators have done all its work.
    done: Vec<AtomicUsize>,
}

enum Lost {
    /// One generator.
    One(LostNode),
    /// So much that nobody can take over.
    All(String),
}

/// A generator that was lost.
struct LostNode {
    index: usize,
    name: String,
    why: String,
    rows: RowsSeen,
}

impl Shared {
    fn lose(&self, lost: Lost) {
        self.losses.lock().unwrap_or_else(PoisonError::into_inner).push_back(lost);
    }
}

impl RunningFleet {
    /// Lets all generators begin a run with this epoch and so many flows. Their ticks come through the
    /// receiver, whatever else they report goes to `observations`.
    pub(in crate::run) fn start(
        fleet: Fleet,
        epoch: Epoch,
        flows: usize,
        observations: &SyncSender<Observation>,
    ) -> Result<(Self, Receiver<LoadTick>), LoadError> {
        let done = (0..flows).map(|_| AtomicUsize::new(0)).collect();
        let shared = Arc::new(Shared { done, ..Shared::default() });
        let (sender, ticks) = sync_channel(TICKS_WAITING * fleet.nodes.len());
        let mut running = Self {
            orders: Vec::new(),
            threads: Vec::new(),
            shared,
            on_loss: fleet.on_loss,
            most_parts: fleet.most_parts,
            parts: RefCell::new(Parts::of(fleet.nodes.len())),
            stages: RefCell::default(),
        };
        let tells_rows = fleet.on_loss == OnLoss::Refill;
        for (index, mut node) in fleet.nodes.into_iter().enumerate() {
            let zero = node.clock.zero(epoch).0;
            let start = StartMessage { zero, lease_secs: LEASE.as_secs_f64(), tells_rows };
            // One that is gone already is noticed by its thread.
            let _gone = node.link.send(Message::Start(start)).is_err();
            let (orders, told) = sync_channel(ORDERS_WAITING);
            let driver = Driver {
                index,
                node,
                epoch,
                rows: RowsSeen::default(),
                told,
                ticks: sender.clone(),
                observations: observations.clone(),
                shared: Arc::clone(&running.shared),
                heard: Instant::now(),
                ends: None,
                told_unreadable: false,
                zero,
                told_drift: false,
            };
            let thread = thread::Builder::new().name(format!("kp-gen-{}", index + 1));
            running.threads.push(thread.spawn(move || driver.drive())?);
            running.orders.push(orders);
        }
        Ok((running, ticks))
    }

    fn tell(&self, order: NodeOrder) {
        for orders in &self.orders {
            // A thread ends only with its generator, which is told then.
            if let Err(TrySendError::Full(_)) = orders.try_send(order) {
                let why = "the plan has more stages than a generator can be told";
                self.shared.lose(Lost::All(why.to_owned()));
            }
        }
    }

    /// Lets the others take over the part of a lost generator, if the run goes on without it.
    fn refill(&self, lost: LostNode, now: Moment) -> Loss {
        let LostNode { index, name, why, rows } = lost;
        let end = format!("generator `{name}` was lost: {why}");
        if self.on_loss == OnLoss::End {
            return Loss::Final(end);
        }
        let mut parts = self.parts.borrow_mut();
        let dealt = parts.lose(index);
        let most = dealt.iter().map(|(_, share)| share.of()).max().unwrap_or(usize::MAX);
        if dealt.is_empty() {
            return Loss::Final(format!("{end}; no other generator is left"));
        }
        if most > self.most_parts {
            let connections = self.most_parts;
            return Loss::Final(format!(
                "{end}; its part cannot be shared: the plan allows only {connections} connections"
            ));
        }
        // Until then it may still send: it does not know that it is given up.
        let ended = now + LEASE + ENDED;
        let from = Moment::from_secs_f64(ended.secs().ceil());
        let first_row = parts.first_row(&rows, &self.stages.borrow(), from);
        for (generator, share) in dealt {
            let number = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
            let (segment, segments) = (number(share.index()), number(share.of()));
            let round = parts.rounds;
            let order =
                NodeOrder::Refill(RefillMessage { segment, segments, round, from, first_row });
            // One that was lost meanwhile is told next, with this part.
            let _lost = self.orders.get(generator).map(|orders| orders.try_send(order));
        }
        Loss::Refilled { name, why, from }
    }
}

impl LoadSource for RunningFleet {
    fn hold(&self, flow: usize, stage: &Stage) {
        let flow = u32::try_from(flow).unwrap_or(u32::MAX);
        let stage = StageMessage { flow, stage: *stage };
        self.stages.borrow_mut().push(stage);
        self.tell(NodeOrder::Stage(stage));
    }

    fn is_done(&self, flow: usize) -> bool {
        let done = self.shared.done.get(flow).map(|done| done.load(Ordering::Acquire));
        done == Some(self.orders.len())
    }

    fn notice(&self) -> Duration {
        NOTICE
    }

    fn take_loss(&self, now: Moment) -> Option<Loss> {
        let mut losses = self.shared.losses.lock().unwrap_or_else(PoisonError::into_inner);
        let lost = losses.pop_front()?;
        drop(losses);
        Some(match lost {
            Lost::One(lost) => self.refill(lost, now),
            Lost::All(why) => Loss::Final(why),
        })
    }

    fn stop(mut self: Box<Self>, grace: Duration) -> Vec<LoadTick> {
        self.tell(NodeOrder::Stop(grace));
        for thread in self.threads.drain(..) {
            // A thread that panicked has said so; the others' ticks are good.
            let _panicked = thread.join().is_err();
        }
        Vec::new()
    }
}

/// The thread of one generator.
struct Driver {
    index: usize,
    node: Node,
    /// What it told of its rows.
    rows: RowsSeen,
    epoch: Epoch,
    told: Receiver<NodeOrder>,
    ticks: SyncSender<LoadTick>,
    observations: SyncSender<Observation>,
    shared: Arc<Shared>,
    /// When it last said something.
    heard: Instant,
    /// When it is given up, once it was told to end.
    ends: Option<Instant>,
    told_unreadable: bool,
    /// Where moment zero was said to lie on the generator's clock.
    zero: i64,
    told_drift: bool,
}

impl Driver {
    fn drive(mut self) {
        let mut renewal = Instant::now();
        let mut ping = Instant::now() + PINGS;
        let why = loop {
            let now = Instant::now();
            let mut sent = self.pass_on();
            if now >= renewal {
                renewal = now + RENEWAL;
                let seq = self.node.link.heard();
                sent = sent.and_then(|()| self.node.link.send(Message::Ack(AckMessage { seq })));
            }
            if now >= ping {
                ping = now + PINGS;
                let message = self.node.clock.ping();
                sent = sent.and_then(|()| self.node.link.send(message));
            }
            // If it has ended, its last words say more.
            if let Some(why) = self.listen() {
                break why;
            }
            if let Err(why) = sent {
                break why;
            }
            if self.ends.is_some_and(|ends| now >= ends) {
                break "it did not end when it was told to".to_owned();
            }
            if self.heard.elapsed() > LEASE {
                break format!("it was silent for {} s", LEASE.as_secs());
            }
        };
        // What ends as it was told to is not lost.
        if self.ends.is_none() {
            let (index, name, rows) = (self.index, self.node.name.clone(), self.rows);
            self.shared.lose(Lost::One(LostNode { index, name, why, rows }));
        }
        self.node.link.close(Duration::from_secs(1));
    }

    /// Passes on what the conductor said since the last call.
    fn pass_on(&mut self) -> Result<(), String> {
        loop {
            match self.told.try_recv() {
                Ok(NodeOrder::Stage(stage)) => self.node.link.send(Message::Stage(stage))?,
                Ok(NodeOrder::Refill(refill)) => self.node.link.send(Message::Refill(refill))?,
                Ok(NodeOrder::Stop(grace)) => self.end(grace)?,
                Err(TryRecvError::Empty) => return Ok(()),
                // The conductor is gone.
                Err(TryRecvError::Disconnected) => return self.end(Duration::ZERO),
            }
        }
    }

    fn end(&mut self, grace: Duration) -> Result<(), String> {
        if self.ends.is_some() {
            return Ok(());
        }
        self.ends = Some(Instant::now() + grace + LAST_WORDS);
        let reason = "the run is over".to_owned();
        self.node.link.send(Message::Stop(StopMessage { reason }))
    }

    /// Takes in what comes next. Returns why it ended, if it did.
    fn listen(&mut self) -> Option<String> {
        let (message, at, missing) = match self.node.link.next(BEAT)? {
            News::Message { message, at, missing } => (message, at, missing),
            News::Closed => return Some(format!("it ended: {}", last_words(&mut self.node.link))),
            News::Unreadable(text) => {
                self.tell_unreadable(&text);
                return None;
            }
        };
        self.heard = at;
        if missing > 0 {
            return Some(format!("{missing} of its messages are missing"));
        }
        match message {
            Message::Lines(lines) => self.take(&lines),
            Message::Pong(pong) => {
                if let Some(step) = self.node.clock.pong(pong, at) {
                    let secs = step.by / 1e9;
                    return Some(format!("its clock jumped by {secs:.3} s: was it suspended?"));
                }
                self.look_for_drift();
            }
            Message::Done(done) => {
                if let Some(done) = self.shared.done.get(done.flow as usize) {
                    done.fetch_add(1, Ordering::AcqRel);
                }
            }
            Message::Rows(rows) => self.rows.told(rows.used, self.epoch.moment(at)),
            Message::Refuse(refused) => self.cannot(refused),
            Message::Bye(bye) => return Some(format!("it ended: {}", bye.reason)),
            _ => {}
        }
        None
    }

    /// It cannot take over from another.
    fn cannot(&self, refused: RefuseMessage) {
        let why: Vec<String> = refused.problems.into_iter().map(|(what, _)| what).collect();
        let name = &self.node.name;
        let why = why.join("; ");
        self.shared.lose(Lost::All(format!(
            "generator `{name}` cannot take over the part of a lost one: {why}"
        )));
    }

    fn take(&mut self, lines: &LinesMessage) {
        for line in &lines.lines {
            match self.node.decoder.decode(line) {
                Ok(Some(entry)) => self.report(entry),
                Ok(None) => {}
                Err(why) => self.tell_unreadable(&why),
            }
        }
    }

    fn report(&mut self, entry: Entry) {
        let name = &self.node.name;
        let observation = match entry {
            Entry::Tick(mut tick) => {
                name.clone_into(&mut tick.generator);
                self.rows.waits(tick.backlog);
                if let Err(TrySendError::Full(_)) = self.ticks.try_send(*tick) {
                    self.shared.lose(Lost::All(format!(
                        "generator `{name}` reports faster than this machine can write"
                    )));
                }
                return;
            }
            Entry::Batch(batch) => Observation::Batch(self.named(batch)),
            Entry::Gap(gap) => Observation::Gap(Gap { collector: name.clone(), ..gap }),
            Entry::Quote(_) => return,
            Entry::Event(event) => {
                Observation::Event { at: event.at, text: format!("{name}: {}", event.text) }
            }
        };
        let _gone = self.observations.send(observation).is_err();
    }

    /// What a generator read of itself, under its name.
    fn named(&self, batch: Batch) -> Batch {
        let name = &self.node.name;
        let named = |mut reading: Reading| {
            let metric = metric_of_generators(&reading.key.metric)?;
            let labels = reading.key.labels.with(GENERATOR_LABEL, name.as_str());
            reading.key = SeriesKey::new(&metric, labels);
            Some(reading)
        };
        let readings = batch.readings.into_iter().filter_map(named).collect();
        Batch { collector: name.clone(), readings, ..batch }
    }

    /// Tells once that its clock runs at another speed than this machine's, so that its seconds are
    /// not those of the others any more.
    fn look_for_drift(&mut self) {
        let (zero, error) = self.node.clock.zero(self.epoch);
        let drift = zero.saturating_sub(self.zero) as f64 / 1e9;
        if drift.abs() - error > MOST_DRIFT && !self.told_drift {
            self.told_drift = true;
            self.tell(&format!(
                "reports its seconds {:.0} ms off: its clock drifts; shorter runs are exact",
                drift.abs() * 1e3
            ));
        }
    }

    /// Tells once that it sends something else.
    fn tell_unreadable(&mut self, what: &str) {
        if !std::mem::replace(&mut self.told_unreadable, true) {
            self.tell(&format!("sent something that cannot be read: {what}"));
        }
    }

    fn tell(&self, what: &str) {
        let at = self.epoch.moment(Instant::now());
        let text = format!("generator `{}` {what}", self.node.name);
        let _gone = self.observations.send(Observation::Event { at, text }).is_err();
    }
}
