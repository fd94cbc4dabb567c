//! Results of other load tools, read as recordings: one file a format. They hold what a load
//! generator saw and nothing about the target: they show a knee, but not its cause.

mod error;
mod lines;
mod requests;

use std::io::BufRead;

pub use self::error::ImportError;
use self::requests::Requests;
use crate::recording::Recording;
use crate::registry::registry;

/// One format that can be read.
#[derive(Debug)]
pub struct ImporterSpec {
    /// Name on the command line.
    pub name: &'static str,
    /// One line for `kneepoint list importers`, with the command that writes the format.
    pub summary: &'static str,
    /// Reads the input from its beginning to its end, once, and adds the requests that it finds.
    /// It keeps no more than a part of the input in memory: files may be larger than the machine.
    read: fn(&mut dyn BufRead, &mut Requests) -> Result<(), ImportError>,
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
    (spec.read)(input, &mut requests)?;
    requests.into_recording(spec.name, name)
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    fn refusal(text: &str) -> String {
        let spec = find("vegeta").unwrap();
        import(spec, "it", &mut text.as_bytes()).unwrap_err().to_string()
    }

    #[test]
    fn mistakes_are_told_with_their_line() {
        assert_eq!(refusal("\n \n"), "the file holds no request");
        let text = refusal("\n{\"code\": 200}\nnonsense\n");
        let lines: Vec<_> = text.lines().collect();
        assert!(lines[0].starts_with("line 2: ") && lines[0].contains("timestamp"), "{text}");
        assert!(lines[1].starts_with("line 3: "), "{text}");
        assert_eq!(refusal(&"nonsense\n".repeat(40)).lines().count(), error::MOST_MISTAKES);
    }

    #[test]
    fn a_line_without_end_is_not_read_to_its_end() {
        let mut endless = io::BufReader::new(io::repeat(b'x'));
        let why = import(find("k6").unwrap(), "it", &mut endless).unwrap_err();
        assert_eq!(why.to_string(), "line 1 is longer than 16 MB");
    }

    #[test]
    fn every_importer_has_a_different_name() {
        let names: std::collections::BTreeSet<_> = IMPORTERS.iter().map(|spec| spec.name).collect();
        assert_eq!(names.len(), IMPORTERS.len());
    }
}
