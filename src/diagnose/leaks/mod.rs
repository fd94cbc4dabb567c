//! Whether something grows without end.

mod collections;
pub(super) mod exhausted;
pub(super) mod growth;
mod held;
pub mod leak;
mod resources;
mod restarts;
pub mod soak;
