//! Whether something grows without end.

pub mod leak;
pub mod soak;
