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
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use rustls_platform_verifier::BuilderVerifierExt as _;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::exchange::{Deadline, Failure, Link, Scratch};
use super::{LoadConfig, LoadError};
use crate::plan::Tls;

/// So much is read at a time at most.
const READ_BYTES: usize = 64 * 1024;

/// Where connections go, and how. Resolved once: a run measures one system.
#[derive(Clone)]
pub(super) struct Route {
    addresses: Vec<SocketAddr>,
    tls: Option<(Arc<ClientConfig>, ServerName<'static>)>,
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
        let unusable = |reason: String| LoadError::Certificates { host: url.host.clone(), reason };
        let tls = if url.https {
            let name = ServerName::try_from(url.host.clone())
                .map_err(|error| unusable(error.to_string()))?;
            Some((Arc::new(client_config(config).map_err(unusable)?), name))
        } else {
            None
        };
        Ok(Self { addresses, tls })
    }

    /// The address tried first.
    pub(super) fn first_address(&self) -> SocketAddr {
        self.addresses[0]
    }
}

fn client_config(config: &LoadConfig) -> Result<ClientConfig, String> {
    let provider = Arc::new(ring::default_provider());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?;
    let mut tls = match &config.target.tls {
        Tls::SystemRoots => builder
            .with_platform_verifier()
            .map_err(|error| error.to_string())?
            .with_no_client_auth(),
        Tls::CaFile(path) => {
            let pem = config.ca_pem.as_deref().ok_or_else(|| format!("`{path}` was not read"))?;
            let mut roots = RootCertStore::empty();
            for certificate in CertificateDer::pem_slice_iter(pem) {
                let certificate = certificate.map_err(|error| format!("`{path}`: {error}"))?;
                roots.add(certificate).map_err(|error| format!("`{path}`: {error}"))?;
            }
            if roots.is_empty() {
                return Err(format!("`{path}` has no PEM certificate in it"));
            }
            builder.with_root_certificates(roots).with_no_client_auth()
        }
        Tls::Insecure => builder
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(Unchecked(provider)))
            .with_no_client_auth(),
    };
    tls.alpn_protocols = vec![b"http/1.1".to_vec()];
    // A new connection stands for a new client, and that one pays for a whole handshake.
    tls.resumption = Resumption::disabled();
    Ok(tls)
}

/// Takes any certificate, as the plan asked for; signatures are still checked.
#[derive(Debug)]
struct Unchecked(Arc<CryptoProvider>);

impl ServerCertVerifier for Unchecked {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, cert, dss, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, cert, dss, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
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
        let tls = route.tls.as_ref().map(|(config, _)| TlsConnector::from(Arc::clone(config)));
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
            (Some(connector), Some((_, name))) => {
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
