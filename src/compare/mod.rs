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
//! | `sessions`, `budgets` | which runs count as one, and what the plan allows |
//! | `levels` | at which loads runs can be compared |
//! | `differences` | what else differs between the runs |
//! | `bootstrap`, `tally` | how much a quantile varies within one run |
//! | `estimate`, `proportion`, `bracket` | the difference of a quantity, with its interval |
//! | `yardstick` | how fast the machine was in each run |
//! | `disturbed` | which run something else disturbed |
//! | `verdict` | worse, better, same, or cannot tell |
//! | `power` | which changes a number of runs shows |
//! | `parts` | where the difference lies, and which causes came or went |
//! | `drift` | at which runs of a history a quantity changed, and how much runs differ |
//! | `limits` | which limits of the target's pools differ |
//! | `curves` | what each build does at each load, for charts |
//! | `objectives` | whether the runs met the objectives of the plan |
//!
//! A build differs from itself: two runs of one program differ by more than the requests within
//! one run suggest. Without a measure of that noise (`--noise`, or several runs of each build)
//! no quantity is called worse.

mod bootstrap;
mod bracket;
mod budgets;
mod curves;
mod design;
mod differences;
mod disturbed;
mod drift;
mod engine;
mod estimate;
mod levels;
mod limits;
mod model;
mod objectives;
mod options;
mod parts;
mod power;
mod proportion;
mod quantities;
mod resources;
mod sample;
mod sessions;
#[cfg(test)]
pub(crate) mod simulated;
mod student;
mod tally;
#[cfg(test)]
mod tests;
mod verdict;
mod yardstick;

pub use drift::{ChangePoint, DriftOptions, change_points, noise};
pub use engine::compare;
pub use model::{
    Answer, BuildCurve, CauseChange, Change, Comparison, CurvePoint, Curves, EndpointChange, Fate,
    KneeRange, LimitChange, MatchedLoad, Measure, Met, Method, ObjectiveChange, PartChange,
    Quantity, RunFacts, Spread, Subject, Verdict, Why,
};
pub use options::{MeasuredNoise, Noise, Options};
pub use power::visible_change;
pub use quantities::{Track, requests_for, tracks};
pub use sample::Sample;
pub use sessions::by_session;
