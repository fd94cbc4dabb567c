//! Which cause, how sure that is, and what a fix would bring.

pub(super) mod attribution;
mod chain;
mod contradictions;
pub(super) mod coverage;
mod endpoints;
pub(super) mod engine;
mod estimate;
pub(super) mod examine;
mod for_good;
pub mod generator;
pub(super) mod headroom;
mod lacking;
mod predict;
pub(super) mod rank;
pub(super) mod recovery;
mod repetition;
mod retell;
pub mod scaling;
mod stacks;
