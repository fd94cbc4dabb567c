//! The weighted mix of requests, compiled: what can be known before the load is known before it,
//! so that a request costs a few copies.

use std::io::Write;

use bytes::Bytes;
use hyper::Method;
use hyper::header::{self, HeaderName, HeaderValue};
use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};

use super::proxy::authorization;
use super::{LoadConfig, LoadError, ResolvedData, ResolvedValues};
use crate::plan::{self, Connections, DataOrder, Header, Segment, Streaming, Template};

/// On every request, so that whoever reads the target's logs knows what it is.
const MARK: (HeaderName, &str) = (HeaderName::from_static("x-kneepoint"), "synthetic");
const USER_AGENT: &str = concat!("kneepoint/", env!("CARGO_PKG_VERSION"));

/// The compiled mix of one worker, and where it is in its random choices and its data.
pub(super) struct Mix {
    endpoints: Vec<Endpoint>,
    /// Running sum of the weights.
    weights: Vec<f64>,
    random: SmallRng,
    /// In the order of the configuration.
    sources: Vec<Source>,
    worker: u64,
    of: u64,
}

/// A data source, and how far one worker is in it.
struct Source {
    data: ResolvedData,
    count: u64,
    drawn: u64,
}

/// One request, drawn: which endpoint and which values. Can be built more than once.
#[derive(Debug, Default)]
pub(super) struct Draft {
    /// Index of the request in the plan.
    pub(super) endpoint: usize,
    /// By the endpoint's sources: the number itself, or an index into the list.
    values: Vec<i64>,
}

/// A request as it goes on the wire.
#[derive(Clone)]
pub(super) struct Rendered {
    /// Head and body: one write.
    pub(super) bytes: Bytes,
    /// A HEAD request, to which no response has a body.
    pub(super) is_head: bool,
    /// How far the response is followed.
    pub(super) stream: Option<Streaming>,
}

struct Endpoint {
    text: Text,
    is_head: bool,
    stream: Option<Streaming>,
    /// Data sources that it draws from, each once: indices into the mix's.
    sources: Vec<usize>,
}

enum Text {
    /// The same for each request.
    Fixed(Bytes),
    Varying(Parts),
}

/// What a request is put together from.
struct Parts {
    method: Method,
    /// What a proxy wants to have before the path; else empty.
    origin: String,
    path: Vec<Piece>,
    /// The headers as lines, but the length of the body.
    headers: Vec<Piece>,
    body: Option<Vec<Piece>>,
}

enum Piece {
    Text(Vec<u8>),
    /// Index into the endpoint's sources.
    Value(usize),
}

/// What stands in for a name in a template.
enum Value<'a> {
    Text(&'a str),
    Number(i64),
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
        let mut weights = Vec::new();
        let mut sum = 0.0;
        for request in &config.requests {
            match Endpoint::compile(config, request) {
                Ok(endpoint) => endpoints.push(endpoint),
                Err(reason) => {
                    errors.push(LoadError::Request { endpoint: request.name.clone(), reason });
                }
            }
            sum += if request.weight.is_finite() { request.weight.max(0.0) } else { 0.0 };
            weights.push(sum);
        }
        if sum <= 0.0 {
            errors.push(LoadError::NoRequests);
        }
        if !errors.is_empty() {
            return Err(errors);
        }
        Ok(Self {
            endpoints,
            weights,
            random: SmallRng::seed_from_u64(config.seed.wrapping_add(worker as u64)),
            sources: config.data.values().map(Source::new).collect(),
            worker: worker as u64,
            of: of as u64,
        })
    }

    /// Chooses an endpoint by weight and draws its values.
    pub(super) fn draw(&mut self, draft: &mut Draft) {
        let endpoint = if self.weights.len() == 1 {
            0
        } else {
            let point = self.random.random::<f64>() * self.weights[self.weights.len() - 1];
            self.weights.partition_point(|sum| *sum <= point).min(self.weights.len() - 1)
        };
        self.draw_for(endpoint, draft);
    }

    /// Draws the values of one endpoint.
    pub(super) fn draw_for(&mut self, endpoint: usize, draft: &mut Draft) {
        draft.endpoint = endpoint;
        draft.values.clear();
        for &source in &self.endpoints[endpoint].sources {
            let Source { data, count, drawn } = &mut self.sources[source];
            let nth = match data.order {
                DataOrder::Random => self.random.random_range(0..*count),
                DataOrder::Sequential => {
                    let nth = self.worker + self.of * *drawn;
                    *drawn += 1;
                    nth % *count
                }
            };
            draft.values.push(match data.values {
                ResolvedValues::Range(first, _) => first.wrapping_add_unsigned(nth),
                ResolvedValues::List(_) => nth as i64,
            });
        }
    }

    /// Puts the request together.
    pub(super) fn build(&self, draft: &Draft) -> Rendered {
        let endpoint = &self.endpoints[draft.endpoint];
        let bytes = match &endpoint.text {
            Text::Fixed(bytes) => bytes.clone(),
            Text::Varying(parts) => parts.render(|index| {
                let drawn = draft.values[index];
                match &self.sources[endpoint.sources[index]].data.values {
                    ResolvedValues::List(list) => Value::Text(&list[drawn as usize]),
                    ResolvedValues::Range(..) => Value::Number(drawn),
                }
            }),
        };
        Rendered { bytes, is_head: endpoint.is_head, stream: endpoint.stream }
    }
}

impl Parts {
    fn varies(&self) -> bool {
        let all = self.path.iter().chain(&self.headers).chain(self.body.iter().flatten());
        all.into_iter().any(|piece| matches!(piece, Piece::Value(_)))
    }

    fn render<'a>(&self, value: impl Fn(usize) -> Value<'a>) -> Bytes {
        let mut out = Vec::with_capacity(512);
        put(&mut out, format_args!("{} {}", self.method, self.origin));
        let path = out.len();
        fill(&mut out, &self.path, &value, push_escaped);
        if out.get(path) != Some(&b'/') {
            out.insert(path, b'/');
        }
        out.extend_from_slice(b" HTTP/1.1\r\n");
        fill(&mut out, &self.headers, &value, push);
        let mut body = Vec::new();
        if let Some(pieces) = &self.body {
            fill(&mut body, pieces, &value, push);
            put(&mut out, format_args!("content-length: {}\r\n", body.len()));
        }
        out.extend_from_slice(b"\r\n");
        out.extend_from_slice(&body);
        Bytes::from(out)
    }
}

fn fill<'a>(
    out: &mut Vec<u8>,
    pieces: &[Piece],
    value: &impl Fn(usize) -> Value<'a>,
    push: fn(&mut Vec<u8>, &[u8]),
) {
    for piece in pieces {
        match piece {
            Piece::Text(text) => push(out, text),
            Piece::Value(index) => match value(*index) {
                Value::Text(text) => push(out, text.as_bytes()),
                Value::Number(number) => put(out, format_args!("{number}")),
            },
        }
    }
}

fn put(out: &mut Vec<u8>, text: std::fmt::Arguments<'_>) {
    let written = out.write_fmt(text);
    debug_assert!(written.is_ok(), "writing to memory cannot fail");
}

impl Source {
    fn new(data: &ResolvedData) -> Self {
        Self { count: count_of(data), data: data.clone(), drawn: 0 }
    }
}

impl Endpoint {
    fn compile(config: &LoadConfig, request: &plan::Request) -> Result<Self, String> {
        let mut sources = Vec::new();
        let method = Method::from_bytes(request.method.as_bytes())
            .ok()
            .filter(|method| *method != Method::CONNECT)
            .ok_or_else(|| {
                format!("`{}` is no method that can be sent; use GET or POST, say", request.method)
            })?;
        let mut path = vec![Piece::Text(config.target.url.base_path.clone().into_bytes())];
        path.extend(pieces(config, &request.path, &mut sources)?);
        let mut body = match &request.body {
            Some(body) => Some(pieces(config, &body.template, &mut sources)?),
            None => None,
        };
        // These have a length even where they have no body (RFC 9110, section 8.6).
        if [Method::POST, Method::PUT, Method::PATCH].contains(&method) {
            body.get_or_insert_default();
        }
        let mut lines = Vec::new();
        for (name, value) in headers(config, request, &mut sources)? {
            lines.push(Piece::Text(format!("{name}: ").into_bytes()));
            lines.extend(value);
            lines.push(Piece::Text(b"\r\n".to_vec()));
        }
        let is_head = method == Method::HEAD;
        let target = &config.target;
        let origin = match target.proxy {
            Some(_) if !target.url.https => format!("http://{}", target.url.authority()),
            _ => String::new(),
        };
        let parts = Parts { method, origin, path, headers: joined(lines), body };
        let text = match parts.varies() {
            true => Text::Varying(parts),
            false => Text::Fixed(parts.render(|_| Value::Text(""))),
        };
        Ok(Self { text, is_head, stream: request.stream, sources })
    }
}

/// All headers of a request but the length of its body, in the order that they are sent in.
fn headers(
    config: &LoadConfig,
    request: &plan::Request,
    sources: &mut Vec<usize>,
) -> Result<Vec<(HeaderName, Vec<Piece>)>, String> {
    let mut headers = Vec::new();
    for (name, value) in &request.headers {
        headers.push(header(config, name, value, sources)?);
    }
    let own = |text: &str| vec![Piece::Text(text.as_bytes().to_vec())];
    let is_given = |headers: &[(HeaderName, _)], name| headers.iter().any(|(own, _)| *own == name);
    if !is_given(&headers, header::HOST) {
        let host = config.target.url.authority();
        if HeaderValue::from_str(&host).is_err() {
            return Err("the target's host is no header value; check `url`".to_owned());
        }
        headers.insert(0, (header::HOST, own(&host)));
    }
    if !is_given(&headers, header::USER_AGENT) {
        headers.push((header::USER_AGENT, own(USER_AGENT)));
    }
    if config.target.connections == Connections::PerRequest {
        headers.push((header::CONNECTION, own("close")));
    }
    if let Some(credentials) = config.target.proxy.as_ref().and_then(|p| p.credentials.as_ref())
        && !config.target.url.https
    {
        headers.retain(|(name, _)| *name != header::PROXY_AUTHORIZATION);
        headers.push((header::PROXY_AUTHORIZATION, own(authorization(credentials).reveal())));
    }
    headers.retain(|(name, _)| *name != MARK.0);
    headers.push((MARK.0, own(MARK.1)));
    Ok(headers)
}

fn header(
    config: &LoadConfig,
    name: &str,
    value: &Header,
    sources: &mut Vec<usize>,
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
            let pieces = pieces(config, template, sources)?;
            let fits = template.0.iter().all(|segment| match segment {
                Segment::Text(text) => is_value(text),
                Segment::Hidden(text) => is_value(text.reveal()),
                Segment::Value(name) => match &config.data[name].values {
                    ResolvedValues::Range(..) => true,
                    ResolvedValues::List(list) => list.iter().all(|text| is_value(text)),
                },
            });
            (pieces, fits)
        }
    };
    if !fits {
        return Err(bad("a header value takes printable text only; remove line breaks"));
    }
    Ok((parsed, pieces))
}

/// The pieces of a template, with its data sources added to `sources`.
fn pieces(
    config: &LoadConfig,
    template: &Template,
    sources: &mut Vec<usize>,
) -> Result<Vec<Piece>, String> {
    let mut pieces = Vec::new();
    for segment in &template.0 {
        pieces.push(match segment {
            Segment::Text(text) => Piece::Text(text.clone().into_bytes()),
            Segment::Hidden(text) => Piece::Text(text.reveal().as_bytes().to_vec()),
            Segment::Value(name) => {
                let source = config.data.keys().position(|key| key == name);
                let source = source
                    .ok_or_else(|| format!("`{{{name}}}` has no values; add [data.{name}]"))?;
                if config.data.get(name).is_none_or(|data| count_of(data) == 0) {
                    return Err(format!("[data.{name}] has no values; give it at least one"));
                }
                let known = sources.iter().position(|known| *known == source);
                Piece::Value(known.unwrap_or_else(|| {
                    sources.push(source);
                    sources.len() - 1
                }))
            }
        });
    }
    Ok(pieces)
}

fn count_of(data: &ResolvedData) -> u64 {
    match &data.values {
        ResolvedValues::Range(first, last) if first > last => 0,
        ResolvedValues::Range(first, last) => last.abs_diff(*first).saturating_add(1),
        ResolvedValues::List(list) => list.len() as u64,
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
