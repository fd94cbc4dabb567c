//! One request and its response over one connection.

use std::cell::RefCell;
use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use rustls::AlertDescription;
use thiserror::Error;
use tokio::time::Sleep;

use super::connect::Stream;
use super::http2::{Share, StreamError};
use super::nap::{Patience, Reading};
use super::proxy::NoTunnel;
use super::response::{Malformed, Reader, Witness};
use super::stream::Follower;
use super::wire::Rendered;
use crate::timeline::ResponseClass;

/// A request that was sent into a closing connection hears of it after a round trip; this leaves
/// room for a server so busy that it closes late.
const STALE_WITHIN: Duration = Duration::from_secs(1);

/// So long the other side may take to close a connection that is done with.
const CLOSE_WITHIN: Duration = Duration::from_secs(1);

/// Why there is no complete response.
#[derive(Debug, Error)]
pub(super) enum Failure {
    #[error("{0}")]
    Connect(io::Error),
    #[error("{0}")]
    Proxy(NoTunnel),
    #[error("{0}")]
    Tls(io::Error),
    #[error("nothing came within the timeout")]
    Timeout,
    #[error("{0}")]
    Malformed(Malformed),
    #[error("{0}")]
    Stream(StreamError),
    #[error("the connection was closed {0}")]
    Closed(&'static str),
    #[error("the connection was lost: {0}")]
    Lost(io::Error),
}

impl Failure {
    /// How a request that ended in this way is counted.
    pub(super) fn class(&self) -> ResponseClass {
        match self {
            Failure::Connect(_) => ResponseClass::Connect,
            Failure::Proxy(_) => ResponseClass::Proxy,
            Failure::Tls(_) => ResponseClass::Tls,
            Failure::Timeout => ResponseClass::Timeout,
            Failure::Malformed(_) => ResponseClass::Protocol,
            Failure::Stream(error) if error.is_protocol() => ResponseClass::Protocol,
            Failure::Stream(_) => ResponseClass::Reset,
            Failure::Closed(_) => ResponseClass::Reset,
            // A TLS 1.3 server says only after the handshake that it wants another certificate.
            Failure::Lost(error) if alert(error).is_some() => ResponseClass::Tls,
            Failure::Lost(error) => match error.kind() {
                // What the decoder of TLS records says of nonsense.
                io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData => ResponseClass::Protocol,
                _ => ResponseClass::Reset,
            },
        }
    }

    /// The same for another request that waited for the same connection.
    pub(super) fn for_another(&self) -> Self {
        let copied = |error: &io::Error| match error.raw_os_error() {
            Some(code) => io::Error::from_raw_os_error(code),
            None => io::Error::new(error.kind(), error.to_string()),
        };
        match self {
            Failure::Connect(error) => Failure::Connect(copied(error)),
            Failure::Proxy(error) => Failure::Proxy(error.copied()),
            Failure::Tls(error) => Failure::Tls(copied(error)),
            Failure::Timeout => Failure::Timeout,
            Failure::Malformed(malformed) => Failure::Malformed(*malformed),
            Failure::Stream(StreamError::OtherVersion) => StreamError::OtherVersion.into(),
            Failure::Stream(error) => Failure::Lost(io::Error::other(error.to_string())),
            Failure::Closed(when) => Failure::Closed(when),
            Failure::Lost(error) => Failure::Lost(copied(error)),
        }
    }

    /// Whether the other side has not looked at the request, so that it may be sent again.
    pub(super) fn is_refused(&self) -> bool {
        matches!(self, Failure::Stream(StreamError::Refused(_)))
    }

    /// Whether the other side speaks none of the protocols that it was offered (ALPN, RFC 7301).
    pub(super) fn is_other_protocol(&self) -> bool {
        let Failure::Tls(error) = self else { return false };
        alert(error) == Some(AlertDescription::NoApplicationProtocol)
    }

    /// Whether this machine, not the target, had nothing left to make a connection with:
    /// descriptors, ports or memory.
    pub(super) fn is_local(&self) -> bool {
        #[cfg(unix)]
        const EXHAUSTED: [i32; 5] =
            [libc::EMFILE, libc::ENFILE, libc::EADDRNOTAVAIL, libc::ENOBUFS, libc::ENOMEM];
        #[cfg(not(unix))]
        const EXHAUSTED: [i32; 0] = [];
        matches!(self, Failure::Connect(error)
            if error.raw_os_error().is_some_and(|code| EXHAUSTED.contains(&code)))
    }
}

/// What the other side has said when it gave up on TLS.
fn alert(error: &io::Error) -> Option<AlertDescription> {
    match error.get_ref()?.downcast_ref()? {
        rustls::Error::AlertReceived(alert) => Some(*alert),
        _ => None,
    }
}

/// Measures a request: two looks at the clock for most of them.
pub(super) struct Stopwatch {
    begun: Instant,
    sent: Option<Instant>,
    first: Option<Instant>,
    /// When its last piece came, where the kernel says.
    stamp: Option<Instant>,
    /// The response did not come as one piece.
    is_cut: bool,
}

impl Stopwatch {
    /// Measures from `begun` on.
    fn since(begun: Instant) -> Self {
        Self { begun, sent: None, first: None, stamp: None, is_cut: false }
    }

    /// The request has been sent, now or before.
    pub(super) fn sent(&mut self) {
        self.sent.get_or_insert_with(Instant::now);
    }

    /// A piece of the response has come, now or when the kernel says.
    pub(super) fn read(&mut self, stamp: Option<Instant>) {
        self.is_cut = self.first.is_some();
        self.stamp = stamp;
        self.first.get_or_insert_with(|| stamp.unwrap_or_else(Instant::now));
    }

    /// Nothing more of the response is there yet.
    pub(super) fn waits(&mut self) {
        self.is_cut |= self.first.is_some();
    }

    /// Whether any of the response has come.
    fn has_read(&self) -> bool {
        self.first.is_some()
    }

    /// The response is complete.
    pub(super) fn spent(&self) -> Spent {
        let first = self.first.unwrap_or_else(Instant::now);
        let sent = self.sent.unwrap_or(first).min(first);
        Spent {
            send: sent.saturating_duration_since(self.begun),
            wait: first.saturating_duration_since(sent),
            receive: match (self.is_cut, self.stamp) {
                (false, _) => Duration::ZERO,
                (true, None) => first.elapsed(),
                (true, Some(last)) => last.saturating_duration_since(first),
            },
            ended: self.stamp,
        }
    }
}

/// When a request has to be over. One timer serves a connection's requests one after the other:
/// it is set anew only when it rings too early, so that a request that is in time costs nothing.
pub(super) struct Deadline {
    sleep: Pin<Box<Sleep>>,
    at: Instant,
    /// When the timer rings, if it was set.
    armed: Option<Instant>,
}

impl Deadline {
    /// A deadline that has not been set. Needs a runtime with time around it.
    pub(super) fn new() -> Self {
        let at = Instant::now();
        Self { sleep: Box::pin(tokio::time::sleep(Duration::ZERO)), at, armed: None }
    }

    /// Sets it. Nearly always to a later time than before, which costs nothing.
    pub(super) fn set(&mut self, at: Instant) {
        self.at = at;
        if self.armed.is_some_and(|armed| armed > at) {
            self.armed = None;
        }
    }

    /// Sets it to `at` where it is earlier.
    pub(super) fn extend(&mut self, at: Instant) {
        self.at = self.at.max(at);
    }

    /// Whether it has passed.
    pub(super) fn is_over(&self) -> bool {
        Instant::now() >= self.at
    }

    /// Whether it has passed; if not, the task will be woken when it may have. A deadline belongs
    /// to one task, so that one registered waker is good for all its polls.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            if self.armed.is_some() {
                if !self.sleep.is_elapsed() {
                    return Poll::Pending;
                }
                self.armed = None;
                if Instant::now() >= self.at {
                    return Poll::Ready(());
                }
            }
            self.sleep.as_mut().reset(self.at.into());
            self.armed = Some(self.at);
            if self.sleep.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
        }
    }

    /// What `future` comes to, or [`Failure::Timeout`] when the deadline passes first.
    pub(super) async fn limit<T>(&mut self, future: impl Future<Output = T>) -> Result<T, Failure> {
        let mut future = pin!(future);
        poll_fn(|cx| match future.as_mut().poll(cx) {
            Poll::Ready(value) => Poll::Ready(Ok(value)),
            Poll::Pending => self.poll(cx).map(|()| Err(Failure::Timeout)),
        })
        .await
    }
}

/// Room for what is read next, for all connections of a worker: none of them keeps what it read.
pub(super) type Scratch = Rc<RefCell<Box<[u8]>>>;

/// A connection for one request at a time.
pub(super) struct Link {
    wire: Wire,
    /// There will be no further response.
    ended: bool,
    /// It has served a request.
    used: bool,
    /// Something came in answer to the request at hand.
    answered: bool,
    /// Its last response was not read to its end.
    cut: bool,
    /// The address of the other side, where it has one.
    pub(super) peer: Option<SocketAddr>,
    /// How long it took to make it; `None` where it is a share of one that there was.
    pub(super) made: Option<Made>,
    /// Where the time of its last response went.
    pub(super) spent: Spent,
    /// Bytes of its last response.
    pub(super) received: usize,
    /// Whether the response of the request at hand may wait for a while before it is read.
    pub(super) may_wait: bool,
}

/// What carries the requests.
enum Wire {
    /// A connection of its own, of HTTP/1.1. It has no task of its own: whoever waits for it
    /// drives it.
    Alone(Alone),
    /// A stream at a time of a connection of HTTP/2, and whether that is over TLS.
    Shared(Share, bool),
}

struct Alone {
    stream: Stream,
    scratch: Scratch,
    patience: Option<Rc<Patience>>,
}

/// How long it took to make a connection.
#[derive(Clone, Copy, Debug)]
pub(super) struct Made {
    /// To resolve the name, where that was done for it.
    pub(super) dns_time: Option<Duration>,
    /// All the rest, TLS included.
    pub(super) connect_time: Duration,
    /// The TLS handshake.
    pub(super) tls_time: Option<Duration>,
}

/// Where the time of a response went.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Spent {
    /// Until the request was sent.
    pub(super) send: Duration,
    /// Then to the first byte of the response.
    pub(super) wait: Duration,
    /// Then to its end.
    pub(super) receive: Duration,
    /// When that was, where the kernel says.
    pub(super) ended: Option<Instant>,
}

impl Link {
    /// A fresh connection.
    pub(super) fn new(
        stream: Stream,
        scratch: Scratch,
        patience: Option<Rc<Patience>>,
        peer: Option<SocketAddr>,
        made: Made,
    ) -> Self {
        Self::over(Wire::Alone(Alone { stream, scratch, patience }), peer, Some(made))
    }

    /// A share of a connection, which was `made` for it or was there.
    pub(super) fn shared(
        share: Share,
        is_secure: bool,
        peer: Option<SocketAddr>,
        made: Option<Made>,
    ) -> Self {
        Self::over(Wire::Shared(share, is_secure), peer, made)
    }

    fn over(wire: Wire, peer: Option<SocketAddr>, made: Option<Made>) -> Self {
        let (ended, used, answered, cut) = (false, false, false, false);
        let (spent, received, may_wait) = (Spent::default(), 0, false);
        Self { wire, ended, used, answered, cut, peer, made, spent, received, may_wait }
    }

    /// Ready once the connection has ended; until then the task is woken when it may have. For
    /// when no request is in flight: what comes then is no answer, and nothing after it would be.
    pub(super) fn poll_ended(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        match &mut self.wire {
            Wire::Alone(Alone { stream, scratch, .. }) if !self.ended => {
                let polled = stream.poll_read(cx, &mut scratch.borrow_mut());
                self.ended = polled.is_ready();
            }
            Wire::Alone(_) => {}
            // The others that share it need no waking for its end: they look before they use it.
            Wire::Shared(share, _) => self.ended |= share.is_gone(),
        }
        if self.ended { Poll::Ready(()) } else { Poll::Pending }
    }

    /// Whether another request can be sent.
    pub(super) async fn is_ready(&mut self) -> bool {
        poll_fn(|cx| Poll::Ready(self.poll_ended(cx).is_pending())).await
    }

    /// Lets the other side close first, for a moment. Whoever does keeps the port in `TIME_WAIT`
    /// for a minute (RFC 9293, section 3.6.1), and a client that opens 500 connections a second
    /// to one address would be out of ports within it. Closing with a reset leaves no
    /// `TIME_WAIT`, but servers log resets, and some count them as attacks.
    ///
    /// What is shared goes on, or is ended as HTTP/2 has it by the last who has a share.
    pub(super) async fn close(self) {
        let Wire::Alone(Alone { mut stream, scratch, .. }) = self.wire else { return };
        // The other side means to go on, and there is no end to wait for.
        if self.cut {
            return;
        }
        let closed = poll_fn(|cx| {
            loop {
                match stream.poll_read(cx, &mut scratch.borrow_mut()) {
                    Poll::Pending => return Poll::Pending,
                    Poll::Ready(Ok(count)) if count > 0 => {}
                    Poll::Ready(_) => return Poll::Ready(()),
                }
            }
        });
        // Late, it is closed from this side.
        drop(tokio::time::timeout(CLOSE_WITHIN, closed).await);
    }

    /// Whether the request that just failed on this connection may be sent again on a fresh one:
    /// it was not the first here and not one byte came in answer, so that the likely reason is
    /// that the server closed the connection while it was idle. A server that worked on it for
    /// long and then dropped it is another matter: that is an error of the request.
    pub(super) fn was_stale(&self, failure: &Failure, after: Duration) -> bool {
        if failure.is_refused() {
            return true;
        }
        self.used
            && after < STALE_WITHIN
            && !self.answered
            && failure.class() == ResponseClass::Reset
    }

    /// Sends `request`, which was `begun` a moment ago, and reads its response to the end;
    /// `witness` sees it as it comes. Returns its status.
    ///
    /// # Errors
    ///
    /// After any of them the connection is of no more use.
    pub(super) async fn exchange(
        &mut self,
        request: &Rendered,
        begun: Instant,
        deadline: &mut Deadline,
        witness: &mut impl Witness,
    ) -> Result<u16, Failure> {
        self.answered = false;
        let mut watch = Stopwatch::since(begun);
        let (stream, scratch, patience) = match &mut self.wire {
            Wire::Alone(Alone { stream, scratch, patience }) => {
                (stream, scratch, patience.as_deref())
            }
            Wire::Shared(share, is_secure) => {
                let exchanged =
                    share.exchange(request, *is_secure, deadline, &mut watch, witness).await;
                self.answered = watch.has_read();
                self.spent = watch.spent();
                self.used = true;
                return exchanged;
            }
        };
        let mut sending = Sending { bytes: &request.bytes, failed: None };
        let mut reader = Reader::new(request.is_head);
        let mut follower = Follower::new(request.stream, witness);
        let mut reading = Reading::new(patience, self.may_wait && request.stream.is_none());
        self.received = 0;
        let answer = poll_fn(|cx| {
            loop {
                sending.poll(stream, cx);
                if sending.bytes.is_empty() {
                    watch.sent();
                }
                let scratch = &mut *scratch.borrow_mut();
                reading.begins();
                let read = match stream.poll_read(cx, scratch) {
                    Poll::Ready(read) => read,
                    Poll::Pending => {
                        watch.waits();
                        reading.waits(sending.is_over());
                        if follower.poll_enough(cx, deadline) {
                            return Poll::Ready(Ok(reader.leave()));
                        }
                        return deadline.poll(cx).map(|()| Err(Failure::Timeout));
                    }
                };
                let answer = match read {
                    // Who answers and closes before it has taken the whole request has answered.
                    Err(error) => Err(Failure::Lost(sending.failed.take().unwrap_or(error))),
                    Ok(0) => {
                        self.ended = true;
                        let closed = reader.close().map_err(Failure::Malformed);
                        closed.and_then(|answer| match (answer, self.answered) {
                            (Some(answer), _) => Ok(Some(answer)),
                            (None, true) => Err(Failure::Closed("in the middle of the response")),
                            (None, false) => Err(Failure::Closed("without a response")),
                        })
                    }
                    Ok(count) => {
                        self.answered = true;
                        self.received = self.received.saturating_add(count);
                        watch.read(reading.read());
                        let fed = reader.feed(&scratch[..count], &mut follower);
                        match follower.poll_enough(cx, deadline) {
                            true => return Poll::Ready(Ok(reader.leave())),
                            false => fed.map_err(Failure::Malformed),
                        }
                    }
                };
                if let Some(answer) = answer.transpose() {
                    return Poll::Ready(answer);
                }
                reading.goes_on();
            }
        })
        .await?;
        if !follower.may_end() {
            return Err(Failure::Closed("before the stream had as many events as were asked for"));
        }
        self.spent = watch.spent();
        self.cut = answer.is_left;
        self.used = true;
        self.ended |= !answer.keep || !sending.is_over();
        Ok(answer.status)
    }
}

/// A request on its way out. That it cannot be sent is no end yet: there may be a response that
/// says why.
struct Sending<'a> {
    bytes: &'a [u8],
    failed: Option<io::Error>,
}

impl Sending<'_> {
    fn is_over(&self) -> bool {
        self.bytes.is_empty() && self.failed.is_none()
    }

    /// Sends what can be sent now.
    fn poll(&mut self, stream: &mut Stream, cx: &mut Context<'_>) {
        while !self.bytes.is_empty() && self.failed.is_none() {
            match stream.poll_write(cx, self.bytes) {
                Poll::Pending => return,
                Poll::Ready(Ok(0)) => self.failed = Some(io::ErrorKind::WriteZero.into()),
                Poll::Ready(Ok(count)) => self.bytes = &self.bytes[count..],
                Poll::Ready(Err(error)) => self.failed = Some(error),
            }
        }
        if let Poll::Ready(Err(error)) = stream.poll_flush(cx) {
            self.failed.get_or_insert(error);
        }
    }
}
