//! Generators elsewhere that make one load together: started, greeted and asked whether they can. Each
//! is a command whose standard input and output carry the messages, such as
//! `ssh gen1 kneepoint generate`.

mod connect;
mod node;
mod problem;
mod running;

pub use connect::Fleet;
pub use problem::FleetProblem;
pub(super) use running::RunningFleet;
