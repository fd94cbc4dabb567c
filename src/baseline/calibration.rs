//! How much runs of one build differ on this machine, and what that lets a gate see.

use serde::{Deserialize, Serialize};

use crate::compare::{Measure, Sample, Subject, tracks, visible_change};
use crate::diagnose::stats;

/// Fewest runs whose scatter says anything.
const FEWEST_RUNS: usize = 3;

/// How much the runs of one build differ.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Calibration {
    /// Runs that were made.
    pub runs: u64,
    /// Runs of each build of the gate that `visible` is about.
    pub gate_runs: u64,
    /// The rise that the gate allows, as a share.
    pub budget: f64,
    /// Every quantity that every run has and that is never zero.
    pub quantities: Vec<Noise>,
}

/// One quantity of one build over several runs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Noise {
    /// What it is about.
    pub subject: Subject,
    /// What was measured.
    pub measure: Measure,
    /// Its geometric mean.
    pub value: f64,
    /// The standard deviation from run to run, in logs.
    pub sigma: f64,
    /// The smallest change that the gate calls worse 8 times in 10, as a share.
    pub visible: Option<f64>,
}

impl Calibration {
    /// From runs of one build, for a gate with so many runs of each build.
    pub fn of(samples: &[Sample], gate_runs: usize, budget: f64) -> Self {
        let noise = |track: crate::compare::Track| {
            let logs: Vec<f64> = track.values.iter().flatten().map(|value| value.ln()).collect();
            let is_whole = logs.len() == samples.len() && logs.iter().all(|it| it.is_finite());
            if !is_whole || logs.len() < FEWEST_RUNS || track.measure == Measure::ErrorRatio {
                return None;
            }
            let sigma = stats::variance(&logs).sqrt();
            Some(Noise {
                subject: track.subject,
                measure: track.measure,
                value: stats::mean(&logs)?.exp(),
                sigma,
                visible: visible_change(sigma, gate_runs, budget),
            })
        };
        Self {
            runs: samples.len() as u64,
            gate_runs: gate_runs as u64,
            budget,
            quantities: tracks(samples).into_iter().filter_map(noise).collect(),
        }
    }
}
