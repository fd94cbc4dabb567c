//! The words that every storey of a diagnosis uses: what it says, in which parts, with which
//! statistics.

pub(super) mod account;
pub mod bounds;
pub(super) mod growth;
pub(super) mod invalid;
pub(super) mod measure;
pub(super) mod model;
pub(super) mod operand;
pub(super) mod part;
pub(super) mod room;
pub(super) mod soak;
pub(super) mod span;
pub(super) mod stacks;
pub mod stats;
pub(crate) mod wording;
