//! One request and its response over one connection.

use std::cell::Cell;
use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::{Body, Incoming};
use hyper::client::conn::http1::{Connection, SendRequest};
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use thiserror::Error;
use tokio::io::AsyncReadExt as _;
use tokio::time::Sleep;

use super::connect::Wire;
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
    Tls(io::Error),
    #[error("nothing came within the timeout")]
    Timeout,
    #[error("{}", with_source(.0))]
    Http(hyper::Error),
}

/// hyper keeps what the operating system said one level down.
fn with_source(error: &hyper::Error) -> String {
    match std::error::Error::source(error) {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    }
}

impl Failure {
    /// How a request that ended in this way is counted.
    pub(super) fn class(&self) -> ResponseClass {
        match self {
            Failure::Connect(_) => ResponseClass::Connect,
            Failure::Tls(_) => ResponseClass::Tls,
            Failure::Timeout => ResponseClass::Timeout,
            Failure::Http(error) if error.is_parse() => ResponseClass::Protocol,
            Failure::Http(error) => match io_kind(error) {
                // What the decoders of chunks and of TLS records say of nonsense.
                Some(io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData) => {
                    ResponseClass::Protocol
                }
                _ => ResponseClass::Reset,
            },
        }
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

fn io_kind(error: &hyper::Error) -> Option<io::ErrorKind> {
    let mut source = std::error::Error::source(error);
    while let Some(error) = source {
        if let Some(error) = error.downcast_ref::<io::Error>() {
            return Some(error.kind());
        }
        source = error.source();
    }
    None
}

/// When a request has to be over. One timer serves a connection's requests one after the other:
/// it is set anew only when it rings too early, so that a request that is in time costs nothing.
pub(super) struct Deadline {
    sleep: Pin<Box<Sleep>>,
    at: Instant,
    armed: bool,
}

impl Deadline {
    /// A deadline that has not been set. Needs a runtime with time around it.
    pub(super) fn new() -> Self {
        let at = Instant::now();
        Self { sleep: Box::pin(tokio::time::sleep(Duration::ZERO)), at, armed: false }
    }

    /// Sets it, never to an earlier time than before.
    pub(super) fn set(&mut self, at: Instant) {
        self.at = at;
    }

    /// Whether it has passed; if not, the task will be woken when it may have. A deadline belongs
    /// to one task, so that one registered waker is good for all its polls.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            if self.armed {
                if !self.sleep.is_elapsed() {
                    return Poll::Pending;
                }
                self.armed = false;
                if Instant::now() >= self.at {
                    return Poll::Ready(());
                }
            }
            self.sleep.as_mut().reset(self.at.into());
            self.armed = true;
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

/// A connection. It has no task of its own: whoever waits for it drives it.
pub(super) struct Link {
    sender: SendRequest<Full<Bytes>>,
    connection: Connection<TokioIo<Wire>, Full<Bytes>>,
    /// What ended it, once it has ended.
    ended: Option<Result<(), hyper::Error>>,
    received: Rc<Cell<u64>>,
    received_before: u64,
    used: bool,
    /// The address of the other side.
    pub(super) peer: SocketAddr,
    /// How long it took to make it, TLS included.
    pub(super) connect_time: Duration,
}

impl Link {
    /// A fresh connection.
    pub(super) fn new(
        sender: SendRequest<Full<Bytes>>,
        connection: Connection<TokioIo<Wire>, Full<Bytes>>,
        received: Rc<Cell<u64>>,
        peer: SocketAddr,
        connect_time: Duration,
    ) -> Self {
        let (ended, received_before, used) = (None, 0, false);
        Self { sender, connection, ended, received, received_before, used, peer, connect_time }
    }

    /// Drives the connection; ready once it has ended.
    pub(super) fn poll_ended(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.ended.is_none() {
            match self.connection.poll_without_shutdown(cx) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(end) => self.ended = Some(end),
            }
        }
        Poll::Ready(())
    }

    /// Lets the other side close first, for a moment. Whoever does keeps the port in `TIME_WAIT`
    /// for a minute (RFC 9293, section 3.6.1), and a client that opens 500 connections a second
    /// to one address would be out of ports within it. Closing with a reset leaves no
    /// `TIME_WAIT`, but servers log resets, and some count them as attacks.
    pub(super) async fn close(mut self) {
        let closed = async {
            poll_fn(|cx| self.poll_ended(cx)).await;
            let mut wire = self.connection.into_parts().io.into_inner();
            let mut rest = [0; 512];
            while wire.read(&mut rest).await.is_ok_and(|count| count > 0) {}
        };
        // Late, it is closed from this side.
        drop(tokio::time::timeout(CLOSE_WITHIN, closed).await);
    }

    /// Waits until the next request can be sent; `false` when there can be none.
    pub(super) async fn ready(&mut self) -> bool {
        poll_fn(|cx| match self.poll_ended(cx) {
            Poll::Ready(()) => Poll::Ready(false),
            Poll::Pending => self.sender.poll_ready(cx).map(|ready| ready.is_ok()),
        })
        .await
    }

    /// Whether the request that just failed on this connection may be sent again on a fresh one:
    /// it was not the first here and not one byte came in answer, so that the likely reason is
    /// that the server closed the connection while it was idle. A server that worked on it for
    /// long and then dropped it is another matter: that is an error of the request.
    pub(super) fn was_stale(&self, failure: &Failure, after: Duration) -> bool {
        self.used
            && after < STALE_WITHIN
            && self.received.get() == self.received_before
            && failure.class() == ResponseClass::Reset
    }

    /// Sends `request` and reads its response to the end, throwing the body away as it comes.
    ///
    /// # Errors
    ///
    /// After any of them the connection is of no more use.
    pub(super) async fn exchange(
        &mut self,
        request: Request<Full<Bytes>>,
        deadline: &mut Deadline,
        mut see_head: impl FnMut(&Response<Incoming>),
    ) -> Result<u16, Failure> {
        self.received_before = self.received.get();
        let mut head = pin!(self.sender.send_request(request));
        let (connection, ended) = (&mut self.connection, &mut self.ended);
        let mut body: Option<(u16, Incoming)> = None;
        let status = poll_fn(|cx| {
            loop {
                if ended.is_none()
                    && let Poll::Ready(end) = connection.poll_without_shutdown(cx)
                {
                    *ended = Some(end);
                }
                match &mut body {
                    None => {
                        if let Poll::Ready(response) = head.as_mut().poll(cx) {
                            let response = response.map_err(Failure::Http)?;
                            see_head(&response);
                            body = Some((response.status().as_u16(), response.into_body()));
                            continue;
                        }
                    }
                    Some((status, body)) => {
                        if body.is_end_stream() {
                            return Poll::Ready(Ok(*status));
                        }
                        match Pin::new(body).poll_frame(cx) {
                            Poll::Ready(None) => return Poll::Ready(Ok(*status)),
                            Poll::Ready(Some(frame)) => {
                                frame.map_err(Failure::Http)?;
                                continue;
                            }
                            Poll::Pending => {}
                        }
                    }
                }
                return deadline.poll(cx).map(|()| Err(Failure::Timeout));
            }
        })
        .await?;
        self.used = true;
        Ok(status)
    }
}
