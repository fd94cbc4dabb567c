//! What a selector comes to in a window.

mod derived;
pub(super) mod facts;
pub(super) mod level;
pub(super) mod signal;
