//! `Recording` → `Diagnosis`: pure. The same recording gives the same bytes; no clock, no files,
//! no randomness without a fixed seed, no unordered maps.

pub mod generator;
pub mod knee;
pub mod leak;
mod model;
pub mod scaling;
pub mod stages;
pub mod stats;
pub mod windows;

pub use model::*;
