//! Where the response time goes: its parts as tables, and as charts over offered load.

use serde::Serialize;

use super::super::wording::{self, clean, duration, percent};
use super::load_axis::LoadAxis;
use crate::diagnose::{Attribution, Diagnosis, StageParts};

/// At most this many parts are shown; the others are summed up as one.
const MOST_PARTS: usize = 7;
/// A part below this share of the response time at every load cannot be seen in a chart.
const LEAST_SHARE: f64 = 0.02;
/// What the last part is called.
const UNEXPLAINED: &str = "unexplained";

/// Where the response time goes, as a table.
#[derive(Clone, Debug, Serialize)]
pub(in crate::report) struct AttributionView {
    /// One sentence on the whole.
    pub headline: String,
    /// The response time at the knee in its parts, in one sentence; empty where it has none.
    pub at_knee: String,
    /// What each part adds, largest first.
    pub growth: Vec<GrowthRow>,
    /// Names of the parts, in the order in which they are stacked.
    pub parts: Vec<String>,
    /// Seconds per request at each offered load, as text; one cell for each of `parts`.
    pub rows: Vec<LoadRow>,
    /// Assumptions that do not hold.
    pub broken_assumptions: Vec<String>,
}

/// One part of the growth of the response time.
#[derive(Clone, Debug, Serialize)]
pub(in crate::report) struct GrowthRow {
    pub name: String,
    pub baseline: String,
    pub knee: String,
    pub share: String,
    /// Whether it was measured as nothing at both loads.
    pub is_zero: bool,
    /// Share of the growth in whole percents, 0 to 100, for a bar.
    pub bar: u32,
}

/// The parts of the response time at one offered load, as text.
#[derive(Clone, Debug, Serialize)]
pub(in crate::report) struct LoadRow {
    pub offered: String,
    pub response: String,
    pub cells: Vec<String>,
}

/// Parts of the response time against offered load.
#[derive(Clone, Debug)]
pub(in crate::report) struct LayerChart {
    pub id: &'static str,
    pub title: &'static str,
    pub about: &'static str,
    /// Whether the parts add up, so that they may be stacked; else each has its own line.
    pub stacked: bool,
    /// Names of the parts in the order of stacking, the unexplained rest last.
    pub names: Vec<String>,
    pub axis: LoadAxis,
    pub points: Vec<LayerPoint>,
    /// The knee on the axis of load: estimate, low, high.
    pub knee: Option<(f64, f64, f64)>,
    /// The knee in words.
    pub knee_label: String,
}

/// The parts at one load.
#[derive(Clone, Debug)]
pub(in crate::report) struct LayerPoint {
    /// Place on the axis of load.
    pub load: f64,
    /// Mean response time in seconds.
    pub response: f64,
    /// Seconds of each part.
    pub parts: Vec<f64>,
}

/// A part's name as a report shows it.
fn part_name(name: &str) -> String {
    clean(name)
}

/// The parts in the order of stacking, the unexplained rest last. Beyond [`MOST_PARTS`] the
/// smallest are summed up as one.
fn parts(attribution: &Attribution) -> (Vec<String>, Vec<Vec<f64>>) {
    let mut names: Vec<String> = Vec::new();
    for part in attribution.stages.iter().flat_map(|stage| &stage.parts) {
        let name = part_name(&part.name);
        if !names.contains(&name) {
            names.push(name);
        }
    }
    names.sort_by_key(|name| name.starts_with(UNEXPLAINED));
    let seconds = |stage: &StageParts, wanted: &str| -> f64 {
        let parts = stage.parts.iter().filter(|part| part_name(&part.name) == wanted);
        parts.map(|part| part.seconds.max(0.0)).sum()
    };
    let largest = |name: &str| {
        attribution.stages.iter().map(|stage| seconds(stage, name)).fold(0.0, f64::max)
    };
    let mut kept = names.clone();
    kept.sort_by(|a, b| largest(b).total_cmp(&largest(a)));
    kept.truncate(MOST_PARTS - 2);
    let total = |stage: &StageParts| names.iter().map(|name| seconds(stage, name)).sum::<f64>();
    let can_be_seen = |name: &str| {
        let share = |stage: &StageParts| seconds(stage, name) > LEAST_SHARE * total(stage);
        attribution.stages.iter().any(share)
    };
    let visible: Vec<_> = names.iter().filter(|name| can_be_seen(name)).cloned().collect();
    let few = visible.len() <= MOST_PARTS;
    let is_kept = |name: &String| {
        name.starts_with(UNEXPLAINED) || (visible.contains(name) && (few || kept.contains(name)))
    };
    let (shown, merged): (Vec<_>, Vec<_>) = names.into_iter().partition(is_kept);
    let rows = attribution.stages.iter().map(|stage| {
        let mut row: Vec<_> = shown.iter().map(|name| seconds(stage, name)).collect();
        if !merged.is_empty() {
            let rest = merged.iter().map(|name| seconds(stage, name)).sum();
            let before_last = row.len().saturating_sub(1);
            row.insert(before_last, rest);
        }
        row
    });
    let rows = rows.collect();
    let mut shown = shown;
    if !merged.is_empty() {
        shown.insert(shown.len().saturating_sub(1), "other parts".to_owned());
    }
    (shown, rows)
}

/// Loads that differ by less than this share were held twice and are one point.
const SAME_LOAD: f64 = 0.01;

/// The stages in order of offered load; of those at one load the mean.
fn points(attribution: &Attribution, rows: Vec<Vec<f64>>, axis: LoadAxis) -> Vec<LayerPoint> {
    let mut stages: Vec<_> = attribution
        .stages
        .iter()
        .zip(rows)
        .map(|(stage, parts)| LayerPoint {
            load: axis.value(stage.offered),
            response: stage.response,
            parts,
        })
        .collect();
    stages.sort_by(|a, b| a.load.total_cmp(&b.load));
    let same = |a: &LayerPoint, b: &LayerPoint| b.load - a.load <= SAME_LOAD * a.load;
    let mean = |group: &[LayerPoint]| {
        let count = group.len() as f64;
        let of = |pick: &dyn Fn(&LayerPoint) -> f64| group.iter().map(pick).sum::<f64>() / count;
        let parts = group.first().map_or(0, |point| point.parts.len());
        LayerPoint {
            load: of(&|point| point.load),
            response: of(&|point| point.response),
            parts: (0..parts)
                .map(|index| of(&|point| point.parts.get(index).copied().unwrap_or(0.0)))
                .collect(),
        }
    };
    stages.chunk_by(same).map(mean).collect()
}

/// The attribution as charts: one at full scale, and one up to the knee where what comes beyond
/// it dwarfs the rest.
pub(super) fn layers(diagnosis: &Diagnosis) -> Vec<LayerChart> {
    let Some(attribution) = &diagnosis.attribution else { return Vec::new() };
    let (names, rows) = parts(attribution);
    let axis = LoadAxis::of(diagnosis);
    let points = points(attribution, rows, axis);
    if points.len() < 2 || names.is_empty() {
        return Vec::new();
    }
    let knee = diagnosis.knee.as_ref();
    let knee: Option<(f64, f64, f64)> =
        knee.map(|knee| [knee.rate, knee.low, knee.high].map(|rate| axis.value(rate)).into());
    let knee_label = diagnosis.knee.as_ref().map(|knee| format!("knee {}", axis.short(knee.rate)));
    let below: Vec<_> = match knee {
        Some(knee) => points.iter().filter(|point| point.load <= knee.0).cloned().collect(),
        None => Vec::new(),
    };
    let stacked = attribution.stages.iter().all(|stage| stage.overlap <= 0.0);
    let most = |points: &[LayerPoint]| points.iter().map(|p| p.response).fold(0.0, f64::max);
    let dominated = below.len() >= 2 && most(&points) > 5.0 * most(&below);
    let mut charts = vec![LayerChart {
        id: "layers",
        title: "Where the response time goes",
        about: match stacked {
            true => "Mean time per request by part, stacked, against the load.",
            false => {
                "Mean time per request by part against the load. The parts overlap, so \
                      each has its own line."
            }
        },
        stacked,
        names: names.clone(),
        axis,
        points,
        knee,
        knee_label: knee_label.unwrap_or_default(),
    }];
    if dominated {
        charts.push(LayerChart {
            id: "layers-below",
            title: "Where the response time goes, up to the knee",
            about: "Mean time per request by part, below the knee only: beyond it the times are so \
                    long that they hide these parts.",
            stacked,
            names,
            axis,
            points: below,
            knee: None,
            knee_label: String::new(),
        });
    }
    charts
}

/// The sentence names a part from this share of the response time on.
const TOLD_SHARE: f64 = 0.01;
/// At most this many parts are named in the sentence.
const MOST_TOLD: usize = 5;

/// `On average, a request takes 840 ms at 152 requests/s (at the knee): 720 ms waiting for
/// 10.0.3.7:8443, 31 ms PostgreSQL executing, 12 ms unexplained.`
fn at_knee(attribution: &Attribution, axis: LoadAxis) -> String {
    let highest = || attribution.stages.iter().max_by(|a, b| a.offered.total_cmp(&b.offered));
    match (&attribution.knee, highest()) {
        (Some(stage), _) if stage.balanced => of_stage(stage, axis, "at the knee"),
        (Some(stage), _) => of_stage(stage, axis, "past the knee, a queue grows"),
        (None, Some(stage)) => of_stage(stage, axis, "the highest load"),
        (None, None) => String::new(),
    }
}

fn of_stage(stage: &StageParts, axis: LoadAxis, which: &str) -> String {
    let mut parts: Vec<_> = stage
        .parts
        .iter()
        .filter(|part| !part.name.starts_with(UNEXPLAINED))
        .filter(|part| part.seconds >= TOLD_SHARE * stage.response)
        .collect();
    parts.sort_by(|a, b| b.seconds.total_cmp(&a.seconds));
    parts.truncate(MOST_TOLD);
    let told: Vec<_> = parts
        .iter()
        .map(|part| match part.is_all {
            true => format!("up to all of it {}", part_name(&part.name)),
            false => format!("{} {}", duration(part.seconds), part_name(&part.name)),
        })
        .collect();
    let rest = stage.parts.iter().find(|part| part.name.starts_with(UNEXPLAINED));
    let rest = rest.map_or(0.0, |part| part.seconds);
    format!(
        "On average, a request takes {} at {} ({}): {}{}{} unexplained.",
        duration(stage.response),
        axis.load(stage.offered),
        which,
        told.join(", "),
        if told.is_empty() { "" } else { ", " },
        duration(rest)
    )
}

/// The growth in the values that it was taken from: means at low load, and over all that was held
/// at and past the knee.
fn growth_rows(attribution: &Attribution) -> Vec<GrowthRow> {
    let mut growth: Vec<_> = attribution.growth.iter().collect();
    growth.sort_by_key(|part| part.name.starts_with(UNEXPLAINED));
    let row = |part: &crate::diagnose::PartGrowth| GrowthRow {
        name: part_name(&part.name),
        baseline: duration(part.baseline),
        knee: duration(part.knee),
        share: percent(part.share),
        is_zero: part.baseline <= 0.0 && part.knee <= 0.0,
        bar: (part.share.clamp(0.0, 1.0) * 100.0).round() as u32,
    };
    growth.into_iter().map(row).collect()
}

/// The attribution as tables.
pub(super) fn attribution(diagnosis: &Diagnosis) -> Option<AttributionView> {
    let attribution = diagnosis.attribution.as_ref()?;
    let axis = LoadAxis::of(diagnosis);
    let named = attribution.growth.iter().find(|part| !part.name.starts_with(UNEXPLAINED));
    let headline = match named {
        None => at_knee(attribution, axis),
        Some(part) if part.share > 0.0 => format!(
            "From low load to the knee and beyond, the response time grows: {} of the growth is {}, \
             {} is unexplained.",
            percent(part.share),
            part_name(&part.name),
            percent(attribution.unexplained)
        ),
        _ => format!(
            "From low load to the knee and beyond, the response time grows: {} of the growth is \
             unexplained.",
            percent(attribution.unexplained)
        ),
    };
    let (names, rows) = parts(attribution);
    let mut loads: Vec<_> = attribution.stages.iter().zip(rows).collect();
    loads.sort_by(|a, b| a.0.offered.total_cmp(&b.0.offered));
    let rows = loads.into_iter().map(|(stage, row)| LoadRow {
        offered: axis.short(stage.offered),
        response: duration(stage.response),
        cells: row.into_iter().map(duration).collect(),
    });
    let broken = attribution.broken_assumptions.iter().map(|text| wording::sentence(text));
    Some(AttributionView {
        headline,
        at_knee: at_knee(attribution, axis),
        growth: growth_rows(attribution),
        parts: names,
        rows: rows.collect(),
        broken_assumptions: broken.collect(),
    })
}
