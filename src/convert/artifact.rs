//! The input of one conversion, its options, and the files around it.

use std::io::{self, BufRead, Read, Write};

use super::error::ConvertError;
use super::notes::Notes;

/// Largest input of the formats that are read whole, in bytes.
const LARGEST_TEXT: u64 = 512 * 1024 * 1024;
/// Largest file that an input may name as a body, in bytes.
const LARGEST_BODY: u64 = 1024 * 1024;
/// Longest line that is read as one, in bytes; a longer one is cut there.
const LONGEST_LINE: usize = 1024 * 1024;

/// What the conversion is asked to do.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Name of the input, for the plan's name and its first line.
    pub origin: String,
    /// Target URL, overriding the input's.
    pub target: Option<String>,
    /// Whether to send each request at its own time, where the input has times.
    pub timed: bool,
    /// How many times faster than the input; 1 by default.
    pub speed: Option<f64>,
    /// Whether to keep images, scripts and styles of what a browser recorded.
    pub keep_static: bool,
}

/// The files around the input and the plan: the room itself opens none.
pub trait Files {
    /// Opens a file that the input names; a relative path starts at the input.
    ///
    /// # Errors
    /// What the system said.
    fn open(&mut self, path: &str) -> io::Result<Box<dyn BufRead>>;

    /// Creates the file `name` next to the plan.
    ///
    /// # Errors
    /// What the system said.
    fn create(&mut self, name: &str) -> io::Result<Box<dyn Write>>;
}

/// What a converter works on.
pub(super) struct Artifact<'a> {
    pub(super) input: &'a mut dyn BufRead,
    pub(super) files: &'a mut dyn Files,
    pub(super) options: &'a Options,
    pub(super) notes: Notes,
    /// What the input holds, in short lines for the person who asked.
    pub(super) seen: Vec<String>,
}

impl Artifact<'_> {
    /// The whole input as text.
    pub(super) fn text(&mut self) -> Result<String, ConvertError> {
        let mut bytes = Vec::new();
        let read = self.input.take(LARGEST_TEXT + 1).read_to_end(&mut bytes);
        read.map_err(ConvertError::Unreadable)?;
        if bytes.len() as u64 > LARGEST_TEXT {
            return Err(ConvertError::Unfit(format!(
                "the file is larger than {} MB, the most that this format can have",
                LARGEST_TEXT >> 20
            )));
        }
        let text = String::from_utf8(bytes).map_err(|error| {
            let good = &error.as_bytes()[..error.utf8_error().valid_up_to()];
            let line = good.iter().filter(|byte| **byte == b'\n').count() + 1;
            ConvertError::at(line, None, "the text is not valid UTF-8 here")
        })?;
        Ok(match text.strip_prefix('\u{feff}') {
            Some(rest) => rest.to_owned(),
            None => text,
        })
    }

    /// The next line without its end, into `line`; false at the end of the input. Whatever the
    /// input holds, no more than one longest line is kept.
    pub(super) fn next_line(&mut self, line: &mut String) -> Result<bool, ConvertError> {
        // The memory of the last line serves for the next one.
        let mut bytes = std::mem::take(line).into_bytes();
        bytes.clear();
        let mut any = false;
        loop {
            let chunk = self.input.fill_buf().map_err(ConvertError::Unreadable)?;
            if chunk.is_empty() {
                break;
            }
            any = true;
            let end = chunk.iter().position(|byte| *byte == b'\n');
            let part = &chunk[..end.unwrap_or(chunk.len())];
            bytes.extend_from_slice(&part[..part.len().min(LONGEST_LINE - bytes.len())]);
            let used = end.map_or(chunk.len(), |end| end + 1);
            self.input.consume(used);
            if end.is_some() {
                break;
            }
        }
        if bytes.last() == Some(&b'\r') {
            bytes.pop();
        }
        *line = String::from_utf8(bytes)
            .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned());
        Ok(any)
    }

    /// A file that the input names as a body.
    pub(super) fn body_file(&mut self, path: &str) -> Result<String, String> {
        let mut bytes = Vec::new();
        let file = self.files.open(path).map_err(|error| error.to_string())?;
        let read = file.take(LARGEST_BODY + 1).read_to_end(&mut bytes);
        read.map_err(|error| error.to_string())?;
        if bytes.len() as u64 > LARGEST_BODY {
            return Err(format!("the file is larger than {} kB", LARGEST_BODY >> 10));
        }
        String::from_utf8(bytes).map_err(|_| "the file is not UTF-8 text".to_owned())
    }

    /// Writes a file next to the plan.
    pub(super) fn write(
        &mut self,
        name: &str,
        write: impl FnOnce(&mut csv::Writer<Box<dyn Write>>) -> csv::Result<()>,
    ) -> Result<(), ConvertError> {
        let unwritable =
            |source: std::io::Error| ConvertError::Unwritable { name: name.to_owned(), source };
        let mut writer = csv::Writer::from_writer(self.files.create(name).map_err(unwritable)?);
        write(&mut writer).map_err(|error| unwritable(error.into()))?;
        writer.flush().map_err(unwritable)
    }
}
