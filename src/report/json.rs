//! The report for programs: the diagnosis with the numbers of the whole run. Its shape is
//! published as `reports/schema/report.v1.schema.json`.

use std::io;

use serde::Serialize;

use super::format::FormatSpec;
use super::model::{Answer, Fact, FailureNumbers, LogNumbers, Report, RequestNumbers, Summary};
use crate::diagnose::Diagnosis;
use crate::recording::Environment;

pub(super) const SPEC: FormatSpec = FormatSpec {
    name: "json",
    summary: "the whole diagnosis for programs, with a published schema",
    extension: "json",
    left_by_every_run: true,
    needs_seconds: false,
    render,
};

/// Grows by one when a field changes its meaning or goes away; new fields leave it as it is.
const SCHEMA: u32 = 1;

#[derive(Serialize)]
struct Document<'a> {
    schema: u32,
    title: &'a str,
    verdict: &'a Answer,
    summary: &'a Summary,
    run: &'a [Fact],
    requests: Vec<&'a RequestNumbers>,
    failures: Vec<&'a FailureNumbers>,
    /// Absent where no log was followed, and where the logs have nothing to add.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    logs: Vec<&'a LogNumbers>,
    environment: &'a Environment,
    diagnosis: &'a Diagnosis,
}

fn render(report: &Report, w: &mut dyn io::Write) -> io::Result<()> {
    let document = Document {
        schema: SCHEMA,
        title: &report.title,
        verdict: &report.answer,
        summary: &report.summary,
        run: &report.run,
        requests: report.requests.iter().map(|row| &row.numbers).collect(),
        failures: report.failures.iter().map(|row| &row.numbers).collect(),
        logs: report.logs.iter().flat_map(|logs| &logs.rows).map(|row| &row.numbers).collect(),
        environment: &report.machine,
        diagnosis: &report.diagnosis,
    };
    serde_json::to_writer_pretty(&mut *w, &document)?;
    writeln!(w)
}
