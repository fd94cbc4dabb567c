//! Whether one rule holds: its file, its conditions, its cases, and what it comes to on a recording.

mod builtin;
pub(super) mod case;
pub(super) mod layer;
pub(super) mod mistake;
pub(super) mod order;
pub(super) mod rule;
pub(super) mod rule_file;
pub(super) mod ruleset;
pub(super) mod ruling;
pub(super) mod trial;
