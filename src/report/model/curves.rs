//! What is drawn over offered load: the classic curve, and the parts of the response time.

use super::super::wording::{self, clean, duration, percent};
use super::panels::spreads;
use super::stages::counting;
use super::{AttributionView, GrowthRow, LoadRow};
use crate::diagnose::{Attribution, Diagnosis, StageParts};

/// The most parts that are told apart; the rest is one.
const MOST_PARTS: usize = 7;
/// A part below this share of the response time at every load cannot be seen in a chart.
const LEAST_SHARE: f64 = 0.02;
/// What the last part is called.
const UNEXPLAINED: &str = "unexplained";

/// Throughput and response time against offered load.
#[derive(Clone, Debug)]
pub(in crate::report) struct LoadCurve {
    pub points: Vec<CurvePoint>,
    /// Rate, low, high.
    pub knee: Option<(f64, f64, f64)>,
    /// The knee in words.
    pub knee_label: String,
    /// Whether response times need a logarithmic axis.
    pub log: bool,
}

/// One stage on the curve: rates per second, times in seconds.
#[derive(Clone, Copy, Debug)]
pub(in crate::report) struct CurvePoint {
    pub offered: f64,
    pub throughput: f64,
    pub goodput: f64,
    pub p50: Option<f64>,
    pub p99: Option<f64>,
}

/// Parts of the response time, stacked against offered load.
#[derive(Clone, Debug)]
pub(in crate::report) struct LayerChart {
    pub id: &'static str,
    pub title: &'static str,
    pub about: &'static str,
    pub names: Vec<String>,
    /// Offered load and the seconds of each part.
    pub points: Vec<(f64, Vec<f64>)>,
    pub knee: Option<f64>,
}

impl LoadCurve {
    /// `None` with fewer than two loads: there is no curve then.
    pub(super) fn new(diagnosis: &Diagnosis) -> Option<Self> {
        let points: Vec<_> = counting(diagnosis)
            .into_iter()
            .map(|stage| CurvePoint {
                offered: stage.offered,
                throughput: stage.throughput,
                goodput: stage.goodput,
                p50: stage.response.map(|response| response.p50),
                p99: stage.response.map(|response| response.p99),
            })
            .collect();
        let (first, last) = (points.first()?.offered, points.last()?.offered);
        let times = points.iter().flat_map(|point| [point.p50, point.p99]).flatten();
        let (least, most) =
            times.fold((f64::INFINITY, 0.0_f64), |(a, b), value| (a.min(value), b.max(value)));
        let knee = diagnosis.knee.as_ref();
        (last > first).then(|| LoadCurve {
            points,
            knee: knee.map(|knee| (knee.rate, knee.low, knee.high)),
            knee_label: knee
                .map(|knee| format!("knee {}", wording::short_rate(knee.rate)))
                .unwrap_or_default(),
            log: spreads(least, most),
        })
    }
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

/// The attribution as charts: one at full scale, and one up to the knee where what comes beyond
/// it dwarfs the rest.
pub(super) fn layers(diagnosis: &Diagnosis) -> Vec<LayerChart> {
    let Some(attribution) = &diagnosis.attribution else { return Vec::new() };
    let (names, rows) = parts(attribution);
    let mut points: Vec<_> =
        attribution.stages.iter().map(|stage| stage.offered).zip(rows).collect();
    points.sort_by(|a, b| a.0.total_cmp(&b.0));
    if points.len() < 2 || names.is_empty() {
        return Vec::new();
    }
    let knee = diagnosis.knee.as_ref().map(|knee| knee.rate);
    let total = |point: &(f64, Vec<f64>)| point.1.iter().sum::<f64>();
    let below: Vec<_> = match knee {
        Some(knee) => points.iter().filter(|point| point.0 <= knee).cloned().collect(),
        None => Vec::new(),
    };
    let most = points.iter().map(total).fold(0.0, f64::max);
    let most_below = below.iter().map(total).fold(0.0, f64::max);
    let dominated = below.len() >= 2 && most > 5.0 * most_below;
    let mut charts = vec![LayerChart {
        id: "layers",
        title: "Where the response time goes",
        about: "Mean seconds per request by part, stacked, against offered load.",
        names: names.clone(),
        points,
        knee,
    }];
    if dominated {
        charts.push(LayerChart {
            id: "layers-below",
            title: "The same up to the knee, on a finer scale",
            about: "Mean seconds per request by part below the knee, where what comes beyond it \
                    would hide the parts.",
            names,
            points: below,
            knee: None,
        });
    }
    charts
}

/// The attribution as tables.
pub(super) fn attribution(diagnosis: &Diagnosis) -> Option<AttributionView> {
    let attribution = diagnosis.attribution.as_ref()?;
    let growth: Vec<_> = attribution
        .growth
        .iter()
        .map(|part| GrowthRow {
            name: part_name(&part.name),
            baseline: duration(part.baseline),
            knee: duration(part.knee),
            share: percent(part.share),
            is_zero: part.baseline <= 0.0 && part.knee <= 0.0,
            bar: (part.share.clamp(0.0, 1.0) * 100.0).round() as u32,
        })
        .collect();
    let named = attribution.growth.iter().find(|part| !part.name.starts_with(UNEXPLAINED));
    let headline = match named {
        Some(part) if part.share > 0.0 => format!(
            "{} of what the response time gains up to the knee goes to {}; {} is unexplained.",
            percent(part.share),
            part_name(&part.name),
            percent(attribution.unexplained)
        ),
        _ => format!(
            "{} of what the response time gains up to the knee is unexplained.",
            percent(attribution.unexplained)
        ),
    };
    let (names, rows) = parts(attribution);
    let mut loads: Vec<_> = attribution.stages.iter().zip(rows).collect();
    loads.sort_by(|a, b| a.0.offered.total_cmp(&b.0.offered));
    let rows = loads.into_iter().map(|(stage, row)| LoadRow {
        offered: wording::short_rate(stage.offered),
        response: duration(stage.response),
        cells: row.into_iter().map(duration).collect(),
    });
    let broken = attribution.broken_assumptions.iter().map(|text| wording::sentence(text));
    Some(AttributionView {
        headline,
        growth,
        parts: names,
        rows: rows.collect(),
        broken_assumptions: broken.collect(),
    })
}
