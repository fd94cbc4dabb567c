//! Recordings of two builds → [`Comparison`]: did it get worse, where, and why. Pure, as the
//! diagnosis is: the same recordings give the same bytes.
//!
//! Each quantity gets one of three answers. *Worse* (or *better*): the whole interval of the
//! difference lies beyond what is allowed. *Same*: the whole interval lies within the budget.
//! Otherwise *cannot tell*, with the number of further runs that would decide.
//!
//! | file | answers |
//! |---|---|
//! | `sample` | what one run came to, stage by stage and second by second |
//! | `levels` | at which loads runs can be compared |
//! | `differences` | what else differs between the runs |
//! | `bootstrap`, `tally` | how much a quantile varies within one run |
//! | `estimate`, `proportion`, `bracket` | the difference of a quantity, with its interval |
//! | `verdict` | worse, better, same, or cannot tell |
//! | `parts` | where the difference lies, and which causes came or went |
//! | `curves` | what each build does at each load, for charts |
//! | `objectives` | whether the runs met the objectives of the plan |
//!
//! A build differs from itself: two runs of one program differ by more than the requests within
//! one run suggest. Without a measure of that noise (`--noise`, or several runs of each build)
//! no quantity is called worse.

mod bootstrap;
mod bracket;
mod curves;
mod design;
mod differences;
mod engine;
mod estimate;
mod levels;
mod model;
mod objectives;
mod options;
mod parts;
mod proportion;
mod quantities;
mod resources;
mod sample;
#[cfg(test)]
mod simulated;
mod student;
mod tally;
#[cfg(test)]
mod tests;
mod verdict;

pub use engine::compare;
pub use model::{
    Answer, BuildCurve, CauseChange, Change, Comparison, CurvePoint, Curves, EndpointChange, Fate,
    KneeRange, MatchedLoad, Measure, Met, Method, ObjectiveChange, PartChange, Quantity, RunFacts,
    Spread, Subject, Verdict, Why,
};
pub use options::{Noise, Options};
pub use sample::Sample;
