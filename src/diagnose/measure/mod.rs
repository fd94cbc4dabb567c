//! What a selector comes to in a window.

mod burst;
mod derived;
pub(super) mod facts;
mod fixed;
pub(super) mod level;
pub(super) mod mean;
pub(super) mod peers;
pub(super) mod pools;
pub(super) mod services;
pub(super) mod signal;
pub(super) mod split;
mod unix;
