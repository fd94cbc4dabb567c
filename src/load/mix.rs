//! The weighted mix of requests, compiled: what can be known before the load is known before it,
//! so that a request costs a few copies.

use std::io::Write;
use std::sync::Arc;

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
    config: Arc<LoadConfig>,
    endpoints: Vec<Endpoint>,
    /// Running sum of the weights.
    weights: Vec<f64>,
    random: SmallRng,
    /// By data source, in the order of the configuration: how many values were drawn.
    drawn: Vec<u64>,
    worker: u64,
    of: u64,
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
    /// Data sources that it draws from, each once: indices into the configuration's.
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
        config: &Arc<LoadConfig>,
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
            drawn: vec![0; config.data.len()],
            worker: worker as u64,
            of: of as u64,
            config: Arc::clone(config),
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
            let Some(data) = self.config.data.values().nth(source) else { continue };
            let count = count_of(data);
            let nth = match data.order {
                DataOrder::Random => self.random.random_range(0..count),
                DataOrder::Sequential => {
                    let nth = self.worker + self.of * self.drawn[source];
                    self.drawn[source] += 1;
                    nth % count
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
                Piece::Value(index) => {
                    let data = self.config.data.values().nth(endpoint.sources[*index]);
                    match data.map(|data| &data.values) {
                        Some(ResolvedValues::List(list)) => {
                            push(&mut out, list[draft.values[*index] as usize].as_bytes());
                        }
                        _ => {
                            let written = write!(out, "{}", draft.values[*index]);
                            debug_assert!(written.is_ok(), "writing to memory cannot fail");
                        }
                    }
                }
            }
        }
        out
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

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, HashSet};
    use std::time::Duration;

    use http_body_util::BodyExt;

    use super::*;
    use crate::plan::{Secret, Target, TargetUrl, Tls};

    fn template(text: &str) -> Template {
        let mut segments = Vec::new();
        for (i, part) in text.split(['{', '}']).enumerate() {
            match (part.is_empty(), i % 2) {
                (true, _) => {}
                (false, 0) => segments.push(Segment::Text(part.into())),
                (false, _) => segments.push(Segment::Value(part.into())),
            }
        }
        Template(segments)
    }

    fn request(name: &str, weight: f64, path: &str) -> plan::Request {
        let (method, path) = ("GET".into(), template(path));
        plan::Request { name: name.into(), weight, method, path, headers: vec![], body: None }
    }

    fn config(requests: Vec<plan::Request>) -> LoadConfig {
        let list = |items: &[&str], order| ResolvedData {
            values: ResolvedValues::List(items.iter().map(|&item| item.into()).collect()),
            order,
        };
        let range = ResolvedValues::Range(-1, 3);
        let data = BTreeMap::from([
            ("id".to_owned(), ResolvedData { values: range, order: DataOrder::Sequential }),
            ("word".to_owned(), list(&["a b", "ü", "x&y=1"], DataOrder::Random)),
            ("line".to_owned(), list(&["two\nlines"], DataOrder::Random)),
            ("none".to_owned(), list(&[], DataOrder::Random)),
        ]);
        let host = "shop.test".to_owned();
        let url = TargetUrl { https: false, host, port: 8080, base_path: "/base".into() };
        let connections = Connections::KeepAlive;
        let timeout = Duration::from_secs(1);
        LoadConfig {
            target: Target { url, connections, timeout, tls: Tls::SystemRoots },
            requests,
            data,
            max_in_flight: 10,
            max_rate: 100.0,
            workers: None,
            seed: 7,
            generator: "test".into(),
            ca_pem: None,
        }
    }

    fn compile(config: LoadConfig, worker: usize, of: usize) -> Mix {
        Mix::compile(&Arc::new(config), worker, of).map_err(|errors| format!("{errors:?}")).unwrap()
    }

    fn drawn(mix: &mut Mix) -> Request<Full<Bytes>> {
        let mut draft = Draft::default();
        mix.draw(&mut draft);
        mix.build(&draft)
    }

    #[test]
    fn one_name_has_one_value_within_a_request() {
        let mut post = request("post", 1.0, "/item/{id}?q={word}");
        post.method = "POST".into();
        post.headers = vec![("x-id".into(), Header::Plain(template("no-{id}")))];
        post.body = Some(plan::Body { template: template("<{id}|{word}>") });
        let mut mix = compile(config(vec![post]), 0, 1);
        let mut paths = HashSet::new();
        for expected in (-1..=3).cycle().take(40) {
            let request = drawn(&mut mix);
            let id = expected.to_string();
            assert!(request.uri().path().ends_with(&format!("/base/item/{id}")), "{request:?}");
            assert_eq!(request.headers()["x-id"], format!("no-{id}"));
            let word = match request.uri().query() {
                Some("q=a%20b") => "a b",
                Some("q=%C3%BC") => "ü",
                Some("q=x&y=1") => "x&y=1",
                other => panic!("{other:?}"),
            };
            let body = whole(request.body().clone());
            assert_eq!(body, format!("<{id}|{word}>"));
            paths.insert(request.uri().to_string());
        }
        assert!(paths.len() > 10, "{paths:?}");
    }

    fn whole(body: Full<Bytes>) -> Bytes {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(body.collect()).unwrap().to_bytes()
    }

    #[test]
    fn workers_share_sequential_values_and_weights_hold() {
        let requests = || vec![request("a", 1.0, "/{id}"), request("b", 3.0, "/b")];
        let mut ids = Vec::new();
        for worker in 0..2 {
            let mut mix = compile(config(vec![request("a", 1.0, "/{id}")]), worker, 2);
            ids.extend((0..5).map(|_| drawn(&mut mix).uri().path().to_owned()));
        }
        ids.sort();
        ids.dedup();
        assert_eq!(ids.len(), 5, "{ids:?}");

        let mut mix = compile(config(requests()), 0, 1);
        let b = (0..4000).filter(|_| drawn(&mut mix).uri().path() == "/base/b").count();
        assert!((2850..3150).contains(&b), "{b} of 4000 instead of 3000");
        let draws = |seed| {
            let mut mix = compile(LoadConfig { seed, ..config(requests()) }, 0, 1);
            (0..50).map(|_| drawn(&mut mix).uri().to_string()).collect::<Vec<_>>()
        };
        assert_eq!(draws(1), draws(1));
        assert_ne!(draws(1), draws(2));
    }

    #[test]
    fn each_request_says_that_it_is_synthetic() {
        let mut own = request("own", 1.0, "/");
        own.headers = vec![
            ("Host".into(), Header::Plain(template("other"))),
            ("X-Kneepoint".into(), Header::Plain(template("real-{id}"))),
            ("authorization".into(), Header::Secret(Secret::new("Bearer hunter2"))),
        ];
        let sent = drawn(&mut compile(config(vec![own]), 0, 1));
        assert_eq!(sent.headers()["x-kneepoint"], "synthetic");
        assert_eq!(sent.headers().get_all("x-kneepoint").iter().count(), 1);
        assert_eq!(sent.headers()["host"], "other");
        assert_eq!(sent.headers()["authorization"], "Bearer hunter2");
        assert!(!format!("{sent:?}").contains("hunter2"));
        let sent = drawn(&mut compile(config(vec![request("plain", 1.0, "x")]), 0, 1));
        assert_eq!(sent.headers()["host"], "shop.test:8080");
        assert!(sent.headers()["user-agent"].to_str().unwrap().starts_with("kneepoint/"));
        assert_eq!(sent.headers().get("connection"), None);
    }

    #[test]
    fn what_cannot_be_sent_is_told_at_once() {
        let with = |name: &str, value: &str| {
            let mut request = request(name, 1.0, "/");
            request.headers = vec![(name.into(), Header::Plain(template(value)))];
            request
        };
        let mut method = request("method", 1.0, "/");
        method.method = "GET IT".into();
        let requests = vec![
            method,
            request("unknown", 1.0, "/{nobody}"),
            request("empty", 1.0, "/{none}"),
            with("no name", "x"),
            with("content-length", "5"),
            with("x-broken", "a\nb"),
            with("x-line", "{line}"),
            request("good", 1.0, "/{line}"),
        ];
        let errors = Mix::compile(&Arc::new(config(requests)), 0, 1).err().unwrap();
        let errors: Vec<String> = errors.iter().map(ToString::to_string).collect();
        assert_eq!(errors.len(), 7, "{errors:#?}");
        assert_eq!(errors[1], "request `unknown`: `{nobody}` has no values; add [data.nobody]");
        let errors = Mix::compile(&Arc::new(config(vec![])), 0, 1).err().unwrap();
        assert!(matches!(errors[..], [LoadError::NoRequests]));
    }
}
