//! The requests that are sent, and the values that vary in them.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;

use super::{Capture, Check, Secret, is_secret_name};

/// The HTTP methods that a plan may have.
pub const METHODS: [&str; 7] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];

/// One request.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Request {
    /// Name under which it is measured. Requests of one name are measured together.
    pub name: String,
    /// What else it is called: objectives may speak of a tag.
    pub tags: BTreeMap<String, String>,
    /// HTTP method in upper case.
    pub method: String,
    /// Path and query, appended to the target's base path.
    pub path: Template,
    /// Header names and values. Values of headers that carry secrets print as `***`.
    pub headers: Vec<(String, Header)>,
    /// Body, if any.
    pub body: Option<Body>,
    /// How far a response is followed that goes on and on; to its end where `None`.
    pub stream: Option<Streaming>,
    /// What is taken out of its response.
    pub captures: Vec<Capture>,
    /// What its response must be.
    pub checks: Vec<Check>,
}

impl Request {
    /// A `GET` of this path, named by it.
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

/// When enough was seen of a response that goes on, such as one of server-sent events. The request
/// has then succeeded, and its connection is closed. A response with a status from 400 on is read
/// as any other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Streaming {
    /// After so many events, above zero: of `text/event-stream` those with data, of anything else
    /// lines that are not empty. A response that ends with fewer has failed.
    pub events: Option<u64>,
    /// So long after the first byte. Only what comes before that byte has to come within the
    /// target's timeout; without it, everything has to.
    #[serde(rename = "for")]
    pub duration: Option<Duration>,
}

/// A header value: a template, or a secret that no one may print.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Header {
    /// A plain value.
    Plain(Template),
    /// A value whose header's name says that it is secret.
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

/// A piece of a template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Segment {
    /// As it stands.
    Text(String),
    /// A value of the data source of this name (or of one of its columns: `user.name`), or one
    /// that was captured. Drawn anew for each journey; all uses within one get the same value.
    Value(String),
    /// A text that no one may print: it came from the environment, or its query parameter is
    /// secret by name.
    Hidden(Secret),
}

impl Template {
    /// The same with every text in it hidden.
    pub(super) fn hidden(self) -> Self {
        let hide = |segment| match segment {
            Segment::Text(text) => Segment::Hidden(Secret::new(text)),
            other => other,
        };
        Self(self.0.into_iter().map(hide).collect())
    }

    /// The same path with the values of query parameters hidden that are secret by name.
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
