//! `Recording` → `Diagnosis`: pure. The same recording gives the same bytes; no clock, no files,
//! no randomness without a fixed seed, no unordered maps.

mod model;

pub use model::*;
