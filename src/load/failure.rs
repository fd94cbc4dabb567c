//! Why a request has no complete response, and how that is counted.

use std::io;

use h2::Reason;
use rustls::AlertDescription;
use thiserror::Error;

use super::response::Malformed;
use crate::timeline::ResponseClass;

/// Why there is no complete response.
#[derive(Debug, Error)]
pub(super) enum Failure {
    #[error("{0}")]
    Connect(io::Error),
    #[error("{0}")]
    Proxy(NoTunnel),
    #[error("{0}")]
    Tls(io::Error),
    #[error("no response within the timeout")]
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
    /// How a request that ended this way is counted.
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
            // A TLS 1.3 server reports only after the handshake that it wants another certificate.
            Failure::Lost(error) if alert(error).is_some() => ResponseClass::Tls,
            Failure::Lost(error) => match error.kind() {
                // What the decoder of TLS records reports for invalid bytes.
                io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData => ResponseClass::Protocol,
                _ => ResponseClass::Reset,
            },
        }
    }

    /// A copy for another request that waited for the same connection.
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

    /// Whether the other side refused the request unprocessed, so that it may be sent again.
    pub(super) fn is_refused(&self) -> bool {
        matches!(self, Failure::Stream(StreamError::Refused(_)))
    }

    /// Whether the other side supports none of the offered protocols (ALPN, RFC 7301).
    pub(super) fn is_other_protocol(&self) -> bool {
        let Failure::Tls(error) = self else { return false };
        alert(error) == Some(AlertDescription::NoApplicationProtocol)
    }

    /// Whether this machine, not the target, ran out of descriptors, ports or memory for a
    /// connection.
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

/// The alert with which the other side ended TLS.
fn alert(error: &io::Error) -> Option<AlertDescription> {
    match error.get_ref()?.downcast_ref()? {
        rustls::Error::AlertReceived(alert) => Some(*alert),
        _ => None,
    }
}

/// Why there is no tunnel.
#[derive(Debug, Error)]
pub(super) enum NoTunnel {
    #[error("the proxy answers CONNECT with {0}")]
    Refused(u16),
    #[error("the proxy's answer to CONNECT is not a valid HTTP response")]
    Malformed,
    #[error("the proxy closed the connection without answering CONNECT")]
    Closed,
    #[error("the connection to the proxy was lost: {0}")]
    Lost(io::Error),
    #[error("the proxy did not answer CONNECT within the timeout")]
    Late,
}

impl NoTunnel {
    /// A copy for another request that waited for the same connection.
    pub(super) fn copied(&self) -> Self {
        match self {
            NoTunnel::Refused(code) => NoTunnel::Refused(*code),
            NoTunnel::Malformed => NoTunnel::Malformed,
            NoTunnel::Closed => NoTunnel::Closed,
            NoTunnel::Lost(error) => {
                NoTunnel::Lost(io::Error::new(error.kind(), error.to_string()))
            }
            NoTunnel::Late => NoTunnel::Late,
        }
    }
}

/// Why an HTTP/2 stream ended without a complete response.
#[derive(Debug, Error)]
pub(super) enum StreamError {
    /// The other side has not processed the request: it may be sent again (section 8.7).
    #[error("the target refused the request before processing it: {0}")]
    Refused(h2::Error),
    #[error("{0}")]
    Failed(h2::Error),
    #[error(
        "HTTP/2 does not allow the headers `te`, `upgrade`, `keep-alive` and `proxy-connection`; remove them"
    )]
    Unfit,
    #[error("the target does not speak HTTP/2 on this port")]
    OtherVersion,
}

impl StreamError {
    /// Whether the other side violated HTTP/2, and did not merely end the stream.
    pub(super) fn is_protocol(&self) -> bool {
        match self {
            StreamError::Refused(_) => false,
            StreamError::Failed(error) if error.is_remote() => {
                error.reason() == Some(Reason::HTTP_1_1_REQUIRED)
            }
            StreamError::Failed(_) | StreamError::Unfit | StreamError::OtherVersion => true,
        }
    }
}

impl From<StreamError> for Failure {
    fn from(error: StreamError) -> Self {
        Failure::Stream(error)
    }
}
