//! What is sent, compiled: what can be known before the load is known before it, so that a request
//! costs a few copies.

use std::io::Write;
use std::sync::Arc;

use bytes::Bytes;
use hyper::Method;
use hyper::header::{self, HeaderName, HeaderValue};
use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};

use super::draws::{Sources, Value};
use super::program::{Program, Todo, holds};
use super::review::Scrutiny;
use super::session::Session;
use super::{LoadConfig, LoadError};
use crate::plan::{self, Connections, Header, Segment, Template};

/// On every request, so that whoever reads the target's logs knows what it is.
const MARK: (HeaderName, &str) = (HeaderName::from_static("x-kneepoint"), "synthetic");
const USER_AGENT: &str = concat!("kneepoint/", env!("CARGO_PKG_VERSION"));

/// The compiled requests and journeys of one worker, and where it is in its random choices and its
/// data.
pub(super) struct Mix {
    endpoints: Vec<Endpoint>,
    programs: Vec<Program>,
    /// By flow: its journeys.
    choices: Vec<Choice>,
    random: SmallRng,
    sources: Sources,
    /// Names of what is captured, by slot.
    captured: Vec<String>,
}

/// The journeys of one flow.
struct Choice {
    journeys: Vec<usize>,
    /// Running sum of their weights.
    weights: Vec<f64>,
}

/// A request as it goes on the wire.
#[derive(Clone)]
pub(super) struct Rendered {
    /// Head and body: one write.
    pub(super) bytes: Bytes,
    /// A HEAD request, to which no response has a body.
    pub(super) is_head: bool,
}

/// How a response is looked at.
pub(super) struct Look {
    pub(super) scrutiny: Arc<Scrutiny>,
    pub(super) keeps_cookies: bool,
}

impl Rendered {
    /// Its path and query.
    pub(super) fn target(&self) -> String {
        let target = self.bytes.split(|byte| *byte == b' ').nth(1).unwrap_or_default();
        String::from_utf8_lossy(target).into_owned()
    }
}

/// No value is left of a sequence that may not begin again.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Exhausted;

struct Endpoint {
    text: Text,
    is_head: bool,
    /// Data sources that it draws from, each once.
    sources: Vec<usize>,
    /// What is looked for in its responses.
    scrutiny: Arc<Scrutiny>,
}

enum Text {
    /// The same for each request; where the head ends, before its blank line.
    Fixed(Bytes, usize),
    Varying(Parts),
}

/// What a request is put together from.
struct Parts {
    method: Method,
    path: Vec<Piece>,
    /// The headers as lines, but the length of the body.
    headers: Vec<Piece>,
    body: Option<Vec<Piece>>,
}

enum Piece {
    Text(Vec<u8>),
    Value(Place),
}

/// Where a value stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// A data source, and its column.
    Data(usize, usize),
    /// A slot of what was captured.
    Captured(usize),
}

impl Mix {
    /// Compiles the mix for worker `worker` out of `of`.
    ///
    /// # Errors
    ///
    /// Every request that cannot be put on the wire.
    pub(super) fn compile(
        config: &LoadConfig,
        worker: usize,
        of: usize,
    ) -> Result<Self, Vec<LoadError>> {
        let mut errors = Vec::new();
        let mut endpoints = Vec::new();
        let captured = captured_names(config);
        for request in &config.requests {
            match Endpoint::compile(config, request, &captured) {
                Ok(endpoint) => endpoints.push(endpoint),
                Err(reason) => {
                    errors.push(LoadError::Request { endpoint: request.name.clone(), reason });
                }
            }
        }
        let mut programs = Vec::new();
        for journey in &config.journeys {
            match Program::compile(journey) {
                Ok(program) => programs.push(program),
                Err(reason) => {
                    errors.push(LoadError::Request { endpoint: journey.name.clone(), reason });
                }
            }
        }
        let choices: Vec<Choice> =
            config.flows.iter().map(|flow| Choice::of(config, &flow.journeys)).collect();
        if choices.iter().any(|choice| choice.weights.last().is_none_or(|sum| *sum <= 0.0)) {
            errors.push(LoadError::NoRequests);
        }
        if !errors.is_empty() {
            return Err(errors);
        }
        Ok(Self {
            endpoints,
            programs,
            choices,
            random: SmallRng::seed_from_u64(config.seed.wrapping_add(worker as u64)),
            sources: Sources::new(config, worker, of),
            captured,
        })
    }

    /// Begins a journey of `flow`: which one, by weight, unless a trace says.
    pub(super) fn begin(
        &mut self,
        flow: usize,
        replayed: Option<(u64, usize)>,
        session: &mut Session,
    ) {
        let journey = match replayed {
            Some((_, journey)) => journey,
            None => self.choices[flow].draw(&mut self.random),
        };
        session.begin(journey, replayed.map(|(row, _)| row), |source| self.sources.is_kept(source));
    }

    /// Begins a journey that is named, as where each is tried once.
    pub(super) fn begin_journey(&self, journey: usize, session: &mut Session) {
        session.begin(journey, None, |source| self.sources.is_kept(source));
    }

    /// What the journey does next. Values that a condition or the request needs are drawn.
    ///
    /// # Errors
    ///
    /// Where there are no values left.
    pub(super) fn next(&mut self, session: &mut Session) -> Result<Todo, Exhausted> {
        let program = &self.programs[session.journey];
        let (sources, captured) = (&self.sources, &self.captured);
        let mut cursor = std::mem::take(&mut session.cursor);
        let todo = program.next(&mut cursor, &mut self.random, |condition| {
            let slot = captured.iter().position(|name| *name == condition.name);
            let value = match slot {
                Some(slot) => session.captured(slot).map(str::to_owned),
                None => sources.text_of(&condition.name, session),
            };
            holds(&condition.test, value.as_deref())
        });
        session.cursor = cursor;
        if let Todo::Request(endpoint) = todo {
            self.draw(endpoint, session)?;
        }
        Ok(todo)
    }

    /// Draws the values of one endpoint that the journey has not drawn yet.
    ///
    /// # Errors
    ///
    /// Where there are no values left.
    pub(super) fn draw(&mut self, endpoint: usize, session: &mut Session) -> Result<(), Exhausted> {
        for &source in &self.endpoints[endpoint].sources {
            self.sources.draw(source, session, &mut self.random)?;
        }
        Ok(())
    }

    /// Puts the request together.
    pub(super) fn build(&self, endpoint: usize, session: &Session) -> Rendered {
        let endpoint = &self.endpoints[endpoint];
        let bytes = match &endpoint.text {
            Text::Fixed(bytes, head) => match session.jar.is_empty() {
                true => bytes.clone(),
                false => with_cookies(bytes, *head, session),
            },
            Text::Varying(parts) => parts.render(session, |place| match place {
                Place::Data(source, column) => self.sources.value(source, column, session),
                Place::Captured(slot) => Value::Text(session.captured(slot).unwrap_or_default()),
            }),
        };
        Rendered { bytes, is_head: endpoint.is_head }
    }

    /// How the response of an endpoint within a journey is looked at.
    pub(super) fn look(&self, endpoint: usize, journey: usize) -> Look {
        Look {
            scrutiny: Arc::clone(&self.endpoints[endpoint].scrutiny),
            keeps_cookies: self.programs[journey].cookies,
        }
    }

    /// Whether it is looked at at all.
    pub(super) fn looks(&self, endpoint: usize, journey: usize) -> bool {
        !self.endpoints[endpoint].scrutiny.is_empty() || self.programs[journey].cookies
    }

    /// Whether a journey is one request and nothing else.
    pub(super) fn is_single(&self, journey: usize) -> bool {
        self.programs[journey].is_single()
    }

    /// Whether a request that fails ends a journey.
    pub(super) fn stops_on_failure(&self, journey: usize) -> bool {
        self.programs[journey].stop_on_failure
    }

    /// Whether anything is taken out of the responses of an endpoint.
    pub(super) fn captures(&self, endpoint: usize) -> bool {
        self.endpoints[endpoint].scrutiny.captures()
    }

    /// Names of what is captured, by slot.
    pub(super) fn captured_names(&self) -> &[String] {
        &self.captured
    }
}

impl Choice {
    fn of(config: &LoadConfig, journeys: &[usize]) -> Self {
        let mut sum = 0.0;
        let weights = journeys.iter().map(|journey| {
            let weight = config.journeys[*journey].weight;
            sum += if weight.is_finite() { weight.max(0.0) } else { 0.0 };
            sum
        });
        Self { weights: weights.collect(), journeys: journeys.to_vec() }
    }

    fn draw(&self, random: &mut SmallRng) -> usize {
        let last = self.weights.len() - 1;
        if last == 0 {
            return self.journeys[0];
        }
        let point = random.random::<f64>() * self.weights[last];
        self.journeys[self.weights.partition_point(|sum| *sum <= point).min(last)]
    }
}

/// All names that anything is captured under, each once.
fn captured_names(config: &LoadConfig) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for capture in config.requests.iter().flat_map(|request| &request.captures) {
        if !names.contains(&capture.name) {
            names.push(capture.name.clone());
        }
    }
    names
}

/// A request with the session's cookies in its head.
fn with_cookies(bytes: &Bytes, head: usize, session: &Session) -> Bytes {
    let target = Rendered { bytes: bytes.clone(), is_head: false }.target();
    let line = session.jar.line(&target);
    let mut whole = Vec::with_capacity(bytes.len() + line.len());
    whole.extend_from_slice(&bytes[..head]);
    whole.extend_from_slice(line.as_bytes());
    whole.extend_from_slice(&bytes[head..]);
    Bytes::from(whole)
}

impl Parts {
    fn varies(&self) -> bool {
        let all = self.path.iter().chain(&self.headers).chain(self.body.iter().flatten());
        all.into_iter().any(|piece| matches!(piece, Piece::Value(_)))
    }

    fn render<'a>(&self, session: &Session, value: impl Fn(Place) -> Value<'a>) -> Bytes {
        self.render_with_head(session, value).0
    }

    /// The whole request, and where its head ends, before the blank line.
    fn render_with_head<'a>(
        &self,
        session: &Session,
        value: impl Fn(Place) -> Value<'a>,
    ) -> (Bytes, usize) {
        let mut out = Vec::with_capacity(512);
        put(&mut out, format_args!("{} ", self.method));
        let path = out.len();
        fill(&mut out, &self.path, &value, (push_escaped, push_escaped));
        // What was captured may be a whole address; the host is that of the target all the same.
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

/// How many bytes of an address come before its path.
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
    value: &impl Fn(Place) -> Value<'a>,
    (push_text, push_value): (Push, Push),
) {
    for piece in pieces {
        match piece {
            Piece::Text(text) => push_text(out, text),
            Piece::Value(place) => match value(*place) {
                Value::Text(text) => push_value(out, text.as_bytes()),
                Value::Number(number) => put(out, format_args!("{number}")),
                Value::Uuid(bits) => put(out, format_args!("{}", uuid(bits))),
            },
        }
    }
}

/// A UUID of version 4 out of 128 random bits (RFC 9562, section 5.4).
fn uuid(bits: u128) -> String {
    let bits = bits & !(0xF << 76) & !(0x3 << 62) | 0x4 << 76 | 0x2 << 62;
    let hex = format!("{bits:032x}");
    let parts = [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]];
    parts.join("-")
}

fn put(out: &mut Vec<u8>, text: std::fmt::Arguments<'_>) {
    let written = out.write_fmt(text);
    debug_assert!(written.is_ok(), "writing to memory cannot fail");
}

impl Endpoint {
    fn compile(
        config: &LoadConfig,
        request: &plan::Request,
        captured: &[String],
    ) -> Result<Self, String> {
        let mut names = Names { config, captured, sources: Vec::new() };
        let method = Method::from_bytes(request.method.as_bytes())
            .ok()
            .filter(|method| *method != Method::CONNECT)
            .ok_or_else(|| {
                format!("`{}` is no method that can be sent; use GET or POST, say", request.method)
            })?;
        let mut path = names.pieces(&request.path)?;
        if !matches!(path.first(), Some(Piece::Value(_))) {
            path.insert(0, Piece::Text(config.target.url.base_path.clone().into_bytes()));
        }
        let mut body = match &request.body {
            Some(body) => Some(names.pieces(&body.template)?),
            None => None,
        };
        // These have a length even where they have no body (RFC 9110, section 8.6).
        if [Method::POST, Method::PUT, Method::PATCH].contains(&method) {
            body.get_or_insert_default();
        }
        let mut lines = Vec::new();
        for (name, value) in headers(request, &mut names)? {
            lines.push(Piece::Text(format!("{name}: ").into_bytes()));
            lines.extend(value);
            lines.push(Piece::Text(b"\r\n".to_vec()));
        }
        let is_head = method == Method::HEAD;
        let parts = Parts { method, path, headers: joined(lines), body };
        let text = match parts.varies() {
            true => Text::Varying(parts),
            false => {
                let (bytes, head) =
                    parts.render_with_head(&Session::default(), |_| Value::Text(""));
                Text::Fixed(bytes, head)
            }
        };
        let slot = |name: &str| captured.iter().position(|known| known == name).unwrap_or(0);
        let scrutiny = Arc::new(Scrutiny::compile(request, slot)?);
        Ok(Self { text, is_head, sources: names.sources, scrutiny })
    }
}

/// All headers of a request but the length of its body, in the order that they are sent in.
fn headers(
    request: &plan::Request,
    names: &mut Names<'_>,
) -> Result<Vec<(HeaderName, Vec<Piece>)>, String> {
    let mut headers = Vec::new();
    for (name, value) in &request.headers {
        headers.push(header(names, name, value)?);
    }
    let own = |text: &str| vec![Piece::Text(text.as_bytes().to_vec())];
    let is_given = |headers: &[(HeaderName, _)], name| headers.iter().any(|(own, _)| *own == name);
    if !is_given(&headers, header::HOST) {
        let host = names.config.target.url.authority();
        if HeaderValue::from_str(&host).is_err() {
            return Err("the target's host is no header value; check `url`".to_owned());
        }
        headers.insert(0, (header::HOST, own(&host)));
    }
    if !is_given(&headers, header::USER_AGENT) {
        headers.push((header::USER_AGENT, own(USER_AGENT)));
    }
    if names.config.target.connections == Connections::PerRequest {
        headers.push((header::CONNECTION, own("close")));
    }
    headers.retain(|(name, _)| *name != MARK.0);
    headers.push((MARK.0, own(MARK.1)));
    Ok(headers)
}

fn header(
    names: &mut Names<'_>,
    name: &str,
    value: &Header,
) -> Result<(HeaderName, Vec<Piece>), String> {
    let bad = |what: &str| format!("header `{name}`: {what}");
    let parsed = HeaderName::from_bytes(name.as_bytes())
        .map_err(|_| bad("is no header name; leave out spaces and colons"))?;
    if [header::CONTENT_LENGTH, header::TRANSFER_ENCODING, header::CONNECTION].contains(&parsed) {
        return Err(bad("is set by kneepoint; leave it out"));
    }
    let is_value = |text: &str| HeaderValue::from_str(text).is_ok();
    let (pieces, fits) = match value {
        Header::Secret(secret) => {
            let piece = Piece::Text(secret.reveal().as_bytes().to_vec());
            (vec![piece], is_value(secret.reveal()))
        }
        Header::Plain(template) => {
            let pieces = names.pieces(template)?;
            let fits = template.0.iter().all(|segment| match segment {
                Segment::Text(text) => is_value(text),
                Segment::Hidden(text) => is_value(text.reveal()),
                Segment::Value(name) => names.all(name, is_value),
            });
            (pieces, fits)
        }
    };
    if !fits {
        return Err(bad("a header value takes printable text only; remove line breaks"));
    }
    Ok((parsed, pieces))
}

/// What the names of templates stand for.
struct Names<'c> {
    config: &'c LoadConfig,
    captured: &'c [String],
    /// Data sources that were used so far, each once.
    sources: Vec<usize>,
}

impl Names<'_> {
    /// Whether all values of `name` are so; what is captured is not known yet, and is cleaned as it
    /// is put in.
    fn all(&self, name: &str, is_so: impl Fn(&str) -> bool) -> bool {
        let source = name.split_once('.').map_or(name, |(source, _)| source);
        self.config
            .data
            .get(name)
            .or(self.config.data.get(source))
            .is_none_or(|data| data.all(is_so))
    }

    /// The pieces of a template.
    fn pieces(&mut self, template: &Template) -> Result<Vec<Piece>, String> {
        let piece = |segment: &Segment| {
            Ok(match segment {
                Segment::Text(text) => Piece::Text(text.clone().into_bytes()),
                Segment::Hidden(text) => Piece::Text(text.reveal().as_bytes().to_vec()),
                Segment::Value(name) => Piece::Value(self.place(name)?),
            })
        };
        template.0.iter().map(piece).collect()
    }

    fn place(&mut self, name: &str) -> Result<Place, String> {
        if let Some(slot) = self.captured.iter().position(|known| known == name) {
            return Ok(Place::Captured(slot));
        }
        let (source, column) = match name.split_once('.') {
            Some((source, column)) if !self.config.data.contains_key(name) => (source, column),
            _ => (name, ""),
        };
        let index = self.config.data.keys().position(|key| key == source);
        let (Some(index), Some(data)) = (index, self.config.data.get(source)) else {
            return Err(format!("`{{{name}}}` has no values; add [data.{source}]"));
        };
        if data.count() == 0 {
            return Err(format!("[data.{source}] has no values; give it at least one"));
        }
        let column = data.column(column).ok_or_else(|| {
            let columns = data.columns().join("`, `");
            format!("[data.{source}] has no column `{column}`, but `{columns}`")
        })?;
        if !self.sources.contains(&index) {
            self.sources.push(index);
        }
        Ok(Place::Data(index, column))
    }
}

/// The same pieces, with texts that follow one another as one.
fn joined(pieces: Vec<Piece>) -> Vec<Piece> {
    let mut joined: Vec<Piece> = Vec::new();
    for piece in pieces {
        match (joined.last_mut(), piece) {
            (Some(Piece::Text(before)), Piece::Text(text)) => before.extend(text),
            (_, piece) => joined.push(piece),
        }
    }
    joined
}

fn push(out: &mut Vec<u8>, text: &[u8]) {
    out.extend_from_slice(text);
}

/// Appends `text` to a header, without what would end it.
fn push_clean(out: &mut Vec<u8>, text: &[u8]) {
    out.extend(text.iter().filter(|byte| !matches!(byte, b'\r' | b'\n' | 0)));
}

/// Appends `text` to a path and query. Octets that may not stand in either are percent-encoded
/// (RFC 3986, section 2.1); those that have a meaning there keep it, so that a value may be a
/// whole path.
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
