//! Feeds data that a target may send to the parsers of this room: for `fuzz/` and tests/damaged.rs.

use httparse::Header;

use super::cookies::Jar;
use super::decode::Decoder;
use super::response::{Observer, Reader};
use super::review::{Inspection, Review};
use crate::plan::{Capture, CaptureSource, Check, Request, Segment, Template};

/// No decoded body in these tests is longer.
const LONGEST: usize = 64 * 1024;

/// Keeps at most what the engine would keep of a response.
struct Seen<'s>(Review<'s>);

impl Observer for Seen<'_> {
    fn head(&mut self, status: u16, headers: &[Header<'_>]) {
        assert!((100..1000).contains(&status));
        self.0.head(status, headers);
    }

    fn body(&mut self, bytes: &[u8]) {
        self.0.body(bytes);
    }
}

/// A request whose response is inspected in every way. `json` and `regex` come from the input.
fn curious(json: &str, regex: &str) -> Request {
    let capture = |name: &str, source| Capture { name: name.to_owned(), source };
    let path = Template(vec![Segment::Text("/".to_owned())]);
    Request {
        captures: vec![
            capture("a", CaptureSource::Json(json.to_owned())),
            capture("b", CaptureSource::Regex(regex.to_owned())),
            capture("c", CaptureSource::Header("location".to_owned())),
            capture("d", CaptureSource::Cookie("sid".to_owned())),
        ],
        checks: vec![
            Check::Status(vec![200]),
            Check::Contains("token".to_owned()),
            Check::Matches(regex.to_owned()),
            Check::Header("content-type".to_owned(), "json".to_owned()),
            Check::Json(json.to_owned(), 1.into()),
        ],
        ..Request::get("it", path)
    }
}

/// An HTTP/1.1 response in pieces of `piece` bytes, inspected to its end.
pub fn response(bytes: &[u8], piece: usize, is_head: bool) {
    let request = curious("$..id", "id=([0-9]+)");
    let Ok(inspection) = Inspection::compile(&request, |_| 0) else { return };
    let mut seen = Seen(Review::new(&inspection, true));
    let mut reader = Reader::new(is_head);
    for piece in bytes.chunks(piece.max(1)) {
        match reader.feed(piece, &mut seen) {
            Ok(None) => {}
            Ok(Some(_)) => break,
            Err(_) => return,
        }
    }
    reader.close().ok();
    let mut jar = Jar::default();
    for cookie in &seen.0.cookies {
        jar.set(cookie, "/", false);
    }
    let verdict = seen.0.conclude();
    assert_eq!(verdict.captured.len(), 4);
}

/// A body in each encoding, in pieces of `piece` bytes.
pub fn decode(bytes: &[u8], piece: usize) {
    for encoding in ["gzip", "deflate", "br", "zstd", "identity"] {
        let Some(mut decoder) = Decoder::for_encoding(encoding, LONGEST) else { continue };
        let mut out = Vec::new();
        let all = bytes.chunks(piece.max(1));
        let broken = all.map(|piece| decoder.push(piece, &mut out)).any(|done| done.is_err());
        if !broken {
            decoder.finish(&mut out).ok();
        }
        assert!(out.len() <= LONGEST);
    }
}

/// `Set-Cookie` headers, one per line, and the cookies that are sent back.
pub fn cookies(text: &str) {
    let mut jar = Jar::default();
    for (number, line) in text.lines().enumerate() {
        jar.set(line, "/shop/login?x=1", number % 2 == 0);
        // A value from a header has no line end, and must not get one when it is sent.
        let sent = jar.line("/shop/login");
        assert!(sent.is_empty() || sent.trim_end_matches("\r\n").lines().count() == 1);
    }
}

/// A JSONPath and a regular expression of a plan, applied to a body.
pub fn review(json: &str, regex: &str, body: &[u8]) {
    let Ok(inspection) = Inspection::compile(&curious(json, regex), |_| 0) else { return };
    let mut review = Review::new(&inspection, false);
    review.head(200, &[]);
    review.body(body);
    review.conclude();
}
