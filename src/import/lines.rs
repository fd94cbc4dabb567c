//! Reads line by line, for the formats in which each line stands alone.

use std::io::{self, BufRead, Read};

use super::error::{ImportError, LONGEST_LINE, Mistakes};

/// Remark on a compressed file whose end is missing.
pub(super) const CUT_OFF: &str = "the compressed file is cut off: what came before was read";

/// The lines of an input. Only one is in memory.
pub(super) struct LineReader<'r> {
    input: &'r mut dyn BufRead,
    bytes: Vec<u8>,
    number: usize,
    /// What the system said where the end of a compressed file is missing.
    cut: Option<io::Error>,
}

impl<'r> LineReader<'r> {
    pub(super) fn new(input: &'r mut dyn BufRead) -> Self {
        Self { input, bytes: Vec::new(), number: 0, cut: None }
    }

    /// The number and the text of the next line that is not empty, without its end.
    ///
    /// # Errors
    /// When the input cannot be read, or when a line has no end.
    pub(super) fn next_line(&mut self) -> Result<Option<(usize, &[u8])>, ImportError> {
        loop {
            self.bytes.clear();
            self.number += 1;
            let line = self.number;
            let mut part = (&mut *self.input).take(LONGEST_LINE as u64);
            match part.read_until(b'\n', &mut self.bytes) {
                Ok(0) => return Ok(None),
                Ok(_) => {}
                Err(error) if is_cut(&error) => {
                    self.cut = Some(error);
                    return Ok(None);
                }
                Err(source) => return Err(ImportError::Unreadable { line, source }),
            }
            if self.bytes.len() == LONGEST_LINE && !self.bytes.ends_with(b"\n") {
                return Err(ImportError::LongLine { line });
            }
            while self.bytes.pop_if(|last| matches!(*last, b'\r' | b'\n')).is_some() {}
            if !self.bytes.trim_ascii().is_empty() {
                break;
            }
        }
        Ok(Some((self.number, &self.bytes)))
    }

    /// At the end of the input: a remark where it was cut off after something was read.
    ///
    /// # Errors
    /// When it was cut off before.
    pub(super) fn end(self, any_right: bool) -> Result<Option<&'static str>, ImportError> {
        match self.cut {
            None => Ok(None),
            Some(_) if any_right => Ok(Some(CUT_OFF)),
            Some(source) => Err(ImportError::Unreadable { line: self.number, source }),
        }
    }
}

/// Gives each line that is not empty to `take`, which says what is wrong with it. Returns a remark
/// where the end of the input is missing.
///
/// # Errors
/// When the input cannot be read, when a line has no end, or when `take` refused lines.
pub(super) fn each_line(
    input: &mut dyn BufRead,
    mut take: impl FnMut(&str) -> Result<(), String>,
) -> Result<Option<String>, ImportError> {
    let (mut lines, mut mistakes) = (LineReader::new(input), Mistakes::default());
    while let Some((number, bytes)) = lines.next_line()? {
        let line = std::str::from_utf8(bytes).map_err(|error| {
            let source = io::Error::new(io::ErrorKind::InvalidData, error);
            ImportError::Unreadable { line: number, source }
        })?;
        mistakes.note(number, take(line))?;
    }
    let cut = lines.end(mistakes.any_right())?;
    let mistake = mistakes.end()?;
    Ok(cut.map(str::to_owned).or(mistake))
}

/// Whether a compressed file ends too early.
pub(super) fn is_cut(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::UnexpectedEof
}
