//! Charts over offered load: throughput, response time, and its parts.

use super::super::model::{CurvePoint, LayerChart, LineStyle, LoadCurve, Quantity};
use super::canvas::{Anchor, Canvas, Caption, FRAME, KNEE, MUTED, draw, text_width};
use super::frame::{Entry, Frame, Look};
use super::scale::{Scale, round_step};

fn entry(name: &str, ink: u8, style: LineStyle, filled: bool) -> Entry {
    Entry { name: name.to_owned(), ink, style, filled }
}

/// The legend of [`throughput`].
pub(super) fn throughput_entries() -> Vec<Entry> {
    vec![
        entry("offered", 8, LineStyle::Dotted, false),
        entry("throughput", 1, LineStyle::Solid, false),
        entry("goodput", 3, LineStyle::Dashed, false),
    ]
}

/// The legend of [`response`].
pub(super) fn response_entries() -> Vec<Entry> {
    vec![entry("p50", 1, LineStyle::Solid, false), entry("p99", 4, LineStyle::Dashed, false)]
}

/// The legend of [`layers`].
pub(super) fn layer_entries(chart: &LayerChart) -> Vec<Entry> {
    let inks = layer_inks(chart);
    let named = chart.names.iter().zip(inks);
    named.map(|(name, ink)| entry(name, ink, LineStyle::Solid, true)).collect()
}

/// The last layer is the unexplained rest and always grey.
fn layer_inks(chart: &LayerChart) -> Vec<u8> {
    let order = [1, 2, 3, 5, 6, 4, 7];
    let last = chart.names.len().saturating_sub(1);
    (0..chart.names.len())
        .map(|index| if index == last { 8 } else { order[index % order.len()] })
        .collect()
}

/// Throughput and goodput against offered load.
pub(super) fn throughput(curve: &LoadCurve, look: Look) -> String {
    let title = "Throughput against offered load";
    let entries = throughput_entries();
    let frame = Frame::half(look, title, &entries);
    let about = "Responses per second, and successful ones, at each offered load that was held; \
                 the dotted line is what was asked for.";
    let caption = Caption { title, about };
    draw((frame.width, frame.height), &caption, look == Look::Standalone, |canvas| {
        frame.heading(canvas, title, &entries);
        let (x, most) = load_axis(canvas, &frame, curve.points.iter().map(|point| point.offered));
        let rates = curve.points.iter().map(|point| point.throughput.max(point.goodput));
        let high = rates.fold(most, f64::max);
        let y = Scale::linear(high, (frame.bottom, frame.top), Quantity::Rate, 5);
        frame.value_axis(canvas, &y, Quantity::Rate, false);
        knee(canvas, &frame, &x, curve);
        let ideal = [(x.at(0.0), y.at(0.0)), (x.at(most), y.at(most))];
        canvas.line(&ideal, 8, 1.25, LineStyle::Dotted);
        let place = |pick: fn(&CurvePoint) -> f64| -> Vec<_> {
            curve.points.iter().map(|p| (x.at(p.offered), y.at(pick(p)))).collect()
        };
        marked(canvas, &place(|p| p.throughput), 1, LineStyle::Solid);
        marked(canvas, &place(|p| p.goodput), 3, LineStyle::Dashed);
    })
}

/// Response time against offered load.
pub(super) fn response(curve: &LoadCurve, look: Look) -> Option<String> {
    let title = "Response time against offered load";
    let times = curve.points.iter().flat_map(|point| [point.p50, point.p99]).flatten();
    let (least, most) =
        times.fold((f64::INFINITY, 0.0_f64), |(a, b), value| (a.min(value), b.max(value)));
    if most <= 0.0 {
        return None;
    }
    let entries = response_entries();
    let frame = Frame::half(look, title, &entries);
    let about = "Median and 99 % of the response time of successful requests at each offered \
                 load that was held.";
    let caption = Caption { title, about };
    let svg = draw((frame.width, frame.height), &caption, look == Look::Standalone, |canvas| {
        frame.heading(canvas, title, &entries);
        let (x, _) = load_axis(canvas, &frame, curve.points.iter().map(|point| point.offered));
        let ends = (frame.bottom, frame.top);
        let y = match curve.log {
            true => Scale::log(least, most, ends),
            false => Scale::linear(most, ends, Quantity::Seconds, 5),
        };
        frame.value_axis(canvas, &y, Quantity::Seconds, curve.log);
        knee(canvas, &frame, &x, curve);
        let place = |pick: fn(&CurvePoint) -> Option<f64>| -> Vec<_> {
            let known = curve.points.iter().filter_map(|p| pick(p).map(|time| (p.offered, time)));
            known.map(|(offered, time)| (x.at(offered), y.at(time))).collect()
        };
        marked(canvas, &place(|p| p.p50), 1, LineStyle::Solid);
        marked(canvas, &place(|p| p.p99), 4, LineStyle::Dashed);
    });
    Some(svg)
}

/// The parts of the response time, stacked.
pub(super) fn layers(chart: &LayerChart, look: Look) -> String {
    let entries = layer_entries(chart);
    let frame = Frame::half(look, chart.title, &entries);
    let caption = Caption { title: chart.title, about: chart.about };
    draw((frame.width, frame.height), &caption, look == Look::Standalone, |canvas| {
        frame.heading(canvas, chart.title, &entries);
        let (x, _) = load_axis(canvas, &frame, chart.points.iter().map(|point| point.0));
        let totals = chart.points.iter().map(|point| point.1.iter().sum::<f64>());
        let most = totals.fold(0.0, f64::max);
        let y = Scale::linear(most, (frame.bottom, frame.top), Quantity::Seconds, 5);
        frame.value_axis(canvas, &y, Quantity::Seconds, false);
        let mut floor = vec![0.0; chart.points.len()];
        for (index, entry) in entries.iter().enumerate() {
            let roof: Vec<_> = chart
                .points
                .iter()
                .zip(&floor)
                .map(|(point, floor)| floor + point.1.get(index).copied().unwrap_or(0.0))
                .collect();
            let place = |values: &[f64]| -> Vec<(f64, f64)> {
                let pairs = chart.points.iter().zip(values);
                pairs.map(|(point, value)| (x.at(point.0), y.at(*value))).collect()
            };
            let above = place(&roof);
            let shape: Vec<_> =
                above.iter().copied().chain(place(&floor).into_iter().rev()).collect();
            canvas.area(&shape, entry.ink, 0.72);
            canvas.line(&above, entry.ink, 1.25, LineStyle::Solid);
            floor = roof;
        }
        if let Some(rate) = chart.knee {
            let at = x.at(rate);
            canvas.line(&[(at, frame.top), (at, frame.bottom)], KNEE, 1.5, LineStyle::Dashed);
            knee_label(canvas, &frame, at, "knee");
        }
    })
}

fn load_axis(canvas: &Canvas<'_>, frame: &Frame, loads: impl Iterator<Item = f64>) -> (Scale, f64) {
    let most = loads.fold(0.0, f64::max);
    let most = if most > 0.0 { most } else { 1.0 };
    let x = Scale::exact(0.0, most * 1.02, (frame.left, frame.right), round_step(most / 6.0));
    for tick in &x.ticks {
        let (at, label) = (x.at(*tick), Quantity::Rate.tick(*tick));
        canvas.line(&[(at, frame.bottom), (at, frame.bottom + 4.0)], FRAME, 1.0, LineStyle::Solid);
        // The title of the axis stands where the last label would.
        if at < frame.right - 70.0 {
            canvas.text((at, frame.bottom + 13.0), Anchor::Middle, frame.small, MUTED, &label);
        }
    }
    let at = (frame.right, frame.bottom + 13.0);
    canvas.text(at, Anchor::Right, frame.small, MUTED, "offered/s");
    (x, most)
}

fn knee(canvas: &Canvas<'_>, frame: &Frame, x: &Scale, curve: &LoadCurve) {
    let Some((rate, low, high)) = curve.knee else { return };
    canvas.rect((x.at(low), frame.top), (x.at(high), frame.bottom), KNEE, 0.14);
    let at = x.at(rate);
    canvas.line(&[(at, frame.top), (at, frame.bottom)], KNEE, 1.5, LineStyle::Dashed);
    knee_label(canvas, frame, at, &curve.knee_label);
}

fn knee_label(canvas: &Canvas<'_>, frame: &Frame, at: f64, text: &str) {
    let half = text_width(text, frame.small) / 2.0;
    let x = at.clamp(frame.left + half, (frame.right - half).max(frame.left + half));
    canvas.text((x, frame.top - 8.0), Anchor::Middle, frame.small, KNEE, text);
}

/// A line with a dot at each measurement.
fn marked(canvas: &Canvas<'_>, points: &[(f64, f64)], ink: u8, style: LineStyle) {
    canvas.line(points, ink, 1.75, style);
    for point in points {
        canvas.dot(*point, 3.0, ink);
    }
}
