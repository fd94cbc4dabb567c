//! Whether something grows without end.

mod collections;
pub(super) mod growth;
pub mod leak;
mod resources;
pub mod soak;
