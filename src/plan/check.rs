//! Values to capture from a response, and checks on it.

use std::fmt;

use serde::Serialize;

/// A value to take from a response, for later steps.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Capture {
    /// Its name in templates, as `{name}`.
    pub name: String,
    /// Where to find it.
    pub source: CaptureSource,
}

/// Where to find a value in a response.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum CaptureSource {
    /// The first value at this JSONPath (RFC 9535) of the body.
    Json(String),
    /// The first group of this regular expression in the body, or the whole match if it has no
    /// group.
    Regex(String),
    /// The header of this name.
    Header(String),
    /// The cookie of this name that the response sets.
    Cookie(String),
}

impl CaptureSource {
    /// Whether it needs the body.
    pub fn reads_body(&self) -> bool {
        matches!(self, CaptureSource::Json(_) | CaptureSource::Regex(_))
    }
}

/// A check: what a response must be for its request to count as a success.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Check {
    /// The status is one of these.
    Status(Vec<u16>),
    /// The body contains this text.
    Contains(String),
    /// The body matches this regular expression.
    Matches(String),
    /// The value of this header contains this text; case does not count.
    Header(String, String),
    /// The value at this JSONPath of the body equals this one.
    Json(String, serde_json::Value),
}

impl Check {
    /// Whether it needs the body.
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
