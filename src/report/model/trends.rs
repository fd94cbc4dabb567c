//! The panels of a soak: each resource with its lower edge, the pace that was found and its limit.

use super::super::wording::{self, clean};
use super::grid::Grid;
use super::panels::{Line, LineStyle, Panel, Quantity, line, spreads};
use crate::diagnose::{Diagnosis, ResourceKind, Trend};
use crate::timeline::{Timeline, Unit};

/// One panel for each kind of resource, of the series of that kind that is worst.
pub(super) fn panels(diagnosis: &Diagnosis, timeline: &Timeline, grid: Grid) -> Vec<Panel> {
    let Some(soak) = &diagnosis.soak else { return Vec::new() };
    let mut drawn: Vec<ResourceKind> = Vec::new();
    let mut panels = Vec::new();
    for trend in &soak.trends {
        // Resident memory is drawn with the memory; here it would be the same curve again.
        if trend.kind == ResourceKind::Resident || drawn.contains(&trend.kind) {
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
        ResourceKind::ResponseTime => ("trend-response", "Median response time and its floors"),
        ResourceKind::CpuPerRequest => ("trend-cpu", "Processor time per request"),
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
        for (name, slope, style) in [
            ("pace", pace.slope, LineStyle::Dashed),
            ("95 %, lower", pace.low, LineStyle::Dotted),
            ("95 %, upper", pace.high, LineStyle::Dotted),
        ] {
            lines.push(line(name, 4, style, sloped(trend, slope, grid)));
        }
    }
    if let Some(limit) = trend.limit {
        let bound = grid.times().into_iter().map(|_| Some(limit)).collect();
        lines.push(line("limit", 4, LineStyle::Limit, bound));
    }
    if lines.iter().all(|line| line.values.iter().all(Option::is_none)) {
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
    let mut about = format!("{}, and the lower edge that is judged.", clean(&trend.name()));
    if let Some(out) = trend.pace.as_ref().and_then(|pace| pace.runs_out.as_ref()) {
        let left = wording::duration(out.expected.round());
        about += &format!(" At the pace that was found it reaches its limit in {left}.");
    }
    if !trend.restarts.is_empty() {
        let count = wording::plural(trend.restarts.len() as u64, "restart", "restarts");
        about += &format!(" {count} of its process lie within.");
    }
    about
}
