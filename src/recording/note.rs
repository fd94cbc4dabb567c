//! What a reader should know about the condition of a recording that could be read.

use std::fmt;

use super::lines::{MAJOR, MINOR};

/// Something that a reader of a recording should know although it could be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReadNote {
    /// There is no end line: the run was killed, its disk was full, or it goes on.
    NoEnd,
    /// The last frame is cut off; what decodes of it was taken.
    TornEnd,
    /// A frame inside is damaged and was left out.
    DamagedFrame,
    /// A line is not what it should be and was left out.
    BadLine {
        /// Which line of the decompressed file, counted from 1.
        line: u64,
        /// What is wrong with it.
        why: String,
    },
    /// So many more bad lines were left out.
    MoreBadLines(u64),
    /// Lines of a kind that this version does not know were left out.
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
                "the recording ends without saying why: the run was killed, could not write on, or is still under way",
            ),
            ReadNote::TornEnd => {
                f.write_str("the recording breaks off in the middle of a frame; up to the last two seconds of it are missing")
            }
            ReadNote::DamagedFrame => {
                f.write_str("a part of the recording is damaged and was left out")
            }
            ReadNote::BadLine { line, why } => {
                write!(f, "line {line} of the recording was left out: {why}")
            }
            ReadNote::MoreBadLines(count) => write!(f, "{count} more lines were left out"),
            ReadNote::UnknownKind { kind, lines } => {
                write!(f, "{lines} lines of the unknown kind `{kind}` were left out")
            }
            ReadNote::NewerMinor(version) => write!(
                f,
                "the recording has format version {version}, later than {MAJOR}.{MINOR}; what is new in it was left out"
            ),
        }
    }
}
