//! Lines, areas and texts in pixels, drawn by plotters and then dressed: plotters writes literal
//! colours and whole pixels, so drawing happens at four times the size, and each colour stands
//! for an ink and a dash pattern until [`dress`] replaces it. Every element keeps a literal
//! colour of the light theme and gets a class, with which a page switches themes.

use std::fmt::Write as _;

use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::super::model::LineStyle;

/// Pixels of plotters to one of the chart.
const SCALE: f64 = 4.0;
/// plotters divides a font's size by this before writing it.
const FONT_DIVISOR: f64 = 1.24;
/// Red part of the colours that stand for an ink.
const MARK: u8 = 0xA0;

/// Pixels between two lines of a hatched area, and between the points at which each is checked.
const HATCH: f64 = 6.0;
const HATCH_STEP: f64 = 0.5;

/// Inks: 1 to 8 are lines and layers (Okabe and Ito's colours, which most colour-blind people
/// tell apart), the others have a role. Light and dark variant of each.
pub(in crate::report) const INKS: [(u8, &str, &str); 14] = [
    (1, "#0072B2", "#56A8E0"),
    (2, "#D98200", "#F0B042"),
    (3, "#009E73", "#2BC79B"),
    (4, "#C84B00", "#FF8A4C"),
    (5, "#B0578D", "#DE93C0"),
    (6, "#56B4E9", "#8CCDF2"),
    (7, "#A79500", "#E6DA4A"),
    (8, "#767C85", "#A0A8B2"),
    (TEXT, "#1B1F24", "#E6E9ED"),
    (MUTED, "#5A626C", "#A4ACB6"),
    (GRID, "#DFE3E8", "#343B44"),
    (FRAME, "#9AA2AC", "#6B747F"),
    (KNEE, "#B3002D", "#FF6B86"),
    (PAPER, "#FFFFFF", "#14181D"),
];

/// Ink of titles and names.
pub(super) const TEXT: u8 = 20;
/// Ink of ticks.
pub(super) const MUTED: u8 = 21;
/// Ink of the lines behind the data.
pub(super) const GRID: u8 = 22;
/// Ink of axes and stage boundaries.
pub(super) const FRAME: u8 = 23;
/// Ink of the knee.
pub(super) const KNEE: u8 = 24;
/// Ink of the background.
pub(super) const PAPER: u8 = 25;

/// Where a text stands to its point.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Anchor {
    Left,
    Middle,
    Right,
}

/// A surface of `width` × `height` pixels.
pub(super) struct Canvas<'a> {
    area: DrawingArea<SVGBackend<'a>, Shift>,
}

/// What an SVG says of itself to those who cannot see it.
pub(super) struct Caption<'a> {
    pub title: &'a str,
    pub about: &'a str,
}

/// Draws on a surface and gives the SVG. A `standalone` one has a background, a size and its own
/// dark theme; else the page around it brings those.
pub(super) fn draw(
    size: (f64, f64),
    caption: &Caption<'_>,
    standalone: bool,
    paint: impl FnOnce(&Canvas<'_>),
) -> String {
    let (width, height) = size;
    let mut raw = String::new();
    {
        let pixels = ((width * SCALE) as u32, (height * SCALE) as u32);
        let area = SVGBackend::with_string(&mut raw, pixels).into_drawing_area();
        let canvas = Canvas { area };
        if standalone {
            canvas.rect((0.0, 0.0), (width, height), PAPER, 1.0);
        }
        paint(&canvas);
        let presented = canvas.area.present();
        debug_assert!(presented.is_ok(), "an SVG in memory takes everything");
    }
    // plotters opens with its own root element on one line; what is needed there is more.
    let body = raw.split_once(">\n").map_or("", |(_, body)| body);
    let mut svg = String::from("<svg xmlns=\"http://www.w3.org/2000/svg\"");
    let view = (width * SCALE, height * SCALE);
    let mut push = |text: std::fmt::Arguments<'_>| {
        let written = svg.write_fmt(text);
        debug_assert!(written.is_ok(), "a string takes everything");
    };
    if standalone {
        push(format_args!(" width=\"{width}\" height=\"{height}\""));
    }
    push(format_args!(
        " viewBox=\"0 0 {} {}\" role=\"img\" stroke-linejoin=\"round\"",
        view.0, view.1
    ));
    push(format_args!("><title>{}</title>", escape(caption.title)));
    push(format_args!("<desc>{}</desc>\n", escape(caption.about)));
    if standalone {
        push(format_args!("<style>@media (prefers-color-scheme: dark) {{{}}}</style>\n", dark()));
    }
    svg.push_str(&dress(body));
    svg
}

/// Rules that give each class of ink its dark colour.
fn dark() -> String {
    let rules =
        INKS.iter().map(|(ink, _, dark)| format!(".s{ink}{{stroke:{dark}}}.f{ink}{{fill:{dark}}}"));
    rules.collect()
}

/// Text as XML has it.
pub(super) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '&' => escaped.push_str("&amp;"),
            '"' => escaped.push_str("&quot;"),
            c => escaped.push(c),
        }
    }
    escaped
}

fn coded(ink: u8, style: LineStyle) -> RGBColor {
    let dash = match style {
        LineStyle::Solid => 0,
        LineStyle::Dashed => 1,
        LineStyle::Dotted => 2,
        LineStyle::Limit => 3,
    };
    RGBColor(MARK, ink, dash)
}

/// Dash pattern of a style in the SVG's own units.
pub(in crate::report) fn dashes(style: LineStyle) -> Option<&'static str> {
    match style {
        LineStyle::Solid => None,
        LineStyle::Dashed => Some("28 14"),
        LineStyle::Dotted => Some("7 13"),
        LineStyle::Limit => Some("48 14 8 14"),
    }
}

/// Replaces each colour that stands for an ink.
fn dress(svg: &str) -> String {
    let mark = format!("=\"#{MARK:02X}");
    let mut pieces = svg.split(mark.as_str());
    let mut dressed = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        let code = |from: usize| {
            piece.get(from..from + 2).and_then(|hex| u8::from_str_radix(hex, 16).ok())
        };
        let ink = code(0).unwrap_or_default();
        let light = INKS.iter().find(|known| known.0 == ink).map_or("#000000", |known| known.1);
        let attribute = if dressed.ends_with("stroke") { "stroke" } else { "fill" };
        dressed.truncate(dressed.len() - attribute.len());
        let class = &attribute[..1];
        dressed.push_str(&format!("class=\"{class}{ink}\" {attribute}=\"{light}\""));
        let style = match code(2) {
            Some(1) => LineStyle::Dashed,
            Some(2) => LineStyle::Dotted,
            Some(3) => LineStyle::Limit,
            _ => LineStyle::Solid,
        };
        if let Some(dashes) = dashes(style) {
            dressed.push_str(&format!(" stroke-dasharray=\"{dashes}\""));
        }
        dressed.push_str(piece.get(5..).unwrap_or_default());
    }
    dressed
}

fn pixel(value: f64) -> i32 {
    (value * SCALE).round() as i32
}

fn pixels(points: &[(f64, f64)]) -> Vec<(i32, i32)> {
    points.iter().map(|(x, y)| (pixel(*x), pixel(*y))).collect()
}

impl Canvas<'_> {
    /// A line through points.
    pub fn line(&self, points: &[(f64, f64)], ink: u8, width: f64, style: LineStyle) {
        let stroke = coded(ink, style).stroke_width((width * SCALE).round() as u32);
        ok(self.area.draw(&PathElement::new(pixels(points), stroke)));
    }

    /// A filled shape.
    pub fn area(&self, points: &[(f64, f64)], ink: u8, opacity: f64) {
        let fill = coded(ink, LineStyle::Solid).mix(opacity).filled();
        ok(self.area.draw(&Polygon::new(pixels(points), fill)));
    }

    /// Slanted lines between two lines that have their points at the same places.
    pub fn hatch(&self, floor: &[(f64, f64)], roof: &[(f64, f64)], ink: u8) {
        let Some((first, last)) = floor.first().zip(floor.last()) else { return };
        let ys = || floor.iter().chain(roof).map(|point| point.1);
        let (top, bottom) = (ys().fold(f64::INFINITY, f64::min), ys().fold(0.0, f64::max));
        let is_inside = |at: (f64, f64)| {
            let limits = height_at(floor, at.0).zip(height_at(roof, at.0));
            limits.is_some_and(|(low, high)| high <= at.1 && at.1 <= low)
        };
        let count = |length: f64, step: f64| (length / step).clamp(0.0, 2000.0) as usize;
        // Each line rises to the right from where it meets the lowest point.
        for line in 0..=count(last.0 - first.0 + bottom - top, HATCH) {
            let foot = last.0 - HATCH * (line as f64 + 0.5);
            let mut run: Vec<(f64, f64)> = Vec::new();
            for step in 0..=count(bottom - top, HATCH_STEP) {
                let up = step as f64 * HATCH_STEP;
                let at = (foot + up, bottom - up);
                if is_inside(at) {
                    run.push(at);
                } else {
                    self.stroke(&mut run, ink);
                }
            }
            self.stroke(&mut run, ink);
        }
    }

    /// Draws a line from the first to the last point of `run`, and empties it.
    fn stroke(&self, run: &mut Vec<(f64, f64)>, ink: u8) {
        if let (Some(from), Some(to)) = (run.first(), run.last()) {
            self.line(&[*from, *to], ink, 1.0, LineStyle::Solid);
        }
        run.clear();
    }

    /// A filled rectangle.
    pub fn rect(&self, from: (f64, f64), to: (f64, f64), ink: u8, opacity: f64) {
        let fill = coded(ink, LineStyle::Solid).mix(opacity).filled();
        let corners = [(pixel(from.0), pixel(from.1)), (pixel(to.0), pixel(to.1))];
        ok(self.area.draw(&Rectangle::new(corners, fill)));
    }

    /// A filled dot.
    pub fn dot(&self, at: (f64, f64), radius: f64, ink: u8) {
        let fill = coded(ink, LineStyle::Solid).filled();
        ok(self.area.draw(&Circle::new((pixel(at.0), pixel(at.1)), pixel(radius), fill)));
    }

    /// A text, centred on its point vertically.
    pub fn text(&self, at: (f64, f64), anchor: Anchor, size: f64, ink: u8, text: &str) {
        let horizontal = match anchor {
            Anchor::Left => HPos::Left,
            Anchor::Middle => HPos::Center,
            Anchor::Right => HPos::Right,
        };
        let colour = coded(ink, LineStyle::Solid);
        let style = ("sans-serif", size * SCALE * FONT_DIVISOR)
            .into_text_style(&self.area)
            .color(&colour)
            .pos(Pos::new(horizontal, VPos::Center));
        ok(self.area.draw_text(text, &style, (pixel(at.0), pixel(at.1))));
    }
}

/// How high a line through points from left to right stands at `x`.
fn height_at(points: &[(f64, f64)], x: f64) -> Option<f64> {
    let between = |pair: &&[(f64, f64)]| pair[0].0 <= x && x <= pair[1].0;
    let pair = points.windows(2).find(between)?;
    let share = (x - pair[0].0) / (pair[1].0 - pair[0].0).max(f64::MIN_POSITIVE);
    Some(pair[0].1 + share * (pair[1].1 - pair[0].1))
}

fn ok<E: std::fmt::Debug>(drawn: Result<(), E>) {
    if let Err(error) = drawn {
        debug_assert!(false, "an SVG in memory takes everything: {error:?}");
    }
}

/// A text that stands beside the charts of a picture.
pub(in crate::report) struct TextLine<'a> {
    pub text: &'a str,
    /// Height of its letters in pixels.
    pub size: f64,
    pub muted: bool,
}

/// Texts one below the other from a corner on, broken where they are wider than `width`; and where
/// the last one ends.
pub(in crate::report) fn lines_of_text(
    lines: &[TextLine<'_>],
    corner: (f64, f64),
    width: f64,
) -> (String, f64) {
    let (mut svg, mut y) = (String::new(), corner.1);
    for line in lines {
        let ink = if line.muted { MUTED } else { TEXT };
        let light = INKS.iter().find(|known| known.0 == ink).map_or("#000000", |known| known.1);
        let mut row = String::new();
        let mut rows = Vec::new();
        for word in line.text.split_whitespace() {
            if !row.is_empty() && text_width(&row, line.size) + text_width(word, line.size) > width
            {
                rows.push(std::mem::take(&mut row));
            }
            row.push_str(if row.is_empty() { "" } else { " " });
            row.push_str(word);
        }
        rows.extend((!row.is_empty()).then_some(row));
        for row in rows {
            y += 1.35 * line.size;
            let (x, size, text) = (corner.0, line.size, escape(&row));
            svg.push_str(&format!(
                "<text class=\"f{ink}\" x=\"{x}\" y=\"{y:.1}\" font-size=\"{size}\" \
                 font-family=\"sans-serif\" fill=\"{light}\">{text}</text>\n"
            ));
        }
    }
    (svg, y)
}

/// The paper of a picture with the rules of its dark theme.
pub(in crate::report) fn backdrop(width: f64, height: f64) -> String {
    let paper = INKS.iter().find(|known| known.0 == PAPER).map_or("#FFFFFF", |known| known.1);
    format!(
        "<style>@media (prefers-color-scheme: dark) {{{}}}</style>\n<rect class=\"f{PAPER}\" \
         fill=\"{paper}\" width=\"{width}\" height=\"{height}\"/>\n",
        dark()
    )
}

/// Roughly how wide a text is: sans-serif letters are a little over half as wide as high.
pub(super) fn text_width(text: &str, size: f64) -> f64 {
    text.chars().count() as f64 * size * 0.56
}
