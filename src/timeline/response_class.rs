//! How a request ended.

use std::fmt;

use serde::{Deserialize, Serialize};

/// How a request ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ResponseClass {
    /// A response with this status code, read to its end.
    Status(u16),
    /// The connection could not be made.
    Connect,
    /// The proxy did not open a tunnel to the target.
    Proxy,
    /// The TLS handshake failed.
    Tls,
    /// No complete response within the timeout.
    Timeout,
    /// The connection was closed or reset before the response was complete.
    Reset,
    /// The response is not valid HTTP.
    Protocol,
    /// A check of the plan failed.
    Check,
}

impl ResponseClass {
    /// Whether the response is a success: any status below 400.
    pub fn is_success(self) -> bool {
        matches!(self, ResponseClass::Status(code) if code < 400)
    }
}

impl fmt::Display for ResponseClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ResponseClass::Status(code) => write!(f, "{code}"),
            ResponseClass::Connect => f.write_str("connect"),
            ResponseClass::Proxy => f.write_str("proxy"),
            ResponseClass::Tls => f.write_str("tls"),
            ResponseClass::Timeout => f.write_str("timeout"),
            ResponseClass::Reset => f.write_str("reset"),
            ResponseClass::Protocol => f.write_str("protocol"),
            ResponseClass::Check => f.write_str("check"),
        }
    }
}
