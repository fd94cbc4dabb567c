//! Reads line by line, for the formats in which each line stands alone.

use std::io::{self, BufRead, Read};

use super::error::{ImportError, LONGEST_LINE, Mistakes};

/// Gives each line that is not empty to `take`, which says what is wrong with it. Only one line is
/// in memory.
///
/// # Errors
/// When the input cannot be read, when a line has no end, or when `take` refused lines.
pub(super) fn each_line(
    input: &mut dyn BufRead,
    mut take: impl FnMut(&str) -> Result<(), String>,
) -> Result<(), ImportError> {
    let (mut mistakes, mut bytes) = (Mistakes::default(), Vec::new());
    for number in 1.. {
        bytes.clear();
        let unreadable = |source| ImportError::Unreadable { line: number, source };
        let count = (&mut *input).take(LONGEST_LINE as u64).read_until(b'\n', &mut bytes);
        if count.map_err(unreadable)? == 0 {
            break;
        }
        if bytes.len() == LONGEST_LINE && !bytes.ends_with(b"\n") {
            return Err(ImportError::LongLine { line: number });
        }
        let line = std::str::from_utf8(&bytes)
            .map_err(|error| unreadable(io::Error::new(io::ErrorKind::InvalidData, error)))?;
        let line = line.trim_end_matches(['\r', '\n']);
        if line.trim().is_empty() {
            continue;
        }
        if let Err(mistake) = take(line) {
            mistakes.add(&format!("line {number}"), &mistake)?;
        }
    }
    mistakes.end()
}
