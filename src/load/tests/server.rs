//! Servers to test against: one that speaks HTTP, and raw ones that misbehave.

use std::cell::Cell;
use std::collections::HashMap;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::rc::Rc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use rustls::pki_types::PrivateKeyDer;
use rustls::server::WebPkiClientVerifier;
use rustls::{HandshakeKind, RootCertStore};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpSocket;
use tokio_rustls::TlsAcceptor;

/// A request as a server saw it: method, path and query, body, and kneepoint's mark.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Seen {
    pub method: String,
    pub path: String,
    pub body: String,
    pub mark: Option<String>,
    pub cookie: Option<String>,
    pub authorization: Option<String>,
}

/// An HTTP server on a separate thread, for as long as the test process lives. `respond` gets each
/// request. It may block, which stops the whole server.
pub fn http(respond: impl Fn(Seen) -> Response<Full<Bytes>> + Send + 'static) -> SocketAddr {
    serve(respond, None)
}

/// The same on a UNIX socket.
pub fn http_at(path: &Path, respond: impl Fn(Seen) -> Response<Full<Bytes>> + Send + 'static) {
    let listener = std::os::unix::net::UnixListener::bind(path).unwrap();
    listener.set_nonblocking(true).unwrap();
    thread::spawn(move || {
        let respond = Rc::new(respond);
        runtime().block_on(async move {
            let listener = tokio::net::UnixListener::from_std(listener).unwrap();
            loop {
                let (unix, _) = listener.accept().await.unwrap();
                let respond = respond.clone();
                tokio::task::spawn_local(async move {
                    let service = service_fn(|request| answer(request, &*respond));
                    let http = http1::Builder::new();
                    drop(http.serve_connection(TokioIo::new(unix), service).await);
                });
            }
        });
    });
}

/// A server on a separate thread, for as long as the test process lives. `speak` handles each
/// connection.
pub fn accept<F: Future<Output = ()> + 'static>(
    speak: impl Fn(tokio::net::TcpStream) -> F + Send + 'static,
) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    listener.set_nonblocking(true).unwrap();
    thread::spawn(move || {
        runtime().block_on(async move {
            let listener = tokio::net::TcpListener::from_std(listener).unwrap();
            loop {
                let (tcp, _) = listener.accept().await.unwrap();
                tcp.set_nodelay(true).unwrap();
                tokio::task::spawn_local(speak(tcp));
            }
        });
    });
    address
}

/// Answers the requests of one HTTP/1.1 connection.
pub async fn speak_http1(
    io: impl AsyncRead + AsyncWrite + Unpin,
    respond: &impl Fn(Seen) -> Response<Full<Bytes>>,
) {
    let service = service_fn(|request| answer(request, respond));
    // The server ignores clients that disconnect.
    drop(http1::Builder::new().serve_connection(TokioIo::new(io), service).await);
}

fn runtime() -> tokio::runtime::LocalRuntime {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build_local(tokio::runtime::LocalOptions::default())
        .unwrap()
}

/// The same over TLS, and the PEM text of its certificate, which is for `localhost`.
pub fn https(
    respond: impl Fn(Seen) -> Response<Full<Bytes>> + Send + 'static,
) -> (SocketAddr, String) {
    let (acceptor, pem) = acceptor(None, &[]);
    (serve(respond, Some((acceptor, Arc::default()))), pem)
}

/// The same, for clients with one of these certificates, or for all clients. Counts the connections
/// that resumed a session.
pub fn https_for(
    clients: Option<RootCertStore>,
    respond: impl Fn(Seen) -> Response<Full<Bytes>> + Send + 'static,
) -> (SocketAddr, String, Arc<AtomicUsize>) {
    let (acceptor, pem) = acceptor(clients, &[]);
    let resumed = Arc::new(AtomicUsize::new(0));
    (serve(respond, Some((acceptor, Arc::clone(&resumed)))), pem, resumed)
}

/// A certificate and its private key.
pub type Certified = (rustls::pki_types::CertificateDer<'static>, Vec<u8>);

/// A server of HTTPS with this certificate.
pub fn https_with(
    certified: Certified,
    respond: impl Fn(Seen) -> Response<Full<Bytes>> + Send + 'static,
) -> SocketAddr {
    let (certificate, key) = certified;
    let acceptor = acceptor_with(certificate, key, None, &[]);
    serve(respond, Some((acceptor, Arc::default())))
}

/// TLS with a certificate for `localhost`, whose PEM text is also returned. `offers` are the
/// supported protocols, by their names in ALPN.
pub fn acceptor(clients: Option<RootCertStore>, offers: &[&str]) -> (TlsAcceptor, String) {
    let certified = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let key = certified.signing_key.serialize_der();
    let acceptor = acceptor_with(certified.cert.der().clone(), key, clients, offers);
    (acceptor, certified.cert.pem())
}

fn acceptor_with(
    certificate: rustls::pki_types::CertificateDer<'static>,
    key: Vec<u8>,
    clients: Option<RootCertStore>,
    offers: &[&str],
) -> TlsAcceptor {
    let key = PrivateKeyDer::try_from(key).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = rustls::ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .unwrap();
    let builder = match clients {
        None => builder.with_no_client_auth(),
        Some(roots) => builder.with_client_cert_verifier(
            WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build().unwrap(),
        ),
    };
    let mut config = builder.with_single_cert(vec![certificate], key).unwrap();
    config.alpn_protocols = offers.iter().map(|offer| offer.as_bytes().to_vec()).collect();
    TlsAcceptor::from(Arc::new(config))
}

fn serve(
    respond: impl Fn(Seen) -> Response<Full<Bytes>> + Send + 'static,
    tls: Option<(TlsAcceptor, Arc<AtomicUsize>)>,
) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    listener.set_nonblocking(true).unwrap();
    thread::spawn(move || {
        let respond = Rc::new(respond);
        runtime().block_on(async move {
            let listener = tokio::net::TcpListener::from_std(listener).unwrap();
            loop {
                let (tcp, _) = listener.accept().await.unwrap();
                tcp.set_nodelay(true).unwrap();
                let (respond, tls) = (respond.clone(), tls.clone());
                tokio::task::spawn_local(async move {
                    let service = service_fn(|request| answer(request, &*respond));
                    let http = http1::Builder::new();
                    // The server ignores clients that disconnect.
                    match tls {
                        None => drop(http.serve_connection(TokioIo::new(tcp), service).await),
                        Some((acceptor, resumed)) => {
                            if let Ok(tls) = acceptor.accept(tcp).await {
                                let kind = tls.get_ref().1.handshake_kind();
                                if kind == Some(HandshakeKind::Resumed) {
                                    resumed.fetch_add(1, Ordering::SeqCst);
                                }
                                drop(http.serve_connection(TokioIo::new(tls), service).await);
                            }
                        }
                    }
                });
            }
        });
    });
    address
}

async fn answer(
    request: Request<Incoming>,
    respond: &impl Fn(Seen) -> Response<Full<Bytes>>,
) -> Result<Response<Full<Bytes>>, hyper::Error> {
    let (head, body) = request.into_parts();
    let body = body.collect().await?.to_bytes();
    let header = |name| head.headers.get(name).map(|value| value.to_str().unwrap().to_owned());
    Ok(respond(Seen {
        method: head.method.to_string(),
        path: head.uri.to_string(),
        body: String::from_utf8_lossy(&body).into_owned(),
        mark: header("x-kneepoint"),
        cookie: header("cookie"),
        authorization: header("authorization"),
    }))
}

/// A response with a status and a short body.
pub fn status(code: u16) -> Response<Full<Bytes>> {
    Response::builder().status(code).body(Full::new(Bytes::from_static(b"hello"))).unwrap()
}

/// A server that passes each connection to `behave`, with what the client sent first, on a separate
/// thread. Returns its address and the number of connections accepted so far.
pub fn raw(
    behave: impl Fn(&mut TcpStream) + Send + Sync + 'static,
) -> (SocketAddr, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let taken = Arc::new(AtomicUsize::new(0));
    let (behave, count) = (Arc::new(behave), Arc::clone(&taken));
    thread::spawn(move || {
        for connection in listener.incoming() {
            let mut connection = connection.unwrap();
            count.fetch_add(1, Ordering::SeqCst);
            let behave = Arc::clone(&behave);
            thread::spawn(move || behave(&mut connection));
        }
    });
    (address, taken)
}

/// A port that refuses connections for as long as the socket lives: no other process can use it,
/// and nobody listens.
pub fn refusing() -> (TcpSocket, SocketAddr) {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let address = socket.local_addr().unwrap();
    (socket, address)
}

/// Reads one request without a body. `false` if the client has disconnected.
pub fn read_request(connection: &mut TcpStream) -> bool {
    let mut seen = Vec::new();
    let mut byte = [0; 1024];
    while !seen.ends_with(b"\r\n\r\n") {
        match connection.read(&mut byte) {
            Ok(0) | Err(_) => return false,
            Ok(count) => seen.extend_from_slice(&byte[..count]),
        }
    }
    true
}

/// Answers one request with `text`, and closes.
pub fn once(text: &'static str) -> impl Fn(&mut TcpStream) + Send + Sync + 'static {
    move |connection| {
        if read_request(connection) {
            drop(connection.write_all(text.as_bytes()));
        }
    }
}

/// When each request was answered, by its path.
pub type Answers = Arc<Mutex<HashMap<String, Instant>>>;

/// Sleeps for `stall` in every `period`, on the server's thread, and logs its answers.
pub fn stall_now_and_then(period: Duration, stall: Duration) -> (SocketAddr, Answers) {
    let log = Answers::default();
    let (kept, next) = (Arc::clone(&log), Cell::new(Instant::now() + period / 2));
    let address = http(move |request| {
        if Instant::now() >= next.get() {
            thread::sleep(stall);
            next.set(next.get() + period);
        }
        kept.lock().unwrap().insert(request.path, Instant::now());
        status(200)
    });
    (address, log)
}
