//! A calibration as a store keeps it: with the plan and the class of machine that it holds for.

use serde::{Deserialize, Serialize};

use super::calibration::Calibration;
use super::entry::date;
use super::key::Key;
use crate::compare::{MeasuredNoise, Sample};

/// Grows by one when a field changes its meaning or goes away.
pub(super) const FORMAT: u32 = 1;

/// How much runs of one build differ, for one plan and one class of machine.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StoredNoise {
    /// Version of the form of this file.
    pub(super) kneepoint_noise: u32,
    /// Name of the plan, with a digest of what it does.
    pub plan: String,
    /// The class of the machine that made the load.
    pub machine: String,
    /// Seconds since 1970 at which its newest run began.
    pub measured_unix: f64,
    /// What was measured.
    pub calibration: Calibration,
}

impl StoredNoise {
    /// What these runs of one build came to; `None` without a run. `machine` names the class where
    /// kneepoint's own division does not fit.
    pub fn of(runs: &[Sample], calibration: Calibration, machine: Option<&str>) -> Option<Self> {
        let last = runs.last()?;
        let key = Key::of(last.plan(), last.environment(), "", machine);
        Some(Self {
            kneepoint_noise: FORMAT,
            plan: key.plan,
            machine: key.machine,
            measured_unix: last.environment().started_unix,
            calibration,
        })
    }

    /// The same as a comparison takes it.
    pub fn measured(&self) -> MeasuredNoise {
        let quantities = self.calibration.quantities.iter();
        MeasuredNoise {
            from: format!(
                "`kneepoint calibrate` measured it on {} with {} runs on {}",
                date(self.measured_unix),
                self.calibration.runs,
                self.machine
            ),
            sigmas: quantities
                .map(|it| (it.subject.clone(), it.measure.clone(), it.sigma))
                .collect(),
        }
    }
}
