//! Making connections: name resolution, TCP or a UNIX socket, and TLS.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustls::client::Resumption;
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::TlsConnector;

use super::config::LoadConfig;
use super::deadline::Deadline;
use super::error::LoadError;
use super::exchange::{Link, Scratch};
use super::failure::{Failure, NoTunnel, StreamError};
use super::http2::{Session, Share};
use super::nap::Patience;
use super::proxy::{connect_request, tunnel};
use super::resolve::{Host, Resolver};
use super::stopwatch::Made;
use super::stream::Stream;
use super::tcp::Tcp;
use super::tls::{H2, Security, security};
use crate::plan::{Connections, HttpVersion, Secret, Target};

/// At most this much is read at a time.
const READ_BYTES: usize = 64 * 1024;

/// Names for which a worker keeps TLS sessions. There is only one target.
const SESSIONS: usize = 8;

/// Where connections go, and how.
#[derive(Clone)]
pub(super) struct Route {
    address: Address,
    /// The request for a tunnel to the target, if a proxy has to make one first.
    tunnel: Option<Secret>,
    tls: Option<Security>,
    /// Whether TLS sessions are resumed.
    resumption: bool,
    version: HttpVersion,
    /// Maximum requests in flight on one HTTP/2 connection.
    streams: usize,
    /// Whether a connection serves more than one request.
    is_kept: bool,
}

/// What a socket is connected to.
#[derive(Clone)]
enum Address {
    Tcp(Host),
    Unix(PathBuf),
}

impl Route {
    /// Resolves the target and reads its certificates.
    ///
    /// # Errors
    ///
    /// When the host has no address, or the certificates cannot be used.
    pub(super) fn resolve(config: &LoadConfig) -> Result<Self, LoadError> {
        let target = &config.target;
        let host =
            |name: &str, port, key| Host::resolve(name, port, target.dns, key).map(Address::Tcp);
        let address = match (&target.unix_socket, &target.proxy) {
            (Some(path), _) => Address::Unix(PathBuf::from(path)),
            // The proxy resolves the name of the target.
            (None, Some(proxy)) => host(&proxy.host, proxy.port, "proxy")?,
            (None, None) => host(&target.url.host, target.url.port, "url")?,
        };
        let is_tunnelled = target.proxy.is_some() && target.url.https;
        let tunnel = is_tunnelled.then(|| connect_request(target));
        let tls = security(target, &config.pem)?;
        Ok(Self {
            address,
            tunnel,
            tls,
            resumption: target.tls.resumption,
            version: target.version,
            streams: target.streams,
            is_kept: target.connections == Connections::KeepAlive,
        })
    }
}

impl Route {
    /// The same route, but through a tunnel if there is a proxy: for connections that do not stay
    /// HTTP to their end.
    pub(super) fn tunnelled(mut self, target: &Target) -> Self {
        self.tunnel = target.proxy.is_some().then(|| connect_request(target));
        self
    }
}

/// Where connections go first: the address tried first, or the path of the socket.
impl fmt::Display for Route {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.address {
            Address::Tcp(host) => match host.first_address() {
                Some(address) => write!(f, "{address}"),
                None => f.write_str("no address"),
            },
            Address::Unix(path) => write!(f, "{}", path.display()),
        }
    }
}

/// How one worker reaches that address.
enum Dial {
    Tcp(Resolver),
    Unix(PathBuf),
}

/// Makes the connections of one worker.
pub(super) struct Connector {
    route: Route,
    dial: Dial,
    tls: Option<TlsConnector>,
    /// Index of the address that worked last. `localhost` often has two, and one of them refuses.
    preferred: Cell<usize>,
    scratch: Scratch,
    patience: Option<Rc<Patience>>,
    /// HTTP/2 connections, and those that may become such.
    sessions: RefCell<Vec<Rc<Session>>>,
    /// Whether connections are known to use HTTP/1.1.
    is_http1: Cell<bool>,
}

impl Connector {
    /// A connector that starts with the first address.
    pub(super) fn new(route: Route) -> Self {
        let tls = route.tls.as_ref().map(|Security { config, .. }| {
            let mut config = Arc::clone(config);
            if route.resumption {
                // One cache for each thread: a lock shared by all of them would cost noticeable
                // time.
                Arc::make_mut(&mut config).resumption = Resumption::in_memory_sessions(SESSIONS);
            }
            TlsConnector::from(config)
        });
        let dial = match &route.address {
            Address::Tcp(host) => Dial::Tcp(Resolver::new(host.clone())),
            Address::Unix(path) => Dial::Unix(path.clone()),
        };
        let scratch = Rc::new(RefCell::new(vec![0; READ_BYTES].into_boxed_slice()));
        let is_http1 = match route.version {
            HttpVersion::Http1 => true,
            HttpVersion::Http2 => false,
            HttpVersion::Auto => tls.is_none(),
        };
        let (preferred, is_http1) = (Cell::new(0), Cell::new(is_http1));
        let sessions = RefCell::default();
        Self { route, dial, tls, preferred, scratch, patience: None, sessions, is_http1 }
    }

    /// The same for a worker that may nap.
    pub(super) fn with_patience(self, patience: Option<Rc<Patience>>) -> Self {
        Self { patience, ..self }
    }

    /// The name of the other side: the address `peer`, or the route if there is none.
    pub(super) fn name(&self, peer: Option<SocketAddr>) -> String {
        peer.map_or_else(|| self.route.to_string(), |peer| peer.to_string())
    }

    /// A connection, ready for a request: a new one, or a share of an HTTP/2 connection with room.
    ///
    /// # Errors
    ///
    /// [`Failure::Connect`] with the error of the last address, or [`Failure::Tls`]. These are also
    /// returned when the deadline passes: which of the two steps it was says more than a timeout.
    pub(super) async fn connect(&self, deadline: &mut Deadline) -> Result<Link, Failure> {
        while !self.is_http1.get() {
            let is_secure = self.tls.is_some();
            let share = match self.room() {
                Ok(share) => share,
                Err(session) => {
                    let opened = self.open_session(&session, deadline).await;
                    if let Err(failure) = &opened {
                        session.give_up(Some(failure.for_another()));
                    }
                    if let Some((share, peer, made)) = opened? {
                        return Ok(Link::shared(share, is_secure, peer, Some(made)));
                    }
                    continue;
                }
            };
            match deadline.limit(share.opened()).await? {
                Ok(()) => return Ok(Link::shared(share, is_secure, None, None)),
                Err(Some(failure)) => return Err(failure),
                // It has ended, or it is not an HTTP/2 connection.
                Err(None) => {}
            }
        }
        let (stream, peer, made) = self.make(deadline).await?;
        Ok(Link::new(stream, Rc::clone(&self.scratch), self.patience.clone(), peer, made))
    }

    /// A share of a connection that has room, or else a new one to be opened.
    fn room(&self) -> Result<Share, Rc<Session>> {
        let mut sessions = self.sessions.borrow_mut();
        sessions.retain(|session| !session.is_gone());
        if let Some(session) = sessions.iter().find(|it| it.has_room(self.route.streams)) {
            return Ok(session.share());
        }
        let session = Session::opening();
        if self.route.is_kept {
            sessions.push(Rc::clone(&session));
        }
        Err(session)
    }

    /// Makes the connection that others may already wait for. `None` if it turns out to use
    /// HTTP/1.1 and that is acceptable.
    async fn open_session(
        &self,
        session: &Rc<Session>,
        deadline: &mut Deadline,
    ) -> Result<Option<(Share, Option<SocketAddr>, Made)>, Failure> {
        let share = session.share();
        let is_wanted = self.route.version == HttpVersion::Http2;
        let (stream, peer, made) = match self.make(deadline).await {
            Err(failure) if is_wanted && failure.is_other_protocol() => {
                return Err(StreamError::OtherVersion.into());
            }
            made => made?,
        };
        if let Stream::Tls(tls) = &stream
            && tls.get_ref().1.alpn_protocol() != Some(H2)
        {
            if is_wanted {
                return Err(StreamError::OtherVersion.into());
            }
            self.is_http1.set(true);
            session.give_up(None);
            return Ok(None);
        }
        deadline.limit(session.open(stream)).await??;
        Ok(Some((share, peer, made)))
    }

    /// A new connection, and how long it took.
    ///
    /// # Errors
    ///
    /// Those of [`Connector::connect`].
    pub(super) async fn make(
        &self,
        deadline: &mut Deadline,
    ) -> Result<(Stream, Option<SocketAddr>, Made), Failure> {
        let begun = Instant::now();
        let socket = deadline.limit(self.open()).await;
        let socket = socket.unwrap_or_else(|_| Err(late_error()));
        let Socket { stream: mut socket, peer, dns_time } = socket.map_err(Failure::Connect)?;
        if let Some(request) = &self.route.tunnel {
            let made = deadline.limit(tunnel(&mut socket, request)).await;
            made.unwrap_or(Err(NoTunnel::Late)).map_err(Failure::Proxy)?;
        }
        let connected = Instant::now();
        let stream = match (&self.tls, &self.route.tls) {
            (Some(connector), Some(Security { name, .. })) => {
                let connected = deadline.limit(connector.connect(name.clone(), socket)).await;
                let connected = connected.unwrap_or_else(|_| Err(late_error()));
                Stream::Tls(Box::new(connected.map_err(Failure::Tls)?))
            }
            _ => socket,
        };
        let end = Instant::now();
        let tls_time = self.tls.is_some().then(|| end - connected);
        let connect_time = end - begun - dns_time.unwrap_or_default();
        let made = Made { dns_time, connect_time, tls_time };
        Ok((stream, peer, made))
    }

    async fn open(&self) -> io::Result<Socket> {
        match &self.dial {
            Dial::Tcp(resolver) => {
                let (addresses, dns_time) = resolver.addresses().await?;
                let tcp = Tcp::new(self.open_tcp(&addresses).await?, self.patience.clone())?;
                let peer = tcp.peer_addr()?;
                Ok(Socket { stream: Stream::Tcp(tcp), peer: Some(peer), dns_time })
            }
            Dial::Unix(path) => match UnixStream::connect(path).await {
                Ok(unix) => Ok(Socket { stream: Stream::Unix(unix), peer: None, dns_time: None }),
                // When the queue is full, TCP drops the attempt and the client tries again. A UNIX
                // socket reports an error instead (unix(7): EAGAIN).
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    Err(io::Error::new(error.kind(), "the accept queue of the socket is full"))
                }
                Err(error) => Err(error),
            },
        }
    }

    async fn open_tcp(&self, addresses: &[SocketAddr]) -> io::Result<TcpStream> {
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

/// A connected socket.
struct Socket {
    stream: Stream,
    /// The address of the other side, if it has one.
    peer: Option<SocketAddr>,
    /// How long the name resolution took, if there was one.
    dns_time: Option<Duration>,
}

fn late_error() -> io::Error {
    io::Error::new(io::ErrorKind::TimedOut, "no connection within the timeout")
}
