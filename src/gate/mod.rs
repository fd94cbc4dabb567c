//! Two builds under the same load: how much, in which order, and how a build is started and ended.
//!
//! The runs themselves are those of `run`, and what they mean is for `compare`.

mod build;
mod order;
mod smoke;

pub use build::{Build, BuildError, Place, Start};
pub use order::{Side, alternating};
pub use smoke::{requests, smoke};
