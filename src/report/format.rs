//! What a report format is. A format is a file with a `SPEC` and its name in
//! [`FORMATS`](super::FORMATS).

use std::io;

use super::model::Report;

/// One way to write a report.
#[derive(Debug)]
pub struct FormatSpec {
    /// Name on the command line.
    pub name: &'static str,
    /// One line for `kneepoint list formats`.
    pub summary: &'static str,
    /// Extension of a file in this format, without the dot.
    pub extension: &'static str,
    /// Whether every run leaves a report in this format beside its recording.
    pub left_by_every_run: bool,
    /// Whether it shows the run second by second, which takes time to compute:
    /// [`Report::with_seconds`].
    pub needs_seconds: bool,
    /// Writes the report.
    ///
    /// # Errors
    /// Only those of the writer.
    pub render: fn(&Report, &mut dyn io::Write) -> io::Result<()>,
}

impl FormatSpec {
    /// Name of the file that a run leaves in this format.
    pub fn file_name(&self) -> String {
        format!("report.{}", self.extension)
    }
}
