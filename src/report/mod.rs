//! `Diagnosis` → bytes. Every number and every sentence is computed once, in `model`; a format
//! only lays them out and writes them to the writer handed to it.

mod chart;
pub mod glossary;
mod model;
pub(crate) mod wording;

#[cfg(test)]
mod fixture;
#[cfg(test)]
mod tests;

use std::io;

pub use chart::charts;
pub use model::Report;
pub use terminal::{TerminalStyle, render_with as render_terminal};

use crate::registry::registry;

/// One way to write a report.
#[derive(Debug)]
pub struct FormatSpec {
    /// Name on the command line.
    pub name: &'static str,
    /// One line for `kneepoint list formats`.
    pub summary: &'static str,
    /// Extension of a file in this format, without the dot.
    pub extension: &'static str,
    /// Writes the report.
    ///
    /// # Errors
    /// Only those of the writer.
    pub render: fn(&Report, &mut dyn io::Write) -> io::Result<()>,
}

registry! {
    /// Every report format, in the order lists show them.
    pub static FORMATS: [FormatSpec] = [
        terminal,
        json,
        html,
        svg,
        markdown,
    ]
}

/// The format called `name`.
pub fn find(name: &str) -> Option<&'static FormatSpec> {
    FORMATS.iter().copied().find(|format| format.name == name)
}
