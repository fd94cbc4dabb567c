//! The reader of responses: well-formed ones and broken ones, however the bytes are split.

use proptest::prelude::*;

use super::super::response::{Answer, MAX_HEAD_BYTES, Malformed, Observer, Reader};

/// The result of reading: the answer, an error, or nothing if the connection is closed first.
type Outcome = Result<Option<Answer>, Malformed>;

/// Reads `bytes` in pieces of these lengths, repeated, then the end of the connection.
fn read(bytes: &[u8], pieces: &[usize], is_head: bool) -> Outcome {
    let mut reader = Reader::new(is_head);
    let (mut rest, mut lengths) = (bytes, pieces.iter().cycle());
    while !rest.is_empty() {
        let (piece, later) = rest.split_at((*lengths.next().unwrap()).clamp(1, rest.len()));
        rest = later;
        if let Some(answer) = reader.feed(piece, &mut ())? {
            // If the reader were given the rest as well, it would report an error.
            return if rest.is_empty() { Ok(Some(answer)) } else { Err(Malformed::Surplus) };
        }
    }
    reader.close()
}

fn kept(status: u16) -> Outcome {
    Ok(Some(Answer { status, keep: true, is_left: false }))
}

fn last(status: u16) -> Outcome {
    Ok(Some(Answer { status, keep: false, is_left: false }))
}

const OK: &str = "HTTP/1.1 200 OK\r\n";
const CHUNKED: &str = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";

fn cases() -> Vec<(String, Outcome)> {
    use Malformed::{ChunkEnd, ChunkSize, Length, LongHead, LongTrailer, ManyHeaders, Surplus};
    let ok = |rest: &str| format!("{OK}{rest}");
    let chunks = |rest: &str| format!("{CHUNKED}{rest}");
    let many = |count: usize| ok(&format!("{}content-length: 0\r\n\r\n", "a: b\r\n".repeat(count)));
    let long = "y".repeat(MAX_HEAD_BYTES + 1);
    vec![
        // Lengths.
        (ok("content-length: 5\r\n\r\nhello"), kept(200)),
        (ok("Content-Length: 0\r\n\r\n"), kept(200)),
        (ok("content-length: 2, 2\r\ncontent-length: 2\r\n\r\nhi"), kept(200)),
        ("HTTP/1.1 500\r\ncontent-length: 0\r\n\r\n".into(), kept(500)),
        ("HTTP/1.1 200 OK\ncontent-length: 1\n\nx".into(), kept(200)),
        ("\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n".into(), kept(200)),
        (ok("content-length: 5\r\n\r\nhell"), Ok(None)),
        (ok("content-length: 18446744073709551615\r\n\r\nhell"), Ok(None)),
        (ok("content-length: 18446744073709551616\r\n\r\n"), Err(Length)),
        (ok("content-length: -1\r\n\r\n"), Err(Length)),
        (ok("content-length: +1\r\n\r\nx"), Err(Length)),
        (ok("content-length: \r\n\r\n"), Err(Length)),
        (ok("content-length: 1\r\ncontent-length: 2\r\n\r\nhi"), Err(Length)),
        // No body, whatever the headers say.
        ("HTTP/1.1 204 No\r\ncontent-length: 3\r\n\r\n".into(), kept(204)),
        ("HTTP/1.1 304 No\r\ntransfer-encoding: chunked\r\n\r\n".into(), kept(304)),
        ("HTTP/1.1 204 No\r\n\r\nabc".into(), Err(Surplus)),
        // Interim responses.
        (
            "HTTP/1.1 100 C\r\n\r\nHTTP/1.1 103 E\r\nlink: x\r\n\r\nHTTP/1.1 204 N\r\n\r\n".into(),
            kept(204),
        ),
        ("HTTP/1.1 100 Continue\r\n\r\n".into(), Ok(None)),
        ("HTTP/1.1 100 Continue\r\n\r\n".repeat(4_000), Err(LongHead)),
        ("HTTP/1.1 101 Switching\r\n\r\n".into(), last(101)),
        // To the end of the connection.
        (ok("\r\nuntil the end"), last(200)),
        (ok("\r\n"), last(200)),
        (ok("transfer-encoding: gzip\r\n\r\nuntil the end"), last(200)),
        ("HTTP/1.0 200 OK\r\n\r\nold".into(), last(200)),
        // Which side closes.
        (ok("content-length: 0\r\nconnection: close\r\n\r\n"), last(200)),
        (
            ok("content-length: 0\r\nConnection: x, CLOSE\r\nconnection: keep-alive\r\n\r\n"),
            kept(200),
        ),
        ("HTTP/1.0 200 OK\r\ncontent-length: 0\r\n\r\n".into(), last(200)),
        (
            "HTTP/1.0 200 OK\r\ncontent-length: 0\r\nconnection: Keep-Alive\r\n\r\n".into(),
            kept(200),
        ),
        // Chunks.
        (chunks("3\r\nabc\r\n0\r\n\r\n"), kept(200)),
        (chunks("00A ; n=\"v\"\r\n0123456789\r\n1\r\nx\r\n0\r\nsum: 1\r\nb: c\r\n\r\n"), kept(200)),
        (ok("transfer-encoding: gzip, Chunked\r\n\r\n0\r\n\r\n"), kept(200)),
        (ok("transfer-encoding: chunked\r\ncontent-length: 9\r\n\r\n0\r\n\r\n"), last(200)),
        (chunks("3\r\nab"), Ok(None)),
        (chunks("0\r\n"), Ok(None)),
        (chunks("zz\r\n"), Err(ChunkSize)),
        (chunks("\r\n"), Err(ChunkSize)),
        (chunks("-1\r\n"), Err(ChunkSize)),
        (chunks("3\nabc\r\n"), Err(ChunkSize)),
        (chunks("3;x\nabc\r\n"), Err(ChunkSize)),
        (chunks("fffffffffffffffff\r\n"), Err(ChunkSize)),
        (chunks("ffffffffffffffff\r\nx"), Ok(None)),
        (chunks("00000000000000001\r\nx"), Err(ChunkSize)),
        (chunks("3\r\nabcd\r\n"), Err(ChunkEnd)),
        (chunks("0\r\n\rx"), Err(ChunkEnd)),
        (chunks(&format!("1;{long}")), Err(LongTrailer)),
        (chunks(&format!("0\r\n{long}\r\n")), Err(LongTrailer)),
        // Data after the response.
        (ok("content-length: 2\r\n\r\nhello"), Err(Surplus)),
        (chunks("0\r\n\r\n\r\n"), Err(Surplus)),
        (format!("{}{OK}content-length: 0\r\n\r\n", ok("content-length: 0\r\n\r\n")), Err(Surplus)),
        // Invalid heads.
        (String::new(), Ok(None)),
        ("HTTP/1.1 20".into(), Ok(None)),
        ("SSH-2.0-OpenSSH_9.2\r\n".into(), Err(Malformed::Head(httparse::Error::Version))),
        ("HTTP/2 200\r\n\r\n".into(), Err(Malformed::Head(httparse::Error::Version))),
        ("HTTP/1.1 2x0 OK\r\n\r\n".into(), Err(Malformed::Head(httparse::Error::Status))),
        ("HTTP/1.1 099 No\r\n\r\n".into(), Err(Malformed::Status)),
        (ok("no colon\r\n\r\n"), Err(Malformed::Head(httparse::Error::HeaderName))),
        (many(99), kept(200)),
        (many(100), Err(ManyHeaders)),
        (ok(&format!("x: {long}")), Err(LongHead)),
        (ok(&format!("x: {long}\r\n\r\n")), Err(LongHead)),
    ]
}

#[test]
fn responses_end_where_the_standard_says() {
    for (text, expected) in cases() {
        let shown: String = text.chars().take(120).collect();
        let whole = read(text.as_bytes(), &[usize::MAX], false);
        // If there are several faults, the cut may decide which is reported, but not whether one
        // is.
        assert_eq!(whole, expected, "{shown:?}");
        for pieces in [&[1][..], &[2, 7], &[1500]] {
            let cut = read(text.as_bytes(), pieces, false);
            assert_eq!(cut.is_err(), expected.is_err(), "{shown:?} in pieces of {pieces:?}");
            if cut.is_ok() {
                assert_eq!(cut, expected, "{shown:?} in pieces of {pieces:?}");
            }
        }
    }
}

#[test]
fn a_response_to_head_has_no_body() {
    let text = format!("{OK}content-length: 5\r\n\r\n");
    assert_eq!(read(text.as_bytes(), &[1], true), kept(200));
    assert_eq!(read(format!("{text}hello").as_bytes(), &[99], true), Err(Malformed::Surplus));
}

/// Keeps what it sees.
#[derive(Debug, Default, PartialEq)]
struct Seen {
    heads: Vec<(u16, Vec<String>)>,
    body: Vec<u8>,
}

impl Observer for Seen {
    fn head(&mut self, status: u16, headers: &[httparse::Header<'_>]) {
        let value = |header: &httparse::Header<'_>| String::from_utf8_lossy(header.value).into();
        self.heads.push((status, headers.iter().map(value).collect()));
    }

    fn body(&mut self, bytes: &[u8]) {
        self.body.extend_from_slice(bytes);
    }
}

#[test]
fn an_observer_sees_the_final_head_once_and_the_body_without_its_chunks() {
    let early = "HTTP/1.1 103 E\r\nserver: no\r\n\r\n";
    let cases = [
        ("Server: yes\r\n\r\nhello you", "yes"),
        ("content-length: 9\r\n\r\nhello you", "9"),
        (
            "transfer-encoding: chunked\r\n\r\n6;x=1\r\nhello \r\n3\r\nyou\r\n0\r\na: b\r\n\r\n",
            "chunked",
        ),
    ];
    for (rest, value) in cases {
        for length in [1, 10, 1000] {
            let (mut reader, mut seen) = (Reader::new(false), Seen::default());
            for piece in format!("{early}{OK}{rest}").as_bytes().chunks(length) {
                assert!(reader.feed(piece, &mut seen).is_ok());
            }
            let heads = vec![(200, vec![value.to_owned()])];
            assert_eq!(seen, Seen { heads, body: b"hello you".to_vec() }, "{rest} by {length}");
        }
    }
}

/// Anything that looks a little like a response.
fn response() -> impl Strategy<Value = Vec<u8>> {
    let part = prop_oneof![
        Just("HTTP/1.1 200 OK\r\n".to_owned()),
        Just("HTTP/1.0 404 No\r\n".to_owned()),
        Just("HTTP/1.1 100 C\r\n\r\n".to_owned()),
        (0..12u32).prop_map(|length| format!("content-length: {length}\r\n")),
        Just("transfer-encoding: chunked\r\n".to_owned()),
        Just("connection: close\r\n".to_owned()),
        Just("\r\n".to_owned()),
        Just("\n".to_owned()),
        (0..20u32).prop_map(|size| format!("{size:x}\r\n{}\r\n", "x".repeat(size as usize))),
        "[ -~]{0,12}",
        Just("\0\u{7f}é".to_owned()),
    ];
    prop::collection::vec(part, 0..12).prop_map(|parts| parts.concat().into_bytes())
}

proptest! {
    #[test]
    fn the_cut_of_the_bytes_changes_nothing(
        bytes in response(), pieces in prop::collection::vec(1usize..40, 1..6), is_head: bool,
    ) {
        let whole = read(&bytes, &[usize::MAX], is_head);
        let cut = read(&bytes, &pieces, is_head);
        prop_assert_eq!(whole.is_err(), cut.is_err(), "{:?} {:?}", whole, cut);
        if whole.is_ok() {
            prop_assert_eq!(whole, cut);
        }
    }

    #[test]
    fn no_bytes_at_all_make_it_panic(bytes: Vec<u8>, piece in 1usize..9, tail: Vec<u8>) {
        for head in ["", OK, CHUNKED] {
            let bytes = [head.as_bytes(), &bytes, b"\r\n", &tail].concat();
            read(&bytes, &[piece], false).ok();
        }
    }
}
