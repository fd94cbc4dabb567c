//! WebSocket sessions that stay open beside the load (RFC 6455), on a separate thread.
//!
//! Each session is one client. It opens, sends a message at times, waits for the answer, and
//! reconnects with a backoff when it was lost. The measurements are sums over all sessions, by
//! second. A message of one session never waits for another session.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use futures_util::{SinkExt as _, StreamExt as _};
use httparse::EMPTY_HEADER;
use hyper::Request;
use hyper::header::{CONNECTION, HOST, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_VERSION, UPGRADE};
use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};
use tokio::runtime::{Builder, LocalOptions};
use tokio::sync::Notify;
use tokio::time::{sleep, sleep_until, timeout};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::client::generate_key;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::{WebSocketStream, client_async_with_config};

use super::config::LoadConfig;
use super::connect::{Connector, Route};
use super::deadline::Deadline;
use super::error::LoadError;
use super::failure::Failure;
use super::mix::Mix;
use super::response::MAX_HEADERS;
use super::session::Session;
use super::storm;
use super::stream::Stream;
use super::wire::Rendered;
use crate::plan::{self, Connections, HttpVersion, Template, WebSocket};
use crate::timeline::{Epoch, Histogram, Moment, Window};

/// Queue of seconds for a slow reader. Further seconds are merged.
const TICKS_WAITING: usize = 64;
const SECOND: Duration = Duration::from_secs(1);
/// A longer message ends the session.
const MAX_MESSAGE_BYTES: usize = 1024 * 1024;
/// How much a session reads at a time: there may be tens of thousands of sessions.
const READ_BYTES: usize = 4096;
/// At most this much is kept while a message cannot be sent.
const MAX_WRITE_BYTES: usize = 2 * MAX_MESSAGE_BYTES;
/// No event: later than any run.
const NEVER: Duration = Duration::from_secs(365 * 24 * 3600);

/// What happened to the sessions of one kind. Counts are totals since the start.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SessionCounts {
    /// Sessions open now.
    pub open: u64,
    /// Sessions opened.
    pub opens: u64,
    /// Attempts to open one that failed.
    pub open_failures: u64,
    /// Sessions closed because the plan asked for it.
    pub drops: u64,
    /// Sessions that ended otherwise: by the target, by the network, or because an answer was
    /// missing.
    pub breaks: u64,
    /// Messages sent.
    pub sent: u64,
    /// Messages received.
    pub received: u64,
    /// Messages that had no answer within the target's timeout.
    pub unanswered: u64,
}

/// One second of sessions.
#[derive(Clone, Debug, PartialEq)]
pub struct SessionTick {
    /// Which second. It is longer if nobody read the ones before.
    pub window: Window,
    /// The counts at the end of the window.
    pub counts: SessionCounts,
    /// Time from a message to its answer.
    pub round_trip: Histogram,
    /// Time to open a session: connection, TLS and upgrade.
    pub open_time: Histogram,
}

/// Sessions of one kind, until stopped.
pub struct Sessions {
    thread: Option<JoinHandle<()>>,
    stop: Arc<Stop>,
}

#[derive(Default)]
struct Stop {
    is_set: AtomicBool,
    bell: Notify,
}

impl Sessions {
    /// Starts to open sessions at `first`, against the target of `load`, and returns the receiver
    /// of their seconds.
    ///
    /// # Errors
    ///
    /// When the target has no address, the request is not valid on the wire, or no thread can be
    /// started.
    pub fn start(
        websocket: &WebSocket,
        load: &LoadConfig,
        epoch: Epoch,
        first: Moment,
    ) -> Result<(Self, Receiver<SessionTick>), LoadError> {
        let (mix, route) = compile(websocket, load)?;
        let (ticks, receiver) = sync_channel(TICKS_WAITING);
        let stop = Arc::new(Stop::default());
        let stopping = Arc::clone(&stop);
        let (websocket, seed) = (websocket.clone(), load.seed);
        let patience = load.target.timeout;
        let thread = thread::Builder::new().name("kp-websocket".into());
        let thread = thread.spawn(move || {
            // Without a runtime there are no ticks, and the reader sees a gap.
            let Some(runtime) = runtime() else { return };
            runtime.block_on(async move {
                let begin = epoch.instant(first);
                let connector = Connector::new(route);
                let held = Held {
                    websocket,
                    connector,
                    mix: RefCell::new(mix),
                    patience,
                    begin,
                    tally: RefCell::default(),
                };
                hold(Rc::new(held), seed, epoch, &ticks, &stopping).await;
            });
        })?;
        Ok((Self { thread: Some(thread), stop }, receiver))
    }

    /// Ends all sessions at once.
    pub fn stop(mut self) {
        self.end();
    }

    fn end(&mut self) {
        self.stop.is_set.store(true, Ordering::Release);
        self.stop.bell.notify_one();
        if let Some(thread) = self.thread.take() {
            // A thread that panicked has reported it on stderr. Its ticks are still good.
            drop(thread.join());
        }
    }
}

impl Drop for Sessions {
    fn drop(&mut self) {
        self.end();
    }
}

/// Opens one session and closes it, before any load.
///
/// # Errors
///
/// When it cannot be opened.
pub fn probe_websocket(websocket: &WebSocket, load: &LoadConfig) -> Result<(), LoadError> {
    let (mix, route) = compile(websocket, load)?;
    let address = route.to_string();
    let runtime = runtime().ok_or_else(|| LoadError::Thread(std::io::ErrorKind::Other.into()))?;
    let held = Held {
        websocket: websocket.clone(),
        connector: Connector::new(route),
        mix: RefCell::new(mix),
        patience: load.target.timeout,
        begin: Instant::now(),
        tally: RefCell::default(),
    };
    let opened = runtime.block_on(async {
        let mut socket = held.open().await?;
        // The result of the close does not matter.
        drop(timeout(SECOND, socket.close(None)).await);
        Ok(())
    });
    let name = websocket.request.name.clone();
    opened.map_err(|reason| LoadError::NoSession { name, address, reason })
}

fn runtime() -> Option<tokio::runtime::LocalRuntime> {
    let mut builder = Builder::new_current_thread();
    builder.enable_io().enable_time().build_local(LocalOptions::default()).ok()
}

/// The requests and the route. Each request is the one for the upgrade and, with its body, the
/// message.
fn compile(websocket: &WebSocket, load: &LoadConfig) -> Result<(Mix, Route), LoadError> {
    let path = Template(vec![plan::Segment::Text("/".to_owned())]);
    let message = plan::Request {
        method: "POST".to_owned(),
        body: websocket.message.as_ref().map(|message| message.text.clone()),
        ..plan::Request::get("message", path)
    };
    let mut config = LoadConfig { workers: Some(1), ..load.clone() }
        .with_mix(vec![(websocket.request.clone(), 1.0), (message, 1.0)]);
    // The upgrade is an HTTP/1.1 request on a separate connection, through a tunnel if there is a
    // proxy.
    config.target.version = HttpVersion::Http1;
    config.target.connections = Connections::KeepAlive;
    let route = Route::resolve(&config)?.tunnelled(&config.target);
    config.target.proxy = None;
    let mix = Mix::compile(&config, 0, 1).map_err(LoadError::first)?;
    Ok((mix, route))
}

/// What all sessions share.
struct Held {
    websocket: WebSocket,
    connector: Connector,
    mix: RefCell<Mix>,
    patience: Duration,
    begin: Instant,
    tally: RefCell<Tally>,
}

#[derive(Default)]
struct Tally {
    counts: SessionCounts,
    round_trip: Histogram,
    open_time: Histogram,
}

/// How a session ended.
enum End {
    Dropped,
    Broken,
    Unanswered,
}

/// Holds the sessions and reports what happens to them, by second, until stopped.
async fn hold(
    held: Rc<Held>,
    seed: u64,
    epoch: Epoch,
    ticks: &SyncSender<SessionTick>,
    stop: &Stop,
) {
    for index in 0..held.websocket.sessions {
        let random = SmallRng::seed_from_u64(seed.wrapping_add(index as u64));
        tokio::task::spawn_local(session(Rc::clone(&held), index, random));
    }
    let mut begin = epoch.moment(Instant::now());
    loop {
        // Counted from now: the end of a second that was not taken yet would be in the past.
        let whole = Duration::from_secs(epoch.moment(Instant::now()).secs() as u64 + 1);
        let end = epoch.instant(Moment::START + whole);
        tokio::select! {
            () = stop.bell.notified() => {}
            () = sleep_until(end.into()) => {}
        }
        let now = epoch.moment(Instant::now());
        let window = Window::new(begin, now);
        let tally = &mut *held.tally.borrow_mut();
        let tick = SessionTick {
            window,
            counts: tally.counts.clone(),
            round_trip: std::mem::take(&mut tally.round_trip),
            open_time: std::mem::take(&mut tally.open_time),
        };
        match ticks.try_send(tick) {
            Ok(()) => begin = now,
            Err(TrySendError::Full(tick) | TrySendError::Disconnected(tick)) => {
                (tally.round_trip, tally.open_time) = (tick.round_trip, tick.open_time);
            }
        }
        if stop.is_set.load(Ordering::Acquire) {
            return;
        }
    }
}

/// One client, for as long as there is a runtime.
async fn session(held: Rc<Held>, index: usize, mut random: SmallRng) {
    let after = index as f64 / held.websocket.open_rate;
    sleep_until((held.begin + Duration::from_secs_f64(after)).into()).await;
    let mut attempt = 0;
    loop {
        let mut lasted = Duration::ZERO;
        if let Ok(socket) = held.open().await {
            let opened = Instant::now();
            let end = held.serve(socket, held.drop_of(index), &mut random).await;
            lasted = opened.elapsed();
            let counts = &mut held.tally.borrow_mut().counts;
            counts.open -= 1;
            match end {
                End::Dropped => counts.drops += 1,
                End::Broken => counts.breaks += 1,
                End::Unanswered => {
                    counts.unanswered += 1;
                    counts.breaks += 1;
                }
            }
        }
        // A session that lasted resets the backoff. Sessions that the target keeps ending early do
        // not.
        if lasted > held.websocket.backoff.to {
            attempt = 0;
        }
        sleep(storm::wait(&held.websocket.backoff, attempt, &mut random)).await;
        attempt += 1;
    }
}

impl Held {
    /// When a session that is open now is closed by the plan, if it is one of those.
    fn drop_of(&self, index: usize) -> Option<Instant> {
        let drop = self.websocket.drop.filter(|drop| storm::is_hit(index as u64, drop.share))?;
        self.begin.checked_add(drop.next(self.begin.elapsed())?)
    }

    /// A new session, counted, or why it could not be opened.
    async fn open(&self) -> Result<WebSocketStream<Stream>, String> {
        let begun = Instant::now();
        let opened = self.try_open().await;
        let tally = &mut *self.tally.borrow_mut();
        match &opened {
            Ok(_) => {
                tally.counts.opens += 1;
                tally.counts.open += 1;
                tally.open_time.record(begun.elapsed());
            }
            Err(_) => tally.counts.open_failures += 1,
        }
        opened
    }

    async fn try_open(&self) -> Result<WebSocketStream<Stream>, String> {
        let mut deadline = Deadline::new();
        deadline.set(Instant::now() + self.patience);
        let told = |failure: Failure| failure.to_string();
        let request = upgrade(&self.draw(0)).ok_or("the request cannot ask for an upgrade")?;
        let (stream, ..) = self.connector.make(&mut deadline).await.map_err(told)?;
        let config = WebSocketConfig::default()
            .read_buffer_size(READ_BYTES)
            .write_buffer_size(0)
            .max_write_buffer_size(MAX_WRITE_BYTES)
            .max_message_size(Some(MAX_MESSAGE_BYTES))
            .max_frame_size(Some(MAX_MESSAGE_BYTES));
        let upgraded = client_async_with_config(request, stream, Some(config));
        let upgraded = deadline.limit(upgraded).await.map_err(told)?;
        upgraded.map(|(socket, _)| socket).map_err(|error| error.to_string())
    }

    /// The bytes to send: the upgrade, or with a body the message.
    fn draw(&self, request: usize) -> Rendered {
        let (mix, mut session) = (&mut *self.mix.borrow_mut(), Session::default());
        mix.begin_journey(request, &mut session);
        // If data that may not start again are used up, the first of them is used again.
        mix.draw(request, &mut session).unwrap_or(());
        mix.build(request, &session)
    }

    fn message(&self) -> Message {
        let bytes = self.draw(1).bytes;
        let head = bytes.windows(4).position(|four| four == b"\r\n\r\n").unwrap_or_default();
        Message::text(String::from_utf8_lossy(&bytes[head + 4..]).into_owned())
    }

    /// Keeps a session until it ends.
    async fn serve(
        &self,
        mut socket: WebSocketStream<Stream>,
        drop_at: Option<Instant>,
        random: &mut SmallRng,
    ) -> End {
        let now = Instant::now();
        let far = now + NEVER;
        let messages = self.websocket.message.as_ref();
        // Messages do not start all at once, even if many sessions were opened together.
        let mut due = messages
            .map_or(far, |message| now + message.interval.mul_f64(random.random_range(0.0..1.0)));
        let mut asked: Option<Instant> = None;
        loop {
            let patience = asked.map_or(due, |asked| asked + self.patience);
            tokio::select! {
                frame = socket.next() => match frame {
                    Some(Ok(Message::Text(_) | Message::Binary(_))) => {
                        let tally = &mut *self.tally.borrow_mut();
                        tally.counts.received += 1;
                        if let Some(asked) = asked.take() {
                            tally.round_trip.record(asked.elapsed());
                        }
                    }
                    // Pings are answered when frames are read next.
                    Some(Ok(frame)) if !frame.is_close() => {}
                    _ => return End::Broken,
                },
                () = sleep_until(drop_at.unwrap_or(far).into()) => return End::Dropped,
                () = sleep_until(patience.into()) => {
                    let Some(message) = messages.filter(|_| asked.is_none()) else {
                        return End::Unanswered;
                    };
                    let sent = Instant::now();
                    if !matches!(timeout(self.patience, socket.send(self.message())).await, Ok(Ok(()))) {
                        return End::Broken;
                    }
                    self.tally.borrow_mut().counts.sent += 1;
                    asked = message.expect.then_some(sent);
                    due = (due + message.interval).max(sent);
                }
            }
        }
    }
}

/// The request for the upgrade (RFC 6455, section 4.1), made from one that was built for HTTP/1.1.
fn upgrade(request: &Rendered) -> Option<Request<()>> {
    let mut headers = [EMPTY_HEADER; MAX_HEADERS];
    let mut parsed = httparse::Request::new(&mut headers);
    if !parsed.parse(&request.bytes).ok()?.is_complete() {
        return None;
    }
    let host = parsed.headers.iter().find(|header| HOST == header.name)?;
    let host = std::str::from_utf8(host.value).ok()?;
    let mut head = Request::builder()
        .uri(format!("ws://{host}{}", parsed.path?))
        .header(CONNECTION, "Upgrade")
        .header(UPGRADE, "websocket")
        .header(SEC_WEBSOCKET_VERSION, "13")
        .header(SEC_WEBSOCKET_KEY, generate_key());
    let own = [CONNECTION, UPGRADE, SEC_WEBSOCKET_VERSION, SEC_WEBSOCKET_KEY];
    for header in parsed.headers.iter() {
        if !own.iter().any(|name| name == header.name) {
            head = head.header(header.name, header.value);
        }
    }
    head.body(()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::Backoff;

    /// CPU time of the calling thread.
    fn worked() -> Duration {
        let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
        // SAFETY: the call only writes to a live timespec.
        let done = unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &raw mut time) };
        assert_eq!(done, 0);
        Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
    }

    #[test]
    fn seconds_that_no_one_takes_cost_nothing() {
        let path = Template(vec![plan::Segment::Text("/".to_owned())]);
        let websocket = WebSocket {
            request: plan::Request::get("idle", path),
            sessions: 0,
            open_rate: WebSocket::USUAL_OPEN_RATE,
            message: None,
            drop: None,
            backoff: Backoff::usual(),
        };
        let load = super::super::tests::config(([127, 0, 0, 1], 1).into());
        let (mix, route) = compile(&websocket, &load).unwrap();
        let begin = Instant::now();
        let held = Held {
            websocket,
            connector: Connector::new(route),
            mix: RefCell::new(mix),
            patience: SECOND,
            begin,
            tally: RefCell::default(),
        };
        let (ticks, receiver) = sync_channel(TICKS_WAITING);
        drop(receiver);
        let before = worked();
        runtime().unwrap().block_on(async {
            let stop = Stop::default();
            let held = hold(Rc::new(held), 1, Epoch::new(begin), &ticks, &stop);
            // By then the first second is over, and nobody takes it.
            assert!(timeout(3 * SECOND, held).await.is_err());
        });
        let spent = worked() - before;
        assert!(spent < SECOND / 5, "{spent:?} of work in three seconds of waiting");
    }
}
