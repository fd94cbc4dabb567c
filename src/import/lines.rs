//! Reads line by line, for the formats in which each line stands alone.

use std::io::{self, BufRead, Read};

use super::error::{ImportError, LONGEST_LINE, Mistakes};

/// Remark on a compressed file whose end is missing.
pub(super) const CUT_OFF: &str = "the compressed file is cut off: what came before was read";

/// Gives each line that is not empty to `take`, which says what is wrong with it. Only one line is
/// in memory. Returns a remark where the end of the input is missing.
///
/// # Errors
/// When the input cannot be read, when a line has no end, or when `take` refused lines.
pub(super) fn each_line(
    input: &mut dyn BufRead,
    mut take: impl FnMut(&str) -> Result<(), String>,
) -> Result<Option<String>, ImportError> {
    let (mut mistakes, mut bytes) = (Mistakes::default(), Vec::new());
    for number in 1.. {
        bytes.clear();
        let unreadable = |source| ImportError::Unreadable { line: number, source };
        match (&mut *input).take(LONGEST_LINE as u64).read_until(b'\n', &mut bytes) {
            Ok(0) => break,
            Ok(_) => {}
            Err(error) if is_cut(&error) && mistakes.any_right() => {
                return mistakes.end().map(|_| Some(CUT_OFF.to_owned()));
            }
            Err(error) => return Err(unreadable(error)),
        }
        if bytes.len() == LONGEST_LINE && !bytes.ends_with(b"\n") {
            return Err(ImportError::LongLine { line: number });
        }
        let line = std::str::from_utf8(&bytes)
            .map_err(|error| unreadable(io::Error::new(io::ErrorKind::InvalidData, error)))?;
        let line = line.trim_end_matches(['\r', '\n']);
        if !line.trim().is_empty() {
            mistakes.note(number, take(line))?;
        }
    }
    mistakes.end()
}

/// Whether a compressed file ends too early.
pub(super) fn is_cut(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::UnexpectedEof
}
