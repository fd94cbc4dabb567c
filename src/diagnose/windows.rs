//! The spans in which signals are compared: low load, approach, around the knee, beyond it.

use crate::timeline::StageRole;

use super::{Knee, StageSummary, Windows};

/// Highest share of the knee's rate that counts as low load.
const BASELINE: f64 = 0.30;
/// Shares of the knee's rate between which a stage belongs to the approach.
const APPROACH: (f64, f64) = (0.60, 0.95);
/// Highest share of the knee's rate that counts as around the knee.
const AROUND: f64 = 1.10;

/// Sorts the stages into windows. Without a knee, the highest load held stands for it. Where no
/// stage falls into the baseline, approach or knee span, the nearest one takes its place, so that
/// a coarse ramp can be compared too.
pub fn windows(stages: &[StageSummary], knee: Option<&Knee>) -> Windows {
    let mut windows = Windows {
        recovery: stages
            .iter()
            .filter(|stage| stage.role == StageRole::Recovery)
            .map(|stage| stage.window)
            .collect(),
        ..Windows::default()
    };
    let measured: Vec<&StageSummary> =
        stages.iter().filter(|stage| stage.role.is_measured() && stage.invalid.is_none()).collect();
    let Some(top) = measured.iter().map(|stage| stage.offered).reduce(f64::max) else {
        return windows;
    };
    let rate = knee.map_or(top, |knee| knee.rate);
    for stage in &measured {
        let share = stage.offered / rate;
        let place = if share <= BASELINE {
            &mut windows.baseline
        } else if share > AROUND {
            &mut windows.beyond
        } else if share > APPROACH.1 {
            &mut windows.knee
        } else if share >= APPROACH.0 {
            &mut windows.approach
        } else {
            continue;
        };
        place.push(stage.window);
    }
    let nearest = |share: f64, within: &dyn Fn(f64) -> bool| {
        measured
            .iter()
            .filter(|stage| within(stage.offered / rate))
            .min_by(|a, b| {
                let distance = |stage: &StageSummary| (stage.offered / rate - share).abs();
                distance(a).total_cmp(&distance(b))
            })
            .map(|stage| stage.window)
    };
    if windows.knee.is_empty() {
        // The first stage past the knee shows what saturates; one below it would not.
        let substitute = nearest(1.0, &|share| share > 1.0).or_else(|| nearest(1.0, &|_| true));
        windows.knee.extend(substitute);
    }
    if windows.baseline.is_empty() {
        windows.baseline.extend(nearest(0.0, &|share| share < APPROACH.1));
    }
    windows
}
