//! The report as markdown.
use std::io;

use super::{FormatSpec, Report};

pub(super) const SPEC: FormatSpec =
    FormatSpec { name: "markdown", summary: "to come", extension: "markdown", render };

fn render(report: &Report, w: &mut dyn io::Write) -> io::Result<()> {
    writeln!(w, "{}", report.title)
}
