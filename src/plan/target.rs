//! Where the requests go, and over what connections.

use std::fmt;
use std::time::Duration;

use serde::Serialize;

use super::{Retries, Reuse, Secret, Storm};

/// The system under test.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Target {
    /// Base address; request paths are appended to it.
    pub url: TargetUrl,
    /// Whether connections are kept.
    pub connections: Connections,
    /// Connections of the open model at most, as a client's pool has it: what is due beyond them
    /// waits, and is counted as backlog. `max_in_flight` bounds them too. Virtual users have one
    /// connection each, whatever this says.
    pub max_connections: Option<usize>,
    /// When a kept connection is closed.
    pub reuse: Reuse,
    /// When the name of the host, or of the proxy, is resolved; an address never is.
    pub dns: Dns,
    /// How a request that failed is asked again; not at all where `None`.
    pub retries: Option<Retries>,
    /// Lets go of connections at one moment, to see them come back. One with a request in flight
    /// is let go of after the response, so that nothing fails that the target would have answered.
    pub storm: Option<Storm>,
    /// After this long without a complete response a request has failed.
    pub timeout: Duration,
    /// How certificates are checked; of no effect for `http`.
    pub tls: Tls,
    /// Path of the UNIX socket that the target listens on, as for `curl --unix-socket`: then no
    /// TCP connection is made, and `url` only says `http` or `https`, the `Host` header and the
    /// base path. Relative to the plan.
    pub unix_socket: Option<String>,
    /// Which HTTP is spoken.
    pub version: HttpVersion,
    /// Requests in flight at most on one connection of HTTP/2, above zero; fewer where the target
    /// allows fewer. One stands for clients that share nothing. Of no effect for HTTP/1.1.
    pub streams: usize,
    /// The proxy that requests go through. Variables of the environment such as `HTTP_PROXY` are
    /// never looked at: a load is made where the plan says.
    pub proxy: Option<Proxy>,
}

/// An HTTP proxy. It is asked for `http` targets with the whole address in each request, and for
/// a tunnel (CONNECT) to those of `https`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Proxy {
    /// Host name or address (IPv6 without brackets).
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// `user:password` as they are, with no escapes.
    pub credentials: Option<Secret>,
}

/// An `http` or `https` address taken apart.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TargetUrl {
    /// Whether the connection is TLS.
    pub https: bool,
    /// Host name or address (IPv6 without brackets).
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// Path that stands before every request's path; empty or `/base`, never with a trailing `/`.
    pub base_path: String,
}

impl TargetUrl {
    /// `host:port` as an `authority` or `Host` header has it: default ports are left out.
    pub fn authority(&self) -> String {
        let host = self.bracketed_host();
        match (self.https, self.port) {
            (false, 80) | (true, 443) => host,
            (_, port) => format!("{host}:{port}"),
        }
    }

    fn bracketed_host(&self) -> String {
        if self.host.contains(':') { format!("[{}]", self.host) } else { self.host.clone() }
    }
}

impl fmt::Display for TargetUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.https { "https" } else { "http" };
        write!(f, "{scheme}://{}{}", self.authority(), self.base_path)
    }
}

/// Which HTTP is spoken with the target.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum HttpVersion {
    /// One request at a time on a connection.
    #[serde(rename = "http/1.1")]
    Http1,
    /// HTTP/2 and nothing else: agreed upon by ALPN over TLS, taken for granted without it (prior
    /// knowledge, RFC 9113, section 3.3).
    #[serde(rename = "http/2")]
    Http2,
    /// What the target prefers of both (ALPN); HTTP/1.1 without TLS.
    #[serde(rename = "auto")]
    Auto,
}

/// When a name is resolved. Who waits for an answer waits at the client, which is measured apart
/// from what it takes to connect. Where there is none, the connection could not be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Dns {
    /// Before the load, and never again.
    Once,
    /// For each connection.
    PerConnection,
    /// For a connection that is made so long after the last answer, or later.
    Every(Duration),
}

/// How connections are used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Connections {
    /// Connections are used again and again.
    KeepAlive,
    /// Each request makes a connection of its own.
    PerRequest,
}

/// What both sides of a TLS connection show, and what is checked of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Tls {
    /// How the target's certificate is checked.
    pub trust: Trust,
    /// The certificate that is shown to the target, where it asks for one.
    pub identity: Option<Identity>,
    /// Whether a new connection resumes the TLS session of one before it, as the same client
    /// coming back does. Otherwise each stands for a new client and makes a whole handshake.
    pub resumption: bool,
    /// The name that is asked for (SNI) and that the certificate has to be for; the host of the
    /// target's address where `None`. The `Host` header stays that of the address.
    pub server_name: Option<String>,
}

impl Tls {
    /// What a target gets whose plan says nothing of it.
    pub fn usual() -> Self {
        let trust = Trust::SystemRoots;
        Self { trust, identity: None, resumption: false, server_name: None }
    }
}

/// How the target's certificate is checked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Trust {
    /// Against the system's roots.
    SystemRoots,
    /// Against the certificates of this PEM file.
    CaFile(String),
    /// Not at all.
    Insecure,
}

/// A client certificate, in PEM files. Paths are relative to the plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Identity {
    /// The certificate, followed by those that lead to its root.
    pub cert_file: String,
    /// Its private key, without a passphrase.
    pub key_file: String,
}
