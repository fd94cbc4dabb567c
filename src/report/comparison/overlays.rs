//! The charts of a comparison as values: both builds over offered load, and the parts of the
//! response time before and after.

use super::super::chart::{
    Overlay, OverlayKnee, OverlayLine, OverlayPoint, PartBar, PartBars, Segment, Step,
};
use super::super::model::{LineStyle, Quantity, spreads};
use super::super::wording::{clean, duration, rate, short_rate};
use super::rows;
use crate::compare::{BuildCurve, Comparison, CurvePoint, KneeRange, PartChange, Spread};
use crate::diagnose::PartKind;

/// How the builds are drawn: Okabe and Ito's blue and vermilion, which are told apart with every
/// kind of colour vision.
const BUILDS: [(&str, u8, LineStyle); 2] =
    [("base", 1, LineStyle::Solid), ("candidate", 4, LineStyle::Dashed)];
/// Inks of the parts; what nothing explains is grey.
const PART_INKS: [u8; 7] = [1, 2, 3, 5, 6, 4, 7];
const UNEXPLAINED_INK: u8 = 8;
/// Parts with a segment of their own, at most; the last ink is for the smaller ones together.
const MOST_SEGMENTS: usize = 6;
/// A part smaller than this share of the longer bar in both builds has no segment of its own: it
/// would be a few pixels.
const SMALLEST_SEGMENT: f64 = 0.01;
/// A gain below this share of the longer whole has no step of its own.
const SMALLEST_STEP: f64 = 0.01;
/// Parts whose sum differs from the whole by less than this share add up, as far as one can see.
const UNTOLD_DIFFERENCE: f64 = 0.02;

/// Both builds over offered load; none where a single load makes no curve.
pub(super) fn overlays(comparison: &Comparison) -> Vec<Overlay> {
    let curves = &comparison.curves;
    if curves.base.points.len().max(curves.candidate.points.len()) < 2 {
        return Vec::new();
    }
    let of = |id, title, quantity, value: fn(&CurvePoint) -> Option<Spread>| {
        overlay(comparison, (id, title), quantity, value)
    };
    let mut overlays = vec![
        of("p50", "Median response time (p50)", Quantity::Seconds, |point| point.p50),
        of("p99", "Response time of all but 1 % (p99)", Quantity::Seconds, |point| point.p99),
        of("answered", "Answered", Quantity::Rate, |point| Some(point.answered)),
        of("errors", "Failed requests", Quantity::Share, |point| Some(point.error_ratio)),
    ];
    overlays.retain(|overlay| {
        let mut points = overlay.lines.iter().flat_map(|line| &line.points);
        points.any(|point| point.high > 0.0)
    });
    overlays
}

fn overlay(
    comparison: &Comparison,
    (id, title): (&'static str, &'static str),
    quantity: Quantity,
    value: fn(&CurvePoint) -> Option<Spread>,
) -> Overlay {
    let curves = [&comparison.curves.base, &comparison.curves.candidate];
    let lines: Vec<OverlayLine> = BUILDS
        .iter()
        .zip(curves)
        .map(|((name, ink, style), curve)| OverlayLine {
            name,
            ink: *ink,
            style: *style,
            points: points(curve, value),
            knee: knee(name, curve.knee),
        })
        .collect();
    let values = || lines.iter().flat_map(|line| &line.points);
    let least = values().map(|point| point.low).fold(f64::INFINITY, f64::min);
    let most = values().map(|point| point.high).fold(0.0, f64::max);
    Overlay {
        id,
        title,
        about: about(&lines, quantity),
        quantity,
        log: quantity == Quantity::Seconds && spreads(least, most),
        shows_offered: quantity == Quantity::Rate,
        lines,
    }
}

fn points(curve: &BuildCurve, value: fn(&CurvePoint) -> Option<Spread>) -> Vec<OverlayPoint> {
    let point = |point: &CurvePoint| {
        let Spread { median, low, high } = value(point)?;
        Some(OverlayPoint { offered: point.offered, value: median, low, high })
    };
    curve.points.iter().filter_map(point).collect()
}

/// A knee that was not reached has no place on the axis.
fn knee(name: &str, knee: Option<KneeRange>) -> Option<OverlayKnee> {
    let KneeRange { rate, low, high } = knee?;
    let label = format!("knee, {name}: {}", short_rate(rate));
    Some(OverlayKnee { rate, low, high: high?, label })
}

/// The lowest and the highest load of each build in words.
fn about(lines: &[OverlayLine], quantity: Quantity) -> String {
    let end =
        |point: &OverlayPoint| format!("{} at {}", quantity.text(point.value), rate(point.offered));
    let tell = |line: &OverlayLine| match &line.points[..] {
        [] => format!("{}: not measured", line.name),
        [one] => format!("{}: {}", line.name, end(one)),
        [first, .., last] => format!("{}: {}, {}", line.name, end(first), end(last)),
    };
    let told: Vec<String> = lines.iter().map(tell).collect();
    format!("Over offered load. {}.", told.join("; "))
}

/// The knees of both builds in words, where one of them is known.
pub(super) fn knees(comparison: &Comparison) -> Option<String> {
    let tell = |knee: Option<KneeRange>| match knee {
        Some(KneeRange { rate: at, low, high: Some(high) }) => {
            format!("{} ({} to {})", rate(at), short_rate(low), short_rate(high))
        }
        Some(KneeRange { rate: at, .. }) => format!("none up to {}", rate(at)),
        None => "not known".to_owned(),
    };
    let (base, candidate) = (comparison.curves.base.knee, comparison.curves.candidate.knee);
    let is_known = base.is_some() || candidate.is_some();
    is_known.then(|| {
        format!("Knee of the base: {}. Knee of the candidate: {}.", tell(base), tell(candidate))
    })
}

/// The parts of the response time before and after, where both builds tell any.
pub(super) fn part_bars(comparison: &Comparison) -> Option<PartBars> {
    let (before, after) = comparison.why.response?;
    let segments = segments(&comparison.why.parts, before.max(after));
    let bar = |name: &str, whole: f64, seconds: fn(&PartChange) -> f64| PartBar {
        name: bar_name(name, whole, segments.iter().map(|segment| seconds(&segment.part)).sum()),
        response: whole,
        segments: segments
            .iter()
            .enumerate()
            .map(|(index, segment)| Segment {
                number: index + 1,
                name: segment.part.name.clone(),
                about: about_part(&segment.part),
                seconds: seconds(&segment.part),
                ink: segment.ink,
                hatched: segment.ink == UNEXPLAINED_INK,
            })
            .collect(),
    };
    let bars = vec![
        bar(BUILDS[0].0, before, |part| part.base),
        bar(BUILDS[1].0, after, |part| part.candidate),
    ];
    let told: Vec<String> = segments.iter().map(|segment| about_part(&segment.part)).collect();
    let steps = steps(&segments, before, after);
    (!segments.is_empty()).then(|| PartBars {
        title: "Parts of the response time, before and after",
        about: format!(
            "Mean seconds of a request, base then candidate. Whole: {}, {}; {}.",
            duration(before),
            duration(after),
            told.join("; ")
        ),
        bars,
        steps,
    })
}

/// What leads from the whole before to the whole after, the largest gain first. The parts of a build
/// may overlap or be missing, so a rest may be left.
fn steps(segments: &[Coloured], before: f64, after: f64) -> Vec<Step> {
    let least = SMALLEST_STEP * before.max(after);
    let mut moved: Vec<&Coloured> =
        segments.iter().filter(|segment| segment.part.gain().abs() >= least).collect();
    moved.sort_by(|a, b| b.part.gain().total_cmp(&a.part.gain()));
    let mut at = before;
    let mut steps = Vec::new();
    let mut step = |name: &str, gain: f64, ink: u8| {
        let (from, to) = (at, (at + gain).max(0.0));
        at = to;
        let short = rows::gain(gain);
        let text = format!("{short} {name}");
        steps.push(Step { text, short, from, to, ink, hatched: ink == UNEXPLAINED_INK });
        at
    };
    let mut reached = before;
    for segment in moved {
        reached = step(&segment.part.name, segment.part.gain(), segment.ink);
    }
    if (after - reached).abs() >= least && reached != before {
        step("overlap of parts, and small ones", after - reached, UNEXPLAINED_INK);
    }
    steps
}

/// The whole of a bar in words. Parts that were counted twice or not at all are told.
fn bar_name(build: &str, whole: f64, parts: f64) -> String {
    let name = format!("{build}: {} on average", duration(whole));
    match parts / whole {
        share if share > 1.0 + UNTOLD_DIFFERENCE => {
            format!("{name} (parts overlap: {})", duration(parts))
        }
        share if share < 1.0 - UNTOLD_DIFFERENCE => {
            format!("{name} (parts known: {})", duration(parts))
        }
        _ => name,
    }
}

fn about_part(part: &PartChange) -> String {
    format!("{}: {}, then {}", part.name, duration(part.base), duration(part.candidate))
}

/// A part with its colour.
struct Coloured {
    part: PartChange,
    ink: u8,
}

/// The parts in the order of their size, small ones together, and what nothing explains at the end.
fn segments(parts: &[PartChange], longest: f64) -> Vec<Coloured> {
    let is_unexplained = |part: &&PartChange| part.kind == PartKind::Unexplained.key();
    let size = |part: &PartChange| part.base.max(part.candidate);
    let mut named: Vec<&PartChange> =
        parts.iter().filter(|part| !is_unexplained(part) && size(part) > 0.0).collect();
    named.sort_by(|a, b| size(b).total_cmp(&size(a)).then(a.name.cmp(&b.name)));
    let is_large = |part: &&&PartChange| size(part) >= SMALLEST_SEGMENT * longest;
    let shown = named.iter().take_while(is_large).take(MOST_SEGMENTS).count();
    let mut segments: Vec<Coloured> = named[..shown]
        .iter()
        .zip(PART_INKS)
        .map(|(part, ink)| Coloured {
            part: PartChange { name: clean(&part.name), ..(*part).clone() },
            ink,
        })
        .collect();
    let sum = |rest: &[&PartChange], name: &str| PartChange {
        name: name.to_owned(),
        kind: String::new(),
        base: rest.iter().map(|part| part.base).sum(),
        candidate: rest.iter().map(|part| part.candidate).sum(),
        error: 0.0,
    };
    let rest = &named[shown..];
    if !rest.is_empty() {
        let name = match rest {
            [one] => clean(&one.name),
            _ => format!("{} smaller parts", rest.len()),
        };
        segments.push(Coloured { part: sum(rest, &name), ink: PART_INKS[PART_INKS.len() - 1] });
    }
    let unexplained: Vec<&PartChange> = parts.iter().filter(is_unexplained).collect();
    if unexplained.iter().any(|part| size(part) > 0.0) {
        segments.push(Coloured { part: sum(&unexplained, "unexplained"), ink: UNEXPLAINED_INK });
    }
    segments
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_say_where_their_parts_do_not_add_up() {
        assert_eq!(bar_name("base", 0.01, 0.0101), "base: 10 ms on average");
        assert_eq!(bar_name("base", 0.01, 0.012), "base: 10 ms on average (parts overlap: 12 ms)");
        assert_eq!(bar_name("base", 0.01, 0.008), "base: 10 ms on average (parts known: 8 ms)");
    }

    #[test]
    fn steps_lead_from_one_whole_to_the_other() {
        let part = |name: &str, base: f64, candidate: f64| Coloured {
            part: PartChange {
                name: name.to_owned(),
                kind: String::new(),
                base,
                candidate,
                error: 0.0,
            },
            ink: 1,
        };
        let parts =
            [part("same", 0.001, 0.001), part("less", 0.002, 0.001), part("more", 0.001, 0.006)];
        let steps = steps(&parts, 0.004, 0.007);
        let texts: Vec<&str> = steps.iter().map(|step| step.text.as_str()).collect();
        let rest = "-1 ms overlap of parts, and small ones";
        assert_eq!(texts, ["+5 ms more", "-1 ms less", rest]);
        assert_eq!(steps[0].from, 0.004);
        assert!((steps[2].to - 0.007).abs() < 1e-9, "{steps:?}");
        assert!(steps.windows(2).all(|pair| pair[0].to == pair[1].from));
    }

    #[test]
    fn small_parts_share_a_segment_and_the_unexplained_rest_is_last() {
        let part = |name: &str, kind: &str, seconds: f64| PartChange {
            name: name.to_owned(),
            kind: kind.to_owned(),
            base: seconds,
            candidate: 0.0,
            error: 0.0,
        };
        let parts = [
            part("unexplained", "unexplained", 5.0),
            part("tiny", "a", 0.001),
            part("small", "b", 0.002),
            part("large", "c", 1.0),
        ];
        let names: Vec<String> =
            segments(&parts, 6.0).into_iter().map(|segment| segment.part.name).collect();
        assert_eq!(names, ["large", "2 smaller parts", "unexplained"]);
        let names: Vec<String> =
            segments(&parts[1..2], 6.0).into_iter().map(|segment| segment.part.name).collect();
        assert_eq!(names, ["tiny"]);
    }
}
