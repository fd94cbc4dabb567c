//! Where requests go, and over which connections.

use std::fmt;
use std::time::Duration;

use serde::Serialize;

use super::{ReconnectStorm, Retries, Reuse, Secret};

/// The system under test.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Target {
    /// Base URL. The paths of requests are appended to it.
    pub url: TargetUrl,
    /// Whether connections are kept.
    pub connections: Connections,
    /// Connections of the open model at most, like a client's connection pool. Further requests
    /// wait, and count as backlog. `max_in_flight` limits connections too. Virtual users always
    /// have one connection each.
    pub max_connections: Option<usize>,
    /// When to close a kept connection.
    pub reuse: Reuse,
    /// When to resolve the name of the host or of the proxy. An IP address is never resolved.
    pub dns: Dns,
    /// How to retry a failed request; `None` for no retries.
    pub retries: Option<Retries>,
    /// Drops many connections at once, to watch clients reconnect. A connection with a request in
    /// flight is dropped after the response, so that no request fails because of it.
    pub storm: Option<ReconnectStorm>,
    /// A request without a complete response after this time has failed.
    pub timeout: Duration,
    /// How to check certificates; unused for `http`.
    pub tls: Tls,
    /// Path of the UNIX socket that the target listens on, relative to the plan, as for `curl
    /// --unix-socket`. Then no TCP connection is made, and `url` only sets `http` or `https`, the
    /// `Host` header and the base path.
    pub unix_socket: Option<String>,
    /// Version of HTTP.
    pub version: HttpVersion,
    /// Requests in flight on one HTTP/2 connection at most, above zero; fewer if the target allows
    /// fewer. 1 models clients that do not share connections. Unused for HTTP/1.1.
    pub streams: usize,
    /// The proxy that requests go through. Environment variables such as `HTTP_PROXY` are ignored:
    /// only the plan decides where the load goes.
    pub proxy: Option<Proxy>,
}

/// An HTTP proxy. Requests to an `http` target name the whole URL; an `https` target is reached
/// through a tunnel (CONNECT).
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Proxy {
    /// Host name or address (IPv6 without brackets).
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// `user:password`, without percent-encoding.
    pub credentials: Option<Secret>,
}

/// The parts of an `http` or `https` URL.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TargetUrl {
    /// Whether the connection is TLS.
    pub https: bool,
    /// Host name or address (IPv6 without brackets).
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// Path in front of the path of every request: empty or `/base`, without a trailing `/`.
    pub base_path: String,
}

impl TargetUrl {
    /// `host:port` as in a `Host` header, without a default port.
    pub fn authority(&self) -> String {
        let host = self.bracketed_host();
        match (self.https, self.port) {
            (false, 80) | (true, 443) => host,
            (_, port) => format!("{host}:{port}"),
        }
    }

    /// `host:port`, whatever the port.
    pub fn with_port(&self) -> String {
        format!("{}:{}", self.bracketed_host(), self.port)
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

/// Version of HTTP to use with the target.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum HttpVersion {
    /// HTTP/1.1: one request at a time on a connection.
    #[serde(rename = "http/1.1")]
    Http1,
    /// Only HTTP/2: negotiated with ALPN over TLS, and with prior knowledge without TLS (RFC 9113,
    /// section 3.3).
    #[serde(rename = "http/2")]
    Http2,
    /// The version that the target prefers (ALPN); HTTP/1.1 without TLS.
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
