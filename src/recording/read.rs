//! Reads a recording file, also one that ends in the middle.

use std::fmt;
use std::io::BufRead;

use super::Recording;

/// Something a reader of a recording should know although it could be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReadNote {
    /// The file ends without an end line: the run was killed.
    NoEnd,
}

impl fmt::Display for ReadNote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ReadNote::NoEnd => f.write_str("the recording ends without saying why"),
        }
    }
}

/// Why a file cannot be read as a recording.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The file itself cannot be read.
    #[error("cannot read the recording: {0}")]
    Io(#[from] std::io::Error),
}

/// Reads a recording with what there is to know about its condition.
///
/// # Errors
///
/// When it is not a recording, or one of another major version; damage inside is a note.
pub fn read(_reader: impl BufRead) -> Result<(Recording, Vec<ReadNote>), ReadError> {
    Err(std::io::Error::from(std::io::ErrorKind::UnexpectedEof).into())
}
