//! Why nothing was imported.

use std::io;

/// Most mistakes that one message lists.
pub(super) const MOST_MISTAKES: usize = 5;

/// Longest line that is read, in bytes: a request with its body fits.
pub(super) const LONGEST_LINE: usize = 16 << 20;

/// Why nothing was imported.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// The input could not be read.
    #[error("line {line}: {source}")]
    Unreadable {
        /// Number of the line, from 1.
        line: usize,
        /// What the system said.
        source: io::Error,
    },
    /// Parts of the input that are not of the format: the first few of them.
    #[error("{}", .mistakes.join("\n"))]
    Malformed {
        /// Where and what: `line 3: …`.
        mistakes: Vec<String>,
    },
    /// A line that no tool writes.
    #[error("line {line} is longer than {limit} MB", limit = LONGEST_LINE >> 20)]
    LongLine {
        /// Number of the line, from 1.
        line: usize,
    },
    /// The last request ended so long after the first began.
    #[error(
        "the requests span {days} days, at most 7 are read: a time in the file is probably wrong"
    )]
    Long {
        /// How many whole days.
        days: u64,
    },
    /// The input holds no request.
    #[error("the file holds no request")]
    Empty,
}

/// The mistakes of one input. Reading goes on after a mistake, so that one message lists several.
#[derive(Debug, Default)]
pub(super) struct Mistakes(Vec<String>);

impl Mistakes {
    /// Adds a mistake; `place` says where, such as `line 3`.
    ///
    /// # Errors
    /// When the list is full.
    pub(super) fn add(&mut self, place: &str, mistake: &str) -> Result<(), ImportError> {
        self.0.push(format!("{place}: {mistake}"));
        if self.0.len() < MOST_MISTAKES { Ok(()) } else { std::mem::take(self).end() }
    }

    /// The end of the input.
    ///
    /// # Errors
    /// When there was a mistake.
    pub(super) fn end(self) -> Result<(), ImportError> {
        if self.0.is_empty() { Ok(()) } else { Err(ImportError::Malformed { mistakes: self.0 }) }
    }
}
