//! What people have already → a plan: targets of vegeta, scripts of artillery, what a browser
//! recorded, a server's access log, a description of an API. One file a format.
//!
//! A converter gives the text of a plan, files of data beside it, and says what it left out. What
//! it does not understand is told with its line, never dropped in silence; a secret never reaches
//! the plan, but stands there as a variable of the environment.

mod artifact;
mod draft;
mod http;
mod template;
mod told;
mod tree;

use std::io::{self, BufRead, Cursor, Read, Write};

use crate::registry::registry;

use self::artifact::Artifact;
use self::draft::Draft;
use self::told::Told;
pub use self::told::{Note, Problem};

/// One format that can be converted.
#[derive(Debug)]
pub struct ConverterSpec {
    /// Name on the command line.
    pub name: &'static str,
    /// One line for `kneepoint list converters`.
    pub summary: &'static str,
    /// The options of the command line that mean something here.
    options: &'static [&'static str],
    /// Whether a file that begins like this is of the format. Not asked in any order but that of
    /// the registry: the first that says yes is taken.
    looks: fn(&str) -> bool,
    /// Makes a plan of it.
    convert: fn(&mut Artifact<'_>) -> Result<Draft, ConvertError>,
}

registry! {
    /// Every format, in the order in which they are tried and listed.
    pub static CONVERTERS: [ConverterSpec] = [
        har,
        openapi,
        artillery,
        vegeta,
        access_log,
    ]
}

/// The converter called `name`.
pub fn find(name: &str) -> Option<&'static ConverterSpec> {
    CONVERTERS.iter().copied().find(|spec| spec.name == name)
}

/// What was asked for.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Name of the input, for the plan's name and its first line.
    pub origin: String,
    /// Where the requests shall go, instead of where the input says.
    pub target: Option<String>,
    /// Each request at its own time, where the input has times.
    pub timed: bool,
    /// How many times faster than the input; 1 where nothing else is asked for.
    pub speed: Option<f64>,
    /// Images, scripts and styles as well, where the input is what a browser recorded.
    pub keep_static: bool,
}

/// The files around the input and the plan: the room itself opens none.
pub trait Beside {
    /// Opens a file that the input names; a relative path starts at the input.
    ///
    /// # Errors
    /// What the system said.
    fn open(&mut self, path: &str) -> io::Result<Box<dyn BufRead>>;

    /// Makes the file `name` beside the plan.
    ///
    /// # Errors
    /// What the system said.
    fn create(&mut self, name: &str) -> io::Result<Box<dyn Write>>;
}

/// A plan, and what there is to know about it.
#[derive(Debug)]
pub struct Converted {
    /// The plan, TOML.
    pub plan: String,
    /// What the input holds, in short lines.
    pub seen: Vec<String>,
    /// What is not in the plan as it was in the input, and what to look at.
    pub notes: Vec<Note>,
}

/// Why there is no plan.
#[derive(Debug, thiserror::Error)]
pub enum ConvertError {
    /// The input could not be read.
    #[error("cannot read it: {0}")]
    Unreadable(#[source] io::Error),
    /// A file beside the plan could not be written.
    #[error("cannot write `{name}`: {source}")]
    Unwritable {
        /// Name of the file.
        name: String,
        /// What the system said.
        source: io::Error,
    },
    /// What is wrong in it: the first few mistakes.
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
    Malformed(Vec<Problem>),
    /// It is well formed, and nothing in it can be sent.
    #[error("{0}")]
    Empty(String),
    /// An option does not go with it.
    #[error("{0}")]
    Unfit(String),
}

impl ConvertError {
    /// A mistake at a place.
    fn at(line: usize, column: Option<usize>, text: impl Into<String>) -> Self {
        Self::Malformed(vec![Problem { line: Some(line), column, text: text.into() }])
    }
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
    beside: &mut dyn Beside,
    options: &Options,
) -> Result<Converted, ConvertError> {
    let given = [
        ("--timed", options.timed),
        ("--speed", options.speed.is_some()),
        ("--keep-static", options.keep_static),
    ];
    if let Some((option, _)) = given.iter().find(|(it, on)| *on && !spec.options.contains(it)) {
        return Err(ConvertError::Unfit(format!("`{option}` means nothing for {}", spec.name)));
    }
    let mut artifact = Artifact { input, beside, options, told: Told::default(), seen: Vec::new() };
    let draft = (spec.convert)(&mut artifact)?;
    let plan = draft.write(spec.name, options, &mut artifact.told);
    let Artifact { told, seen, .. } = artifact;
    Ok(Converted { plan, seen, notes: told.into_notes() })
}

#[cfg(test)]
mod tests;
