//! Load on a real nginx: what kneepoint counted is what nginx has in its log.

#[allow(dead_code, reason = "other tests use more of it")]
#[path = "../target/mod.rs"]
mod target;

mod answers;
mod connections;
mod journeys;
mod other_tools;
mod run;
mod server;
