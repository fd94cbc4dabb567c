//! What the shop and the payments service share: an HTTP/1.1 server on the loopback address.

use std::convert::Infallible;
use std::fmt::Display;
use std::io::{self, Write};
use std::net::Ipv4Addr;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use serde::Serialize;
use tokio::net::{TcpListener, TcpSocket, UnixListener, UnixStream};

use super::pipe::{Listening, PORT_VARIABLE, tell};
use super::system::Listen;

/// The response of a handler.
pub(super) type Answer = Response<Full<Bytes>>;

/// Length of the accept queue if a service does not set it.
const USUAL_BACKLOG: u32 = 1024;

/// Listens on the port of the loopback address that the guard names, or on a free one, and tells the
/// guard the port.
pub(super) fn listen(backlog: u32) -> io::Result<TcpListener> {
    let port = std::env::var(PORT_VARIABLE).ok().and_then(|port| port.parse().ok());
    let socket = TcpSocket::new_v4()?;
    // Connections of the shop that listened here before may still be closing.
    socket.set_reuseaddr(true)?;
    socket.bind((Ipv4Addr::LOCALHOST, port.unwrap_or(0)).into())?;
    let listener = socket.listen(backlog)?;
    tell(&Listening { port: listener.local_addr()?.port() })?;
    Ok(listener)
}

/// Listens with the usual settings, and answers with `handle` until the process is stopped.
pub(super) async fn serve<S, F, A>(state: Arc<S>, handle: F) -> io::Result<()>
where
    S: Send + Sync + 'static,
    F: Fn(Arc<S>, Request<Incoming>) -> A + Clone + Send + Sync + 'static,
    A: Future<Output = Answer> + Send + 'static,
{
    let usual = Listen {
        backlog: USUAL_BACKLOG,
        accept_time: Duration::ZERO,
        accept_pause: None,
        keep_alive: true,
    };
    serve_as(usual, None, state, handle).await
}

/// Listens with the settings `listen`, and at the path `socket`, tells the guard the port, and answers
/// with `handle` until the process is stopped.
pub(super) async fn serve_as<S, F, A>(
    listen: Listen,
    socket: Option<&Path>,
    state: Arc<S>,
    handle: F,
) -> io::Result<()>
where
    S: Send + Sync + 'static,
    F: Fn(Arc<S>, Request<Incoming>) -> A + Clone + Send + Sync + 'static,
    A: Future<Output = Answer> + Send + 'static,
{
    let unix = socket.map(UnixListener::bind).transpose()?;
    let listener = self::listen(listen.backlog)?;
    let mut accepted: u64 = 0;
    loop {
        if let Some((every, pause)) = listen.accept_pause
            && accepted % every == every - 1
        {
            tokio::time::sleep(pause).await;
        }
        accepted += 1;
        if !listen.accept_time.is_zero() {
            tokio::time::sleep(listen.accept_time).await;
        }
        let (state, handle) = (Arc::clone(&state), handle.clone());
        let service = service_fn(move |request| {
            let answer = handle(Arc::clone(&state), request);
            async move { Ok::<_, Infallible>(answer.await) }
        });
        let mut builder = http1::Builder::new();
        builder.timer(TokioTimer::new()).keep_alive(listen.keep_alive);
        // A connection that the client closes early is not an error of the server.
        let is_accepted = tokio::select! {
            tcp = listener.accept() => tcp.map(|(stream, _)| {
                // Fails if the client has closed the connection; serving it will show that too.
                let _set = stream.set_nodelay(true).is_ok();
                tokio::spawn(builder.serve_connection(TokioIo::new(stream), service));
            }),
            unix = accept(unix.as_ref()) => unix.map(|stream| {
                tokio::spawn(builder.serve_connection(TokioIo::new(stream), service));
            }),
        };
        // Accepting fails for a single connection, or because there are no descriptors until some
        // are closed.
        if is_accepted.is_err() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

/// The next connection to a UNIX socket; never, if there is none.
async fn accept(listener: Option<&UnixListener>) -> io::Result<UnixStream> {
    match listener {
        Some(listener) => Ok(listener.accept().await?.0),
        None => std::future::pending().await,
    }
}

/// A JSON response.
pub(super) fn json(status: StatusCode, body: &impl Serialize) -> Answer {
    let bytes = serde_json::to_vec(body).unwrap_or_default();
    answer(status, "application/json", bytes)
}

/// A plain text response, for errors.
pub(super) fn text(status: StatusCode, body: impl Display) -> Answer {
    answer(status, "text/plain; charset=utf-8", body.to_string())
}

/// A response with a body of this type.
pub(super) fn answer(
    status: StatusCode,
    content_type: &'static str,
    body: impl Into<Bytes>,
) -> Answer {
    let mut answer = Response::new(Full::new(body.into()));
    *answer.status_mut() = status;
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    answer
}

/// Ends a service's main function; a failure goes to standard error, which is the log.
pub(super) fn exit(service: &str, outcome: io::Result<()>) -> ExitCode {
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _logged = writeln!(io::stderr(), "{service}: {error}").is_ok();
            ExitCode::FAILURE
        }
    }
}
