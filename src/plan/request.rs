//! Requests, and the templates that make them vary.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;

use super::{Capture, Check, Secret, is_secret_name};

/// The HTTP methods that a plan can use.
pub const METHODS: [&str; 7] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];

/// One request.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Request {
    /// Name in results. Requests of the same name are reported together.
    pub name: String,
    /// Tags, for objectives that cover several requests.
    pub tags: BTreeMap<String, String>,
    /// HTTP method in upper case.
    pub method: String,
    /// Path and query, appended to the target's base path.
    pub path: Template,
    /// Header names and values. Values of headers that carry secrets print as `***`.
    pub headers: Vec<(String, Header)>,
    /// Body, if any.
    pub body: Option<Body>,
    /// When to stop reading a streamed response; `None` reads to its end.
    pub stream: Option<Streaming>,
    /// Values to take from its response.
    pub captures: Vec<Capture>,
    /// Checks on its response.
    pub checks: Vec<Check>,
}

impl Request {
    /// A `GET` of this path, without headers or options.
    pub fn get(name: impl Into<String>, path: Template) -> Self {
        Self {
            name: name.into(),
            tags: BTreeMap::new(),
            method: "GET".to_owned(),
            path,
            headers: Vec::new(),
            body: None,
            stream: None,
            captures: Vec::new(),
            checks: Vec::new(),
        }
    }
}

/// When to stop reading a streamed response, such as server-sent events. The request has then
/// succeeded, and its connection is closed. A response with a status of 400 or more is read to its
/// end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Streaming {
    /// After this many events, above zero. In `text/event-stream` those with data count, in
    /// anything else lines that are not empty. A response that ends with fewer has failed.
    pub events: Option<u64>,
    /// This long after the first byte. The target's timeout then covers only the time to the first
    /// byte; without this, it covers the whole response.
    #[serde(rename = "for")]
    pub duration: Option<Duration>,
}

/// A header value: a template, or a secret that is never printed.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Header {
    /// A plain value.
    Plain(Template),
    /// A value that is secret by the name of its header, or because it comes from the environment.
    Secret(Secret),
}

/// A request body.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Body {
    /// The text.
    pub template: Template,
}

/// Text with values from the plan's data in it: `/product/{id}`. `{{` and `}}` are braces.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(into = "String")]
pub struct Template(pub Vec<Segment>);

/// A part of a template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Segment {
    /// Literal text.
    Text(String),
    /// A value of the data source of this name, or of one of its columns (`user.name`), or a
    /// captured value. All uses within one journey get the same value.
    Value(String),
    /// Text that is never printed: it comes from the environment, or its query parameter is secret
    /// by name.
    Hidden(Secret),
}

impl Template {
    /// The same template with all literal text hidden.
    pub(super) fn hidden(self) -> Self {
        let hide = |segment| match segment {
            Segment::Text(text) => Segment::Hidden(Secret::new(text)),
            other => other,
        };
        Self(self.0.into_iter().map(hide).collect())
    }

    /// The same path with the values of secret query parameters hidden.
    pub(super) fn with_secret_query_hidden(self) -> Self {
        let mut in_query = false;
        let mut segments = Vec::new();
        for segment in self.0 {
            let Segment::Text(text) = segment else {
                segments.push(segment);
                continue;
            };
            let mut plain = String::new();
            for part in text.split_inclusive(['?', '&']) {
                match part.split_once('=') {
                    Some((name, value)) if in_query && is_secret_name(name) => {
                        let secret = value.trim_end_matches('&');
                        plain.push_str(&format!("{name}="));
                        segments.push(Segment::Text(std::mem::take(&mut plain)));
                        if !secret.is_empty() {
                            segments.push(Segment::Hidden(Secret::new(secret)));
                        }
                        plain.push_str(&value[secret.len()..]);
                    }
                    _ => plain.push_str(part),
                }
                in_query |= part.ends_with('?');
            }
            if !plain.is_empty() {
                segments.push(Segment::Text(plain));
            }
        }
        Self(segments)
    }
}

impl From<Template> for String {
    fn from(template: Template) -> String {
        let mut text = String::new();
        for segment in template.0 {
            match segment {
                Segment::Text(plain) => {
                    text.push_str(&plain.replace('{', "{{").replace('}', "}}"));
                }
                Segment::Value(name) => text.push_str(&format!("{{{name}}}")),
                Segment::Hidden(secret) => text.push_str(&secret.to_string()),
            }
        }
        text
    }
}
