//! All charts as one picture.

use std::io;

use super::chart::charts;
use super::{FormatSpec, Report};

pub(super) const SPEC: FormatSpec =
    FormatSpec { name: "svg", summary: "all charts as one picture", extension: "svg", render };

const GAP: f64 = 12.0;
const WIDTH: f64 = 1080.0;

fn render(report: &Report, w: &mut dyn io::Write) -> io::Result<()> {
    let mut placed = String::new();
    let (mut x, mut y, mut row) = (0.0, 0.0, 0.0_f64);
    for (_, svg) in charts(report) {
        let (width, height) = (attribute(&svg, "width"), attribute(&svg, "height"));
        if x > 0.0 && x + width > WIDTH {
            (x, y, row) = (0.0, y + row + GAP, 0.0);
        }
        placed.push_str(&svg.replacen("<svg ", &format!("<svg x=\"{x}\" y=\"{y}\" "), 1));
        (x, row) = (x + width + GAP, row.max(height));
    }
    let height = (y + row).max(40.0);
    writeln!(
        w,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{WIDTH}\" height=\"{height}\" \
         viewBox=\"0 0 {WIDTH} {height}\">"
    )?;
    if placed.is_empty() {
        let text = "There is nothing to draw: no load was recorded.";
        writeln!(w, "<text x=\"8\" y=\"24\" font-family=\"sans-serif\">{text}</text>")?;
    }
    writeln!(w, "{placed}</svg>")
}

/// A number in the root element of a chart that stands alone.
fn attribute(svg: &str, name: &str) -> f64 {
    let after = svg.split_once(&format!(" {name}=\"")).map_or("", |(_, rest)| rest);
    after.split('"').next().and_then(|number| number.parse().ok()).unwrap_or(0.0)
}
