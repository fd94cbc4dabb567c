//! Reads binary formats from their beginning to their end: numbers and texts, and what a file comes
//! to that ends too early or is damaged.

use std::io::{self, BufRead, Read};

use super::error::ImportError;
use super::lines::is_cut;
use super::requests::Requests;

/// Why reading ended.
pub(super) enum Stop {
    /// The input ends within a record.
    Cut,
    /// What was read cannot be.
    Damaged(String),
    /// The input could not be read.
    Unreadable(io::Error),
}

impl From<String> for Stop {
    fn from(why: String) -> Self {
        Self::Damaged(why)
    }
}

/// An input and how far it was read.
pub(super) struct BinaryReader<'r> {
    input: &'r mut dyn BufRead,
    /// Bytes that were read.
    at: u64,
}

impl<'r> BinaryReader<'r> {
    pub(super) fn new(input: &'r mut dyn BufRead) -> Self {
        Self { input, at: 0 }
    }

    /// Bytes that were read.
    pub(super) fn at(&self) -> u64 {
        self.at
    }

    /// The next byte; `None` at the end of the input.
    ///
    /// # Errors
    /// When the input cannot be read.
    pub(super) fn first_byte(&mut self) -> Result<Option<u8>, Stop> {
        let first = self.input.fill_buf().map_err(stopped)?.first().copied();
        if first.is_some() {
            self.input.consume(1);
            self.at += 1;
        }
        Ok(first)
    }

    /// As many bytes.
    ///
    /// # Errors
    /// When the input ends before, or cannot be read.
    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N], Stop> {
        let mut bytes = [0; N];
        self.input.read_exact(&mut bytes).map_err(stopped)?;
        self.at += N as u64;
        Ok(bytes)
    }

    /// As many bytes. The memory grows with what is there, whatever `count` says.
    ///
    /// # Errors
    /// When the input ends before, or cannot be read.
    pub(super) fn bytes(&mut self, count: usize) -> Result<Vec<u8>, Stop> {
        let mut bytes = Vec::new();
        let read = (&mut *self.input).take(count as u64).read_to_end(&mut bytes);
        read.map_err(stopped)?;
        if bytes.len() < count {
            return Err(Stop::Cut);
        }
        self.at += count as u64;
        Ok(bytes)
    }
}

fn stopped(error: io::Error) -> Stop {
    match is_cut(&error) {
        true => Stop::Cut,
        false => Stop::Unreadable(error),
    }
}

/// What a file comes to that was not read to its end: what came before is kept.
///
/// # Errors
/// When nothing came before, or the input cannot be read.
pub(super) fn ended_by(
    stop: Stop,
    (records, byte): (u64, u64),
    requests: &mut Requests,
) -> Result<(), ImportError> {
    let what = match stop {
        Stop::Unreadable(source) => return Err(ImportError::Unreadable { line: 1, source }),
        Stop::Cut => "the file ends within a record".to_owned(),
        Stop::Damaged(why) => why,
    };
    if records == 0 {
        return Err(ImportError::Malformed { mistakes: vec![format!("byte {byte}: {what}")] });
    }
    requests.note(format!(
        "the file is cut off or damaged in the record that begins at byte {byte}: {what}; the \
         {records} requests before it were read"
    ));
    Ok(())
}
