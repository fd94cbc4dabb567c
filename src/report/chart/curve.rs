//! Charts over the load: throughput, response time, and its parts.

use super::super::model::{
    CurvePoint, LayerChart, LayerPoint, LineStyle, LoadAxis, LoadCurve, Quantity,
};
use super::canvas::{Anchor, Canvas, Caption, FRAME, KNEE, MUTED, TEXT, draw, text_width};
use super::frame::{Entry, Frame, Layout};
use super::scale::{Scale, round_step};

fn entry(name: &str, ink: u8, style: LineStyle, filled: bool) -> Entry {
    Entry { name: name.to_owned(), ink, style, filled, hatched: false }
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
    let last = chart.names.len().saturating_sub(1);
    let named = chart.names.iter().zip(layer_inks(chart)).enumerate();
    let layers = named.map(|(index, (name, ink))| Entry {
        hatched: index == last,
        ..entry(name, ink, LineStyle::Solid, chart.stacked)
    });
    layers.chain([entry("mean response time", TEXT, LineStyle::Solid, false)]).collect()
}

/// The last layer is the unexplained rest and always grey.
fn layer_inks(chart: &LayerChart) -> Vec<u8> {
    let order = [1, 2, 3, 5, 6, 4, 7];
    let last = chart.names.len().saturating_sub(1);
    (0..chart.names.len())
        .map(|index| if index == last { 8 } else { order[index % order.len()] })
        .collect()
}

/// Throughput and goodput against the load.
pub(super) fn throughput(curve: &LoadCurve, layout: Layout) -> String {
    let [title, _] = curve.axis.titles();
    let entries = throughput_entries();
    let frame = Frame::half(layout, title, &entries);
    let about = "Responses per second, and successful ones, at each load that was held; the dotted \
                 line is what was asked for.";
    let caption = Caption { title, about };
    draw((frame.width, frame.height), &caption, layout == Layout::Standalone, |canvas| {
        frame.heading(canvas, title, &entries);
        let (x, most) =
            load_axis(canvas, &frame, curve.axis, curve.points.iter().map(|it| it.load));
        let rates = curve.points.iter().map(|point| point.throughput.max(point.goodput));
        let asked = curve.axis.offered(most);
        let high = match curve.axis.is_users() {
            // Many users would ask for far more than is answered: the line leaves the chart.
            true => 1.1 * rates.fold(0.0, f64::max),
            false => rates.fold(asked, f64::max),
        };
        let y = Scale::linear(high, (frame.bottom, frame.top), Quantity::Rate, 5);
        frame.value_axis(canvas, &y, Quantity::Rate, false);
        knee(canvas, &frame, &x, curve);
        let share = (high / asked).min(1.0);
        let ideal = [(x.at(0.0), y.at(0.0)), (x.at(share * most), y.at(share * asked))];
        canvas.line(&ideal, 8, 1.25, LineStyle::Dotted);
        let place = |pick: fn(&CurvePoint) -> f64| -> Vec<_> {
            curve.points.iter().map(|p| (x.at(p.load), y.at(pick(p)))).collect()
        };
        marked(canvas, &place(|p| p.throughput), 1, LineStyle::Solid);
        marked(canvas, &place(|p| p.goodput), 3, LineStyle::Dashed);
    })
}

/// Response time against the load.
pub(super) fn response(curve: &LoadCurve, layout: Layout) -> Option<String> {
    let [_, title] = curve.axis.titles();
    let times = curve.points.iter().flat_map(|point| [point.p50, point.p99]).flatten();
    let (least, most) =
        times.fold((f64::INFINITY, 0.0_f64), |(a, b), value| (a.min(value), b.max(value)));
    if most <= 0.0 {
        return None;
    }
    let entries = response_entries();
    let frame = Frame::half(layout, title, &entries);
    let about = "Median and 99 % of the response time of successful requests at each load that was \
                 held.";
    let caption = Caption { title, about };
    let svg = draw((frame.width, frame.height), &caption, layout == Layout::Standalone, |canvas| {
        frame.heading(canvas, title, &entries);
        let (x, _) = load_axis(canvas, &frame, curve.axis, curve.points.iter().map(|it| it.load));
        let ends = (frame.bottom, frame.top);
        let y = match curve.log {
            true => Scale::log(least, most, ends),
            false => Scale::linear(most, ends, Quantity::Seconds, 5),
        };
        frame.value_axis(canvas, &y, Quantity::Seconds, curve.log);
        knee(canvas, &frame, &x, curve);
        let place = |pick: fn(&CurvePoint) -> Option<f64>| -> Vec<_> {
            let known = curve.points.iter().filter_map(|p| pick(p).map(|time| (p.load, time)));
            known.map(|(load, time)| (x.at(load), y.at(time))).collect()
        };
        marked(canvas, &place(|p| p.p50), 1, LineStyle::Solid);
        marked(canvas, &place(|p| p.p99), 4, LineStyle::Dashed);
    });
    Some(svg)
}

/// The parts of the response time, stacked where they add up, under the line of the whole.
pub(super) fn layers(chart: &LayerChart, layout: Layout) -> String {
    let entries = layer_entries(chart);
    let frame = Frame::half(layout, chart.title, &entries);
    let caption = Caption { title: chart.title, about: chart.about };
    draw((frame.width, frame.height), &caption, layout == Layout::Standalone, |canvas| {
        frame.heading(canvas, chart.title, &entries);
        let (x, _) = load_axis(canvas, &frame, chart.axis, chart.points.iter().map(|it| it.load));
        let highest = |point: &LayerPoint| match chart.stacked {
            true => point.parts.iter().sum::<f64>().max(point.response),
            false => point.parts.iter().copied().fold(point.response, f64::max),
        };
        let most = chart.points.iter().map(highest).fold(0.0, f64::max);
        let y = Scale::linear(most, (frame.bottom, frame.top), Quantity::Seconds, 5);
        frame.value_axis(canvas, &y, Quantity::Seconds, false);
        if let Some((_, low, high)) = chart.knee {
            canvas.rect((x.at(low), frame.top), (x.at(high), frame.bottom), KNEE, 0.14);
        }
        let place = |values: &[f64]| -> Vec<(f64, f64)> {
            let pairs = chart.points.iter().zip(values);
            pairs.map(|(point, value)| (x.at(point.load), y.at(*value))).collect()
        };
        let parts = entries.iter().take(chart.names.len()).enumerate();
        let mut floor = vec![0.0; chart.points.len()];
        for (index, entry) in parts {
            let own = chart.points.iter().map(|point| point.parts.get(index).copied());
            let own: Vec<f64> = own.map(Option::unwrap_or_default).collect();
            if chart.stacked {
                let roof: Vec<_> = floor.iter().zip(&own).map(|(floor, own)| floor + own).collect();
                layer(canvas, &place(&floor), &place(&roof), entry);
                floor = roof;
            } else {
                marked(canvas, &place(&own), entry.ink, LineStyle::Solid);
            }
        }
        let whole: Vec<_> = chart.points.iter().map(|point| point.response).collect();
        marked(canvas, &place(&whole), TEXT, LineStyle::Solid);
        if let Some((rate, ..)) = chart.knee {
            let at = x.at(rate);
            canvas.line(&[(at, frame.top), (at, frame.bottom)], KNEE, 1.5, LineStyle::Dashed);
            knee_label(canvas, &frame, at, &chart.knee_label);
        }
    })
}

/// One layer between two lines.
fn layer(canvas: &Canvas<'_>, floor: &[(f64, f64)], roof: &[(f64, f64)], entry: &Entry) {
    let shape: Vec<_> = roof.iter().chain(floor.iter().rev()).copied().collect();
    canvas.area(&shape, entry.ink, if entry.hatched { 0.25 } else { 0.72 });
    if entry.hatched {
        canvas.hatch(floor, roof, entry.ink);
    }
    canvas.line(roof, entry.ink, 1.25, LineStyle::Solid);
}

/// The axis of load from zero to the highest of `loads`, and that load.
pub(super) fn load_axis(
    canvas: &Canvas<'_>,
    frame: &Frame,
    axis: LoadAxis,
    loads: impl Iterator<Item = f64>,
) -> (Scale, f64) {
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
    canvas.text(at, Anchor::Right, frame.small, MUTED, axis.label());
    (x, most)
}

fn knee(canvas: &Canvas<'_>, frame: &Frame, x: &Scale, curve: &LoadCurve) {
    let Some((rate, low, high)) = curve.knee else { return };
    canvas.rect((x.at(low), frame.top), (x.at(high), frame.bottom), KNEE, 0.14);
    let at = x.at(rate);
    canvas.line(&[(at, frame.top), (at, frame.bottom)], KNEE, 1.5, LineStyle::Dashed);
    knee_label(canvas, frame, at, &curve.knee_label);
}

pub(super) fn knee_label(canvas: &Canvas<'_>, frame: &Frame, at: f64, text: &str) {
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
