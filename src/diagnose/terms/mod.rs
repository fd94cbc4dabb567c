//! The words that every storey of a diagnosis uses: what it says, in which parts, with which
//! statistics.

pub(super) mod model;
pub(super) mod part;
pub(super) mod soak;
pub mod stats;
pub(super) mod wording;
