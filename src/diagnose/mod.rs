//! `Recording` → `Diagnosis`: pure. The same recording gives the same bytes; no clock, no files,
//! no randomness without a fixed seed, no unordered maps.

mod attribution;
mod builtin;
mod case;
mod derived;
mod engine;
mod facts;
pub mod generator;
pub mod knee;
mod lacking;
pub mod leak;
mod level;
mod model;
pub mod objectives;
mod overload;
mod part;
mod predict;
mod rank;
mod recovery;
mod rule;
mod rule_file;
mod ruleset;
pub mod scaling;
mod signal;
#[cfg(test)]
mod simulated;
pub mod soak;
pub mod stages;
pub mod stats;
mod verdict;
pub mod windows;
mod wording;

pub use case::{Case, CaseOutcome, Expect};
pub use engine::diagnose;
pub use model::*;
pub use part::PartKind;
pub use rule::{
    Bound, Check, Condition, ConditionRole, Predict, PredictLimit, Rule, RuleRole, Test,
};
pub use rule_file::{RuleErrors, RuleMistake};
pub use ruleset::RuleSet;
pub use signal::{Operand, Over, Signal, Span};
pub use soak::{Pace, ResourceKind, RunsOut, Soak, SoakVerdict, Trend, TrendStep, TrendVerdict};
