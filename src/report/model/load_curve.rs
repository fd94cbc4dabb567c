//! Throughput and response time against offered load: the classic curve.

use super::load_axis::LoadAxis;
use super::panel::spreads;
use super::stages::counting;
use crate::diagnose::Diagnosis;

/// Throughput and response time against offered load.
#[derive(Clone, Debug)]
pub(in crate::report) struct LoadCurve {
    pub axis: LoadAxis,
    pub points: Vec<CurvePoint>,
    /// The knee on the axis of load: estimate, low, high.
    pub knee: Option<(f64, f64, f64)>,
    /// The knee in words.
    pub knee_label: String,
    /// Whether response times need a logarithmic axis.
    pub log: bool,
}

/// One stage on the curve: its place on the axis of load, rates per second, times in seconds.
#[derive(Clone, Copy, Debug)]
pub(in crate::report) struct CurvePoint {
    pub load: f64,
    pub throughput: f64,
    pub goodput: f64,
    pub p50: Option<f64>,
    pub p99: Option<f64>,
}

impl LoadCurve {
    /// `None` with fewer than two loads: they make no curve.
    pub(super) fn new(diagnosis: &Diagnosis) -> Option<Self> {
        let axis = LoadAxis::of(diagnosis);
        let points: Vec<_> = counting(diagnosis)
            .into_iter()
            .map(|stage| CurvePoint {
                load: axis.value(stage.offered),
                throughput: stage.throughput,
                goodput: stage.goodput,
                p50: stage.response.map(|response| response.p50),
                p99: stage.response.map(|response| response.p99),
            })
            .collect();
        let (first, last) = (points.first()?.load, points.last()?.load);
        let times = points.iter().flat_map(|point| [point.p50, point.p99]).flatten();
        let (least, most) =
            times.fold((f64::INFINITY, 0.0_f64), |(a, b), value| (a.min(value), b.max(value)));
        let knee = diagnosis.knee.as_ref();
        (last > first).then(|| LoadCurve {
            axis,
            points,
            knee: knee
                .map(|knee| [knee.rate, knee.low, knee.high].map(|rate| axis.value(rate)).into()),
            knee_label: knee
                .map(|knee| format!("knee {}", axis.short(knee.rate)))
                .unwrap_or_default(),
            log: spreads(least, most),
        })
    }
}
