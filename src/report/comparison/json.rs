//! A comparison for programs. Its shape is published as
//! `reports/schema/comparison.v1.schema.json`.

use std::io;

use serde::Serialize;

use super::format::ComparisonFormat;
use super::view::ComparisonReport;
use crate::compare::Comparison;

pub(super) static SPEC: ComparisonFormat = ComparisonFormat {
    name: "json",
    summary: "the whole comparison for programs; see reports/schema",
    file_name: "comparison.json",
    is_left_as_file: true,
    render,
};

/// Grows by one when a field changes its meaning or goes away; new fields leave it as it is.
const SCHEMA: u32 = 1;

#[derive(Serialize)]
struct Document<'a> {
    schema: u32,
    headline: &'a str,
    details: &'a [String],
    comparison: &'a Comparison,
}

fn render(report: &ComparisonReport, w: &mut dyn io::Write) -> io::Result<()> {
    let document = Document {
        schema: SCHEMA,
        headline: &report.headline,
        details: &report.details,
        comparison: &report.comparison,
    };
    serde_json::to_writer_pretty(&mut *w, &document)?;
    writeln!(w)
}
