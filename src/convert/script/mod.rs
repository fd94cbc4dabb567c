//! Programs that are followed without being run: what they would send becomes steps.

mod checks;
mod eval;
mod grammar;
pub(super) mod javascript;
pub(super) mod machine;
pub(super) mod python;
pub(super) mod send;
pub(super) mod syntax;
pub(super) mod value;
