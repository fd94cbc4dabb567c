//! `Comparison` → bytes. Every sentence is made once, in `view`; a format only lays them out.

mod json;
mod markdown;
mod phrases;
mod rows;
mod terminal;
mod view;

pub use self::terminal::render as render_terminal;
pub use self::view::ComparisonReport;

use std::io;

/// One way to write a comparison.
#[derive(Debug)]
pub struct ComparisonFormat {
    /// Name on the command line.
    pub name: &'static str,
    /// Name of its file in a directory.
    pub file_name: &'static str,
    /// Writes the report.
    ///
    /// # Errors
    /// Only those of the writer.
    pub render: fn(&ComparisonReport, &mut dyn io::Write) -> io::Result<()>,
}

/// The formats that a comparison leaves as files.
pub static FORMATS: [ComparisonFormat; 2] = [json::FORMAT, markdown::FORMAT];

/// The format called `name`, of those that are files.
pub fn find(name: &str) -> Option<&'static ComparisonFormat> {
    FORMATS.iter().find(|format| format.name == name)
}
