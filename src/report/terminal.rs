//! The report for a terminal: the verdict first, no more than a screen or two.
use std::io;

use super::{FormatSpec, Report};

pub(super) const SPEC: FormatSpec = FormatSpec {
    name: "terminal",
    summary: "plain text, verdict first, for people and pipes",
    extension: "txt",
    render,
};

/// How a terminal wants it.
#[derive(Clone, Debug)]
pub struct TerminalStyle<'a> {
    /// Whether escape sequences for colour are wanted.
    pub colour: bool,
    /// Columns; below 60 counts as 60.
    pub width: usize,
    /// Files that were written, named at the end.
    pub files: &'a [String],
}

fn render(report: &Report, w: &mut dyn io::Write) -> io::Result<()> {
    render_with(report, &TerminalStyle { colour: false, width: 100, files: &[] }, w)
}

/// Writes the report as `style` wants it.
///
/// # Errors
/// Only those of the writer.
pub fn render_with(
    report: &Report,
    style: &TerminalStyle<'_>,
    w: &mut dyn io::Write,
) -> io::Result<()> {
    writeln!(w, "{} {:?} {}", report.title, report.diagnosis.outcome, style.files.len())
}
