//! HTTP/2 (RFC 9113): connections that lanes share, and one exchange over one of their streams.

use std::cell::{Cell, RefCell};
use std::future::{Future, poll_fn};
use std::io;
use std::pin::pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use h2::client::{Builder, ResponseFuture, SendRequest};
use h2::{Reason, RecvStream, SendStream};
use httparse::{EMPTY_HEADER, Header};
use hyper::header::{CONNECTION, HOST, HeaderName, TE, UPGRADE};
use hyper::http::uri::PathAndQuery;
use hyper::{Request, Uri};
use tokio::sync::Notify;

use super::deadline::Deadline;
use super::failure::{Failure, StreamError};
use super::response::{MAX_HEAD_BYTES, MAX_HEADERS, Observer};
use super::stopwatch::Stopwatch;
use super::stream::Stream;
use super::streaming::Follower;
use super::wire::Rendered;

/// How much of a response the other side may send before it is read here. Responses are read as
/// they come, so this limits the memory for a burst, not what is kept.
const STREAM_WINDOW: u32 = 1024 * 1024;
/// The same for all responses of a connection.
const CONNECTION_WINDOW: u32 = 4 * 1024 * 1024;

/// A connection, for as many simultaneous streams as the plan allows.
pub(super) struct Session {
    state: RefCell<State>,
    /// Notified when the state has changed.
    changed: Notify,
    /// Lanes that hold a share of it.
    shares: Cell<usize>,
}

enum State {
    /// One lane makes the connection, and the others wait.
    Opening,
    Open(SendRequest<Bytes>),
    /// The connection could not be made, for this reason, or it has ended. Nothing new begins on
    /// it.
    Gone(Option<Failure>),
}

/// The right to one stream at a time on a connection.
pub(super) struct Share {
    session: Rc<Session>,
}

impl Session {
    /// A session whose connection is being made.
    pub(super) fn opening() -> Rc<Self> {
        let (state, changed) = (RefCell::new(State::Opening), Notify::new());
        Rc::new(Self { state, changed, shares: Cell::new(0) })
    }

    /// Whether another lane may have a share, with at most `most` shares.
    pub(super) fn has_room(&self, most: usize) -> bool {
        let most = match &*self.state.borrow() {
            State::Opening => most,
            State::Open(sender) => most.min(sender.current_max_send_streams().max(1)),
            State::Gone(_) => 0,
        };
        self.shares.get() < most
    }

    pub(super) fn is_gone(&self) -> bool {
        matches!(*self.state.borrow(), State::Gone(_))
    }

    /// A share, for a lane that will wait until it is open.
    pub(super) fn share(self: &Rc<Self>) -> Share {
        self.shares.set(self.shares.get() + 1);
        Share { session: Rc::clone(self) }
    }

    fn change(&self, state: State) {
        *self.state.borrow_mut() = state;
        self.changed.notify_waiters();
    }

    /// Records that the connection failed or ended, and why.
    pub(super) fn give_up(&self, why: Option<Failure>) {
        self.change(State::Gone(why));
    }

    /// Begins HTTP/2 on a connection. A separate task drives it from then on.
    ///
    /// # Errors
    ///
    /// When the connection is lost in the meantime.
    pub(super) async fn open(self: &Rc<Self>, stream: Stream) -> Result<(), Failure> {
        let begun = Builder::new()
            .enable_push(false)
            .initial_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .max_header_list_size(MAX_HEAD_BYTES as u32)
            .handshake::<_, Bytes>(stream)
            .await;
        let (sender, connection) = begun.map_err(|error| failure(error, false))?;
        self.change(State::Open(sender));
        // The task that drives it does not keep it open. It ends with the last share, unless others
        // may come.
        let session = Rc::downgrade(self);
        tokio::task::spawn_local(async move {
            // Streams that its end cuts off get the reason themselves.
            drop(connection.await);
            if let Some(session) = session.upgrade() {
                session.give_up(None);
            }
        });
        Ok(())
    }
}

impl Share {
    /// Waits until the connection is open.
    ///
    /// # Errors
    ///
    /// When it cannot be opened: the reason, or `None` if the caller has to look for another one.
    pub(super) async fn opened(&self) -> Result<(), Option<Failure>> {
        loop {
            let changed = self.session.changed.notified();
            let mut changed = pin!(changed);
            // Registered before the check, so that no change is missed between the two.
            changed.as_mut().enable();
            match &*self.session.state.borrow() {
                State::Open(_) => return Ok(()),
                State::Gone(why) => return Err(why.as_ref().map(Failure::for_another)),
                State::Opening => {}
            }
            changed.await;
        }
    }

    /// Whether nothing new can begin on the connection.
    pub(super) fn is_gone(&self) -> bool {
        self.session.is_gone()
    }

    /// Sends `request` on a new stream and reads the response to its end.
    ///
    /// # Errors
    ///
    /// Why there is no complete response.
    pub(super) async fn exchange(
        &self,
        request: &Rendered,
        is_secure: bool,
        deadline: &mut Deadline,
        watch: &mut Stopwatch,
        observer: &mut impl Observer,
    ) -> Result<u16, Failure> {
        let sender = match &*self.session.state.borrow() {
            State::Open(sender) => Some(sender.clone()),
            _ => None,
        };
        let mut sender = sender.ok_or(Failure::Closed("before the request was sent"))?;
        let (head, body) = translate(request, is_secure).ok_or(StreamError::Unfit)?;
        let ready = deadline.limit(poll_fn(|cx| sender.poll_ready(cx))).await?;
        let begun = ready.and_then(|()| sender.send_request(head, body.is_empty()));
        let (response, upload) = begun.map_err(|error| {
            // A connection that has begun to end takes no more streams.
            self.session.give_up(None);
            failure(error, true)
        })?;
        // Dropped here, so that it does not keep open a connection that has ended.
        drop(sender);
        let mut follower = Follower::new(request.stream, observer);
        let upload = Upload { stream: upload, rest: body };
        let mut flow = Flow { upload, response: Some(response), body: None, status: 0 };
        let answered = poll_fn(|cx| flow.poll(cx, watch, deadline, &mut follower)).await;
        if let Err(Failure::Stream(StreamError::Refused(error))) = &answered
            && error.is_go_away()
        {
            self.session.give_up(None);
        }
        answered?;
        if !follower.may_end() {
            return Err(Failure::Closed("before the stream sent the requested number of events"));
        }
        Ok(flow.status)
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.session.shares.set(self.session.shares.get().saturating_sub(1));
    }
}

/// One request that is being sent, and its response. If it is dropped before its end, the stream is
/// cancelled and the connection stays open.
struct Flow {
    upload: Upload,
    /// Until the head has come.
    response: Option<ResponseFuture>,
    body: Option<RecvStream>,
    status: u16,
}

impl Flow {
    fn poll<W: Observer>(
        &mut self,
        cx: &mut Context<'_>,
        watch: &mut Stopwatch,
        deadline: &mut Deadline,
        follower: &mut Follower<'_, W>,
    ) -> Poll<Result<(), Failure>> {
        if self.upload.poll(cx).is_ready() {
            watch.sent();
        }
        if let Poll::Ready(over) = self.poll_response(cx, watch, follower) {
            return Poll::Ready(over.map_err(|error| failure(error, false)));
        }
        watch.waits();
        if follower.poll_enough(cx, deadline) {
            return Poll::Ready(Ok(()));
        }
        deadline.poll(cx).map(|()| Err(Failure::Timeout))
    }

    fn poll_response<W: Observer>(
        &mut self,
        cx: &mut Context<'_>,
        watch: &mut Stopwatch,
        follower: &mut Follower<'_, W>,
    ) -> Poll<Result<(), h2::Error>> {
        if let Some(response) = &mut self.response {
            let (head, body) = ready!(pin!(response).poll(cx))?.into_parts();
            (self.response, self.body) = (None, Some(body));
            watch.read(None);
            self.status = head.status.as_u16();
            let mut headers = Vec::with_capacity(head.headers.len());
            for (name, value) in &head.headers {
                headers.push(Header { name: name.as_str(), value: value.as_bytes() });
            }
            follower.head(self.status, &headers);
        }
        let Some(body) = &mut self.body else { return Poll::Ready(Ok(())) };
        while let Some(piece) = ready!(body.poll_data(cx)) {
            let piece = piece?;
            watch.read(None);
            follower.body(&piece);
            body.flow_control().release_capacity(piece.len())?;
        }
        Poll::Ready(Ok(()))
    }
}

/// The part of a body that is still to be sent, as the other side has room for it.
struct Upload {
    stream: SendStream<Bytes>,
    rest: Bytes,
}

impl Upload {
    /// Ready when the upload is over. The response, or its absence, reports a failure to send.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        while !self.rest.is_empty() {
            self.stream.reserve_capacity(self.rest.len());
            let room = match ready!(self.stream.poll_capacity(cx)) {
                Some(Ok(room)) => room.min(self.rest.len()),
                Some(Err(_)) | None => break,
            };
            let piece = self.rest.split_to(room);
            let is_last = self.rest.is_empty();
            if self.stream.send_data(piece, is_last).is_err() {
                break;
            }
        }
        Poll::Ready(())
    }
}

/// The HTTP/2 form of a request that was built for HTTP/1.1, and its body.
fn translate(request: &Rendered, is_secure: bool) -> Option<(Request<()>, Bytes)> {
    let mut headers = [EMPTY_HEADER; MAX_HEADERS];
    let mut parsed = httparse::Request::new(&mut headers);
    let length = match parsed.parse(&request.bytes).ok()? {
        httparse::Status::Complete(length) => length,
        httparse::Status::Partial => return None,
    };
    let host = parsed.headers.iter().find(|header| HOST == header.name)?;
    let uri = Uri::builder()
        .scheme(if is_secure { "https" } else { "http" })
        .authority(host.value)
        .path_and_query(PathAndQuery::try_from(parsed.path?).ok()?)
        .build()
        .ok()?;
    let mut head = Request::builder().method(parsed.method?).uri(uri);
    for header in parsed.headers.iter() {
        // They have no meaning in HTTP/2 and must not be sent (section 8.2.2).
        const OF_HTTP_1: [HeaderName; 4] = [
            HeaderName::from_static("keep-alive"),
            HeaderName::from_static("proxy-connection"),
            TE,
            UPGRADE,
        ];
        if OF_HTTP_1.iter().any(|name| name == header.name) {
            return None;
        }
        // HTTP/2 has `:authority` instead of `host`. The plan decides what `connection` would
        // say.
        if HOST != header.name && CONNECTION != header.name {
            head = head.header(header.name, header.value);
        }
    }
    Some((head.body(()).ok()?, request.bytes.slice(length..)))
}

/// What an error means for the request. The error may have come before the request was sent.
fn failure(error: h2::Error, is_unsent: bool) -> Failure {
    let is_refused = error.is_remote()
        && (error.reason() == Some(Reason::REFUSED_STREAM)
            || error.is_go_away() && error.reason() == Some(Reason::NO_ERROR));
    if is_unsent || is_refused {
        return StreamError::Refused(error).into();
    }
    match error.get_io() {
        Some(lost) => Failure::Lost(io::Error::new(lost.kind(), lost.to_string())),
        None => StreamError::Failed(error).into(),
    }
}
