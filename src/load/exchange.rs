//! One request and its response over one connection.

use std::cell::RefCell;
use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use super::deadline::Deadline;
use super::failure::Failure;
use super::http2::Share;
use super::nap::{Patience, Reading};
use super::response::{Observer, Reader};
use super::stopwatch::{Made, Spent, Stopwatch};
use super::stream::Stream;
use super::streaming::Follower;
use super::wire::Rendered;
use crate::timeline::ResponseClass;

/// A request sent into a closing connection fails after one round trip. This limit leaves room for
/// a server so busy that it closes late.
const STALE_WITHIN: Duration = Duration::from_secs(1);

/// The other side may take this long to close a connection that is no longer used.
const CLOSE_WITHIN: Duration = Duration::from_secs(1);

/// Read buffer for all connections of a worker: none of them keeps what it read.
pub(super) type Scratch = Rc<RefCell<Box<[u8]>>>;

/// A connection for one request at a time.
pub(super) struct Link {
    wire: Wire,
    /// There will be no further response.
    ended: bool,
    /// It has served a request.
    used: bool,
    /// Data came in answer to the current request.
    answered: bool,
    /// Its last response was not read to its end.
    cut: bool,
    /// The address of the other side, if it has one.
    pub(super) peer: Option<SocketAddr>,
    /// How long it took to make it. `None` if it is a share of an existing connection.
    pub(super) made: Option<Made>,
    /// Where the time of its last response went.
    pub(super) spent: Spent,
    /// Bytes of its last response.
    pub(super) received: usize,
    /// Whether the response of the current request may wait before it is read.
    pub(super) may_wait: bool,
}

/// What carries the requests.
enum Wire {
    /// An HTTP/1.1 connection of one lane. It has no task: the code that waits for it also drives
    /// it.
    Alone(Alone),
    /// One stream at a time of an HTTP/2 connection, and whether that is over TLS.
    Shared(Share, bool),
}

struct Alone {
    stream: Stream,
    scratch: Scratch,
    patience: Option<Rc<Patience>>,
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

    /// A share of a connection. `made` is set if the connection was made for it.
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

    /// Ready once the connection has ended. Until then the task is woken when it may have ended.
    /// Call it only when no request is in flight: data that come then are not a response, and no
    /// later data could be trusted as one.
    pub(super) fn poll_ended(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        match &mut self.wire {
            Wire::Alone(Alone { stream, scratch, .. }) if !self.ended => {
                let polled = stream.poll_read(cx, &mut scratch.borrow_mut());
                self.ended = polled.is_ready();
            }
            Wire::Alone(_) => {}
            // The lanes that share it need not be woken at its end: they check it before they use
            // it.
            Wire::Shared(share, _) => self.ended |= share.is_gone(),
        }
        if self.ended { Poll::Ready(()) } else { Poll::Pending }
    }

    /// Whether another request can be sent.
    pub(super) async fn is_ready(&mut self) -> bool {
        poll_fn(|cx| Poll::Ready(self.poll_ended(cx).is_pending())).await
    }

    /// Lets the other side close first, for a moment. The side that closes first keeps the port in
    /// `TIME_WAIT` for a minute (RFC 9293, section 3.6.1). A client that opens 500 connections a
    /// second to one address would run out of ports within that minute. Closing with a reset leaves
    /// no `TIME_WAIT`, but servers log resets, and some count them as attacks.
    ///
    /// A shared connection stays open. When the last share goes, it is closed as HTTP/2 prescribes.
    pub(super) async fn close(self) {
        let Wire::Alone(Alone { mut stream, scratch, .. }) = self.wire else { return };
        // The other side wants to send more, so waiting for its close is useless.
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
        // If the other side is late, this side closes.
        drop(tokio::time::timeout(CLOSE_WITHIN, closed).await);
    }

    /// Whether the request that just failed on this connection may be sent again on a fresh one.
    /// It may, if it was not the first request here and not one byte came in answer: then the
    /// server probably closed the connection while it was idle. If a server worked on the request
    /// for long and then dropped it, that is an error of the request.
    pub(super) fn was_stale(&self, failure: &Failure, after: Duration) -> bool {
        if failure.is_refused() {
            return true;
        }
        self.used
            && after < STALE_WITHIN
            && !self.answered
            && failure.class() == ResponseClass::Reset
    }

    /// Sends `request`, which was `begun` a moment ago, and reads its response to the end.
    /// `observer` sees the response as it comes. Returns its status.
    ///
    /// # Errors
    ///
    /// After any of them the connection cannot be used again.
    pub(super) async fn exchange(
        &mut self,
        request: &Rendered,
        begun: Instant,
        deadline: &mut Deadline,
        observer: &mut impl Observer,
    ) -> Result<u16, Failure> {
        self.answered = false;
        let mut watch = Stopwatch::since(begun);
        let (stream, scratch, patience) = match &mut self.wire {
            Wire::Alone(Alone { stream, scratch, patience }) => {
                (stream, scratch, patience.as_deref())
            }
            Wire::Shared(share, is_secure) => {
                let exchanged =
                    share.exchange(request, *is_secure, deadline, &mut watch, observer).await;
                self.answered = watch.has_read();
                self.spent = watch.spent();
                self.used = true;
                return exchanged;
            }
        };
        let mut sending = Sending { bytes: &request.bytes, failed: None };
        let mut reader = Reader::new(request.is_head);
        let mut follower = Follower::new(request.stream, observer);
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
                    // A server that answers and closes before it has read the whole request has
                    // answered.
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
            return Err(Failure::Closed("before the stream sent the requested number of events"));
        }
        self.spent = watch.spent();
        self.cut = answer.is_left;
        self.used = true;
        self.ended |= !answer.keep || !sending.is_over();
        Ok(answer.status)
    }
}

/// A request that is being sent. A failure to send does not end it: a response may still come and
/// say why.
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
