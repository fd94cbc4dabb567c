//! The requests of the mix, and the values that vary in them.

use std::time::Duration;

use serde::Serialize;

use super::Secret;

/// One request of the mix.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Request {
    /// Name under which it is measured; unique within the plan.
    pub name: String,
    /// Share of the load relative to the other weights; above zero.
    pub weight: f64,
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
    /// A value of the data source of this name, drawn anew for each request; two uses of one name
    /// in one request get the same value.
    Value(String),
    /// A text that no one may print: it came from the environment, or its query parameter is
    /// secret by name.
    Hidden(Secret),
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

/// Where the values of one template name come from.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct DataSource {
    /// The values.
    pub values: DataValues,
    /// In which order they are used.
    pub order: DataOrder,
}

/// The values of a data source.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum DataValues {
    /// Every integer from the first to the last, both included.
    Range(i64, i64),
    /// These texts.
    List(Vec<String>),
    /// These texts, which are secret by the name of the data or because the environment gave them.
    Hidden(Vec<Secret>),
    /// One column of a CSV file with a header line.
    Csv {
        /// Path of the file, relative to the plan.
        path: String,
        /// Name of the column.
        column: String,
    },
}

/// In which order values are drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum DataOrder {
    /// Each draw independent and uniform, from the plan's seed.
    Random,
    /// One after the other, again from the first after the last.
    Sequential,
}
