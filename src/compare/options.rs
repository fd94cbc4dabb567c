//! What the user says of a comparison: what is allowed, and how much runs of one build differ.

use super::model::{Comparison, Measure, Subject};
use crate::plan::Gate;

/// What the user says of a comparison.
#[derive(Clone, Debug)]
pub struct Options {
    /// The rise that is allowed, as a ratio: 0.1 is 10 %; an objective of the plan may set its own.
    pub budget: f64,
    /// How much runs of one build differ.
    pub noise: Noise,
}

/// How much runs of one build differ, as the standard deviation of a quantity from run to run.
#[derive(Clone, Debug)]
pub enum Noise {
    /// Unknown, except for what the runs themselves show.
    Unknown,
    /// This share of each quantity.
    Share(f64),
    /// As an earlier comparison of several runs measured it.
    Measured(Box<Comparison>),
}

impl Default for Options {
    fn default() -> Self {
        Self { budget: Gate::USUAL_BUDGET, noise: Noise::Unknown }
    }
}

impl Noise {
    /// The standard deviation from run to run in logs, where it is known.
    pub fn sigma(&self, subject: &Subject, measure: &Measure) -> Option<f64> {
        match self {
            Noise::Unknown => None,
            Noise::Share(share) => Some(*share),
            Noise::Measured(earlier) => earlier.run_to_run(subject, measure),
        }
    }

    /// Whether anything is known.
    pub fn is_known(&self) -> bool {
        !matches!(self, Noise::Unknown)
    }
}
