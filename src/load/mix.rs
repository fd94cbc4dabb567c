//! The weighted mix of requests, compiled: what can be known before the load is known before it,
//! so that a request costs a few copies.

use std::io::Write;

use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{self, HeaderMap, HeaderName, HeaderValue};
use hyper::http::uri::PathAndQuery;
use hyper::{Method, Request, Uri};
use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};

use super::{LoadConfig, LoadError, ResolvedData, ResolvedValues};
use crate::plan::{self, Connections, DataOrder, Header, Segment, Template};

/// On every request, so that whoever reads the target's logs knows what it is.
const MARK: (HeaderName, HeaderValue) =
    (HeaderName::from_static("x-kneepoint"), HeaderValue::from_static("synthetic"));
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

struct Endpoint {
    method: Method,
    uri: Text<Uri>,
    /// All headers, with those that vary missing.
    headers: HeaderMap,
    varying: Vec<(HeaderName, Vec<Piece>)>,
    body: Text<Bytes>,
    /// Data sources that it draws from, each once: indices into the mix's.
    sources: Vec<usize>,
}

/// What is the same for each request, or has to be put together.
enum Text<T> {
    Fixed(T),
    Varying(Vec<Piece>),
}

enum Piece {
    Text(Vec<u8>),
    /// Index into the endpoint's sources.
    Value(usize),
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
    pub(super) fn build(&self, draft: &Draft) -> Request<Full<Bytes>> {
        let endpoint = &self.endpoints[draft.endpoint];
        let body = match &endpoint.body {
            Text::Fixed(body) => body.clone(),
            Text::Varying(pieces) => Bytes::from(self.fill(endpoint, pieces, draft, push)),
        };
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = endpoint.method.clone();
        *request.uri_mut() = match &endpoint.uri {
            Text::Fixed(uri) => uri.clone(),
            Text::Varying(pieces) => uri(self.fill(endpoint, pieces, draft, push_escaped)),
        };
        let mut headers = endpoint.headers.clone();
        for (name, pieces) in &endpoint.varying {
            let value = Bytes::from(self.fill(endpoint, pieces, draft, push));
            // Compiling has tried every value.
            if let Ok(value) = HeaderValue::from_maybe_shared(value) {
                headers.append(name, value);
            }
        }
        *request.headers_mut() = headers;
        request
    }

    fn fill(
        &self,
        endpoint: &Endpoint,
        pieces: &[Piece],
        draft: &Draft,
        push: fn(&mut Vec<u8>, &[u8]),
    ) -> Vec<u8> {
        let mut out = Vec::with_capacity(64);
        for piece in pieces {
            match piece {
                Piece::Text(text) => push(&mut out, text),
                Piece::Value(index) => match &self.sources[endpoint.sources[*index]].data.values {
                    ResolvedValues::List(list) => {
                        push(&mut out, list[draft.values[*index] as usize].as_bytes());
                    }
                    ResolvedValues::Range(..) => {
                        let written = write!(out, "{}", draft.values[*index]);
                        debug_assert!(written.is_ok(), "writing to memory cannot fail");
                    }
                },
            }
        }
        out
    }
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
        let uri = match constant(&path, push_escaped) {
            Some(text) => Text::Fixed(uri(text)),
            None => Text::Varying(path),
        };
        let body = match &request.body {
            None => Text::Fixed(Bytes::new()),
            Some(body) => {
                let pieces = pieces(config, &body.template, &mut sources)?;
                match constant(&pieces, push) {
                    Some(text) => Text::Fixed(Bytes::from(text)),
                    None => Text::Varying(pieces),
                }
            }
        };
        let mut endpoint =
            Self { method, uri, headers: HeaderMap::new(), varying: Vec::new(), body, sources };
        for (name, value) in &request.headers {
            endpoint.add_header(config, name, value)?;
        }
        endpoint.add_own_headers(config)?;
        Ok(endpoint)
    }

    fn add_header(
        &mut self,
        config: &LoadConfig,
        name: &str,
        value: &Header,
    ) -> Result<(), String> {
        let bad = |what: &str| format!("header `{name}`: {what}");
        let parsed = HeaderName::from_bytes(name.as_bytes())
            .map_err(|_| bad("is no header name; leave out spaces and colons"))?;
        if [header::CONTENT_LENGTH, header::TRANSFER_ENCODING, header::CONNECTION].contains(&parsed)
        {
            return Err(bad("is set by kneepoint; leave it out"));
        }
        let no_value = || bad("a header value takes printable text only; remove line breaks");
        match value {
            Header::Secret(secret) => {
                let mut value = HeaderValue::from_str(secret.reveal()).map_err(|_| no_value())?;
                value.set_sensitive(true);
                self.headers.append(parsed, value);
            }
            Header::Plain(template) => {
                let pieces = pieces(config, template, &mut self.sources)?;
                if let Some(text) = constant(&pieces, push) {
                    let value = HeaderValue::from_bytes(&text).map_err(|_| no_value())?;
                    self.headers.append(parsed, value);
                    return Ok(());
                }
                for segment in &template.0 {
                    let fits = match segment {
                        Segment::Text(text) => HeaderValue::from_str(text).is_ok(),
                        Segment::Hidden(text) => HeaderValue::from_str(text.reveal()).is_ok(),
                        Segment::Value(name) => match &config.data[name].values {
                            ResolvedValues::Range(..) => true,
                            ResolvedValues::List(list) => {
                                list.iter().all(|text| HeaderValue::from_str(text).is_ok())
                            }
                        },
                    };
                    if !fits {
                        return Err(no_value());
                    }
                }
                self.varying.push((parsed, pieces));
            }
        }
        Ok(())
    }

    fn add_own_headers(&mut self, config: &LoadConfig) -> Result<(), String> {
        let given = |endpoint: &Self, name: &HeaderName| {
            endpoint.headers.contains_key(name)
                || endpoint.varying.iter().any(|(varying, _)| varying == name)
        };
        if !given(self, &header::HOST) {
            let host = HeaderValue::from_str(&config.target.url.authority())
                .map_err(|_| "the target's host is no header value; check `url`".to_owned())?;
            self.headers.insert(header::HOST, host);
        }
        if !given(self, &header::USER_AGENT) {
            self.headers.insert(header::USER_AGENT, HeaderValue::from_static(USER_AGENT));
        }
        if config.target.connections == Connections::PerRequest {
            self.headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        self.varying.retain(|(name, _)| *name != MARK.0);
        self.headers.insert(MARK.0, MARK.1);
        Ok(())
    }
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

/// The text, where nothing in it varies.
fn constant(pieces: &[Piece], push: fn(&mut Vec<u8>, &[u8])) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    for piece in pieces {
        match piece {
            Piece::Text(text) => push(&mut out, text),
            Piece::Value(_) => return None,
        }
    }
    Some(out)
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

/// The path and query in the form a request line has.
fn uri(mut text: Vec<u8>) -> Uri {
    if text.first() != Some(&b'/') {
        text.insert(0, b'/');
    }
    // Cannot fail for what `push_escaped` made, short of 64 kB of path.
    PathAndQuery::from_maybe_shared(Bytes::from(text)).map_or_else(|_| Uri::default(), Uri::from)
}
