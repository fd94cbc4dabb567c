//! `Diagnosis` or `Comparison` → bytes. Every number and every sentence is computed once, in `model` (or
//! `comparison::view`); a format
//! only lays them out and writes them to the writer handed to it.

mod baseline;
mod chart;
mod comparison;
mod format;
pub mod glossary;
mod headroom;
mod incident;
mod model;
mod test_results;
mod web_page;
pub(crate) mod wording;

#[cfg(test)]
mod fixture;
#[cfg(test)]
mod tests;

pub use baseline::{moves, render_baselines, render_calibration, render_history};
pub use chart::charts;
pub use comparison::{
    ComparisonFormat, ComparisonReport, FORMATS as COMPARISON_FORMATS, charts as comparison_charts,
    find as find_comparison_format, render_terminal as render_comparison,
};
pub use format::FormatSpec;
pub use headroom::{headroom_json, headroom_svg, headroom_text};
pub use incident::IncidentReport;
pub(crate) use markdown::escape as escape_markdown;
pub use model::Report;
pub(crate) use model::ended_because;
pub use terminal::{TerminalStyle, render_with as render_terminal};
pub(crate) use web_page::{digest, style};

use crate::registry::registry;

registry! {
    /// Every report format, in the order lists show them.
    pub static FORMATS: [FormatSpec] = [
        terminal,
        html,
        json,
        markdown,
        svg,
        junit,
        csv,
        openmetrics,
        k6_summary,
    ]
}

/// The format called `name`.
pub fn find(name: &str) -> Option<&'static FormatSpec> {
    FORMATS.iter().copied().find(|format| format.name == name)
}
