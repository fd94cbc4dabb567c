//! Making connections: name resolution, TCP and TLS.

use std::cell::{Cell, RefCell};
use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use rustls::client::Resumption;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::exchange::{Deadline, Failure, Link, Scratch};
use super::tls::{Security, security};
use super::{LoadConfig, LoadError};

/// So much is read at a time at most.
const READ_BYTES: usize = 64 * 1024;

/// Names for which a worker keeps TLS sessions; there is one target.
const SESSIONS: usize = 8;

/// Where connections go, and how. Resolved once: a run measures one system.
#[derive(Clone)]
pub(super) struct Route {
    addresses: Vec<SocketAddr>,
    tls: Option<Security>,
    /// Whether TLS sessions are resumed.
    resumption: bool,
}

impl Route {
    /// Resolves the target and reads its certificates.
    ///
    /// # Errors
    ///
    /// When the host has no address, or the certificates are of no use.
    pub(super) fn resolve(config: &LoadConfig) -> Result<Self, LoadError> {
        let url = &config.target.url;
        let failed = |reason: String| LoadError::Resolve { host: url.host.clone(), reason };
        let addresses: Vec<SocketAddr> = (url.host.as_str(), url.port)
            .to_socket_addrs()
            .map_err(|error| failed(error.to_string()))?
            .collect();
        if addresses.is_empty() {
            return Err(failed("it has no address".to_owned()));
        }
        let tls = security(&config.target, &config.pem)?;
        Ok(Self { addresses, tls, resumption: config.target.tls.resumption })
    }

    /// The address tried first.
    pub(super) fn first_address(&self) -> SocketAddr {
        self.addresses[0]
    }
}

/// Makes the connections of one worker.
pub(super) struct Connector {
    route: Route,
    tls: Option<TlsConnector>,
    /// Index of the address that worked last: `localhost` is often two, one of them refused.
    preferred: Cell<usize>,
    scratch: Scratch,
}

impl Connector {
    /// A connector that starts with the first address.
    pub(super) fn new(route: Route) -> Self {
        let tls = route.tls.as_ref().map(|Security { config, .. }| {
            let mut config = Arc::clone(config);
            if route.resumption {
                // One thread's own: a lock that all of them share would be felt.
                Arc::make_mut(&mut config).resumption = Resumption::in_memory_sessions(SESSIONS);
            }
            TlsConnector::from(config)
        });
        let scratch = Rc::new(RefCell::new(vec![0; READ_BYTES].into_boxed_slice()));
        Self { route, tls, preferred: Cell::new(0), scratch }
    }

    /// A new connection, ready for its first request.
    ///
    /// # Errors
    ///
    /// [`Failure::Connect`] with what the last address said, or [`Failure::Tls`]; also when the
    /// deadline passes, because which of the two it was says more than that it took long.
    pub(super) async fn connect(&self, deadline: &mut Deadline) -> Result<Link, Failure> {
        let begun = Instant::now();
        let tcp = deadline.limit(self.connect_tcp()).await;
        let tcp = tcp.unwrap_or_else(|_| Err(late_error()));
        let tcp = tcp.map_err(Failure::Connect)?;
        let peer = tcp.peer_addr().map_err(Failure::Connect)?;
        let stream = match (&self.tls, &self.route.tls) {
            (Some(connector), Some(Security { name, .. })) => {
                let connected = deadline.limit(connector.connect(name.clone(), tcp)).await;
                let connected = connected.unwrap_or_else(|_| Err(late_error()));
                Stream::Tls(Box::new(connected.map_err(Failure::Tls)?))
            }
            _ => Stream::Plain(tcp),
        };
        Ok(Link::new(stream, Rc::clone(&self.scratch), peer, begun.elapsed()))
    }

    async fn connect_tcp(&self) -> io::Result<TcpStream> {
        let addresses = &self.route.addresses;
        let first = self.preferred.get();
        let mut last = None;
        for step in 0..addresses.len() {
            let index = (first + step) % addresses.len();
            match TcpStream::connect(addresses[index]).await {
                Ok(tcp) => {
                    self.preferred.set(index);
                    tcp.set_nodelay(true)?;
                    return Ok(tcp);
                }
                Err(error) => last = Some(error),
            }
        }
        Err(last.unwrap_or_else(|| io::Error::from(io::ErrorKind::AddrNotAvailable)))
    }
}

fn late_error() -> io::Error {
    io::Error::new(io::ErrorKind::TimedOut, "not within the timeout")
}

/// A connection's bytes, in clear.
pub(super) enum Stream {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

/// Calls the same method of whichever stream it is.
macro_rules! on_stream {
    ($stream:expr, $method:ident $(, $argument:expr)*) => {
        match $stream {
            Stream::Plain(tcp) => Pin::new(tcp).$method($($argument),*),
            Stream::Tls(tls) => Pin::new(tls.as_mut()).$method($($argument),*),
        }
    };
}

impl Stream {
    /// Reads to the begin of `room`; how many bytes, zero at the end.
    pub(super) fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        room: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        let mut buffer = ReadBuf::new(room);
        let polled = on_stream!(self, poll_read, cx, &mut buffer);
        polled.map_ok(|()| buffer.filled().len())
    }

    /// Writes what there is room for.
    pub(super) fn poll_write(
        &mut self,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        on_stream!(self, poll_write, cx, bytes)
    }

    /// Passes on what TLS holds back.
    pub(super) fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        on_stream!(self, poll_flush, cx)
    }
}
