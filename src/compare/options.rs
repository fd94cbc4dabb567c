//! What the user says of a comparison: what is allowed, and how much runs of one build differ.

use super::model::{Measure, Subject};
use crate::diagnose::wording;
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
    /// As several runs of one build measured it earlier.
    Measured(Box<MeasuredNoise>),
}

/// How much runs of one build differed earlier.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct MeasuredNoise {
    /// What measured it and when, in words.
    pub from: String,
    /// The standard deviation of each quantity from run to run, in logs.
    pub sigmas: Vec<(Subject, Measure, f64)>,
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
            Noise::Measured(earlier) => earlier.sigma(subject, measure),
        }
    }

    /// Where it comes from, in words, if it is known.
    pub fn from(&self) -> Option<String> {
        match self {
            Noise::Unknown => None,
            Noise::Share(share) => Some(format!("{} by `--noise`", wording::percent(*share))),
            Noise::Measured(earlier) => Some(earlier.from.clone()),
        }
    }

    /// Whether anything is known.
    pub fn is_known(&self) -> bool {
        !matches!(self, Noise::Unknown)
    }
}

impl MeasuredNoise {
    /// That of a quantity; for a request or tag that it does not have, that of all requests.
    fn sigma(&self, subject: &Subject, measure: &Measure) -> Option<f64> {
        let of = |subject: &Subject| {
            let mut all = self.sigmas.iter();
            all.find(|it| it.0 == *subject && it.1 == *measure).map(|it| it.2)
        };
        of(subject).or_else(|| of(&Subject::All))
    }
}
