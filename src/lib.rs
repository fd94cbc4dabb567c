//! kneepoint finds the load at which a system breaks, and says why.
//!
//! Data flows down this list and never back; `tests/architecture.rs` holds the table of which
//! room may use which.

#![warn(missing_docs)]

mod registry;

pub mod timeline;

pub mod plan;

pub mod recording;

pub mod load;

pub mod collect;

pub mod import;

pub mod convert;

pub mod diagnose;

pub mod report;

pub mod prepare;

pub mod run;

pub mod demo;

pub mod cli;
