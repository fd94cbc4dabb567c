//! A plain proxy in front of one backend. Over TCP it forwards every connection, byte by byte. Over a
//! UNIX socket it forwards every request, on a connection of its own.

use std::convert::Infallible;
use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use http_body_util::Either;
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use serde::{Deserialize, Serialize};
use tokio::io::copy_bidirectional;
use tokio::net::{TcpStream, UnixStream};

use super::{pipe, process, server};

/// First argument of the proxy process.
pub(super) const ENTRY: &str = "__demo-proxy";

/// Settings of the proxy process.
#[derive(Serialize, Deserialize)]
pub(super) struct Settings {
    /// Where it forwards to.
    pub backend: Backend,
}

/// What a proxy forwards to.
#[derive(Clone, Serialize, Deserialize)]
pub(super) enum Backend {
    /// `address:port`
    Tcp(String),
    /// The path of a UNIX socket.
    Unix(PathBuf),
}

/// The proxy process.
pub(super) fn main() -> ExitCode {
    process::set_name("proxy");
    server::exit("proxy", run())
}

fn run() -> io::Result<()> {
    let settings: Settings = pipe::read_settings()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let listener = server::listen(1024)?;
        loop {
            let (client, _) = listener.accept().await?;
            let backend = settings.backend.clone();
            tokio::spawn(async move {
                client.set_nodelay(true)?;
                match backend {
                    // When one side ends a connection early, the other side ends too.
                    Backend::Tcp(backend) => relay(client, &backend).await,
                    Backend::Unix(backend) => forward(client, backend.into()).await,
                }
            });
        }
    })
}

async fn relay(mut client: TcpStream, backend: &str) -> io::Result<()> {
    let mut backend = TcpStream::connect(backend).await?;
    backend.set_nodelay(true)?;
    copy_bidirectional(&mut client, &mut backend).await?;
    Ok(())
}

/// Forwards the requests of one client.
async fn forward(client: TcpStream, backend: Arc<Path>) -> io::Result<()> {
    let service = service_fn(move |request| {
        let backend = Arc::clone(&backend);
        async move {
            let answer = call(&backend, request).await;
            Ok::<_, Infallible>(match answer {
                Ok(answer) => answer.map(Either::Left),
                Err(error) => server::text(StatusCode::BAD_GATEWAY, error).map(Either::Right),
            })
        }
    });
    let connection = hyper::server::conn::http1::Builder::new();
    connection.serve_connection(TokioIo::new(client), service).await.map_err(io::Error::other)
}

/// Sends one request over a new connection, which ends with the answer.
async fn call(backend: &Path, request: Request<Incoming>) -> io::Result<Response<Incoming>> {
    let stream = UnixStream::connect(backend).await?;
    let (mut sender, connection) =
        http1::handshake(TokioIo::new(stream)).await.map_err(io::Error::other)?;
    tokio::spawn(connection);
    sender.send_request(request).await.map_err(io::Error::other)
}
