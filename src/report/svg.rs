//! All charts as one picture.

use std::io;

use super::chart::{TextLine, charts, lines_of_text};
use super::format::FormatSpec;
use super::model::Report;

pub(super) const SPEC: FormatSpec = FormatSpec {
    name: "svg",
    summary: "all charts as one picture",
    extension: "svg",
    left_by_every_run: false,
    needs_seconds: false,
    render,
};

const GAP: f64 = 12.0;
const WIDTH: f64 = 1080.0;
/// Left edge of texts.
const MARGIN: f64 = 20.0;

fn render(report: &Report, w: &mut dyn io::Write) -> io::Result<()> {
    let at_knee = report.attribution.as_ref().map(|attribution| attribution.at_knee.as_str());
    let head = [
        TextLine { text: &report.title, size: 13.0, muted: true },
        TextLine { text: &report.answer.headline, size: 18.0, muted: false },
        TextLine { text: at_knee.unwrap_or_default(), size: 14.0, muted: false },
    ];
    let (mut placed, top) = lines_of_text(&head, (MARGIN, GAP), WIDTH - 2.0 * MARGIN);
    let charts = charts(report);
    let (mut x, mut y, mut row) = (0.0, top + GAP, 0.0_f64);
    for (_, svg) in &charts {
        let (width, height) = (attribute(svg, "width"), attribute(svg, "height"));
        if x > 0.0 && x + width > WIDTH {
            (x, y, row) = (0.0, y + row + GAP, 0.0);
        }
        placed.push_str(&svg.replacen("<svg ", &format!("<svg x=\"{x}\" y=\"{y}\" "), 1));
        (x, row) = (x + width + GAP, row.max(height));
    }
    let nothing = "There is nothing to draw: no load was recorded.";
    let foot = [
        TextLine { text: if charts.is_empty() { nothing } else { "" }, size: 14.0, muted: false },
        TextLine { text: &report.watching, size: 12.0, muted: true },
    ];
    let (foot, bottom) = lines_of_text(&foot, (MARGIN, y + row + GAP), WIDTH - 2.0 * MARGIN);
    placed.push_str(&foot);
    let height = bottom + GAP;
    write!(
        w,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{WIDTH}\" height=\"{height}\" \
         viewBox=\"0 0 {WIDTH} {height}\">\n{}",
        super::chart::backdrop(WIDTH, height)
    )?;
    writeln!(w, "{placed}</svg>")
}

/// A number in the root element of a chart that stands alone.
fn attribute(svg: &str, name: &str) -> f64 {
    let after = svg.split_once(&format!(" {name}=\"")).map_or("", |(_, rest)| rest);
    after.split('"').next().and_then(|number| number.parse().ok()).unwrap_or(0.0)
}
