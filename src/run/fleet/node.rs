//! One generator elsewhere, from its greeting to the moment when it can begin.

use std::time::{Duration, Instant};

use super::problem::FleetProblem;
use crate::prepare::LoadPart;
use crate::recording::{EntryDecoder, GeneratorNote};
use crate::remote::{
    AckMessage, Carrier, ClockStep, Exchange, FileMessage, GenerateTask, Link, Message, News,
    NodeClock, OpenMessage, PingMessage, PongMessage, Role, Task,
};
use crate::timeline::{Epoch, Moment};

/// How long a generator may take to prepare its load: names to resolve, a connection to try.
const PREPARING: Duration = Duration::from_secs(60);
/// Exchanges at the beginning, and the time between two of them.
const BURST: usize = 8;
const BETWEEN: Duration = Duration::from_millis(20);
/// How long one exchange may take.
const LONGEST_EXCHANGE: Duration = Duration::from_secs(5);
/// A generator whose clock is known no better than this, in seconds, would begin its stages at
/// another time than the others, and its seconds would be those of another time.
const MOST_CLOCK_ERROR: f64 = 0.25;

/// Its part of a load.
pub(super) struct Order {
    pub(super) index: usize,
    pub(super) of: usize,
    pub(super) workers: usize,
    pub(super) name: String,
}

/// A generator that greeted.
pub(super) struct Greeted {
    link: Link,
    index: usize,
    clock: Clock,
}

/// A generator that can begin.
pub(super) struct Node {
    pub(super) name: String,
    pub(super) link: Link,
    pub(super) clock: Clock,
    pub(super) decoder: EntryDecoder,
}

/// The clock of a node, against that of this process.
pub(super) struct Clock {
    /// From here on this process counts, in nanoseconds.
    base: Instant,
    node: NodeClock,
}

impl Clock {
    fn new() -> Self {
        Self { base: Instant::now(), node: NodeClock::default() }
    }

    /// Nanoseconds to `at`, which may be before the base.
    fn nanos(&self, at: Instant) -> i64 {
        let after = at.saturating_duration_since(self.base).as_nanos();
        let before = self.base.saturating_duration_since(at).as_nanos();
        i64::try_from(after as i128 - before as i128).unwrap_or(i64::MAX)
    }

    pub(super) fn ping(&self) -> Message {
        Message::Ping(PingMessage { sent: self.nanos(Instant::now()) })
    }

    /// Takes in the answer to a ping, which came at `at`.
    pub(super) fn pong(&mut self, pong: PongMessage, at: Instant) -> Option<ClockStep> {
        let PongMessage { sent, received, replied } = pong;
        self.node.add(Exchange { sent, received, replied, returned: self.nanos(at) })
    }

    /// Where moment zero of a run lies on the node's clock, in nanoseconds, and how sure that is, in
    /// seconds.
    pub(super) fn zero(&self, epoch: Epoch) -> (i64, f64) {
        let estimate = self.node.estimate(self.nanos(Instant::now()));
        let (offset, error) =
            estimate.map_or((0.0, f64::INFINITY), |it| (it.offset, it.error / 1e9));
        let zero = self.nanos(epoch.instant(Moment::START));
        (zero.saturating_add(offset as i64), error)
    }

    fn error(&self) -> f64 {
        self.zero(Epoch::new(self.base)).1
    }
}

/// Waits until a generator greets, refuses another version, and compares clocks.
pub(super) fn greet(
    carrier: Box<dyn Carrier>,
    run: &str,
    index: usize,
    patience: Duration,
) -> Result<Greeted, Vec<FleetProblem>> {
    let wrong = |what: &str, hint: &str| FleetProblem::of_generator(index, what, hint);
    let mut link = Link::greet(carrier, run, 1, Role::Generator, patience)
        .map_err(|error| wrong(&error.what, &error.hint))?;
    let (theirs, ours) = (&link.hello().version, env!("CARGO_PKG_VERSION"));
    if theirs != ours {
        // Another version may draw other requests from the same seed.
        let what = format!("`{}` has kneepoint {theirs}, and this is {ours}", link.hello().host);
        return Err(wrong(&what, "install the same version of kneepoint on all machines"));
    }
    let mut clock = Clock::new();
    for _ in 0..BURST {
        exchange(&mut link, &mut clock).map_err(|what| {
            wrong(&what, "check the network between this machine and the generator")
        })?;
        std::thread::sleep(BETWEEN);
    }
    if clock.error() > MOST_CLOCK_ERROR {
        let what = format!(
            "its clock is known only within {:.0} ms, because messages take so long",
            clock.error() * 1e3
        );
        return Err(wrong(&what, "use a generator that is closer, or a faster network"));
    }
    Ok(Greeted { link, index, clock })
}

/// Asks for the time once.
fn exchange(link: &mut Link, clock: &mut Clock) -> Result<(), String> {
    link.send(clock.ping())?;
    let deadline = Instant::now() + LONGEST_EXCHANGE;
    loop {
        match link.next(deadline.saturating_duration_since(Instant::now())) {
            Some(News::Message { message: Message::Pong(pong), at, .. }) => {
                clock.pong(pong, at);
                return Ok(());
            }
            Some(News::Closed) => return Err(format!("it ended: {}", last_words(link))),
            Some(_) => {}
            None => {
                let secs = LONGEST_EXCHANGE.as_secs();
                return Err(format!("it did not answer within {secs} s"));
            }
        }
    }
}

/// How a node that has closed its output ended, and what it said.
pub(super) fn last_words(link: &mut Link) -> String {
    let how = link.close(Duration::from_millis(300));
    match link.said() {
        said if said.is_empty() => how,
        said => format!("{how}, {said}"),
    }
}

impl Greeted {
    pub(super) fn host(&self) -> String {
        self.link.hello().host.clone()
    }

    pub(super) fn cores(&self) -> usize {
        self.link.hello().cores.max(1) as usize
    }

    /// Sends it its part, and waits until it says whether it can make it.
    pub(super) fn open(mut self, part: &LoadPart, order: Order) -> Result<Node, Vec<FleetProblem>> {
        let index = self.index;
        let wrong = move |what: &str, hint: &str| FleetProblem::of_generator(index, what, hint);
        let gone = |what: String| wrong(&what, "see what happened on its machine, and try again");
        for (path, bytes) in &part.files {
            for file in FileMessage::parts(path, bytes) {
                self.link.send(Message::File(file)).map_err(gone)?;
            }
        }
        let number = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
        let segment = (number(order.index), number(order.of));
        let task = GenerateTask::new(&part.plan, &part.variables, segment, number(order.workers));
        let open = OpenMessage { name: order.name.clone(), task: Task::Generate(task) };
        self.link.send(Message::Open(Box::new(open))).map_err(gone)?;
        let deadline = Instant::now() + PREPARING;
        loop {
            match self.link.next(deadline.saturating_duration_since(Instant::now())) {
                Some(News::Message { message: Message::Ready(_), .. }) => break,
                Some(News::Message { message: Message::Refuse(refused), .. }) => {
                    let name = &order.name;
                    let problems = refused.problems.into_iter().map(|(what, hint)| FleetProblem {
                        what: format!("generator `{name}`: {what}"),
                        hint,
                    });
                    return Err(problems.collect());
                }
                Some(News::Closed) => {
                    return Err(gone(format!("it ended: {}", last_words(&mut self.link))));
                }
                Some(_) => {}
                None => {
                    let secs = PREPARING.as_secs();
                    return Err(gone(format!("it was not ready within {secs} s")));
                }
            }
        }
        let Self { link, clock, .. } = self;
        Ok(Node { name: order.name, link, clock, decoder: EntryDecoder::default() })
    }
}

impl Node {
    /// Says that the coordinator is still there.
    pub(super) fn keep(&mut self) {
        let seq = self.link.heard();
        // One that is gone is told of when the run begins.
        let _gone = self.link.send(Message::Ack(AckMessage { seq })).is_err();
    }

    pub(super) fn note(&self) -> GeneratorNote {
        let hello = self.link.hello();
        GeneratorNote {
            name: self.name.clone(),
            host: hello.host.clone(),
            cores: hello.cores,
            clock_error: self.clock.error(),
        }
    }
}
