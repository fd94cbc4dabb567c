//! The panels of a soak: each resource with its lower edge, the pace that was found and its limit.

use super::super::wording::{self, clean};
use super::grid::Grid;
use super::panel::{Ahead, AheadLine, Line, LineStyle, Panel, Quantity, line, spreads};
use crate::diagnose::{Diagnosis, Pace, ResourceKind, Trend};
use crate::timeline::{Timeline, Unit};

/// A limit that is reached within this many times the length of the run is drawn …
const MOST_AHEAD: f64 = 3.0;
/// … and an arrow at this many times the length points to one that is further away.
const POINTED_FROM: f64 = 1.25;
/// Ink of the pace and of its limit.
const PACE_INK: usize = 4;

/// One panel for each kind of resource, of the series of that kind that is worst.
pub(super) fn panels(diagnosis: &Diagnosis, timeline: &Timeline, grid: Grid) -> Vec<Panel> {
    let Some(soak) = &diagnosis.soak else { return Vec::new() };
    let mut drawn: Vec<ResourceKind> = Vec::new();
    let mut panels = Vec::new();
    for trend in &soak.trends {
        // Resident memory is drawn with the memory; here it would be the same curve again. That of
        // kneepoint is worth a line of text.
        let is_apart = matches!(trend.kind, ResourceKind::Resident | ResourceKind::OwnMemory);
        if is_apart || drawn.contains(&trend.kind) {
            continue;
        }
        drawn.push(trend.kind);
        panels.extend(panel(trend, timeline, grid));
    }
    panels
}

fn named(kind: ResourceKind) -> (&'static str, &'static str) {
    match kind {
        ResourceKind::Memory | ResourceKind::Resident => {
            ("trend-memory", "Anonymous memory and its floors")
        }
        ResourceKind::Heap => ("trend-heap", "Heap in use and its floors"),
        ResourceKind::Descriptors => ("trend-descriptors", "Open descriptors and their floors"),
        ResourceKind::DescriptorType => {
            ("trend-descriptor-type", "Descriptors of one type and their floors")
        }
        ResourceKind::Unclosed => ("trend-unclosed", "Connections not closed, and their floors"),
        ResourceKind::Connections => ("trend-connections", "Connections and their floors"),
        ResourceKind::Pool => ("trend-pool", "Pooled connections in use"),
        ResourceKind::Threads => ("trend-threads", "Threads and their floors"),
        ResourceKind::Sessions => ("trend-sessions", "Database sessions and their floors"),
        ResourceKind::Unused => ("trend-unused", "Database sessions that nobody uses"),
        ResourceKind::Disk => ("trend-disk", "Space used on a disk, and its floors"),
        ResourceKind::Inodes => ("trend-inodes", "Inodes used on a disk, and their floors"),
        ResourceKind::Deleted => ("trend-deleted", "Deleted files kept open, and their floors"),
        ResourceKind::Written => ("trend-written", "Files open for writing, and their floors"),
        ResourceKind::OwnMemory => ("trend-own", "Memory of kneepoint itself"),
        ResourceKind::ResponseTime => ("trend-response", "Median response time and its floors"),
        ResourceKind::CpuPerRequest => ("trend-cpu", "CPU time per request"),
        ResourceKind::TempPerRequest => ("trend-temp", "Temporary files of PostgreSQL per request"),
    }
}

fn panel(trend: &Trend, timeline: &Timeline, grid: Grid) -> Option<Panel> {
    let (id, title) = named(trend.kind);
    let quantity = match trend.unit {
        Unit::Bytes => Quantity::Bytes,
        Unit::Seconds => Quantity::Seconds,
        _ => Quantity::Count,
    };
    let mut lines: Vec<Line> = Vec::new();
    let read = trend.series.parse().ok().and_then(|selector| grid.sum(timeline, &selector));
    lines.extend(read.map(|values| line("read", 8, LineStyle::Solid, values)));
    let mut floors = vec![None; grid.len];
    for (at, value) in &trend.floors {
        if let Some(index) = grid.index(*at) {
            floors[index] = Some(*value);
        }
    }
    lines.push(line("floors", 1, LineStyle::Solid, floors));
    if let Some(pace) = &trend.pace {
        for (name, slope, style) in paces(pace) {
            lines.push(line(name, PACE_INK, style, sloped(trend, slope, grid)));
        }
    }
    if let Some(limit) = trend.limit {
        let bound = grid.times().into_iter().map(|_| Some(limit)).collect();
        lines.push(line("limit", PACE_INK, LineStyle::Limit, bound));
    }
    lines.retain(|line| line.values.iter().any(Option::is_some));
    if lines.is_empty() {
        return None;
    }
    let known = || lines[0].values.iter().flatten().copied();
    let (least, most) = known().fold((f64::INFINITY, 0.0_f64), |(a, b), v| (a.min(v), b.max(v)));
    Some(Panel {
        id,
        title,
        quantity,
        stacked: false,
        log: quantity == Quantity::Seconds && spreads(least, most),
        lines,
        about: about(trend),
        marks: marks(trend),
        ahead: ahead(trend, grid.len as f64 * grid.step),
    })
}

/// Restarts by name; collections, of which there may be many, at the foot.
fn marks(trend: &Trend) -> Vec<(f64, Option<&'static str>)> {
    let collections = trend.collections.iter().map(|at| (at.secs(), None));
    let restarts = trend.restarts.iter().map(|at| (at.secs(), Some("restart")));
    collections.chain(restarts).collect()
}

/// The slope of a pace and the ends of its interval, each with its name and how it is drawn.
fn paces(pace: &Pace) -> [(&'static str, f64, LineStyle); 3] {
    [
        ("pace", pace.slope, LineStyle::Dashed),
        ("95 %, lower", pace.low, LineStyle::Dotted),
        ("95 %, upper", pace.high, LineStyle::Dotted),
    ]
}

/// How the pace of a leak goes on to its limit, on an axis of a run that is `run` seconds long.
fn ahead(trend: &Trend, run: f64) -> Option<Ahead> {
    let pace = trend.pace.as_ref()?;
    let (limit, out) = (trend.limit?, pace.runs_out?);
    let (from, level) = trend.floors.last().map(|(at, level)| (at.secs(), *level))?;
    let reached = trend.window.end.secs() + out.expected;
    let is_near = reached <= MOST_AHEAD * run;
    let end = if is_near { (1.05 * reached).max(POINTED_FROM * run) } else { POINTED_FROM * run };
    let onward = |(_, slope, style): (&str, f64, LineStyle)| {
        let at_end = level + slope * (end - from);
        let to = match slope > 0.0 && at_end > limit {
            true => (from + (limit - level).max(0.0) / slope, limit),
            false => (end, at_end.max(0.0)),
        };
        AheadLine { ink: PACE_INK, style, from: (from, level), to }
    };
    // One that lies far beyond would flatten what was measured.
    let bound = is_near.then_some(AheadLine {
        ink: PACE_INK,
        style: LineStyle::Limit,
        from: (run, limit),
        to: (end, limit),
    });
    let left = wording::duration(out.expected.round());
    Some(Ahead {
        end,
        lines: paces(pace).into_iter().map(onward).chain(bound).collect(),
        label: format!("at its limit in {left}"),
        at: is_near.then_some(reached),
    })
}

/// A line of that slope through the last floor, over the part in which the pace was taken.
fn sloped(trend: &Trend, slope: f64, grid: Grid) -> Vec<Option<f64>> {
    let (Some((first, _)), Some((last, level))) = (trend.floors.first(), trend.floors.last())
    else {
        return vec![None; grid.len];
    };
    let (from, to) = (first.secs().midpoint(last.secs()), last.secs());
    let at = |time: f64| (from..=to).contains(&time).then_some(level - slope * (to - time));
    grid.times().into_iter().map(at).collect()
}

fn about(trend: &Trend) -> String {
    let mut about =
        format!("{}, and its floors, in which kneepoint looks for a leak.", clean(&trend.name()));
    if let Some(out) = trend.pace.as_ref().and_then(|pace| pace.runs_out.as_ref()) {
        let left = wording::duration(out.expected.round());
        about += &format!(" At this pace it reaches its limit in {left}.");
    }
    if !trend.collections.is_empty() {
        let count = trend.collections.len() as u64;
        let count = wording::plural(count, "full garbage collection", "full garbage collections");
        about += &format!(" {count} marked at the foot.");
    }
    if !trend.restarts.is_empty() {
        let count = wording::plural(trend.restarts.len() as u64, "restart", "restarts");
        about += &format!(" {count} of its process in this time.");
    }
    about
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::fixture;

    #[test]
    fn a_limit_that_is_near_is_drawn_and_one_that_is_far_is_pointed_at() {
        let soak = fixture::soak();
        let mut trend = soak.trends[0].clone();
        let (end, level) = (trend.window.end.secs(), trend.floors.last().unwrap().1);
        let mut drawn = |left: f64| {
            let pace = trend.pace.as_mut().unwrap();
            pace.runs_out.as_mut().unwrap().expected = left;
            trend.limit = Some(level + pace.slope * left);
            ahead(&trend, end).unwrap()
        };
        let near = drawn(0.8 * end);
        assert_eq!(near.at, Some(1.8 * end));
        assert!(near.end > 1.8 * end && near.lines[0].to.1 > near.lines[0].from.1);
        let far = drawn(50.0 * end);
        assert_eq!((far.at, far.end, far.lines[0].to.0), (None, 1.25 * end, 1.25 * end));
        assert!(far.label.starts_with("at its limit in "), "{}", far.label);
        trend.limit = None;
        assert!(ahead(&trend, end).is_none());
    }
}
