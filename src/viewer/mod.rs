//! Serves what a viewer sees of a run to browsers, and the report once there is one.
//!
//! The address holds a token, and who does not know it gets nothing. The page may load nothing but
//! its own numbers. Each frame is written as text once, however many look, and has only what has
//! changed; a viewer who was too slow for one gets everything with the next. All of it is one thread
//! that yields to the load.

mod control;
mod page;
mod priority;
mod published;
mod server;
mod site;

pub use control::Control;
pub use priority::yield_to_load;
pub use server::Viewer;
