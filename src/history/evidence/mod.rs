//! Lines that stand in the logs of databases and machines, as evidence of a history: they become the
//! series that the collector `logs` records of lines that are being written.

mod entry;
mod journal;
mod log;
mod postgres;
mod statement;
mod tally;
pub(super) mod zone;

pub use log::{Log, is_log};
pub(super) use tally::{COLLECTOR, Tally, write};

#[cfg(test)]
mod tests;
