//! From a plan and the outside world to a run that can start: reads the files that a plan names,
//! finds and tries the target, opens the collectors and does the plan's setup.
//!
//! It names everything that is wrong at once, and it never prints: what a person should know
//! comes back as [`Problems`] or [`Warning`]s.

mod agents;
mod config;
mod controls;
mod data;
mod files;
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzzing;
mod part;
mod plan_file;
mod preflight;
mod problems;
mod setup;
mod table;
mod target;
mod trial;
mod warning;

pub use config::{RunConfig, load_config, run_config};
pub use controls::Controls;
pub use part::{LoadPart, PartOrder, part_config};
pub use plan_file::{PlanError, parse_plan, read_plan};
pub use preflight::{Observed, Options, Prepared, observe, prepare};
pub use problems::{Problem, Problems};
pub use setup::Teardown;
pub use warning::Warning;
