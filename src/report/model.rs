//! The report as a value: every number and sentence that a format shows.

use crate::diagnose::Diagnosis;
use crate::recording::Recording;

/// All that a report says.
#[derive(Clone, Debug)]
pub struct Report {
    pub(super) title: String,
    pub(super) diagnosis: Diagnosis,
}

impl Report {
    /// Computes every number and sentence of the report.
    pub fn new(recording: &Recording, diagnosis: &Diagnosis) -> Report {
        Report { title: recording.plan.name.clone(), diagnosis: diagnosis.clone() }
    }
}
