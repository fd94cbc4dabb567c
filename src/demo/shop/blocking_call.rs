//! Calls that block their thread, as in handlers that are written without regard to an event loop.
//! Each thread keeps its own connection.

use std::cell::RefCell;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::TcpStream;

use hyper::StatusCode;

/// Address and port of a service.
pub(in crate::demo) type Peer = (String, u16);

thread_local! {
    static CONNECTION: RefCell<Option<BufReader<TcpStream>>> = const { RefCell::new(None) };
}

/// Posts JSON and waits for the response. A connection that fails is replaced at the next call.
pub(in crate::demo) fn post(peer: &Peer, path: &str, body: &str) -> io::Result<StatusCode> {
    CONNECTION.with_borrow_mut(|kept| {
        let mut connection = match kept.take() {
            Some(connection) => connection,
            None => connect(peer)?,
        };
        let status = ask(&mut connection, peer, path, body, "keep-alive")?;
        *kept = Some(connection);
        Ok(status)
    })
}

/// Posts JSON on a new connection that the service closes but this end does not.
pub(super) fn half_closed(peer: &Peer, path: &str, body: &str) -> io::Result<TcpStream> {
    let mut connection = connect(peer)?;
    ask(&mut connection, peer, path, body, "close")?;
    Ok(connection.into_inner())
}

fn connect((host, port): &Peer) -> io::Result<BufReader<TcpStream>> {
    let stream = TcpStream::connect((host.as_str(), *port))?;
    stream.set_nodelay(true)?;
    Ok(BufReader::new(stream))
}

fn ask(
    connection: &mut BufReader<TcpStream>,
    (host, port): &Peer,
    path: &str,
    body: &str,
    after: &str,
) -> io::Result<StatusCode> {
    let length = body.len();
    let request = format!(
        "POST {path} HTTP/1.1\r\nHost: {host}:{port}\r\nContent-Type: application/json\r\n\
         Content-Length: {length}\r\nConnection: {after}\r\n\r\n{body}"
    );
    connection.get_mut().write_all(request.as_bytes())?;
    let mut line = String::new();
    connection.read_line(&mut line)?;
    let status = line.split(' ').nth(1).and_then(|status| status.parse().ok());
    let status = status.ok_or_else(|| io::Error::other("no status line"))?;
    let mut body_bytes = 0_u64;
    loop {
        line.clear();
        connection.read_line(&mut line)?;
        let Some((name, value)) = line.trim_end().split_once(':') else { break };
        if name.eq_ignore_ascii_case("content-length") {
            body_bytes = value.trim().parse().map_err(io::Error::other)?;
        }
    }
    io::copy(&mut connection.take(body_bytes), &mut io::sink())?;
    Ok(status)
}
