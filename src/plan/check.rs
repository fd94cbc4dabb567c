//! What is taken out of a response, and what a response must be.

use std::fmt;

use serde::Serialize;

/// A value that is taken out of a response, for later steps.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Capture {
    /// Its name in templates: `{name}`.
    pub name: String,
    /// Where it is found.
    pub source: CaptureSource,
}

/// Where a value is found in a response.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum CaptureSource {
    /// The first value at this JSONPath (RFC 9535) of the body.
    Json(String),
    /// The first group of this expression in the body, or all that it matches where it has none.
    Regex(String),
    /// The header of this name.
    Header(String),
    /// The cookie of this name, as the response sets it.
    Cookie(String),
}

impl CaptureSource {
    /// Whether the body has to be kept for it.
    pub fn reads_body(&self) -> bool {
        matches!(self, CaptureSource::Json(_) | CaptureSource::Regex(_))
    }
}

/// What a response must be for its request to have succeeded.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Check {
    /// Its status is one of these.
    Status(Vec<u16>),
    /// Its body contains this text.
    Contains(String),
    /// Its body has a match of this expression.
    Matches(String),
    /// A header has this text in its value, case ignored.
    Header(String, String),
    /// The value at this JSONPath of the body is this.
    Json(String, serde_json::Value),
}

impl Check {
    /// Whether the body has to be kept for it.
    pub fn reads_body(&self) -> bool {
        matches!(self, Check::Contains(_) | Check::Matches(_) | Check::Json(..))
    }
}

impl fmt::Display for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Check::Status(statuses) => match (statuses.as_slice(), statuses.len() % 100) {
                ([only], _) => write!(f, "status is {only}"),
                ([first, ..], 0) => write!(f, "status is {}xx", first / 100),
                _ => {
                    let texts: Vec<String> = statuses.iter().map(u16::to_string).collect();
                    write!(f, "status is one of {}", texts.join(", "))
                }
            },
            Check::Contains(text) => write!(f, "body contains `{text}`"),
            Check::Matches(regex) => write!(f, "body matches `{regex}`"),
            Check::Header(name, text) => write!(f, "header `{name}` contains `{text}`"),
            Check::Json(path, value) => write!(f, "`{path}` is {value}"),
        }
    }
}
