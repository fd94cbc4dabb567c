//! Why nothing was imported.

use std::io;

/// Most mistakes that one message lists.
pub(super) const MOST_MISTAKES: usize = 5;

/// Longest line or row that is read, in bytes: a request with its body fits.
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
    /// A summary that no tool writes.
    #[error("the file is longer than {limit} MB, which no summary is")]
    LargeSummary {
        /// In MB.
        limit: u64,
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
    /// No importer knows how the input begins.
    #[error("cannot tell the format: it begins with `{begin}`")]
    Unknown {
        /// The first bytes.
        begin: String,
    },
    /// The format is known, and cannot be read.
    #[error("this is {what}: {instead}")]
    Unfit {
        /// What it is.
        what: &'static str,
        /// What to give in its place.
        instead: &'static str,
    },
    /// Several files are not of the same format.
    #[error("this looks like {this}, and the files before it like {before}: import them apart")]
    Mixed {
        /// Name of this file's importer.
        this: &'static str,
        /// Name of that of the files before.
        before: &'static str,
    },
}

/// The mistakes of one input. Reading goes on after a mistake, so that one message lists several.
///
/// A mistake in the very last line does not count against what was read before it: a run that was
/// stopped, or that still goes on, leaves half a line there.
#[derive(Debug, Default)]
pub(super) struct Mistakes {
    list: Vec<String>,
    last: Option<String>,
    any_right: bool,
}

impl Mistakes {
    /// Whether something was read without a mistake.
    pub(super) fn any_right(&self) -> bool {
        self.any_right
    }

    /// Notes what reading the next part came to; `line` says where it begins.
    ///
    /// # Errors
    /// When the list is full.
    pub(super) fn note(
        &mut self,
        line: usize,
        outcome: Result<(), String>,
    ) -> Result<(), ImportError> {
        self.list.extend(self.last.take());
        match outcome {
            Ok(()) => self.any_right = true,
            Err(mistake) if self.list.len() + 1 < MOST_MISTAKES => {
                self.last = Some(format!("line {line}: {mistake}"));
            }
            Err(mistake) => self.list.push(format!("line {line}: {mistake}")),
        }
        match self.list.len() < MOST_MISTAKES {
            true => Ok(()),
            false => Err(ImportError::Malformed { mistakes: std::mem::take(&mut self.list) }),
        }
    }

    /// The end of the input, with a remark where its last line was left out.
    ///
    /// # Errors
    /// When there was a mistake before the last line.
    pub(super) fn end(mut self) -> Result<Option<String>, ImportError> {
        if self.any_right && self.list.is_empty() {
            return Ok(self.last.map(|mistake| {
                format!("the file is cut off in its last line, which was left out: {mistake}")
            }));
        }
        self.list.extend(self.last.take());
        match self.list.is_empty() {
            true => Ok(None),
            false => Err(ImportError::Malformed { mistakes: self.list }),
        }
    }
}
