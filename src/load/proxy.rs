//! The way through an HTTP proxy: a tunnel for TLS (RFC 9110, section 9.3.6), full URLs for
//! everything else (RFC 9112, section 3.2.2).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use httparse::{EMPTY_HEADER, Response};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::failure::NoTunnel;
use super::stream::Stream;
use crate::plan::{Secret, Target};

/// Maximum size of the proxy's answer before the tunnel begins.
const MAX_HEAD_BYTES: usize = 16 * 1024;
const MAX_HEADERS: usize = 64;

/// The value of `proxy-authorization` (RFC 7617).
pub(super) fn authorization(credentials: &Secret) -> Secret {
    Secret::new(format!("Basic {}", STANDARD.encode(credentials.reveal())))
}

/// The request for a tunnel to `target`. It is a secret if it has credentials.
pub(super) fn connect_request(target: &Target) -> Secret {
    let url = &target.url;
    let host = if url.host.contains(':') { format!("[{}]", url.host) } else { url.host.clone() };
    let to = format!("{host}:{}", url.port);
    let mut text = format!("CONNECT {to} HTTP/1.1\r\nhost: {to}\r\n");
    if let Some(credentials) = target.proxy.as_ref().and_then(|proxy| proxy.credentials.as_ref()) {
        let value = authorization(credentials);
        text.push_str(&format!("proxy-authorization: {}\r\n", value.reveal()));
    }
    text.push_str("\r\n");
    Secret::new(text)
}

/// Makes the proxy at the other end of `stream` open the tunnel that `request` asks for.
///
/// # Errors
///
/// What the proxy answered instead.
pub(super) async fn tunnel(stream: &mut Stream, request: &Secret) -> Result<(), NoTunnel> {
    stream.write_all(request.reveal().as_bytes()).await.map_err(NoTunnel::Lost)?;
    stream.flush().await.map_err(NoTunnel::Lost)?;
    let mut head = Vec::new();
    loop {
        let mut piece = [0; 1024];
        let count = stream.read(&mut piece).await.map_err(NoTunnel::Lost)?;
        if count == 0 {
            return Err(NoTunnel::Closed);
        }
        head.extend_from_slice(&piece[..count]);
        let mut headers = [EMPTY_HEADER; MAX_HEADERS];
        let mut response = Response::new(&mut headers);
        let parsed = response.parse(&head).map_err(|_| NoTunnel::Malformed)?;
        match (response.code, parsed) {
            (Some(code), httparse::Status::Complete(length)) => match code {
                // In a tunnel for TLS the other end waits for the client to speak first.
                200..300 if length < head.len() => return Err(NoTunnel::Malformed),
                200..300 => return Ok(()),
                100..200 => drop(head.drain(..length)),
                code => return Err(NoTunnel::Refused(code)),
            },
            _ if head.len() > MAX_HEAD_BYTES => return Err(NoTunnel::Malformed),
            _ => {}
        }
    }
}
