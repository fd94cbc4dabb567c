//! Where the knee most likely is, once its cause is known: the interval of the curve, and the
//! capacity that the cause predicts.
//!
//! The curve alone decides whether there is a knee and which cause is confirmed. Only afterwards may
//! the prediction move the estimate, only inside the interval of the curve, and only if the cause is
//! confirmed without it: otherwise the prediction would confirm itself.

use crate::diagnose::terms::model::Knee;
use crate::diagnose::terms::room::Interval;
use crate::diagnose::terms::wording;

/// Width of the curve's interval, as a share of the knee, up to which it needs no prediction.
const SHARP: f64 = 0.16;
/// A predicted capacity confirms a finding where it lies within this share of the knee.
pub const CAPACITY_MATCH: f64 = 0.15;
/// Share of the interval next to each of its ends in which no estimate lies.
const EDGE: f64 = 0.1;

/// What the cause predicts.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Prediction {
    /// Requests per second.
    pub capacity: f64,
    /// Whether the cause is confirmed by something other than this.
    pub is_confirmed: bool,
}

/// The knee with what the prediction adds to it.
pub fn reconciled(knee: &Knee, prediction: Option<Prediction>) -> Knee {
    let same = || knee.clone();
    let Some(prediction) = prediction.filter(|it| it.is_confirmed && agrees(knee, it)) else {
        return same();
    };
    if knee.high - knee.low <= SHARP * knee.rate || knee.low <= 0.0 || knee.rate <= 0.0 {
        return same();
    }
    // Both as logarithms, weighted by the inverse of their variances.
    let by_curve = (knee.high / knee.low).ln() / 2.0;
    let by_cause = ((1.0 + CAPACITY_MATCH) / (1.0 - CAPACITY_MATCH)).ln() / 2.0;
    // Not `powi(-2)`: of a constant, optimised code has another last digit than code that is not.
    let weight = |error: f64| 1.0 / (error * error);
    let (curve, cause) = (weight(by_curve), weight(by_cause));
    let rate = (curve * knee.rate.ln() + cause * prediction.capacity.ln()) / (curve + cause);
    let error = (curve + cause).sqrt().recip();
    let low = knee.low.max((rate - error).exp());
    let high = knee.high.min((rate + error).exp());
    if low >= high {
        return same();
    }
    let edge = EDGE * (high - low);
    let rate = rate.exp().clamp(low + edge, high - edge);
    let curve = Interval { rate: knee.rate, low: knee.low, high: knee.high };
    Knee { rate, low, high, by_curve: Some(curve), ..knee.clone() }
}

/// Says where the curve and the prediction of the cause do not meet, each within its error.
pub fn disagreement(knee: &Knee, prediction: Option<Prediction>) -> Option<String> {
    let prediction = prediction.filter(|it| !agrees(knee, it))?;
    Some(format!(
        "curve and cause disagree: the curve bends between {} and {}, and the cause predicts {}; \
         something else may limit before, or a request needs more under load",
        wording::number(knee.low),
        wording::rate(knee.high),
        wording::rate(prediction.capacity)
    ))
}

fn agrees(knee: &Knee, prediction: &Prediction) -> bool {
    prediction.capacity * (1.0 + CAPACITY_MATCH) >= knee.low
        && prediction.capacity * (1.0 - CAPACITY_MATCH) <= knee.high
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnose::terms::model::KneeKind;

    fn knee(low: f64, rate: f64, high: f64) -> Knee {
        Knee {
            rate,
            low,
            high,
            kind: KneeKind::Throughput,
            throughput: Some(rate),
            latency: None,
            errors: None,
            peak_goodput: rate,
            retrograde: false,
            tail: None,
            by_curve: None,
        }
    }

    fn predicted(capacity: f64, is_confirmed: bool) -> Option<Prediction> {
        Some(Prediction { capacity, is_confirmed })
    }

    #[test]
    fn a_wide_interval_is_narrowed_by_the_prediction_of_a_confirmed_cause() {
        let wide = knee(126.0, 165.0, 190.0);
        let got = reconciled(&wide, predicted(133.0, true));
        assert!((135.0..155.0).contains(&got.rate), "{got:?}");
        assert!(got.low >= wide.low && got.high < wide.high, "{got:?}");
        assert!(got.low < got.rate && got.rate < got.high, "{got:?}");
        assert_eq!(got.by_curve, Some(Interval { rate: 165.0, low: 126.0, high: 190.0 }));
        assert_eq!(disagreement(&wide, predicted(133.0, true)), None);
    }

    #[test]
    fn what_a_prediction_confirms_it_does_not_move() {
        let wide = knee(126.0, 165.0, 190.0);
        assert_eq!(reconciled(&wide, predicted(133.0, false)), wide);
        assert_eq!(reconciled(&wide, None), wide);
        let sharp = knee(160.0, 165.0, 170.0);
        assert_eq!(reconciled(&sharp, predicted(150.0, true)), sharp);
    }

    #[test]
    fn a_prediction_outside_of_the_interval_is_told_and_moves_nothing() {
        let curve = knee(160.0, 165.0, 190.0);
        assert_eq!(reconciled(&curve, predicted(80.0, true)), curve);
        let text = disagreement(&curve, predicted(80.0, true)).unwrap();
        assert!(
            text.contains("between 160 and 190 requests/s, and the cause predicts 80"),
            "{text}"
        );
    }
}
