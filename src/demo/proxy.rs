//! A plain proxy: forwards every connection to one backend, byte by byte.

use std::io;
use std::process::ExitCode;

use serde::{Deserialize, Serialize};
use tokio::io::copy_bidirectional;
use tokio::net::TcpStream;

use super::{pipe, process, server};

/// First argument of the proxy process.
pub(super) const ENTRY: &str = "__demo-proxy";

/// Settings of the proxy process.
#[derive(Serialize, Deserialize)]
pub(super) struct Settings {
    /// `address:port` of the backend.
    pub backend: String,
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
                // When one side ends a connection early, the other side ends too.
                let _ended = relay(client, &backend).await.is_ok();
            });
        }
    })
}

async fn relay(mut client: TcpStream, backend: &str) -> io::Result<()> {
    let mut backend = TcpStream::connect(backend).await?;
    client.set_nodelay(true)?;
    backend.set_nodelay(true)?;
    copy_bidirectional(&mut client, &mut backend).await?;
    Ok(())
}
