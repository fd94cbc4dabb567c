//! Results of other tools, read as recordings: one file a format. They hold what a load generator
//! saw, and nothing of the target: a knee can be told from them, its cause can not.

mod requests;

use std::io::{self, BufRead, Read};

use crate::recording::Recording;
use crate::registry::registry;

use self::requests::Requests;

/// One format that can be read.
#[derive(Debug)]
pub struct ImporterSpec {
    /// Name on the command line.
    pub name: &'static str,
    /// One line for `kneepoint list importers`, with how the other tool writes it.
    pub summary: &'static str,
    /// Takes one line of the input, not empty, and adds what it holds.
    ///
    /// # Errors
    /// What is wrong with the line, in words.
    take: fn(&str, &mut Requests) -> Result<(), String>,
}

registry! {
    /// Every format, in the order lists show them.
    pub static IMPORTERS: [ImporterSpec] = [
        vegeta,
        k6,
    ]
}

/// The importer called `name`.
pub fn find(name: &str) -> Option<&'static ImporterSpec> {
    IMPORTERS.iter().copied().find(|spec| spec.name == name)
}

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
    /// Lines that are not of the format: the first few of them.
    #[error("{}", .mistakes.join("\n"))]
    Malformed {
        /// `line 3: …`.
        mistakes: Vec<String>,
    },
    /// A line that no tool writes.
    #[error("line {line} is longer than {limit} MB", limit = LONGEST_LINE >> 20)]
    LongLine {
        /// Number of the line, from 1.
        line: usize,
    },
    /// The last request ended so long after the first began.
    #[error("it spans {days} days, and no more than 7 are read: a time in it is likely wrong")]
    Long {
        /// How many whole days.
        days: u64,
    },
    /// There is no request in it.
    #[error("it holds no request")]
    Empty,
}

/// How many mistakes are told.
const MOST_MISTAKES: usize = 5;

/// Longest line that is read, in bytes: that of a request with its body in it.
const LONGEST_LINE: usize = 16 << 20;

/// Reads the results of another tool, under `name`.
///
/// # Errors
/// When the input cannot be read, or does not hold requests in this format.
pub fn import(
    spec: &ImporterSpec,
    name: &str,
    input: &mut dyn BufRead,
) -> Result<Recording, ImportError> {
    let mut requests = Requests::default();
    let mut mistakes = Vec::new();
    let (mut bytes, mut number) = (Vec::new(), 0);
    loop {
        number += 1;
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
        if let Err(mistake) = (spec.take)(line, &mut requests) {
            mistakes.push(format!("line {number}: {mistake}"));
            if mistakes.len() == MOST_MISTAKES {
                break;
            }
        }
    }
    if !mistakes.is_empty() {
        return Err(ImportError::Malformed { mistakes });
    }
    requests.into_recording(spec.name, name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(text: &str) -> String {
        let spec = find("vegeta").unwrap();
        import(spec, "it", &mut text.as_bytes()).unwrap_err().to_string()
    }

    #[test]
    fn mistakes_are_told_with_their_line() {
        assert_eq!(told("\n \n"), "it holds no request");
        let text = told("\n{\"code\": 200}\nnonsense\n");
        let lines: Vec<_> = text.lines().collect();
        assert!(lines[0].starts_with("line 2: ") && lines[0].contains("timestamp"), "{text}");
        assert!(lines[1].starts_with("line 3: "), "{text}");
        assert_eq!(told(&"nonsense\n".repeat(40)).lines().count(), MOST_MISTAKES);
    }

    #[test]
    fn a_line_without_end_is_not_read_to_its_end() {
        let mut endless = io::BufReader::new(io::repeat(b'x'));
        let why = import(find("k6").unwrap(), "it", &mut endless).unwrap_err();
        assert_eq!(why.to_string(), "line 1 is longer than 16 MB");
    }

    #[test]
    fn every_importer_has_a_name_of_its_own() {
        let names: std::collections::BTreeSet<_> = IMPORTERS.iter().map(|spec| spec.name).collect();
        assert_eq!(names.len(), IMPORTERS.len());
    }
}
