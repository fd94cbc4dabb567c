//! How the news is.

use serde::Serialize;

/// How the news is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(in crate::report) enum Tone {
    /// The system carried all of it.
    Good,
    /// It breaks.
    Bad,
    /// Nothing can be said.
    Unknown,
}
