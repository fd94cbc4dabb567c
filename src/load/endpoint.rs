//! A request of the plan, compiled: its pieces, the data it draws from, and what to look for in its
//! responses.

use std::sync::Arc;

use bytes::Bytes;
use hyper::Method;
use hyper::header::{self, HeaderName, HeaderValue};

use super::config::LoadConfig;
use super::draws::Value;
use super::proxy::authorization;
use super::review::Inspection;
use super::session::Session;
use super::wire::{Parts, Piece, ValueSource};
use crate::plan::{self, Connections, Header, Segment, Streaming, Template};

/// On every request, so that readers of the target's logs know where it comes from.
const MARK: (HeaderName, &str) = (HeaderName::from_static("x-kneepoint"), "synthetic");
const USER_AGENT: &str = concat!("kneepoint/", env!("CARGO_PKG_VERSION"));

pub(super) struct Endpoint {
    pub(super) text: Text,
    pub(super) is_head: bool,
    pub(super) stream: Option<Streaming>,
    /// Data sources that it draws from, each once.
    pub(super) sources: Vec<usize>,
    /// What to look for in its responses.
    pub(super) inspection: Arc<Inspection>,
}

pub(super) enum Text {
    /// The same bytes for each request, and where the head ends, before its blank line.
    Fixed(Bytes, usize),
    Varying(Parts),
}

impl Endpoint {
    /// Compiles one request. `captured` has the names of the captured values, by slot.
    ///
    /// # Errors
    ///
    /// Why it is not valid on the wire.
    pub(super) fn compile(
        config: &LoadConfig,
        request: &plan::Request,
        captured: &[String],
    ) -> Result<Self, String> {
        let mut names = Names::new(config, captured);
        let method = Method::from_bytes(request.method.as_bytes())
            .ok()
            .filter(|method| *method != Method::CONNECT)
            .ok_or_else(|| {
                format!(
                    "`{}` is not a valid HTTP method; use GET or POST, for example",
                    request.method
                )
            })?;
        let mut path = names.pieces(&request.path)?;
        if !matches!(path.first(), Some(Piece::Value(_))) {
            path.insert(0, Piece::Text(config.target.url.base_path.clone().into_bytes()));
        }
        let mut body = match &request.body {
            Some(body) => Some(names.pieces(&body.template)?),
            None => None,
        };
        // These send a length even without a body (RFC 9110, section 8.6).
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
        let target = &config.target;
        let origin = match target.proxy {
            Some(_) if !target.url.https => format!("http://{}", target.url.authority()),
            _ => String::new(),
        };
        let parts = Parts { method, origin, path, headers: joined(lines), body };
        let text = match parts.varies() {
            true => Text::Varying(parts),
            false => {
                let (bytes, head) =
                    parts.render_with_head(&Session::default(), |_| Value::Text(""));
                Text::Fixed(bytes, head)
            }
        };
        let slot = |name: &str| captured.iter().position(|known| known == name).unwrap_or(0);
        let inspection = Arc::new(Inspection::compile(request, slot)?);
        Ok(Self { text, is_head, stream: request.stream, sources: names.sources, inspection })
    }
}

/// All headers of a request except the length of its body, in the order of sending.
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
            return Err(
                "the target's host is not a valid header value; check `url` in [target]".to_owned()
            );
        }
        headers.insert(0, (header::HOST, own(&host)));
    }
    if !is_given(&headers, header::USER_AGENT) {
        headers.push((header::USER_AGENT, own(USER_AGENT)));
    }
    if names.config.target.connections == Connections::PerRequest {
        headers.push((header::CONNECTION, own("close")));
    }
    let target = &names.config.target;
    if let Some(credentials) = target.proxy.as_ref().and_then(|proxy| proxy.credentials.as_ref())
        && !target.url.https
    {
        headers.retain(|(name, _)| *name != header::PROXY_AUTHORIZATION);
        headers.push((header::PROXY_AUTHORIZATION, own(authorization(credentials).reveal())));
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
        .map_err(|_| bad("is not a valid header name; leave out spaces and colons"))?;
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

/// What the names in templates and conditions stand for.
pub(super) struct Names<'c> {
    config: &'c LoadConfig,
    captured: &'c [String],
    /// Data sources that were used so far, each once.
    pub(super) sources: Vec<usize>,
}

impl<'c> Names<'c> {
    /// Starts with no names used. `captured` has the names of the captured values, by slot.
    pub(super) fn new(config: &'c LoadConfig, captured: &'c [String]) -> Self {
        Self { config, captured, sources: Vec::new() }
    }

    /// Whether `is_so` holds for all values of `name`. Captured values are not known yet. They are
    /// cleaned when they are inserted.
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

    /// Where the value of `name` comes from.
    ///
    /// # Errors
    ///
    /// If nothing has this name.
    pub(super) fn place(&mut self, name: &str) -> Result<ValueSource, String> {
        if let Some(slot) = self.captured.iter().position(|known| known == name) {
            return Ok(ValueSource::Captured(slot));
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
        Ok(ValueSource::Data(index, column))
    }
}

/// The same pieces, with adjacent texts joined.
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
