//! Where the curve bends, and which stages say anything of the target.

pub mod knee;
pub mod objectives;
pub(super) mod overload;
pub(super) mod parts;
pub mod stages;
mod tally;
mod users;
pub(super) mod validity;
pub mod windows;
