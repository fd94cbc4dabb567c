//! Holds a plan against what users do: its requests against those of access logs, the test's
//! database against production's. A load test that passes in another world says nothing of this one.
//!
//! Both sides are counted by the same code: a log line by line, a plan by the requests that are drawn
//! from it. So a plan that was made of a log has no gap to that log. Memory is bounded on both sides.

mod bursts;
mod compare;
mod database;
mod gap;
mod kinds;
mod planned;
mod sessions;
#[cfg(test)]
mod tests;
mod traffic;

pub use compare::{REQUESTS_DRAWN, compare};
pub use database::compare as compare_databases;
pub use gap::{Gap, GapKind, Realism};
pub use planned::Planned;
pub use traffic::Traffic;
