//! What charts have around their data: margins, a title with a legend, the axis of values.

use super::super::model::{Line, LineStyle, Quantity};
use super::canvas::{Anchor, Canvas, FRAME, GRID, MUTED, TEXT, text_width};
use super::scale::Scale;

/// Where a chart is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::report) enum Layout {
    /// In a page on a desk; the page has title and legend.
    Wide,
    /// In a page on a phone; the page has title and legend.
    Narrow,
    /// Its own file.
    Standalone,
}

impl Layout {
    pub fn is_wide(self) -> bool {
        self != Layout::Narrow
    }
}

/// One entry of a legend.
#[derive(Clone, Debug)]
pub(in crate::report) struct Entry {
    pub name: String,
    pub ink: u8,
    pub style: LineStyle,
    /// Whether it is an area rather than a line.
    pub filled: bool,
    /// Whether the area is hatched: what it stands for is not known.
    pub hatched: bool,
}

impl Entry {
    pub fn of(line: &Line, stacked: bool) -> Self {
        let filled = stacked && line.style != LineStyle::Limit;
        Self {
            name: line.name.clone(),
            ink: line.ink as u8,
            style: line.style,
            filled,
            hatched: false,
        }
    }
}

/// The place of the data in a chart, in pixels.
#[derive(Clone, Debug)]
pub(super) struct Frame {
    pub width: f64,
    pub height: f64,
    pub left: f64,
    pub right: f64,
    pub top: f64,
    pub bottom: f64,
    /// Size of tick labels.
    pub small: f64,
    layout: Layout,
}

/// Size of the title and the legend of a chart that is its own file.
const TITLE: f64 = 14.0;
const LEGEND: f64 = 12.0;
/// Pixels of a row of the legend.
const ROW: f64 = 19.0;
/// Pixels of a legend's swatch with the space after it.
const SWATCH: f64 = 30.0;

/// Left and right end of the data in the two widths of a time panel, which the page's script
/// needs for the crosshair: as shares of the width.
pub(in crate::report) fn data_ends(layout: Layout) -> (f64, f64) {
    let frame = Frame::new(layout, 0.0, "", &[]);
    (frame.left / frame.width, frame.right / frame.width)
}

impl Frame {
    /// A time panel whose data part is about `height` high.
    pub fn new(layout: Layout, height: f64, title: &str, entries: &[Entry]) -> Self {
        let (width, left, gap) =
            if layout.is_wide() { (1080.0, 62.0, 18.0) } else { (390.0, 50.0, 10.0) };
        Self::sized(layout, (width, height), (left, gap), title, entries)
    }

    /// A chart over offered load.
    pub fn half(layout: Layout, title: &str, entries: &[Entry]) -> Self {
        let (size, edges) = match layout {
            Layout::Narrow => ((390.0, 260.0), (54.0, 10.0)),
            Layout::Wide | Layout::Standalone => ((530.0, 300.0), (60.0, 16.0)),
        };
        let mut frame = Self::sized(layout, size, edges, title, entries);
        frame.small = 12.0;
        frame
    }

    fn sized(
        layout: Layout,
        (width, height): (f64, f64),
        (left, gap): (f64, f64),
        title: &str,
        entries: &[Entry],
    ) -> Self {
        let heading = match layout {
            Layout::Standalone if !title.is_empty() => {
                28.0 + ROW * rows(entries, width - left - gap) as f64
            }
            _ => 0.0,
        };
        Self {
            width,
            height: height + heading,
            left,
            right: width - gap,
            top: heading + 20.0,
            bottom: heading + height - 22.0,
            small: 11.0,
            layout,
        }
    }

    /// Title and legend, where the chart stands alone.
    pub fn heading(&self, canvas: &Canvas<'_>, title: &str, entries: &[Entry]) {
        if self.layout != Layout::Standalone {
            return;
        }
        canvas.text((self.left, 14.0), Anchor::Left, TITLE, TEXT, title);
        let room = self.right - self.left;
        for (entry, (x, row)) in entries.iter().zip(places(entries, room)) {
            let (x, y) = (self.left + x, 35.0 + ROW * row as f64);
            let corners = ((x, y - 6.0), (x + 22.0, y + 6.0));
            match entry.filled {
                true if entry.hatched => {
                    canvas.rect(corners.0, corners.1, entry.ink, 0.25);
                    let edge = |y: f64| [(x, y), (x + 22.0, y)];
                    canvas.hatch(&edge(y + 6.0), &edge(y - 6.0), entry.ink);
                }
                true => canvas.rect(corners.0, corners.1, entry.ink, 0.7),
                false => canvas.line(&[(x, y), (x + 22.0, y)], entry.ink, 2.0, entry.style),
            }
            canvas.text((x + SWATCH - 2.0, y), Anchor::Left, LEGEND, TEXT, &entry.name);
        }
    }

    /// The vertical axis with its ticks, lines behind the data, and its title.
    pub fn value_axis(&self, canvas: &Canvas<'_>, y: &Scale, quantity: Quantity, log: bool) {
        for tick in &y.ticks {
            let at = y.at(*tick);
            canvas.line(&[(self.left, at), (self.right, at)], GRID, 1.0, LineStyle::Solid);
            let label = quantity.tick(*tick);
            canvas.text((self.left - 6.0, at), Anchor::Right, self.small, MUTED, &label);
        }
        let title = if log { "log" } else { quantity.axis() };
        let at = (self.left - 6.0, self.top - 13.0);
        canvas.text(at, Anchor::Right, self.small, MUTED, title);
        let base = [(self.left, self.bottom), (self.right, self.bottom)];
        canvas.line(&base, FRAME, 1.0, LineStyle::Solid);
    }
}

/// Where each entry of a legend goes: pixels from the left, and the row.
fn places(entries: &[Entry], room: f64) -> Vec<(f64, usize)> {
    let (mut x, mut row) = (0.0, 0);
    let mut places = Vec::new();
    for entry in entries {
        let width = SWATCH + text_width(&entry.name, LEGEND) + 16.0;
        if x > 0.0 && x + width > room {
            (x, row) = (0.0, row + 1);
        }
        places.push((x, row));
        x += width;
    }
    places
}

fn rows(entries: &[Entry], room: f64) -> usize {
    places(entries, room).last().map_or(0, |(_, row)| row + 1)
}
