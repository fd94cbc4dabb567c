//! The report as svg.
use std::io;

use super::{FormatSpec, Report};

pub(super) const SPEC: FormatSpec =
    FormatSpec { name: "svg", summary: "to come", extension: "svg", render };

fn render(report: &Report, w: &mut dyn io::Write) -> io::Result<()> {
    writeln!(w, "{}", report.title)
}
