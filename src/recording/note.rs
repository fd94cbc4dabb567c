//! What a reader should know about the condition of a recording that could be read.

use std::fmt;

use super::lines::{MAJOR, MINOR};

/// Something to know about a recording that could be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReadNote {
    /// There is no end line: the run was killed, its disk was full, or it is still running.
    NoEnd,
    /// The last frame is cut off; what could be decoded of it is included.
    TornEnd,
    /// A damaged frame was skipped.
    DamagedFrame,
    /// An invalid line was skipped.
    BadLine {
        /// Which line of the decompressed file, counted from 1.
        line: u64,
        /// What is wrong with it.
        why: String,
    },
    /// This many more invalid lines were skipped.
    MoreBadLines(u64),
    /// Lines of a kind that this version does not know were skipped.
    UnknownKind {
        /// The kind.
        kind: String,
        /// How many lines.
        lines: u64,
    },
    /// The recording was written by a later version of the format.
    NewerMinor(String),
}

impl fmt::Display for ReadNote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ReadNote::NoEnd => f.write_str(
                "the recording has no end: the run was killed, could not write any more, or is still running",
            ),
            ReadNote::TornEnd => {
                f.write_str("the recording is cut off: up to two seconds at its end are missing")
            }
            ReadNote::DamagedFrame => {
                f.write_str("a part of the recording is damaged and was skipped")
            }
            ReadNote::BadLine { line, why } => {
                write!(f, "line {line} of the recording is invalid and was skipped: {why}")
            }
            ReadNote::MoreBadLines(count) => write!(f, "{count} more invalid lines were skipped"),
            ReadNote::UnknownKind { kind, lines } => {
                write!(f, "{lines} lines of the unknown kind `{kind}` were skipped")
            }
            ReadNote::NewerMinor(version) => write!(
                f,
                "the recording has format version {version}, newer than {MAJOR}.{MINOR}; what is new in it was skipped"
            ),
        }
    }
}
