//! What is in use of each resource against the load: dots where it was measured, a line through them,
//! dashed where it goes on beyond, and a band where the resource is full.

use super::super::model::{CapacityChart, LineStyle, LoadAxis, Quantity};
use super::canvas::{Caption, KNEE, draw};
use super::curve::{knee_label, load_axis};
use super::frame::{Entry, Frame, Layout};
use super::scale::Scale;

pub(in crate::report) const TITLE: &str = "Use of each resource by load";
const ABOUT: &str = "Share in use of each resource at each load: dots are measured, the dashed line \
                     is the extrapolation to where it is full.";
/// The chart ends a little above full, so that a line that meets it is seen to.
const HIGHEST: f64 = 1.1;

/// The legend of [`capacity`].
pub(super) fn entries(chart: &CapacityChart) -> Vec<Entry> {
    let entry = |name: &str, ink: u8, style: LineStyle, filled: bool| Entry {
        name: name.to_owned(),
        ink,
        style,
        filled,
        hatched: false,
    };
    let lines = chart.lines.iter().enumerate();
    let lines = lines.map(|(index, line)| entry(&line.name, ink(index), LineStyle::Solid, false));
    lines
        .chain([
            entry("extrapolated", 8, LineStyle::Dashed, false),
            entry("full here", ink(0), LineStyle::Solid, true),
        ])
        .collect()
}

fn ink(index: usize) -> u8 {
    [1, 2, 3][index % 3]
}

/// The shares in use against the load.
pub(super) fn capacity(chart: &CapacityChart, layout: Layout) -> String {
    let entries = entries(chart);
    let frame = Frame::half(layout, TITLE, &entries);
    let caption = Caption { title: TITLE, about: ABOUT };
    draw((frame.width, frame.height), &caption, layout == Layout::Standalone, |canvas| {
        frame.heading(canvas, TITLE, &entries);
        let loads = std::iter::once(chart.most);
        let (x, _) = load_axis(canvas, &frame, LoadAxis::default(), loads);
        let y = Scale::exact(0.0, HIGHEST, (frame.bottom, frame.top), 0.25);
        frame.value_axis(canvas, &y, Quantity::Share, false);
        canvas.line(&[(frame.left, y.at(1.0)), (frame.right, y.at(1.0))], 8, 1.5, LineStyle::Limit);
        if let Some((rate, low, high)) = chart.knee {
            canvas.rect((x.at(low), frame.top), (x.at(high), frame.bottom), KNEE, 0.14);
            let at = x.at(rate);
            canvas.line(&[(at, frame.top), (at, frame.bottom)], KNEE, 1.5, LineStyle::Dashed);
            knee_label(canvas, &frame, at, &chart.knee_label);
        }
        let place = |points: &[(f64, f64)]| -> Vec<(f64, f64)> {
            points.iter().map(|(rate, share)| (x.at(*rate), y.at(*share))).collect()
        };
        for (index, line) in chart.lines.iter().enumerate().rev() {
            let (low, high) = line.full;
            if index == 0 {
                canvas.rect((x.at(low), frame.top), (x.at(high), frame.bottom), ink(index), 0.12);
            }
            for point in place(&line.points) {
                canvas.dot(point, 2.0, ink(index));
            }
            canvas.line(&place(&line.seen), ink(index), 1.75, LineStyle::Solid);
            canvas.line(&place(&line.ahead), ink(index), 1.75, LineStyle::Dashed);
        }
    })
}
