//! Why a history could not be read. No message holds a secret.

use crate::recording::WriteError;

/// Why nothing, or not all, was read from a server that stores metrics.
#[derive(Debug, thiserror::Error)]
pub enum HistoryError {
    /// The server cannot be asked.
    #[error("{what}")]
    Unusable {
        /// What failed, on what, and why.
        what: String,
        /// What to do about it.
        hint: String,
    },
    /// The server did not answer, or not with what was asked for.
    #[error("`{url}` {what}")]
    Answer {
        /// The server's address without its secrets.
        url: String,
        /// What it did instead.
        what: String,
        /// What to do about it.
        hint: String,
    },
    /// A selector is not in PromQL's form, or matches nothing.
    #[error("{what}")]
    Selector {
        /// Which one, and what is wrong with it.
        what: String,
        /// What to write instead.
        hint: String,
    },
    /// A file that is laid beside the series cannot be used.
    #[error("{what}")]
    File {
        /// Which one, and what is wrong with it.
        what: String,
        /// What to do about it.
        hint: String,
    },
    /// The recording could not be written.
    #[error(transparent)]
    Write(#[from] WriteError),
}

impl HistoryError {
    /// The next step.
    pub fn hint(&self) -> Option<&str> {
        match self {
            HistoryError::Unusable { hint, .. }
            | HistoryError::Answer { hint, .. }
            | HistoryError::Selector { hint, .. }
            | HistoryError::File { hint, .. } => Some(hint),
            HistoryError::Write(_) => None,
        }
    }
}
