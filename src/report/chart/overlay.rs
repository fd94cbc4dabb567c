//! Two builds on one axis of offered load. Each build has its colour, its dashes and its marks, so
//! that they are told apart without colours too.

use super::super::model::{LineStyle, LoadAxis, Quantity};
use super::Chart;
use super::canvas::{Anchor, Canvas, Caption, draw, text_width};
use super::curve::load_axis;
use super::frame::{Entry, Frame, Layout};
use super::scale::Scale;

/// Half the side of a square mark, and the radius of a round one.
const MARK: f64 = 3.0;
/// Pixels between the label of a knee and its line, and at least between two labels.
const LABEL_GAP: f64 = 5.0;
/// Ink of what would be answered if everything was.
const OFFERED: u8 = 8;

/// One quantity of both builds over offered load.
#[derive(Clone, Debug)]
pub(in crate::report) struct Overlay {
    pub id: &'static str,
    pub title: &'static str,
    /// What it shows, for those who cannot see it.
    pub about: String,
    pub quantity: Quantity,
    pub log: bool,
    /// Whether a dotted line shows the offered load itself.
    pub shows_offered: bool,
    /// The base first.
    pub lines: Vec<OverlayLine>,
}

/// One build.
#[derive(Clone, Debug)]
pub(in crate::report) struct OverlayLine {
    pub name: &'static str,
    pub ink: u8,
    pub style: LineStyle,
    /// By offered load.
    pub points: Vec<OverlayPoint>,
    pub knee: Option<OverlayKnee>,
}

/// One load: the value, and the lowest and highest of the runs.
#[derive(Clone, Copy, Debug)]
pub(in crate::report) struct OverlayPoint {
    pub offered: f64,
    pub value: f64,
    pub low: f64,
    pub high: f64,
}

/// Where a build bends.
#[derive(Clone, Debug)]
pub(in crate::report) struct OverlayKnee {
    pub rate: f64,
    pub low: f64,
    pub high: f64,
    pub label: String,
}

/// Draws it.
pub(in crate::report) fn overlay(overlay: &Overlay, layout: Layout) -> Chart {
    let entries = entries(overlay);
    let frame = Frame::half(layout, overlay.title, &entries);
    let caption = Caption { title: overlay.title, about: &overlay.about };
    let size = (frame.width, frame.height);
    let svg = draw(size, &caption, layout == Layout::Standalone, |canvas| {
        frame.heading(canvas, overlay.title, &entries);
        let points = || overlay.lines.iter().flat_map(|line| &line.points);
        let (x, most) =
            load_axis(canvas, &frame, LoadAxis::default(), points().map(|point| point.offered));
        let y = value_scale(overlay, &frame, most);
        frame.value_axis(canvas, &y, overlay.quantity, overlay.log);
        knees(canvas, &frame, &x, overlay);
        if overlay.shows_offered {
            let ideal = [(x.at(0.0), y.at(0.0)), (x.at(most), y.at(most))];
            canvas.line(&ideal, OFFERED, 1.25, LineStyle::Dotted);
        }
        for line in &overlay.lines {
            band(canvas, line, &x, &y);
        }
        for line in &overlay.lines {
            marked(canvas, line, &x, &y);
        }
    });
    Chart { id: overlay.id, title: overlay.title, legend: entries, svg }
}

fn entries(overlay: &Overlay) -> Vec<Entry> {
    let entry = |name: &str, ink, style| Entry {
        name: name.to_owned(),
        ink,
        style,
        filled: false,
        hatched: false,
    };
    let offered = overlay.shows_offered.then(|| entry("offered", OFFERED, LineStyle::Dotted));
    let lines = overlay.lines.iter().map(|line| entry(line.name, line.ink, line.style));
    lines.chain(offered).collect()
}

fn value_scale(overlay: &Overlay, frame: &Frame, most_offered: f64) -> Scale {
    let points = || overlay.lines.iter().flat_map(|line| &line.points);
    let highest = points().map(|point| point.high).fold(0.0, f64::max);
    let ends = (frame.bottom, frame.top);
    if overlay.log {
        let positive = points().map(|point| point.low).filter(|low| *low > 0.0);
        return Scale::log(positive.fold(highest, f64::min), highest, ends);
    }
    let highest = if overlay.shows_offered { highest.max(most_offered) } else { highest };
    Scale::linear(highest, ends, overlay.quantity, 5)
}

/// The interval of each knee as a tint, the knee as a line, and its label above the chart. The
/// label of the lower knee ends at its line and that of the higher one begins there, so that they
/// do not meet.
fn knees(canvas: &Canvas<'_>, frame: &Frame, x: &Scale, overlay: &Overlay) {
    let mut known: Vec<(&OverlayLine, &OverlayKnee)> =
        overlay.lines.iter().filter_map(|line| Some((line, line.knee.as_ref()?))).collect();
    known.sort_by(|a, b| a.1.rate.total_cmp(&b.1.rate));
    for (line, knee) in &known {
        let (from, to) = (x.at(knee.low), x.at(knee.high));
        canvas.rect((from, frame.top), (to, frame.bottom), line.ink, 0.13);
        let at = x.at(knee.rate);
        canvas.line(&[(at, frame.top), (at, frame.bottom)], line.ink, 1.25, line.style);
    }
    let mut free_from = frame.left;
    let last = known.len().saturating_sub(1);
    for (index, (line, knee)) in known.iter().enumerate() {
        let width = text_width(&knee.label, frame.small);
        let at = x.at(knee.rate);
        let wanted = match index == last {
            true if last > 0 => at + LABEL_GAP,
            true => at - width / 2.0,
            false => at - width - LABEL_GAP,
        };
        let room = frame.right - width;
        let left = wanted.min(room).max(free_from);
        free_from = left + width + 2.0 * LABEL_GAP;
        let place = (left, frame.top - 8.0);
        canvas.text(place, Anchor::Left, frame.small, line.ink, &knee.label);
    }
}

/// From the lowest to the highest of the runs.
fn band(canvas: &Canvas<'_>, line: &OverlayLine, x: &Scale, y: &Scale) {
    if line.points.iter().all(|point| point.high <= point.low) {
        return;
    }
    let low = line.points.iter().map(|point| (x.at(point.offered), y.at(point.low)));
    let high = line.points.iter().rev().map(|point| (x.at(point.offered), y.at(point.high)));
    canvas.area(&low.chain(high).collect::<Vec<_>>(), line.ink, 0.16);
}

/// The line with a mark at each load: dots on a solid line, squares on a dashed one.
fn marked(canvas: &Canvas<'_>, line: &OverlayLine, x: &Scale, y: &Scale) {
    let points: Vec<(f64, f64)> =
        line.points.iter().map(|point| (x.at(point.offered), y.at(point.value))).collect();
    canvas.line(&points, line.ink, 1.75, line.style);
    for (at, up) in points {
        match line.style {
            LineStyle::Solid => canvas.dot((at, up), MARK, line.ink),
            _ => canvas.rect((at - MARK, up - MARK), (at + MARK, up + MARK), line.ink, 1.0),
        }
    }
}
