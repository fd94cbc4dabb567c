//! Generators elsewhere that make one load together: started, greeted and asked whether they can. A
//! command starts each, such as `ssh gen1 kneepoint generate`, or each dials in to a bus.

mod connect;
mod node;
mod parts;
mod past;
mod problem;
mod running;

pub use connect::{Fleet, OnLoss};
pub use past::{PastError, complete};
pub use problem::FleetProblem;
pub(super) use running::RunningFleet;
