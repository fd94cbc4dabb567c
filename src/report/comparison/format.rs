//! What a format of comparisons is.

use std::io;

use super::view::ComparisonReport;

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
