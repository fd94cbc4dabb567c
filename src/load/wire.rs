//! Builds requests: from pieces to the bytes that go on the wire.

use std::io::Write;

use bytes::Bytes;
use hyper::Method;

use super::draws::Value;
use super::session::Session;
use crate::plan::Streaming;

/// A request as bytes for the wire.
#[derive(Clone)]
pub(super) struct Rendered {
    /// Head and body, in one write.
    pub(super) bytes: Bytes,
    /// Whether it is a HEAD request, whose responses never have a body.
    pub(super) is_head: bool,
    /// How far the response is followed.
    pub(super) stream: Option<Streaming>,
}

impl Rendered {
    /// Its path and query.
    pub(super) fn target(&self) -> String {
        target_of(&self.bytes)
    }
}

/// The path and query of a request. A request to a proxy contains a full URL.
fn target_of(request: &[u8]) -> String {
    let target = request.split(|byte| *byte == b' ').nth(1).unwrap_or_default();
    String::from_utf8_lossy(&target[origin_of(target)..]).into_owned()
}

/// The parts that a request is built from.
pub(super) struct Parts {
    pub(super) method: Method,
    /// What a proxy needs before the path. Otherwise empty.
    pub(super) origin: String,
    pub(super) path: Vec<Piece>,
    /// The headers as lines, except the length of the body.
    pub(super) headers: Vec<Piece>,
    pub(super) body: Option<Vec<Piece>>,
}

pub(super) enum Piece {
    Text(Vec<u8>),
    Value(ValueSource),
}

/// Where a value comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ValueSource {
    /// A data source, and its column.
    Data(usize, usize),
    /// A slot of the captured values.
    Captured(usize),
}

/// A request with the session's cookies in its head.
pub(super) fn with_cookies(bytes: &Bytes, head: usize, session: &Session) -> Bytes {
    let line = session.jar.line(&target_of(bytes));
    let mut whole = Vec::with_capacity(bytes.len() + line.len());
    whole.extend_from_slice(&bytes[..head]);
    whole.extend_from_slice(line.as_bytes());
    whole.extend_from_slice(&bytes[head..]);
    Bytes::from(whole)
}

impl Parts {
    pub(super) fn varies(&self) -> bool {
        let all = self.path.iter().chain(&self.headers).chain(self.body.iter().flatten());
        all.into_iter().any(|piece| matches!(piece, Piece::Value(_)))
    }

    pub(super) fn render<'a>(
        &self,
        session: &Session,
        value: impl Fn(ValueSource) -> Value<'a>,
    ) -> Bytes {
        self.render_with_head(session, value).0
    }

    /// The whole request, and where its head ends, before the blank line.
    pub(super) fn render_with_head<'a>(
        &self,
        session: &Session,
        value: impl Fn(ValueSource) -> Value<'a>,
    ) -> (Bytes, usize) {
        let mut out = Vec::with_capacity(512);
        put(&mut out, format_args!("{} {}", self.method, self.origin));
        let path = out.len();
        fill(&mut out, &self.path, &value, (push_escaped, push_escaped));
        // A captured value may be a full URL. The request still goes to the host of the target.
        let origin = origin_of(&out[path..]);
        out.drain(path..path + origin);
        if out.get(path) != Some(&b'/') {
            out.insert(path, b'/');
        }
        let cookies = match session.jar.is_empty() {
            true => String::new(),
            false => session.jar.line(&String::from_utf8_lossy(&out[path..])),
        };
        out.extend_from_slice(b" HTTP/1.1\r\n");
        fill(&mut out, &self.headers, &value, (push, push_clean));
        out.extend_from_slice(cookies.as_bytes());
        let mut body = Vec::new();
        if let Some(pieces) = &self.body {
            fill(&mut body, pieces, &value, (push, push));
            put(&mut out, format_args!("content-length: {}\r\n", body.len()));
        }
        let head = out.len();
        out.extend_from_slice(b"\r\n");
        out.extend_from_slice(&body);
        (Bytes::from(out), head)
    }
}

/// How many bytes of a URL come before its path.
fn origin_of(target: &[u8]) -> usize {
    let scheme =
        [&b"http://"[..], b"https://"].into_iter().find(|scheme| target.starts_with(scheme));
    let Some(scheme) = scheme else { return 0 };
    let rest = &target[scheme.len()..];
    scheme.len() + rest.iter().position(|byte| *byte == b'/').unwrap_or(rest.len())
}

/// Appends a text to a request.
type Push = fn(&mut Vec<u8>, &[u8]);

fn fill<'a>(
    out: &mut Vec<u8>,
    pieces: &[Piece],
    value: &impl Fn(ValueSource) -> Value<'a>,
    (push_text, push_value): (Push, Push),
) {
    for piece in pieces {
        match piece {
            Piece::Text(text) => push_text(out, text),
            Piece::Value(place) => match value(*place) {
                Value::Text(text) => push_value(out, text.as_bytes()),
                value => put(out, format_args!("{value}")),
            },
        }
    }
}

fn put(out: &mut Vec<u8>, text: std::fmt::Arguments<'_>) {
    let written = out.write_fmt(text);
    debug_assert!(written.is_ok(), "writing to memory cannot fail");
}

fn push(out: &mut Vec<u8>, text: &[u8]) {
    out.extend_from_slice(text);
}

/// Appends `text` to a header, without characters that would end the header.
fn push_clean(out: &mut Vec<u8>, text: &[u8]) {
    out.extend(text.iter().filter(|byte| !matches!(byte, b'\r' | b'\n' | 0)));
}

/// Appends `text` to a path and query. Octets that are not allowed in either are percent-encoded
/// (RFC 3986, section 2.1). Reserved octets keep their meaning, so that a value may be a whole
/// path.
fn push_escaped(out: &mut Vec<u8>, text: &[u8]) {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    for &byte in text {
        match byte {
            b'"'
            | b'#'
            | b'<'
            | b'>'
            | b'\\'
            | b'^'
            | b'`'
            | b'{'
            | b'|'
            | b'}'
            | ..=b' '
            | 127.. => {
                let digits = [HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]];
                out.extend_from_slice(&[b'%', digits[0], digits[1]]);
            }
            _ => out.push(byte),
        }
    }
}
