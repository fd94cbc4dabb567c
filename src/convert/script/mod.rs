//! Programs that are followed without being run: what they would send becomes steps.

pub(super) mod checks;
mod classes;
mod eval;
mod grammar;
pub(super) mod java;
pub(super) mod javascript;
pub(super) mod machine;
pub(super) mod python;
pub(super) mod scala;
pub(super) mod send;
pub(super) mod sources;
pub(super) mod syntax;
pub(super) mod value;
