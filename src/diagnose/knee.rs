//! Where the curve bends: the offered load from which on throughput stops following it, response
//! time takes off, or errors set in. One function serves the live stop and the diagnosis.

use crate::recording::PlanSummary;
use crate::timeline::Timeline;

use super::{Knee, KneeKind, StageSummary};

/// What can be said of the knee.
#[derive(Clone, Debug, PartialEq)]
pub enum KneeVerdict {
    /// The curve bent.
    Found(Knee),
    /// It did not, up to the highest load that was held.
    NotReached {
        /// That load, in requests per second.
        proven_rate: f64,
    },
    /// That cannot be told.
    Inconclusive {
        /// What is missing, each with what to do about it.
        missing: Vec<String>,
    },
}

/// What the stages held so far say, for a run that decides where to go next.
#[derive(Clone, Debug, PartialEq)]
pub enum LiveSign {
    /// No stage shows a bend, or a later stage at the same load cleared the one that did.
    None,
    /// The curve seems to bend.
    Sign {
        /// By which sign.
        kind: KneeKind,
        /// Lowest offered load with the sign, in requests per second.
        at_rate: f64,
        /// Highest offered load below it without any; 0 where there is none.
        last_good_rate: f64,
    },
    /// The generator does not keep its schedule.
    GeneratorLimited {
        /// Offered load at which it did not, in requests per second.
        at_rate: f64,
        /// The signs of it.
        why: String,
    },
}

/// Finds the knee. `timeline` is the one that `stages` were made from.
pub fn find(_stages: &[StageSummary], _timeline: &Timeline) -> KneeVerdict {
    KneeVerdict::Inconclusive { missing: Vec::new() }
}

/// Asks after each stage whether the curve has shown a sign of bending.
pub fn live(_timeline: &Timeline, _plan: &PlanSummary) -> LiveSign {
    LiveSign::None
}
