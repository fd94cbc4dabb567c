//! Recording → [`Incident`]: what happened in a time that nobody chose for a test. Pure, as the
//! diagnosis is: the same recording gives the same bytes.
//!
//! | file | answers |
//! |---|---|
//! | `bins` | the load and the series on one grid of time |
//! | `shift` | where a series reaches a new level, and how sure that place is |
//! | `symptoms` | what users felt, and since when |
//! | `expected` | which bad times the load, the mix, the hour or a restart explains |
//! | `movers` | which series moved apart from what the load explains, and when |
//! | `changes` | restarts, versions, limits and replicas that were changed |
//! | `engine` | all of it together, with the rules asked before and during the incident |

mod bins;
mod changes;
mod engine;
mod expected;
mod model;
mod movers;
mod shift;
mod symptoms;
#[cfg(test)]
mod tests;

pub use engine::{Asked, incident};
pub use model::{
    Change, Coverage, Incident, Onset, Order, Passed, Shift, Symptom, SymptomKind, TimedFinding,
};
