//! Reads one HTTP/1.1 response from the bytes of a connection as they come (RFC 9112). No I/O:
//! bytes in, an answer or an error out, however the bytes are split. The body is passed to the
//! observer at once, so that only an unfinished head is ever kept.

use std::mem::{MaybeUninit, take};

use httparse::{Header, ParserConfig, Response, Status};
use thiserror::Error;

/// Limit for everything before the body, with interim responses, and for everything in a chunked
/// body that is not data.
pub(super) const MAX_HEAD_BYTES: usize = 64 * 1024;
pub(super) const MAX_HEADERS: usize = 100;

/// What is wrong with a response.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub(super) enum Malformed {
    #[error("the response is not valid HTTP/1.1 ({0})")]
    Head(httparse::Error),
    #[error("the head of the response is longer than {MAX_HEAD_BYTES} bytes")]
    LongHead,
    #[error("the response has more than {MAX_HEADERS} headers")]
    ManyHeaders,
    #[error("the status of the response is not between 100 and 999")]
    Status,
    #[error("`content-length` of the response is not one number")]
    Length,
    #[error("a chunk of the response has no valid size")]
    ChunkSize,
    #[error("a chunk of the response does not end where its size says")]
    ChunkEnd,
    #[error("the chunks of the response have more than {MAX_HEAD_BYTES} bytes beside their data")]
    LongTrailer,
    #[error("bytes follow the end of the response: its length is wrong")]
    Surplus,
}

/// Sees a response as it comes. Data that it does not keep are gone.
pub(super) trait Observer {
    /// The head of the final response.
    fn head(&mut self, _status: u16, _headers: &[Header<'_>]) {}

    /// A piece of the body, without chunk framing.
    fn body(&mut self, _bytes: &[u8]) {}
}

/// Ignores everything.
impl Observer for () {}

/// A finished response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Answer {
    pub(super) status: u16,
    /// Whether the connection can serve another request.
    pub(super) keep: bool,
    /// Whether reading stopped before its end.
    pub(super) is_left: bool,
}

/// How far one response has been read.
#[derive(Debug)]
pub(super) struct Reader {
    part: Part,
    answer: Answer,
    /// Whether the request was a HEAD request, whose responses never have a body.
    is_head: bool,
    /// An unfinished head.
    held: Vec<u8>,
    /// How much of `held` is already searched for the end of the head.
    searched: usize,
    /// Bytes of the interim responses.
    head_bytes: usize,
}

#[derive(Debug)]
enum Part {
    Head,
    /// Bytes of the body that are still to come.
    Length(u64),
    Chunks(Chunks),
    UntilClose,
}

impl Reader {
    /// Expects the response to a request. `is_head` says whether that is a HEAD request.
    pub(super) fn new(is_head: bool) -> Self {
        let answer = Answer { status: 0, keep: false, is_left: false };
        Self { part: Part::Head, answer, is_head, held: Vec::new(), searched: 0, head_bytes: 0 }
    }

    /// Reads the next bytes. `observer` sees their content.
    ///
    /// # Errors
    ///
    /// What is wrong with the response. Reading cannot continue after that.
    pub(super) fn feed(
        &mut self,
        bytes: &[u8],
        observer: &mut impl Observer,
    ) -> Result<Option<Answer>, Malformed> {
        if !matches!(self.part, Part::Head) {
            return self.read_body(bytes, observer);
        }
        if self.held.is_empty() {
            let taken = self.read_head(bytes, observer)?;
            if matches!(self.part, Part::Head) {
                self.held.extend_from_slice(&bytes[taken..]);
                return Ok(None);
            }
            return self.read_body(&bytes[taken..], observer);
        }
        let mut held = take(&mut self.held);
        held.extend_from_slice(bytes);
        // A head that comes in small pieces is parsed once, at its end, and not at each piece.
        let is_whole = has_blank_line(&held[self.searched.saturating_sub(2)..]);
        self.searched = held.len();
        let taken = match is_whole {
            true => self.read_head(&held, observer)?,
            false if self.head_bytes + held.len() > MAX_HEAD_BYTES => {
                return Err(Malformed::LongHead);
            }
            false => 0,
        };
        if matches!(self.part, Part::Head) {
            held.drain(..taken);
            self.held = held;
            return Ok(None);
        }
        self.read_body(&held[taken..], observer)
    }

    /// Stops before the end of the response and returns what is known of it.
    pub(super) fn leave(&self) -> Answer {
        Answer { keep: false, is_left: true, ..self.answer }
    }

    /// The other side has closed the connection. Some responses end that way.
    ///
    /// # Errors
    ///
    /// What is wrong with what has come so far.
    pub(super) fn close(&mut self) -> Result<Option<Answer>, Malformed> {
        match self.part {
            Part::UntilClose => Ok(Some(self.answer)),
            Part::Head => {
                let held = take(&mut self.held);
                self.read_head(&held, &mut ()).map(|_| None)
            }
            Part::Length(_) | Part::Chunks(_) => Ok(None),
        }
    }

    /// Reads heads up to that of the final response. Returns how many bytes they took. If the part
    /// is still the head, the rest begins an unfinished head.
    fn read_head(
        &mut self,
        bytes: &[u8],
        observer: &mut impl Observer,
    ) -> Result<usize, Malformed> {
        let mut taken = 0;
        loop {
            let rest = &bytes[taken..];
            let mut headers = [const { MaybeUninit::uninit() }; MAX_HEADERS];
            let mut head = Response::new(&mut []);
            let parsed = ParserConfig::default().parse_response_with_uninit_headers(
                &mut head,
                rest,
                &mut headers,
            );
            let parsed = parsed.map_err(|error| match error {
                httparse::Error::TooManyHeaders => Malformed::ManyHeaders,
                other => Malformed::Head(other),
            })?;
            let length = match parsed {
                Status::Complete(length) => length,
                Status::Partial => rest.len(),
            };
            if self.head_bytes + length > MAX_HEAD_BYTES {
                return Err(Malformed::LongHead);
            }
            if parsed.is_partial() {
                self.searched = rest.len();
                return Ok(taken);
            }
            (taken, self.head_bytes) = (taken + length, self.head_bytes + length);
            let status = head.code.filter(|code| *code >= 100).ok_or(Malformed::Status)?;
            // 101 is final: it ends HTTP/1.1 on this connection.
            if status >= 200 || status == 101 {
                observer.head(status, head.headers);
                self.answer.status = status;
                self.frame(&head)?;
                return Ok(taken);
            }
        }
    }

    /// Decides where the body ends (RFC 9112, section 6.3) and whether the connection stays open
    /// after it (section 9.3).
    fn frame(&mut self, head: &Response<'_, '_>) -> Result<(), Malformed> {
        let is_old = head.version == Some(0);
        let (mut keep, mut is_chunked, mut length) = (!is_old, None, None);
        for header in head.headers.iter() {
            let named = |name: &str| header.name.eq_ignore_ascii_case(name);
            match header.name.len() {
                10 if named("connection") => {
                    let says = |word| elements(header.value).any(|element| is(element, word));
                    keep = !says("close") && (keep || says("keep-alive"));
                }
                14 if named("content-length") => {
                    for element in elements(header.value) {
                        let number = decimal(element).ok_or(Malformed::Length)?;
                        if *length.get_or_insert(number) != number {
                            return Err(Malformed::Length);
                        }
                    }
                }
                17 if named("transfer-encoding") => {
                    is_chunked = elements(header.value).last().map(|last| is(last, "chunked"));
                }
                _ => {}
            }
        }
        let status = self.answer.status;
        self.part = match (is_chunked, length) {
            _ if self.is_head || status < 200 || status == 204 || status == 304 => Part::Length(0),
            (Some(true), _) => Part::Chunks(Chunks::default()),
            (None, Some(length)) => Part::Length(length),
            (Some(false), _) | (None, None) => Part::UntilClose,
        };
        // If a response states its length twice, or uses chunks in HTTP/1.0, its end may differ
        // from the one read here.
        let is_doubtful = is_chunked.is_some() && (is_old || length.is_some());
        let is_open = matches!(self.part, Part::UntilClose) || status == 101;
        self.answer.keep = keep && !is_doubtful && !is_open;
        Ok(())
    }

    fn read_body(
        &mut self,
        bytes: &[u8],
        observer: &mut impl Observer,
    ) -> Result<Option<Answer>, Malformed> {
        let taken = match &mut self.part {
            Part::Head => return Ok(None),
            Part::UntilClose => {
                observer.body(bytes);
                return Ok(None);
            }
            Part::Length(left) => {
                let taken =
                    usize::try_from(*left).map_or(bytes.len(), |left| left.min(bytes.len()));
                observer.body(&bytes[..taken]);
                *left -= taken as u64;
                if *left > 0 {
                    return Ok(None);
                }
                taken
            }
            Part::Chunks(chunks) => match chunks.read(bytes, observer)? {
                None => return Ok(None),
                Some(taken) => taken,
            },
        };
        if taken < bytes.len() { Err(Malformed::Surplus) } else { Ok(Some(self.answer)) }
    }
}

/// How far a chunked body has been read (RFC 9112, section 7.1).
#[derive(Debug, Default)]
struct Chunks {
    at: Chunk,
    size: u64,
    digits: u32,
    /// Bytes of extensions and trailers so far.
    beside: usize,
}

#[derive(Clone, Copy, Debug, Default)]
enum Chunk {
    #[default]
    Size,
    Extension,
    SizeLf,
    Data,
    DataCr,
    DataLf,
    /// At the start of a line after the last chunk.
    Trailer,
    TrailerRest,
    EndLf,
}

impl Chunks {
    /// Reads the next bytes. Returns how many of them belong to the body, once its end has come.
    fn read(
        &mut self,
        bytes: &[u8],
        observer: &mut impl Observer,
    ) -> Result<Option<usize>, Malformed> {
        let mut at = 0;
        while let Some(&byte) = bytes.get(at) {
            if matches!(self.at, Chunk::Data) {
                let left = bytes.len() - at;
                let taken = usize::try_from(self.size).map_or(left, |size| size.min(left));
                observer.body(&bytes[at..at + taken]);
                self.size -= taken as u64;
                at += taken;
                if self.size == 0 {
                    self.at = Chunk::DataCr;
                }
                continue;
            }
            at += 1;
            if matches!((self.at, byte), (Chunk::EndLf, b'\n')) {
                return Ok(Some(at));
            }
            self.at = self.step(byte)?;
        }
        Ok(None)
    }

    /// The state after a byte that is not data.
    fn step(&mut self, byte: u8) -> Result<Chunk, Malformed> {
        if matches!(self.at, Chunk::Extension | Chunk::Trailer | Chunk::TrailerRest) {
            self.beside += 1;
            if self.beside > MAX_HEAD_BYTES {
                return Err(Malformed::LongTrailer);
            }
        }
        Ok(match (self.at, byte) {
            (Chunk::Size, b'0'..=b'9' | b'a'..=b'f' | b'A'..=b'F') if self.digits < 16 => {
                let digit = char::from(byte).to_digit(16).unwrap_or(0);
                self.size = self.size << 4 | u64::from(digit);
                self.digits += 1;
                Chunk::Size
            }
            (Chunk::Size, b';' | b' ' | b'\t') if self.digits > 0 => Chunk::Extension,
            (Chunk::Size, b'\r') if self.digits > 0 => Chunk::SizeLf,
            (Chunk::Extension, b'\r') => Chunk::SizeLf,
            (Chunk::Extension, byte) if byte != b'\n' => Chunk::Extension,
            (Chunk::SizeLf, b'\n') if self.size == 0 => Chunk::Trailer,
            (Chunk::SizeLf, b'\n') => Chunk::Data,
            (Chunk::Size | Chunk::Extension | Chunk::SizeLf, _) => {
                return Err(Malformed::ChunkSize);
            }
            (Chunk::DataCr, b'\r') => Chunk::DataLf,
            (Chunk::DataLf, b'\n') => {
                self.digits = 0;
                Chunk::Size
            }
            (Chunk::Trailer, b'\r') => Chunk::EndLf,
            (Chunk::TrailerRest, b'\n') => Chunk::Trailer,
            (Chunk::Trailer | Chunk::TrailerRest, _) => Chunk::TrailerRest,
            (Chunk::Data | Chunk::DataCr | Chunk::DataLf | Chunk::EndLf, _) => {
                return Err(Malformed::ChunkEnd);
            }
        })
    }
}

/// Whether a head may end in `bytes`.
fn has_blank_line(bytes: &[u8]) -> bool {
    bytes.windows(2).any(|two| two == b"\n\n") || bytes.windows(3).any(|three| three == b"\n\r\n")
}

/// The elements of a header that is a list (RFC 9110, section 5.6.1).
fn elements(value: &[u8]) -> impl DoubleEndedIterator<Item = &[u8]> {
    value.split(|byte| *byte == b',').map(<[u8]>::trim_ascii)
}

fn is(element: &[u8], word: &str) -> bool {
    element.eq_ignore_ascii_case(word.as_bytes())
}

/// The number in `digits`. `None` if there is anything else in it.
fn decimal(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(digits).ok()?.parse().ok()
}
