//! Where a node comes from: a command that starts it, or a bus that it dials in to. Whoever talks to
//! it does not know which.

use std::sync::Arc;
use std::time::Duration;

use super::bus::Bus;
use super::carrier::Carrier;
use super::child::ChildProcess;
use super::link::LinkError;
use super::message::Role;

/// How long a node may take to dial in: its machine or its pod may have to start first.
const DIALLING: Duration = Duration::from_secs(120);

/// Where a node comes from.
#[derive(Clone)]
pub enum NodeSource {
    /// A program with its arguments, which this process starts.
    Command {
        /// The words.
        words: Vec<String>,
        /// What to do if it cannot be started.
        hint: &'static str,
    },
    /// A bus.
    Bus {
        /// The run on the bus.
        bus: Arc<Bus>,
        /// What the node is for.
        role: Role,
        /// What it calls itself; empty for any.
        name: String,
    },
}

impl NodeSource {
    /// Starts the node, or waits until it dials in.
    ///
    /// # Errors
    /// Why there is none.
    pub fn start(&self) -> Result<Box<dyn Carrier>, LinkError> {
        match self {
            Self::Command { words, hint } => match ChildProcess::start(words) {
                Ok(child) => Ok(Box::new(child)),
                Err(what) => Err(LinkError { what, hint: (*hint).to_owned() }),
            },
            Self::Bus { bus, role, name } => bus.take(*role, name, DIALLING).ok_or_else(|| {
                let (what, option) = match role {
                    Role::Agent => ("agent", format!(" --name {name}")),
                    Role::Generator => ("generate", String::new()),
                };
                LinkError {
                    what: format!(
                        "it did not dial in to the bus {} within {} s",
                        bus.address(),
                        DIALLING.as_secs()
                    ),
                    hint: format!(
                        "start `kneepoint {what} --bus {} --run {}{option}` on its machine",
                        bus.address(),
                        bus.run()
                    ),
                }
            }),
        }
    }
}
