//! The report as html.
use std::io;

use super::{FormatSpec, Report};

pub(super) const SPEC: FormatSpec =
    FormatSpec { name: "html", summary: "to come", extension: "html", render };

fn render(report: &Report, w: &mut dyn io::Write) -> io::Result<()> {
    writeln!(w, "{}", report.title)
}
