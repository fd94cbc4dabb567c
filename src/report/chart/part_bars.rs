//! The parts of the response time of both builds as two stacked bars on one scale, and between them
//! what each part gained or lost: steps that lead from the one whole to the other.

use super::super::model::{LineStyle, Quantity};
use super::Chart;
use super::canvas::{Anchor, Canvas, Caption, FRAME, GRID, MUTED, TEXT, draw, text_width};
use super::frame::{Entry, Frame, Layout};
use super::scale::Scale;

/// Pixels of a bar, of the line of text above it, and of the space below it.
const BAR: f64 = 34.0;
const NAME: f64 = 22.0;
const SPACE: f64 = 12.0;
/// Pixels between two segments.
const GAP: f64 = 1.5;
/// Pixels of a step between two bars, and of the space below it.
const STEP: f64 = 13.0;
const STEP_SPACE: f64 = 6.0;
const LETTERS: f64 = 12.0;
/// Pixels between the edge of a segment and its name.
const INSET: f64 = 5.0;
/// Pixels by which the mark of the whole response time stands out of its bar.
const REACH: f64 = 3.0;
/// How strong the colour of a segment is: its name must be readable on it.
const OPACITY: f64 = 0.45;
/// The same of a step, whose name stands beside it.
const STEP_OPACITY: f64 = 0.8;
/// Pixels that a frame keeps above and below its data.
const FRAME_EDGES: f64 = 42.0;

/// The parts of both builds.
#[derive(Clone, Debug)]
pub(in crate::report) struct PartBars {
    pub title: &'static str,
    /// What it shows, for those who cannot see it.
    pub about: String,
    /// The base first.
    pub bars: Vec<PartBar>,
    /// What leads from the whole of the base to that of the candidate.
    pub steps: Vec<Step>,
}

/// What one part gained or lost.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::report) struct Step {
    /// The part with its gain.
    pub text: String,
    /// The gain alone, for where there is no room.
    pub short: String,
    /// Seconds at which it begins and ends; it ends lower where the part lost.
    pub from: f64,
    pub to: f64,
    pub ink: u8,
    /// Whether it is what no part explains.
    pub hatched: bool,
}

/// One build.
#[derive(Clone, Debug)]
pub(in crate::report) struct PartBar {
    /// Its name with the whole response time.
    pub name: String,
    /// The whole response time in seconds, which is marked: parts may overlap or be missing.
    pub response: f64,
    /// In the same order in every bar.
    pub segments: Vec<Segment>,
}

/// One part of the response time.
#[derive(Clone, Debug)]
pub(in crate::report) struct Segment {
    /// Stands where the name does not fit, and in the legend.
    pub number: usize,
    pub name: String,
    /// The name with the seconds of every build.
    pub about: String,
    pub seconds: f64,
    pub ink: u8,
    /// Whether it is what no part explains.
    pub hatched: bool,
}

/// Draws them.
pub(in crate::report) fn part_bars(parts: &PartBars, layout: Layout) -> Chart {
    let entries = entries(parts);
    let height = FRAME_EDGES + parts.bars.len() as f64 * (NAME + BAR + SPACE) + steps_height(parts);
    let mut frame = Frame::new(layout, height, parts.title, &entries);
    // The axis of values lies below; nothing stands at the left.
    frame.left = frame.width - frame.right;
    let caption = Caption { title: parts.title, about: &parts.about };
    let size = (frame.width, frame.height);
    let svg = draw(size, &caption, layout == Layout::Standalone, |canvas| {
        frame.heading(canvas, parts.title, &entries);
        let x = axis(canvas, parts, &frame);
        let mut top = frame.top - SPACE;
        for (index, bar) in parts.bars.iter().enumerate() {
            if index == 1 {
                steps(canvas, parts, top, &frame, &x);
                top += steps_height(parts);
            }
            let middle = (frame.left, top + NAME / 2.0);
            canvas.text(middle, Anchor::Left, LETTERS, TEXT, &bar.name);
            self::bar(canvas, bar, top + NAME, &x);
            let end = x.at(bar.response);
            let mark = [(end, top + NAME - REACH), (end, top + NAME + BAR + REACH)];
            canvas.line(&mark, TEXT, 1.5, LineStyle::Solid);
            top += NAME + BAR + SPACE;
        }
    });
    Chart { id: "parts", title: parts.title, legend: entries, svg }
}

fn steps_height(parts: &PartBars) -> f64 {
    match parts.steps.len() {
        0 => 0.0,
        count => SPACE + count as f64 * (STEP + STEP_SPACE),
    }
}

/// One row for each step, joined by thin lines, with its text on the side that has room.
fn steps(canvas: &Canvas<'_>, parts: &PartBars, top: f64, frame: &Frame, x: &Scale) {
    let mut top = top + SPACE / 2.0;
    for (index, step) in parts.steps.iter().enumerate() {
        let (from, to) = (x.at(step.from), x.at(step.to));
        // A gain of less than a pixel is still a gain.
        let (low, high) = (from.min(to), from.max(to).max(from.min(to) + 1.0));
        canvas.rect((low, top), (high, top + STEP), step.ink, STEP_OPACITY);
        if step.hatched {
            let edge = |y: f64| [(low, y), (high, y)];
            canvas.hatch(&edge(top + STEP), &edge(top), step.ink);
        }
        let middle = top + STEP / 2.0;
        let needs = |text: &str| text_width(text, frame.small) + 2.0 * INSET;
        let (right, left) = (frame.width - high, low);
        let text = match needs(&step.text) <= right.max(left) {
            true => &step.text,
            false => &step.short,
        };
        let (at, anchor) = match needs(text) <= right || right >= left {
            true => (high + INSET, Anchor::Left),
            false => (low - INSET, Anchor::Right),
        };
        canvas.text((at, middle), anchor, frame.small, TEXT, text);
        if index + 1 < parts.steps.len() {
            let joint = [(to, top + STEP), (to, top + STEP + STEP_SPACE)];
            canvas.line(&joint, FRAME, 1.0, LineStyle::Solid);
        }
        top += STEP + STEP_SPACE;
    }
}

fn entries(parts: &PartBars) -> Vec<Entry> {
    let segments = parts.bars.first().map(|bar| &bar.segments);
    let entry = |segment: &Segment| Entry {
        name: format!("{} {}", segment.number, segment.about),
        ink: segment.ink,
        style: LineStyle::Solid,
        filled: true,
        hatched: segment.hatched,
    };
    segments.into_iter().flatten().map(entry).collect()
}

fn axis(canvas: &Canvas<'_>, parts: &PartBars, frame: &Frame) -> Scale {
    let whole = |bar: &PartBar| {
        bar.segments.iter().map(|segment| segment.seconds).sum::<f64>().max(bar.response)
    };
    let steps = parts.steps.iter().map(|step| step.from.max(step.to));
    let most = parts.bars.iter().map(whole).chain(steps).fold(0.0, f64::max);
    let count = if frame.width > 600.0 { 8 } else { 3 };
    let x = Scale::linear(most, (frame.left, frame.right), Quantity::Seconds, count);
    let (top, bottom) = (frame.top - SPACE, frame.bottom);
    canvas.line(&[(frame.left, bottom), (frame.right, bottom)], FRAME, 1.0, LineStyle::Solid);
    for tick in &x.ticks {
        let at = x.at(*tick);
        canvas.line(&[(at, bottom), (at, bottom + 4.0)], FRAME, 1.0, LineStyle::Solid);
        // Behind the bars alone: a line through their names would look like a letter.
        for row in 0..parts.bars.len() {
            let steps = if row > 0 { steps_height(parts) } else { 0.0 };
            let from = top + NAME + row as f64 * (NAME + BAR + SPACE) + steps;
            canvas.line(&[(at, from), (at, from + BAR)], GRID, 1.0, LineStyle::Solid);
        }
        let label = Quantity::Seconds.tick(*tick);
        let half = text_width(&label, frame.small) / 2.0;
        let middle = at.clamp(half, frame.width - half);
        canvas.text((middle, bottom + 13.0), Anchor::Middle, frame.small, MUTED, &label);
    }
    x
}

fn bar(canvas: &Canvas<'_>, bar: &PartBar, top: f64, x: &Scale) {
    let mut seconds = 0.0;
    for segment in &bar.segments {
        let (from, end) = (x.at(seconds), x.at(seconds + segment.seconds));
        seconds += segment.seconds;
        let to = end - GAP;
        if to <= from {
            continue;
        }
        canvas.rect((from, top), (to, top + BAR), segment.ink, OPACITY);
        if segment.hatched {
            let edge = |y: f64| [(from, y), (to, y)];
            canvas.hatch(&edge(top + BAR), &edge(top), segment.ink);
        }
        let number = segment.number.to_string();
        let fits = |text: &str| text_width(text, LETTERS) + 2.0 * INSET <= to - from;
        let named = [segment.name.as_str(), number.as_str()].into_iter().find(|text| fits(text));
        // Letters on slanted lines are hard to read; the legend has the name.
        if let Some(text) = named.filter(|_| !segment.hatched) {
            let place = (from + INSET, top + BAR / 2.0);
            canvas.text(place, Anchor::Left, LETTERS, TEXT, text);
        }
    }
}
