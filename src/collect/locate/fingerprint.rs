//! A number of bytes that are sent to the target, as a fingerprint.

use std::io::{self, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use rand::RngExt;

/// How long the connection to the target may take.
const CONNECT: Duration = Duration::from_secs(1);
/// How long sending may take.
const SEND: Duration = Duration::from_millis(500);
/// Lengths of the two parts in bytes. Servers refuse heads of more than 8 KiB (nginx
/// `large_client_header_buffers`, Tomcat `maxHttpHeaderSize`), and one line of 4 KiB is fine.
const FIRST: std::ops::Range<usize> = 1_000..3_500;
const SECOND: std::ops::Range<usize> = 100..500;
/// Bytes that the headers announce where a protocol announces a length, more than is ever sent.
const ANNOUNCED: u16 = 16_000;

/// How a connection to the target begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Opening {
    /// With the head of a request.
    Http1,
    /// With the preface of HTTP/2.
    Http2,
    /// With a handshake of TLS.
    Tls,
}

/// A connection to the target that has begun a request, of a length that was drawn.
pub struct Fingerprint {
    stream: TcpStream,
    opening: Opening,
    client: SocketAddr,
    sent: usize,
}

impl Fingerprint {
    /// Connects, and sends nothing yet.
    ///
    /// # Errors
    /// If the target cannot be reached.
    pub fn open(address: SocketAddr, opening: Opening) -> io::Result<Self> {
        let stream = TcpStream::connect_timeout(&address, CONNECT)?;
        stream.set_nodelay(true)?;
        stream.set_write_timeout(Some(SEND))?;
        let client = stream.local_addr()?;
        Ok(Self { stream, opening, client, sent: 0 })
    }

    /// This end of the connection.
    pub fn client(&self) -> SocketAddr {
        self.client
    }

    /// Sends the beginning of a request, or more of it. Returns the bytes that were sent so far.
    ///
    /// # Errors
    /// If the connection is lost.
    pub fn send_more(&mut self) -> io::Result<u64> {
        let mut random = rand::rng();
        let bytes = match self.sent {
            0 => beginning(self.opening, random.random_range(FIRST)),
            _ => vec![b'a'; random.random_range(SECOND)],
        };
        self.stream.write_all(&bytes)?;
        self.sent += bytes.len();
        Ok(self.sent as u64)
    }
}

/// The first `length` bytes of a connection, which no server answers before more has come.
fn beginning(opening: Opening, length: usize) -> Vec<u8> {
    let [high, low] = ANNOUNCED.to_be_bytes();
    let mut bytes = match opening {
        Opening::Http1 => {
            b"GET / HTTP/1.1\r\nHost: localhost\r\nx-kneepoint: synthetic\r\nx-padding: ".to_vec()
        }
        // The preface, empty settings, and a frame of an unknown type, which is ignored (RFC 9113,
        // 3.4 and 4.1).
        Opening::Http2 => [
            &b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"[..],
            &[0, 0, 0, 4, 0, 0, 0, 0, 0],
            &[0, high, low, 0xf0, 0, 0, 0, 0, 0],
        ]
        .concat(),
        // A record of a handshake with a ClientHello (RFC 8446, 4 and 5.1).
        Opening::Tls => {
            let [inner_high, inner_low] = (ANNOUNCED - 4).to_be_bytes();
            vec![22, 3, 1, high, low, 1, 0, inner_high, inner_low, 3, 3]
        }
    };
    bytes.resize(length, b'a');
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_beginning_has_the_length_that_was_drawn_and_no_end() {
        for opening in [Opening::Http1, Opening::Http2, Opening::Tls] {
            let bytes = beginning(opening, 1_234);
            assert_eq!(bytes.len(), 1_234);
        }
        let head = beginning(Opening::Http1, 1_000);
        assert!(!head.windows(4).any(|part| part == b"\r\n\r\n"));
        assert!(usize::from(ANNOUNCED) > FIRST.end + SECOND.end);
    }
}
