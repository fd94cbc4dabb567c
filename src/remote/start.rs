//! Starts an agent and gets it to work: before the run, and again when it was lost.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::bus::Bus;
use super::clock::{Exchange, NodeClock};
use super::link::{Link, LinkError, News};
use super::message::{
    Message, OpenMessage, PingMessage, PongMessage, ReadyMessage, RefuseMessage, Role,
};
use super::source::NodeSource;
use crate::plan::Agent;

/// How long a node may take to greet: a login over a slow network takes some seconds.
const GREETING: Duration = Duration::from_secs(15);
/// Exchanges before anything else.
const BURST: usize = 8;
/// How long one exchange may take.
const EXCHANGE: Duration = Duration::from_secs(3);
/// How long the collectors may take to open.
const OPENING: Duration = Duration::from_secs(15);
/// Windows of the diagnosis are seconds long. A reading that may belong half a second earlier or later
/// is of no use to them.
pub(super) const MOST_ERROR: f64 = 0.5e9;

/// Where an agent of the plan comes from: its command, or the bus of the run.
pub(super) fn source_of(agent: &Agent, bus: Option<&Arc<Bus>>) -> Result<NodeSource, LinkError> {
    match (&agent.command, bus) {
        (Some(command), _) => Ok(NodeSource::Command {
            words: command.words().to_vec(),
            hint: "check the first word of the command: it must be a program of this machine",
        }),
        (None, Some(bus)) => Ok(NodeSource::Bus {
            bus: Arc::clone(bus),
            role: Role::Agent,
            name: agent.name.clone(),
        }),
        (None, None) => Err(LinkError {
            what: "it has no `command`, and this run has no bus that it could dial in to"
                .to_owned(),
            hint:
                "add `command = [\"ssh\", \"HOST\", \"kneepoint\", \"agent\"]`, or run with `--bus \
                   nats://HOST:4222`"
                    .to_owned(),
        }),
    }
}

/// Starts an agent, and waits for its greeting.
pub(super) fn start(source: &NodeSource, run: &str, epoch: u32) -> Result<Link, LinkError> {
    Link::greet(source.start()?, run, epoch, Role::Agent, GREETING)
}

/// Asks for the time some times in a row.
///
/// # Errors
/// It does not answer, or so slowly that its readings would have no place in the run.
pub(super) fn set_clock(link: &mut Link, base: Instant) -> Result<NodeClock, LinkError> {
    let mut clock = NodeClock::default();
    for _ in 0..BURST {
        let ping = PingMessage { sent: nanos(base, Instant::now()) };
        link.send(Message::Ping(ping)).map_err(gone)?;
        let (pong, returned) = wait(link, EXCHANGE, |message, at| match message {
            Message::Pong(pong) if pong.sent == ping.sent => Some((pong, nanos(base, at))),
            _ => None,
        })?;
        // A step within this fraction of a second leaves the last exchange alone, as it should.
        let _step = clock.add(exchange(pong, returned));
    }
    let now = nanos(base, Instant::now());
    let error = clock.estimate(now).map_or(f64::INFINITY, |estimate| estimate.error);
    if error > MOST_ERROR {
        return Err(LinkError {
            what: format!(
                "its clock can be known only to within {:.1} s, because answers take so long",
                error / 1e9
            ),
            hint: "use a connection with a round trip below one second".to_owned(),
        });
    }
    Ok(clock)
}

/// Sends `open` and waits for what the node says to it.
pub(super) fn open_with(
    link: &mut Link,
    open: &OpenMessage,
) -> Result<ReadyMessage, Vec<LinkError>> {
    link.send(Message::Open(Box::new(open.clone()))).map_err(|why| vec![gone(why)])?;
    let answer = wait(link, OPENING, |message, _| match message {
        Message::Ready(ready) => Some(Ok(ready)),
        Message::Refuse(refuse) => Some(Err(refuse)),
        _ => None,
    });
    match answer {
        Ok(Ok(ready)) => Ok(ready),
        Ok(Err(RefuseMessage { problems })) => {
            Err(problems.into_iter().map(|(what, hint)| LinkError { what, hint }).collect())
        }
        Err(error) => Err(vec![error]),
    }
}

/// The first message that is wanted.
pub(super) fn wait<T>(
    link: &mut Link,
    patience: Duration,
    mut wanted: impl FnMut(Message, Instant) -> Option<T>,
) -> Result<T, LinkError> {
    let deadline = Instant::now() + patience;
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        match link.next(left) {
            Some(News::Message { message, at, .. }) => {
                if let Some(found) = wanted(message, at) {
                    return Ok(found);
                }
            }
            Some(News::Unreadable(_)) => {}
            Some(News::Closed) => {
                let how = link.close(Duration::from_millis(300));
                return Err(gone(format!("it ended ({how}): {}", link.said())));
            }
            None if Instant::now() < deadline => {}
            None => return Err(gone(format!("it did not answer within {} s", patience.as_secs()))),
        }
    }
}

fn gone(why: String) -> LinkError {
    LinkError {
        what: why,
        hint: "run the command by hand, and see what it prints on its standard error".to_owned(),
    }
}

/// A time of the coordinator's clock, in nanoseconds.
pub(super) fn nanos(base: Instant, at: Instant) -> i64 {
    match at.checked_duration_since(base) {
        Some(since) => i64::try_from(since.as_nanos()).unwrap_or(i64::MAX),
        None => i64::try_from((base - at).as_nanos()).map_or(i64::MIN, |nanos| -nanos),
    }
}

/// The exchange that a pong completes.
pub(super) fn exchange(pong: PongMessage, returned: i64) -> Exchange {
    let PongMessage { sent, received, replied } = pong;
    Exchange { sent, received, replied, returned }
}
