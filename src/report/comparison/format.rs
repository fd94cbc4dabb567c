//! What a format of comparisons is.

use std::io;

use super::view::ComparisonReport;

/// One way to write a comparison.
#[derive(Debug)]
pub struct ComparisonFormat {
    /// Name on the command line; equals the file stem.
    pub name: &'static str,
    /// One line for `--help`.
    pub summary: &'static str,
    /// Name of its file in a directory.
    pub file_name: &'static str,
    /// Whether it is written into a directory of results; else it is only printed.
    pub is_left_as_file: bool,
    /// Writes the report.
    ///
    /// # Errors
    /// Only those of the writer.
    pub render: fn(&ComparisonReport, &mut dyn io::Write) -> io::Result<()>,
}
