//! A flame graph: each box is a function, as wide as its share of the processor time, above what it
//! calls. Its names come from the target, so each is escaped and cut to its box.

use std::fmt::Write as _;

use super::super::model::{Flame, FlameBox, FlameChange, LineStyle};
use super::canvas::{INKS, TEXT, backdrop, escape, text_width};
use super::frame::{Entry, Layout};

/// Pixels of one row, and of the gap below it.
const ROW: f64 = 22.0;
const GAP: f64 = 1.5;
const LETTERS: f64 = 12.0;
/// Pixels between the edge of a box and its name.
const INSET: f64 = 6.0;
/// Boxes narrower than this have no name.
const NAMED: f64 = 28.0;
/// How strong the colour of a box is: its name must be readable on it.
const OPACITY: f64 = 0.45;
/// Pixels of a heading where the chart is its own file.
const HEADING: f64 = 26.0;

const MORE: u8 = 4;
const LESS: u8 = 6;
const ALIKE: u8 = 2;

pub(super) fn entries(flame: &Flame) -> Vec<Entry> {
    if !flame.is_compared {
        return Vec::new();
    }
    let entry = |name: &str, ink| Entry {
        name: name.to_owned(),
        ink,
        style: LineStyle::Solid,
        filled: true,
        hatched: false,
    };
    let used = |change| flame.boxes.iter().any(|one| one.change == change);
    let all = [
        (FlameChange::More, entry("larger share than at low load", MORE)),
        (FlameChange::Alike, entry("about the same share", ALIKE)),
        (FlameChange::Less, entry("smaller share", LESS)),
    ];
    all.into_iter().filter(|(change, _)| used(*change)).map(|(_, entry)| entry).collect()
}

pub(super) fn flame(flame: &Flame, title: &str, layout: Layout) -> String {
    let standalone = layout == Layout::Standalone;
    let width = if layout.is_wide() { 1080.0 } else { 390.0 };
    let top = if standalone { HEADING } else { 0.0 };
    let height = top + ROW * flame.depth as f64;
    let mut svg = String::from("<svg xmlns=\"http://www.w3.org/2000/svg\"");
    let mut push = |text: std::fmt::Arguments<'_>| {
        let written = svg.write_fmt(text);
        debug_assert!(written.is_ok(), "a string takes everything");
    };
    if standalone {
        push(format_args!(" width=\"{width}\" height=\"{height}\""));
    }
    push(format_args!(" viewBox=\"0 0 {width} {height}\" role=\"img\"><title>{title}</title>\n"));
    if standalone {
        push(format_args!("{}", backdrop(width, height)));
        push(format_args!("{}", text((INSET, HEADING / 2.0), 14.0, title)));
    }
    for one in &flame.boxes {
        let (x, y) = (one.left * width, top + ROW * one.row as f64);
        let (ink, light) = ink(one);
        let wide = (one.width * width - GAP).max(0.5);
        push(format_args!(
            "<g><title>{}</title><rect class=\"f{ink}\" fill=\"{light}\" opacity=\"{OPACITY}\" \
             x=\"{x:.1}\" y=\"{y:.1}\" width=\"{wide:.1}\" height=\"{:.1}\"/>",
            escape(&one.about),
            ROW - GAP
        ));
        if wide >= NAMED {
            let name = fitting(&one.name, wide - 2.0 * INSET);
            push(format_args!("{}", text((x + INSET, y + (ROW - GAP) / 2.0), LETTERS, &name)));
        }
        push(format_args!("</g>\n"));
    }
    svg.push_str("</svg>\n");
    svg
}

fn ink(one: &FlameBox) -> (u8, &'static str) {
    let ink = match one.change {
        FlameChange::More => MORE,
        FlameChange::Less => LESS,
        FlameChange::Alike => ALIKE,
    };
    (ink, light(ink))
}

fn light(ink: u8) -> &'static str {
    INKS.iter().find(|known| known.0 == ink).map_or("#000000", |known| known.1)
}

fn text((x, y): (f64, f64), size: f64, text: &str) -> String {
    format!(
        "<text class=\"f{TEXT}\" fill=\"{}\" x=\"{x:.1}\" y=\"{y:.1}\" dy=\".35em\" \
         font-size=\"{size}\" font-family=\"sans-serif\">{}</text>",
        light(TEXT),
        escape(text)
    )
}

/// The name, or its end: the last part of a qualified name tells more than the first.
fn fitting(name: &str, width: f64) -> String {
    if text_width(name, LETTERS) <= width {
        return name.to_owned();
    }
    let room = (width / text_width("x", LETTERS)) as usize;
    let skipped = name.chars().count().saturating_sub(room.saturating_sub(1));
    std::iter::once('…').chain(name.chars().skip(skipped)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_cut_to_their_box_and_are_no_markup() {
        assert_eq!(fitting("com.acme.Ledger.add", 60.0), "…ger.add");
        let one = FlameBox {
            name: "<script>&\"".to_owned(),
            about: "<script>: 1 %".to_owned(),
            left: 0.0,
            width: 1.0,
            row: 0,
            change: FlameChange::Alike,
        };
        let drawn =
            flame(&Flame { boxes: vec![one], depth: 1, is_compared: false }, "x", Layout::Wide);
        assert!(!drawn.contains("<script>"), "{drawn}");
        assert!(drawn.contains("&lt;script&gt;&amp;&quot;"), "{drawn}");
    }
}
