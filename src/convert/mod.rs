//! Makes plans from what people have already: the scripts and test plans of other tools, HAR files,
//! access logs, API descriptions. One file or folder a format.
//!
//! A converter gives the text of a plan, writes files of data next to it, and says what it left
//! out, with the line of the input. A secret never reaches the plan: an environment variable takes
//! its place.

mod artifact;
mod draft;
mod error;
mod http;
mod known;
mod load_text;
mod notes;
mod parts;
mod plan_text;
mod script;
mod stages;
mod table;
mod template;
mod toml_text;
mod tree;
mod values;
mod xml;

use std::io::{self, BufRead, Cursor, Read};

use crate::registry::registry;

use self::artifact::Artifact;
pub use self::artifact::{Files, Options};
use self::draft::Draft;
pub use self::error::ConvertError;
use self::notes::Notes;
pub use self::notes::{Note, Problem};

/// One format that can be converted.
#[derive(Debug)]
pub struct ConverterSpec {
    /// Name on the command line.
    pub name: &'static str,
    /// One line for `kneepoint list converters`.
    pub summary: &'static str,
    /// The options of the command line that apply to the format.
    options: &'static [&'static str],
    /// Whether a file that begins like this is of the format. The first one of the registry that
    /// says yes is used.
    looks: fn(&str) -> bool,
    /// Makes a plan of it.
    convert: fn(&mut Artifact<'_>) -> Result<Draft, ConvertError>,
}

registry! {
    /// Every format, in the order in which they are tried and listed.
    pub static CONVERTERS: [ConverterSpec] = [
        har,
        postman,
        openapi,
        jmeter,
        k6,
        locust,
        gatling,
        artillery,
        vegeta,
        access_log,
    ]
}

/// The converter called `name`.
pub fn find(name: &str) -> Option<&'static ConverterSpec> {
    CONVERTERS.iter().copied().find(|spec| spec.name == name)
}

/// A plan, and what there is to know about it.
#[derive(Debug)]
pub struct Converted {
    /// The plan, TOML.
    pub plan: String,
    /// What the input holds, in short lines.
    pub seen: Vec<String>,
    /// What the plan left out or changed, and what to check.
    pub notes: Vec<Note>,
}

/// How much of the input is looked at to tell its format, in bytes.
const SNIFFED: u64 = 64 * 1024;

/// Tells the format of an input from how it begins; gives the input back whole.
///
/// # Errors
/// When it cannot be read.
pub fn sniff<'r>(
    mut input: impl BufRead + 'r,
) -> io::Result<(Option<&'static ConverterSpec>, Box<dyn BufRead + 'r>)> {
    let mut begin = Vec::new();
    input.by_ref().take(SNIFFED).read_to_end(&mut begin)?;
    let text = String::from_utf8_lossy(&begin).into_owned();
    let text = text.trim_start_matches('\u{feff}');
    let spec = CONVERTERS.iter().copied().find(|spec| (spec.looks)(text));
    Ok((spec, Box::new(Cursor::new(begin).chain(input))))
}

/// Makes a plan of an input.
///
/// # Errors
/// When it cannot be read, is not of this format, or holds nothing that can be sent.
pub fn convert(
    spec: &ConverterSpec,
    input: &mut dyn BufRead,
    files: &mut dyn Files,
    options: &Options,
) -> Result<Converted, ConvertError> {
    let given = [
        ("--timed", options.timed),
        ("--speed", options.speed.is_some()),
        ("--keep-static", options.keep_static),
    ];
    if let Some((option, _)) = given.iter().find(|(it, on)| *on && !spec.options.contains(it)) {
        return Err(ConvertError::Unfit(format!(
            "`{option}` does not apply to {} files",
            spec.name
        )));
    }
    let mut artifact =
        Artifact { input, files, options, notes: Notes::default(), seen: Vec::new() };
    let mut draft = (spec.convert)(&mut artifact)?;
    known::settle(&mut draft, &mut artifact.notes);
    let plan = plan_text::write(draft, spec.name, options, &mut artifact.notes);
    let Artifact { notes, seen, .. } = artifact;
    Ok(Converted { plan, seen, notes: notes.into_notes() })
}

#[cfg(test)]
mod tests;
#[cfg(test)]
mod tool_tests;
