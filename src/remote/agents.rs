//! An agent while the run goes on: a thread of its own keeps its clock, puts what it reads on the run's
//! clock, and starts it again when it is lost. What is missing becomes a gap.
//!
//! What an agent has read waits for the next exchange of stamps, at most about a second: only then is
//! it known that its clock stood still before and after.

use std::collections::VecDeque;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use super::clock::{ClockEstimate, Exchange, NodeClock};
use super::link::{Link, LinkError, News};
use super::message::{
    AckMessage, LinesMessage, Message, OpenMessage, PingMessage, PongMessage, ReadyMessage,
    StopMessage,
};
use super::source::NodeSource;
use super::start::{MOST_ERROR, exchange, nanos, open_with, set_clock, start};
use super::translate::{LABEL, Shift, Translator};
use crate::collect::Observation;
use crate::plan::Agent;
use crate::recording::{Entry, EntryDecoder};
use crate::timeline::{Batch, BatchBuilder, Epoch, Gap, Labels, Moment, Window, names};

/// Time between two exchanges of stamps. Each tells the agent that somebody is there.
const EXCHANGE_EVERY: Duration = Duration::from_secs(1);
/// Longest wait before everything else is looked at.
const BEAT: Duration = Duration::from_millis(50);
/// An agent that has said nothing for this time is lost. It ends by itself after ten seconds in which
/// it hears nothing.
const SILENT: Duration = Duration::from_secs(12);
/// How long the last readings may take to arrive.
const LAST_WORDS: Duration = Duration::from_secs(5);
/// How long an agent may take to end.
const END: Duration = Duration::from_secs(1);
/// Pauses before a lost agent is started again: the first, and the longest.
const PAUSES: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(15));
/// Lines that cannot be read, after which an agent is started again.
const MOST_UNREADABLE: u32 = 20;
/// Readings that may wait for an exchange; a busy agent makes a hundred a second.
const MOST_HELD: usize = 20_000;

/// An agent that collects.
pub struct RunningAgent {
    agent: Agent,
    ready: ReadyMessage,
    instances: Vec<(String, bool)>,
    control: Arc<Control>,
    thread: Option<JoinHandle<()>>,
}

/// What the run tells the thread of an agent.
#[derive(Default)]
struct Control {
    stop: AtomicBool,
    run: Mutex<Option<Run>>,
}

/// The run that an agent is part of.
#[derive(Clone)]
struct Run {
    epoch: Epoch,
    sink: SyncSender<Observation>,
}

impl RunningAgent {
    pub(super) fn start(
        (agent, source): (Agent, NodeSource),
        run: String,
        open: OpenMessage,
        connection: Connection,
        (ready, is_target): (ReadyMessage, bool),
        taken: &[String],
    ) -> Result<Self, String> {
        let is_taken = |name: &str| taken.iter().any(|taken| taken == name);
        let translator = Translator::new(&agent.name, is_target, &ready.watched, is_taken);
        let instances = ready.watched.iter().map(|watched| {
            let own = watched.instance.as_str();
            (translator.instance(own), translator.is_apart(own))
        });
        let instances = instances.collect();
        let control = Arc::new(Control::default());
        let keeper = Keeper {
            agent: agent.clone(),
            source,
            run,
            open,
            base: connection.base,
            started: 1,
            translator,
            control: Arc::clone(&control),
            state: State::Connected(Box::new(connection)),
            dropped: None,
        };
        let name = format!("kp-{}", agent.name);
        let thread = thread::Builder::new().name(name).spawn(move || keeper.keep());
        let thread =
            thread.map_err(|error: io::Error| format!("cannot start a thread: {error}"))?;
        Ok(Self { agent, ready, instances, control, thread: Some(thread) })
    }

    /// Its part of the plan.
    pub fn agent(&self) -> &Agent {
        &self.agent
    }

    /// What it said when it was ready.
    pub fn ready(&self) -> &ReadyMessage {
        &self.ready
    }

    /// For each collector of `ready`, what it is called in the recording, and whether it reads another
    /// host than the target's.
    pub fn instances(&self) -> &[(String, bool)] {
        &self.instances
    }

    /// The run begins: what is read from now on goes into `sink`, on the clock of `epoch`.
    pub fn attach(&self, epoch: Epoch, sink: SyncSender<Observation>) {
        let mut run = self.control.run.lock().unwrap_or_else(PoisonError::into_inner);
        *run = Some(Run { epoch, sink });
    }

    /// Ends the agent, and waits some seconds for its last readings.
    pub fn stop(mut self) {
        self.control.stop.store(true, Ordering::Relaxed);
        // A panic there is told by the panic itself. The rest of the run goes on.
        let _panicked = self.thread.take().is_some_and(|thread| thread.join().is_err());
    }

    /// Ends several agents at once.
    pub fn stop_all(agents: Vec<Self>) {
        agents.iter().for_each(|agent| agent.control.stop.store(true, Ordering::Relaxed));
        agents.into_iter().for_each(Self::stop);
    }
}

impl Drop for RunningAgent {
    fn drop(&mut self) {
        self.control.stop.store(true, Ordering::Relaxed);
    }
}

/// The connection to an agent that collects.
pub(super) struct Connection {
    link: Link,
    clock: NodeClock,
    base: Instant,
    decoder: EntryDecoder,
    /// Entries that wait for an exchange.
    held: VecDeque<Entry>,
    heard: Instant,
    /// The ping that is under way.
    pinged: Option<i64>,
    next_ping: Instant,
    unreadable: u32,
}

impl Connection {
    pub(super) fn new(link: Link, clock: NodeClock, base: Instant) -> Self {
        let now = Instant::now();
        Self {
            link,
            clock,
            base,
            decoder: EntryDecoder::default(),
            held: VecDeque::new(),
            heard: now,
            pinged: None,
            next_ping: now,
            unreadable: 0,
        }
    }

    /// Asks for the time, and says what has arrived.
    fn ping(&mut self) -> Result<(), String> {
        let now = Instant::now();
        self.next_ping = now + EXCHANGE_EVERY;
        let seq = self.link.heard();
        self.link.send(Message::Ack(AckMessage { seq }))?;
        let sent = nanos(self.base, Instant::now());
        self.pinged = Some(sent);
        self.link.send(Message::Ping(PingMessage { sent }))
    }
}

/// What a lost agent waits for.
struct Loss {
    since: Instant,
    why: String,
    next_try: Instant,
    pause: Duration,
    attempt: Option<Receiver<Attempt>>,
}

/// A new start: its connection, or why there is none.
type Attempt = Result<(Link, NodeClock), Vec<LinkError>>;

enum State {
    Connected(Box<Connection>),
    Lost(Loss),
}

/// Why a connection is given up.
type Lost = String;

/// The thread of one agent.
struct Keeper {
    agent: Agent,
    source: NodeSource,
    run: String,
    open: OpenMessage,
    base: Instant,
    /// How often it was started.
    started: u32,
    translator: Translator,
    control: Arc<Control>,
    state: State,
    /// Since when observations found no room.
    dropped: Option<Moment>,
}

impl Keeper {
    fn keep(mut self) {
        while !self.control.stop.load(Ordering::Relaxed) {
            let lost = match &mut self.state {
                State::Connected(_) => self.listen().err(),
                State::Lost(_) => {
                    self.try_again();
                    None
                }
            };
            if let Some(why) = lost {
                self.lose(&why);
            }
        }
        self.finish();
    }

    /// Takes what comes next.
    fn listen(&mut self) -> Result<(), Lost> {
        let State::Connected(connection) = &mut self.state else { return Ok(()) };
        if Instant::now() >= connection.next_ping {
            connection.ping()?;
        }
        let left = connection.next_ping.saturating_duration_since(Instant::now());
        match connection.link.next(left.min(BEAT)) {
            None if connection.heard.elapsed() >= SILENT => {
                Err(format!("it said nothing for {} s", SILENT.as_secs()))
            }
            None => Ok(()),
            Some(news) => self.take(news),
        }
    }

    fn take(&mut self, news: News) -> Result<(), Lost> {
        let State::Connected(connection) = &mut self.state else { return Ok(()) };
        match news {
            News::Closed => {
                let how = connection.link.close(END);
                let said = connection.link.said();
                let words = if said.is_empty() { String::new() } else { format!(": {said}") };
                Err(format!("it ended ({how}){words}"))
            }
            News::Unreadable(what) => self.unreadable(&format!("it printed {what}")),
            News::Message { message, at, missing } => {
                let since = std::mem::replace(&mut connection.heard, at);
                if missing > 0 {
                    let plural = if missing == 1 { "message is" } else { "messages are" };
                    self.gap(since, at, &format!("{missing} {plural} missing"));
                }
                self.hear(message, since, at)
            }
        }
    }

    fn hear(&mut self, message: Message, since: Instant, at: Instant) -> Result<(), Lost> {
        let State::Connected(connection) = &mut self.state else { return Ok(()) };
        match message {
            Message::Lines(LinesMessage { lines }) => {
                let mut wrong = None;
                for line in &lines {
                    match connection.decoder.decode(line) {
                        Ok(entry) => connection.held.extend(entry),
                        Err(why) => wrong = Some(why),
                    }
                }
                if connection.held.len() > MOST_HELD {
                    return Err("it sends readings and does not tell the time".to_owned());
                }
                if let Some(why) = wrong {
                    self.gap(since, at, &format!("a line cannot be read: {why}"));
                    return self.unreadable(&format!("it sent a line that cannot be read: {why}"));
                }
                Ok(())
            }
            Message::Pong(pong) => {
                self.know_time(pong, at);
                Ok(())
            }
            Message::Bye(bye) => Err(format!("it ended: {}", bye.reason)),
            _ => Ok(()),
        }
    }

    /// Counts what cannot be read, and tells the first.
    fn unreadable(&mut self, what: &str) -> Result<(), Lost> {
        let State::Connected(connection) = &mut self.state else { return Ok(()) };
        connection.unreadable += 1;
        match connection.unreadable {
            1 => self.tell(&format!("{what}, which is not a message")),
            MOST_UNREADABLE.. => return Err("most of what it prints cannot be read".to_owned()),
            _ => {}
        }
        Ok(())
    }

    /// An exchange is complete: what was held until now has its time.
    fn know_time(&mut self, pong: PongMessage, at: Instant) {
        let State::Connected(connection) = &mut self.state else { return };
        if connection.pinged != Some(pong.sent) {
            return;
        }
        connection.pinged = None;
        let exchange = exchange(pong, nanos(self.base, at));
        if let Some(step) = connection.clock.add(exchange) {
            connection.held.clear();
            let since = self.base + Duration::from_nanos(step.since.unsigned_abs());
            let by = step.by / 1e9;
            let text = format!("its clock jumped by {by:+.3} s, as when a machine is suspended");
            self.gap(since, at, &text);
            self.tell(&text);
        }
        self.release(Some(exchange));
    }

    /// Passes on what is held, with the clock as it stands, and the exchange that says so.
    fn release(&mut self, exchange: Option<Exchange>) {
        let run = self.attached();
        let State::Connected(connection) = &mut self.state else { return };
        let Some(run) = run else {
            // Words are said once, and series that come later refer to them.
            connection.held.retain(|entry| matches!(entry, Entry::Quote(_)));
            return;
        };
        let held = std::mem::take(&mut connection.held);
        let now = Instant::now();
        let Some(estimate) = connection.clock.estimate(nanos(self.base, now)) else { return };
        let shift = self.shift(&run, estimate);
        if estimate.error > MOST_ERROR {
            let since = now - EXCHANGE_EVERY;
            let error = estimate.error / 1e9;
            self.gap(since, now, &format!("its clock is known only to within {error:.1} s"));
            return;
        }
        let seen: Vec<Observation> =
            held.into_iter().filter_map(|entry| self.translator.observe(entry, &shift)).collect();
        seen.into_iter().for_each(|seen| self.emit(&run, seen));
        if let Some(exchange) = exchange {
            let batch = self.clock_batch(&exchange, &shift);
            self.emit(&run, Observation::Batch(batch));
        }
    }

    fn shift(&self, run: &Run, estimate: ClockEstimate) -> Shift {
        Shift { estimate, began: nanos(self.base, run.epoch.instant(Moment::START)) }
    }

    /// The stamps as they are, and what was concluded from all of them.
    fn clock_batch(&self, exchange: &Exchange, shift: &Shift) -> Batch {
        let mut batch = BatchBuilder::new();
        let labels = Labels::none().with(LABEL, self.agent.name.as_str());
        let began = shift.began as f64;
        let secs = |nanos: f64| nanos / 1e9;
        let mut push = |metric, nanos| batch.push_labelled(metric, labels.clone(), secs(nanos));
        push(&names::AGENT_CLOCK_OFFSET, shift.estimate.offset + began);
        push(&names::AGENT_CLOCK_ERROR, shift.estimate.error);
        push(&names::AGENT_ROUND_TRIP, exchange.round_trip() as f64);
        for (stamp, nanos) in [
            ("sent", exchange.sent as f64 - began),
            ("received", exchange.received as f64),
            ("replied", exchange.replied as f64),
            ("returned", exchange.returned as f64 - began),
        ] {
            let labels = labels.clone().with("stamp", stamp);
            batch.push_labelled(&names::AGENT_CLOCK_STAMP, labels, secs(nanos));
        }
        let at = |nanos: i64| Moment::from_secs_f64((nanos as f64 - began) / 1e9);
        let window = Window::new(at(exchange.sent), at(exchange.returned));
        Batch { collector: self.agent.name.clone(), window, readings: batch.finish() }
    }

    /// Gives the connection up.
    fn lose(&mut self, why: &str) {
        self.release(None);
        let State::Connected(connection) = &mut self.state else { return };
        let since = connection.heard;
        connection.link.close(Duration::ZERO);
        self.tell(&format!("it is lost: {why}; it is started again"));
        self.state = State::Lost(Loss {
            since,
            why: why.to_owned(),
            next_try: Instant::now() + PAUSES.0,
            pause: PAUSES.0,
            attempt: None,
        });
    }

    /// Starts a lost agent again, when it is time, without waiting for it.
    fn try_again(&mut self) {
        let State::Lost(loss) = &mut self.state else { return };
        let Some(attempt) = &loss.attempt else {
            if Instant::now() < loss.next_try {
                thread::sleep(BEAT);
                return;
            }
            self.started += 1;
            loss.attempt =
                begin_attempt(&self.source, &self.run, self.started, &self.open, self.base);
            if loss.attempt.is_none() {
                loss.next_try = Instant::now() + loss.pause;
            }
            return;
        };
        match attempt.recv_timeout(BEAT) {
            Err(RecvTimeoutError::Timeout) => {}
            Ok(Ok((link, clock))) => {
                let (since, why) = (loss.since, std::mem::take(&mut loss.why));
                let now = Instant::now();
                self.gap(since, now, &format!("it was lost: {why}"));
                let away = now.duration_since(since).as_secs_f64();
                self.tell(&format!("it is back after {away:.1} s"));
                self.translator.begin_again();
                self.state = State::Connected(Box::new(Connection::new(link, clock, self.base)));
            }
            Ok(Err(_)) | Err(RecvTimeoutError::Disconnected) => {
                loss.attempt = None;
                loss.pause = (loss.pause * 2).min(PAUSES.1);
                loss.next_try = Instant::now() + loss.pause;
            }
        }
    }

    /// The run is over: takes the last readings and ends the agent.
    fn finish(mut self) {
        if let State::Lost(loss) = &self.state {
            let (since, why) = (loss.since, loss.why.clone());
            self.gap(since, Instant::now(), &format!("it was lost: {why}"));
            return;
        }
        let deadline = Instant::now() + LAST_WORDS;
        if let State::Connected(connection) = &mut self.state {
            // It fails only if the agent is gone, and then `next` says so.
            let reason = "the run is over".to_owned();
            let _gone = connection.link.send(Message::Stop(StopMessage { reason })).is_err();
        }
        while Instant::now() < deadline {
            let State::Connected(connection) = &mut self.state else { break };
            let Some(news) = connection.link.next(BEAT) else { continue };
            if self.take(news).is_err() {
                break;
            }
        }
        self.release(None);
        if let State::Connected(connection) = &mut self.state {
            connection.link.close(END);
        }
    }

    fn attached(&self) -> Option<Run> {
        self.control.run.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Every collector of the agent lacks its readings of this time.
    fn gap(&mut self, begin: Instant, end: Instant, why: &str) {
        let Some(run) = self.attached() else { return };
        let window = Window::new(run.epoch.moment(begin), run.epoch.moment(end));
        let reason = format!("agent `{}`: {why}", self.agent.name);
        let instances: Vec<String> = self.translator.instances().map(str::to_owned).collect();
        for collector in instances {
            let reason = reason.clone();
            self.emit(&run, Observation::Gap(Gap { collector, window, reason }));
        }
    }

    fn tell(&mut self, what: &str) {
        let Some(run) = self.attached() else { return };
        let at = run.epoch.moment(Instant::now());
        let text = format!("agent `{}`: {what}", self.agent.name);
        self.emit(&run, Observation::Event { at, text });
    }

    /// Passes on an observation. It never waits: what finds no room becomes a gap.
    fn emit(&mut self, run: &Run, observation: Observation) {
        if let Some(since) = self.dropped {
            let now = run.epoch.moment(Instant::now());
            let gap = Gap {
                collector: self.agent.name.clone(),
                window: Window::new(since, now),
                reason: "readings came faster than they were written".to_owned(),
            };
            if run.sink.try_send(Observation::Gap(gap)).is_err() {
                return;
            }
            self.dropped = None;
        }
        if let Err(TrySendError::Full(_)) = run.sink.try_send(observation) {
            self.dropped = Some(run.epoch.moment(Instant::now()));
        }
    }
}

/// Starts the agent once more, on a thread of its own; `None` if there is none.
fn begin_attempt(
    source: &NodeSource,
    run: &str,
    started: u32,
    open: &OpenMessage,
    base: Instant,
) -> Option<Receiver<Attempt>> {
    let (answer, receiver) = sync_channel(1);
    let (source, run, open) = (source.clone(), run.to_owned(), open.clone());
    let attempt = move || {
        let alone = |error| vec![error];
        let mut link = start(&source, &run, started).map_err(alone)?;
        let clock = set_clock(&mut link, base).map_err(alone)?;
        open_with(&mut link, &open)?;
        Ok((link, clock))
    };
    let thread = thread::Builder::new().name("kp-agent-start".to_owned());
    // Nobody waits for it any more if the run has ended: then the agent is let go of here.
    let started = thread.spawn(move || drop(answer.send(attempt())));
    started.is_ok().then_some(receiver)
}
