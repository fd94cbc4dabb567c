//! The report as json.
use std::io;

use super::{FormatSpec, Report};

pub(super) const SPEC: FormatSpec =
    FormatSpec { name: "json", summary: "to come", extension: "json", render };

fn render(report: &Report, w: &mut dyn io::Write) -> io::Result<()> {
    writeln!(w, "{}", report.title)
}
