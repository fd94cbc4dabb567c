//! `Recording` → `Diagnosis`: pure. The same recording gives the same bytes; no clock, no files,
//! no randomness without a fixed seed, no unordered maps.
//!
//! The room has storeys, each a folder, and each uses only those below it:
//!
//! | storey | answers |
//! |---|---|
//! | `conclude` | which cause, how sure, what a fix would bring |
//! | `curve` | where the curve bends, and which stages count |
//! | `rules` | whether one rule holds |
//! | `leaks` | whether something grows without end |
//! | `measure` | what a selector comes to in a window |
//! | `terms` | the words that all of them use |

mod conclude;
mod curve;
mod leaks;
mod measure;
mod rules;
#[cfg(test)]
pub(crate) mod simulated;
mod terms;

pub use conclude::coverage::{Diagnosable, LoadSeen, Measurable, diagnosable};
pub use conclude::engine::{diagnose, diagnose_without_headroom};
pub use conclude::examine::{Examination, examine};
pub use conclude::headroom::headroom;
pub use conclude::{generator, scaling};
pub use curve::{knee, objectives, stages, windows};
pub use leaks::{leak, soak};
pub use measure::signal::Signal;
pub use rules::case::{Amount, Case, Expect};
pub use rules::layer::{Layer, Resource};
pub use rules::mistake::{RuleErrors, RuleMistake};
pub use rules::rule::{
    Bound, Check, Condition, ConditionRole, Predict, PredictLimit, Rule, RuleRole, Test, Threshold,
};

pub use rules::ruleset::RuleSet;
pub use rules::trial::CaseOutcome;
pub use terms::account::{Attribution, Chain, Hop, Overlap, Part, PartGrowth, StageParts};
pub use terms::bounds;
pub use terms::invalid::{GeneratorFault, Invalid};
pub use terms::model::*;
pub use terms::operand::{Operand, Over};
pub use terms::part::PartKind;
pub use terms::room::{Headroom, Interval, Need, ResourceRoom, Wanted};
pub use terms::soak::{
    Pace, ResourceKind, RunsOut, Soak, SoakVerdict, Trend, TrendStep, TrendVerdict,
};
pub use terms::span::Span;
pub use terms::stacks::{FoldedStack, HotFunction, Stacks, ThreadPlace};
pub use terms::stats;
pub(crate) use terms::{operand::bare, wording};
