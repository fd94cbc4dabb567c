//! The charts of a comparison, drawn.

use super::super::chart::{self, Chart, Layout};
use super::view::ComparisonReport;

/// Both builds over offered load.
pub(super) fn over_load(report: &ComparisonReport, layout: Layout) -> Vec<Chart> {
    report.overlays.iter().map(|overlay| chart::overlay(overlay, layout)).collect()
}

/// The parts of the response time before and after.
pub(super) fn parts(report: &ComparisonReport, layout: Layout) -> Option<Chart> {
    report.part_bars.as_ref().map(|bars| chart::part_bars(bars, layout))
}

/// Every chart as its own file: the stem of the name, and the SVG.
pub fn charts(report: &ComparisonReport) -> Vec<(String, String)> {
    let all = over_load(report, Layout::Standalone).into_iter();
    let all = all.chain(parts(report, Layout::Standalone));
    all.map(|chart| (format!("comparison-{}", chart.id), chart.svg)).collect()
}
