//! Why an input did not become a plan.

use std::io;

use super::notes::Problem;

/// Why there is no plan.
#[derive(Debug, thiserror::Error)]
pub enum ConvertError {
    /// The input could not be read.
    #[error("cannot read the file: {0}")]
    Unreadable(#[source] io::Error),
    /// A file next to the plan could not be written.
    #[error("cannot write `{name}`: {source}")]
    Unwritable {
        /// Name of the file.
        name: String,
        /// What the system said.
        source: io::Error,
    },
    /// The first few mistakes in it.
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
    Malformed(Vec<Problem>),
    /// It is well formed, and nothing in it can be sent.
    #[error("{0}")]
    Empty(String),
    /// An option that does not apply to the format, or an input that is too large.
    #[error("{0}")]
    Unfit(String),
}

impl ConvertError {
    /// A mistake at a place.
    pub(super) fn at(line: usize, column: Option<usize>, text: impl Into<String>) -> Self {
        Self::Malformed(vec![Problem { line: Some(line), column, text: text.into() }])
    }
}
