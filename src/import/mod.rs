//! Results of other tools, read as recordings: one file a format. They hold what a load generator
//! saw, and nothing of the target: a knee can be told from them, its cause can not.

mod requests;

use std::io::{self, BufRead};

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
    /// There is no request in it.
    #[error("it holds no request")]
    Empty,
}

/// How many mistakes are told.
const MOST_MISTAKES: usize = 5;

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
    for (index, line) in input.lines().enumerate() {
        let line = line.map_err(|source| ImportError::Unreadable { line: index + 1, source })?;
        if line.trim().is_empty() {
            continue;
        }
        if let Err(mistake) = (spec.take)(&line, &mut requests) {
            mistakes.push(format!("line {}: {mistake}", index + 1));
            if mistakes.len() == MOST_MISTAKES {
                break;
            }
        }
    }
    if !mistakes.is_empty() {
        return Err(ImportError::Malformed { mistakes });
    }
    requests.into_recording(spec.name, name).ok_or(ImportError::Empty)
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
    fn every_importer_has_a_name_of_its_own() {
        let names: std::collections::BTreeSet<_> = IMPORTERS.iter().map(|spec| spec.name).collect();
        assert_eq!(names.len(), IMPORTERS.len());
    }
}
