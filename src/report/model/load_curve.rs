//! Throughput and response time against offered load: the classic curve.

use super::super::wording;
use super::panel::spreads;
use super::stages::counting;
use crate::diagnose::Diagnosis;

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

impl LoadCurve {
    /// `None` with fewer than two loads: they make no curve.
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
