//! One panel over time.

use super::super::model::{Ahead, Line, LineStyle, Panel, SpanKind, TimeCharts};
use super::canvas::{Anchor, Canvas, Caption, FRAME, GRID, KNEE, MUTED, TEXT, draw, text_width};
use super::frame::{Entry, Frame, Layout};
use super::scale::{Scale, time_step};

/// Pixels of a mark at the foot, and of the wings of an arrow.
const MARK: f64 = 8.0;
const ARROW: f64 = 9.0;

/// What the legend of a panel explains: its lines, and the marks at its foot.
pub(super) fn entries(panel: &Panel) -> Vec<Entry> {
    let lines = panel.lines.iter().map(|line| Entry::of(line, panel.stacked));
    let foot = panel.marks.iter().any(|(_, name)| name.is_none()).then(|| Entry {
        name: "marks at the foot: full garbage collections".to_owned(),
        ink: TEXT,
        style: LineStyle::Solid,
        filled: false,
        hatched: false,
    });
    lines.chain(foot).collect()
}

/// A time axis is drawn at one of two widths, so that text stays readable on a phone.
pub(super) fn panel(charts: &TimeCharts, panel: &Panel, layout: Layout) -> String {
    let entries = entries(panel);
    let height = if layout.is_wide() { 190.0 } else { 170.0 };
    let frame = Frame::new(layout, height, panel.title, &entries);
    let caption = Caption { title: panel.title, about: &panel.about };
    let size = (frame.width, frame.height);
    draw(size, &caption, layout == Layout::Standalone, |canvas| {
        frame.heading(canvas, panel.title, &entries);
        let x = time_axis(canvas, charts, panel, &frame);
        let y = value_axis(canvas, panel, &frame);
        // A tint would shine through the layers and layout like one of them.
        if panel.stacked {
            layers(canvas, charts, panel, &x, &y);
            spans(canvas, charts, &frame, &x, false);
        } else {
            spans(canvas, charts, &frame, &x, true);
            if let Some(ahead) = &panel.ahead {
                onward(canvas, ahead, &frame, (x.at(charts.end), &x), &y);
            }
            lines(canvas, charts, panel.lines.iter(), &x, &y);
        }
        marks(canvas, panel, &frame, &x);
    })
}

/// Moments with a name over the whole height, the others at the foot.
fn marks(canvas: &Canvas<'_>, panel: &Panel, frame: &Frame, x: &Scale) {
    let mut free_from = frame.left;
    for (at, name) in &panel.marks {
        let at = x.at(*at);
        let Some(name) = name else {
            let foot = [(at, frame.bottom - MARK), (at, frame.bottom)];
            canvas.line(&foot, TEXT, 1.25, LineStyle::Solid);
            continue;
        };
        canvas.line(&[(at, frame.top), (at, frame.bottom)], TEXT, 1.0, LineStyle::Dashed);
        let end = at + 4.0 + text_width(name, frame.small);
        if at >= free_from && end <= frame.right {
            canvas.text((at + 4.0, frame.top + 8.0), Anchor::Left, frame.small, TEXT, name);
            free_from = end + 6.0;
        }
    }
}

/// What comes after the run: a tint, the lines, and where the limit is reached.
fn onward(canvas: &Canvas<'_>, ahead: &Ahead, frame: &Frame, (over, x): (f64, &Scale), y: &Scale) {
    canvas.rect((over, frame.top), (frame.right, frame.bottom), GRID, 0.5);
    canvas.line(&[(over, frame.top), (over, frame.bottom)], FRAME, 1.0, LineStyle::Solid);
    let pixels = |(at, value): (f64, f64)| (x.at(at), y.at(value));
    for line in &ahead.lines {
        let ends = [pixels(line.from), pixels(line.to)];
        canvas.line(&ends, line.ink as u8, 1.75, line.style);
    }
    let Some(line) = ahead.lines.first() else { return };
    let ((from_x, from_y), (to_x, to_y)) = (pixels(line.from), pixels(line.to));
    let label_at = match ahead.at {
        Some(at) => {
            let at = x.at(at);
            canvas.line(&[(at, frame.top), (at, frame.bottom)], KNEE, 1.25, LineStyle::Solid);
            canvas.dot((to_x, to_y), 3.5, KNEE);
            at - 6.0
        }
        None => {
            // An arrow on the way to what lies beyond.
            let angle = (to_y - from_y).atan2(to_x - from_x);
            let wing = |turn: f64| {
                (to_x - ARROW * (angle + turn).cos(), to_y - ARROW * (angle + turn).sin())
            };
            let head = [wing(0.45), (to_x, to_y), wing(-0.45)];
            canvas.line(&head, line.ink as u8, 1.75, LineStyle::Solid);
            frame.right - 2.0
        }
    };
    // Below a line that rises there is room.
    let place = (label_at, frame.bottom - 10.0);
    canvas.text(place, Anchor::Right, frame.small, TEXT, &ahead.label);
}

fn time_axis(canvas: &Canvas<'_>, charts: &TimeCharts, panel: &Panel, frame: &Frame) -> Scale {
    let count = if frame.width > 600.0 { 12 } else { 5 };
    let end = panel.ahead.as_ref().map_or(charts.end, |ahead| ahead.end);
    let step = time_step(end, count);
    let x = Scale::exact(0.0, end, (frame.left, frame.right), step);
    let (top, bottom) = (frame.top, frame.bottom);
    let mut free_from = frame.left;
    for band in &charts.bands {
        let (from, to) = (x.at(band.from), x.at(band.to));
        for edge in [from, to] {
            canvas.line(&[(edge, top), (edge, bottom)], GRID, 1.0, LineStyle::Solid);
        }
        let width = text_width(&band.label, frame.small);
        let middle = (from + to) / 2.0;
        // A label may stand out of a narrow stage as long as it meets no other.
        if middle - width / 2.0 >= free_from && middle + width / 2.0 <= frame.right + 4.0 {
            let at = (middle, top - 7.0);
            canvas.text(at, Anchor::Middle, frame.small, MUTED, &band.label);
            free_from = middle + width / 2.0 + 6.0;
        }
    }
    for tick in &x.ticks {
        let at = x.at(*tick);
        canvas.line(&[(at, bottom), (at, bottom + 4.0)], FRAME, 1.0, LineStyle::Solid);
        canvas.text((at, bottom + 12.0), Anchor::Middle, frame.small, MUTED, &clock(*tick, step));
    }
    x
}

/// Seconds since the start as the axis shows them: `45 s`, `1:30`, `2 h`.
fn clock(seconds: f64, step: f64) -> String {
    let whole = seconds.round() as u64;
    match (whole, step as u64) {
        (0, _) => "0".to_owned(),
        (_, 3600..) => format!("{} h", whole / 3600),
        (60.., _) if whole >= 3600 => {
            format!("{}:{:02}:{:02}", whole / 3600, whole / 60 % 60, whole % 60)
        }
        (60.., _) => format!("{}:{:02}", whole / 60, whole % 60),
        _ => format!("{whole} s"),
    }
}

fn value_axis(canvas: &Canvas<'_>, panel: &Panel, frame: &Frame) -> Scale {
    let measured = panel.lines.iter().filter(|line| line.style != LineStyle::Limit);
    let most = match panel.stacked {
        true => totals(panel).into_iter().flatten().fold(0.0, f64::max),
        false => {
            measured.clone().flat_map(|l| l.values.iter().flatten()).copied().fold(0.0, f64::max)
        }
    };
    let onward = panel.ahead.iter().flat_map(|ahead| &ahead.lines).map(|line| line.to.1);
    let most = onward.fold(most, f64::max);
    // A bound far above what was measured would flatten the lines: it is in the legend only.
    let limits = panel.lines.iter().filter(|line| line.style == LineStyle::Limit);
    let limit =
        limits.flat_map(|l| l.values.iter().flatten()).copied().filter(|v| *v <= 3.0 * most);
    let most = limit.fold(most, f64::max);
    let ends = (frame.bottom, frame.top);
    let y = match panel.log {
        true => {
            let positive = measured.flat_map(|l| l.values.iter().flatten()).filter(|v| **v > 0.0);
            Scale::log(positive.copied().fold(most, f64::min), most, ends)
        }
        false => Scale::linear(most * 1.02, ends, panel.quantity, 4),
    };
    frame.value_axis(canvas, &y, panel.quantity, panel.log);
    y
}

fn spans(canvas: &Canvas<'_>, charts: &TimeCharts, frame: &Frame, x: &Scale, tinted: bool) {
    for span in &charts.spans {
        let (ink, opacity) = match span.kind {
            SpanKind::Knee => (KNEE, 0.13),
            SpanKind::Baseline => (3, 0.10),
            SpanKind::Beyond | SpanKind::Restart => (2, 0.10),
        };
        let (from, to) = (x.at(span.from), x.at(span.to));
        if tinted {
            canvas.rect((from, frame.top), (to, frame.bottom), ink, opacity);
        }
        canvas.rect((from, frame.bottom - 3.0), (to, frame.bottom), ink, 0.8);
    }
}

/// The stretches of neighbouring values, as pixels.
fn stretches(times: &[f64], values: &[Option<f64>], x: &Scale, y: &Scale) -> Vec<Vec<(f64, f64)>> {
    let mut stretches = vec![Vec::new()];
    for (time, value) in times.iter().zip(values) {
        match (value, stretches.last_mut()) {
            (Some(value), Some(stretch)) => stretch.push((x.at(*time), y.at(*value))),
            _ => stretches.push(Vec::new()),
        }
    }
    stretches.retain(|stretch| !stretch.is_empty());
    stretches
}

fn lines<'a>(
    canvas: &Canvas<'_>,
    charts: &TimeCharts,
    lines: impl Iterator<Item = &'a Line>,
    x: &Scale,
    y: &Scale,
) {
    for line in lines {
        let is_limit = line.style == LineStyle::Limit;
        if is_limit && line.values.iter().flatten().any(|value| !y.has(*value)) {
            continue;
        }
        let width = if is_limit { 1.25 } else { 1.75 };
        for stretch in stretches(&charts.times, &line.values, x, y) {
            match stretch.as_slice() {
                [alone] => canvas.dot(*alone, 1.5, line.ink as u8),
                points => canvas.line(points, line.ink as u8, width, line.style),
            }
        }
    }
}

/// Sum of the layers at each time; `None` where no layer was measured.
fn totals(panel: &Panel) -> Vec<Option<f64>> {
    let mut totals: Vec<Option<f64>> = Vec::new();
    for line in panel.lines.iter().filter(|line| line.style != LineStyle::Limit) {
        totals.resize(totals.len().max(line.values.len()), None);
        for (total, value) in totals.iter_mut().zip(&line.values) {
            *total = value.map(|value| total.unwrap_or(0.0) + value).or(*total);
        }
    }
    totals
}

fn layers(canvas: &Canvas<'_>, charts: &TimeCharts, panel: &Panel, x: &Scale, y: &Scale) {
    let is_known = totals(panel).iter().map(Option::is_some).collect::<Vec<_>>();
    let mut floor: Vec<Option<f64>> = is_known.iter().map(|known| known.then_some(0.0)).collect();
    for line in panel.lines.iter().filter(|line| line.style != LineStyle::Limit) {
        let roof: Vec<_> = floor
            .iter()
            .zip(&line.values)
            .map(|(floor, value)| floor.map(|floor| floor + value.unwrap_or(0.0)))
            .collect();
        let below = stretches(&charts.times, &floor, x, y);
        let above = stretches(&charts.times, &roof, x, y);
        for (below, above) in below.into_iter().zip(above) {
            let shape: Vec<_> = above.iter().chain(below.iter().rev()).copied().collect();
            canvas.area(&shape, line.ink as u8, 0.7);
        }
        floor = roof;
    }
    let limits = panel.lines.iter().filter(|line| line.style == LineStyle::Limit);
    lines(canvas, charts, limits, x, y);
}
