//! Charts as SVG.
use super::Report;

/// Every chart of the report: the stem of its file and the SVG.
pub fn charts(_report: &Report) -> Vec<(String, String)> {
    Vec::new()
}
