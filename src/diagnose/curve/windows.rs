//! The spans in which signals are compared: low load, approach, around the knee, beyond it.

use crate::diagnose::terms::model::{Knee, StageSummary, Windows};
use crate::timeline::StageRole;

/// Highest share of the knee's rate that counts as low load.
const BASELINE: f64 = 0.30;
/// Shares of the knee's rate between which a stage belongs to the approach.
const APPROACH: (f64, f64) = (0.60, 0.95);
/// Highest share of the knee's rate that counts as around the knee.
const AROUND: f64 = 1.10;
/// Share of the offered load from which on throughput follows it.
const FOLLOWS: f64 = 0.97;

/// Multiple of a level's mean response time that the slowest one must have for the users of that
/// level to have waited for hardly anybody.
const UNLOADED: f64 = 2.0;

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
    let measured: Vec<&StageSummary> = stages.iter().filter(|stage| stage.counts()).collect();
    let Some(top) = measured.iter().map(|stage| stage.offered).reduce(f64::max) else {
        return windows;
    };
    let rate = knee.map_or(top, |knee| knee.rate);
    // Inside the knee's interval, a stage whose throughput still follows lies before the bend:
    // what saturates is not saturated there.
    let follows = |stage: &StageSummary| {
        let inside = knee.is_some_and(|knee| stage.offered < knee.high);
        inside && stage.throughput >= FOLLOWS * stage.offered
    };
    for stage in &measured {
        let share = stage.offered / rate;
        let place = if share <= BASELINE {
            &mut windows.baseline
        } else if share > APPROACH.1 && follows(stage) {
            &mut windows.approach
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
    let nearest = |share: f64, within: &dyn Fn(&StageSummary) -> bool| {
        measured
            .iter()
            .filter(|stage| within(stage))
            .min_by(|a, b| {
                let distance = |stage: &StageSummary| (stage.offered / rate - share).abs();
                distance(a).total_cmp(&distance(b))
            })
            .map(|stage| stage.window)
    };
    if windows.knee.is_empty() {
        // The first stage past the knee shows what saturates; one below it would not.
        let past = |stage: &StageSummary| stage.offered > rate && !follows(stage);
        let substitute = nearest(1.0, &past).or_else(|| nearest(1.0, &|_| true));
        windows.knee.extend(substitute);
    }
    if windows.baseline.is_empty() {
        let mean = |stage: &StageSummary| stage.response.map_or(0.0, |response| response.mean);
        let slowest = measured.iter().map(|stage| mean(stage)).fold(0.0, f64::max);
        // A single user that does not think keeps a service with one place full, and still waits for
        // nobody.
        let is_alone = |stage: &StageSummary| {
            stage.vus.is_some() && stage.offered <= rate && UNLOADED * mean(stage) <= slowest
        };
        windows
            .baseline
            .extend(nearest(0.0, &|stage| stage.offered / rate < APPROACH.1 || is_alone(stage)));
    }
    windows
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnose::simulated;
    use crate::diagnose::terms::invalid::Invalid;
    use crate::diagnose::terms::model::KneeKind;
    use crate::timeline::{Moment, Window};

    fn stage(index: u64, role: StageRole, offered: f64) -> StageSummary {
        let at = |index: u64| Moment::from_nanos(index * 10_000_000_000);
        simulated::held(role, Window::new(at(index), at(index + 1)), offered)
    }

    fn knee(rate: f64) -> Knee {
        Knee {
            rate,
            low: rate,
            high: rate,
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

    #[test]
    fn stages_fall_into_windows_by_their_share_of_the_knee() {
        let rates = [10.0, 20.0, 45.0, 70.0, 90.0, 104.0, 150.0];
        let mut stages: Vec<StageSummary> =
            (0..).zip(rates).map(|(index, rate)| stage(index, StageRole::Ramp, rate)).collect();
        stages.push(stage(7, StageRole::Drain, 5.0));
        stages.push(stage(8, StageRole::Recovery, 0.0));
        stages[0].invalid = Some(Invalid::Empty);
        let got = windows(&stages, Some(&knee(100.0)));
        let of = |indices: &[usize]| -> Vec<Window> {
            indices.iter().map(|index| stages[*index].window).collect()
        };
        assert_eq!(got.baseline, of(&[1]));
        assert_eq!(got.approach, of(&[3, 4]));
        assert_eq!(got.knee, of(&[5]));
        assert_eq!(got.beyond, of(&[6]));
        assert_eq!(got.recovery, of(&[8]));
    }

    #[test]
    fn a_stage_that_still_follows_inside_a_wide_interval_lies_before_the_knee() {
        let mut stages =
            [20.0, 142.0, 227.0, 363.0].map(|rate| stage(rate as u64, StageRole::Ramp, rate));
        for stage in &mut stages {
            stage.throughput = stage.offered.min(185.0);
        }
        let wide = Knee { low: 102.0, high: 185.0, ..knee(135.0) };
        let got = windows(&stages, Some(&wide));
        assert_eq!(got.approach, [stages[1].window]);
        assert_eq!(got.knee, [stages[2].window]);
        assert_eq!(got.beyond, [stages[2].window, stages[3].window]);
    }

    #[test]
    fn a_coarse_ramp_has_a_knee_window_too() {
        let stages =
            [50.0, 80.0, 120.0, 180.0].map(|rate| stage(rate as u64, StageRole::Ramp, rate));
        let got = windows(&stages, Some(&knee(100.0)));
        assert_eq!(got.knee, [stages[2].window]);
        assert_eq!(got.baseline, [stages[0].window]);
        let without = windows(&stages, None);
        assert_eq!(without.knee, [stages[3].window]);
        assert!(without.beyond.is_empty());
        assert_eq!(windows(&[], None), Windows::default());
    }
}
