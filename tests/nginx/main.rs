//! Load on a real nginx: what kneepoint counted is what nginx has in its log.

#[path = "../target/mod.rs"]
mod target;

mod answers;
mod connections;
mod journeys;
mod run;
mod server;
