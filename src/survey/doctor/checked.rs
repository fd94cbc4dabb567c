//! One thing that the doctor looked at, and whom it looked at.

use serde::Serialize;

use crate::collect::proc::tree::Tree;
use crate::collect::proc::wanted::Wanted;
use crate::collect::{Network, OpenError};

/// Whether something is as kneepoint needs it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// It is.
    Ok,
    /// It is not, and the diagnosis loses something.
    Missing,
}

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Checked {
    /// A short name that does not change, for programs.
    pub id: &'static str,
    /// What it is about, for people.
    pub about: &'static str,
    /// Whether it is as it should be.
    pub state: State,
    /// What was seen.
    pub seen: String,
    /// What the diagnosis loses without it; empty where nothing is missing.
    pub costs: String,
    /// The one command, or the one thing to do, that adds it; empty where nothing is missing.
    pub add: String,
}

/// Whose rights are asked for: the target's processes, or none for this machine alone.
#[derive(Clone, Debug, Default)]
pub struct Patient {
    /// Process ids.
    pub pids: Vec<u32>,
    /// Their network namespace.
    pub network: Network,
}

impl Patient {
    /// The process with this id and its children.
    ///
    /// # Errors
    /// If there is none, or it cannot be read.
    pub fn of_pid(pid: u32) -> Result<Self, OpenError> {
        Self::of(Wanted::Pid(pid), Network::of(pid).unwrap_or(Network::OWN))
    }

    /// What listens on a port of `network`.
    ///
    /// # Errors
    /// If nobody does, or who does cannot be read.
    pub fn of_port(port: u16, network: Network) -> Result<Self, OpenError> {
        Self::of(Wanted::Port(port), network)
    }

    fn of(wanted: Wanted, network: Network) -> Result<Self, OpenError> {
        let tree = Tree::open(wanted, network)?;
        Ok(Self { pids: tree.pids().collect(), network })
    }
}

/// Where something is as it should be.
pub(super) fn ok(id: &'static str, about: &'static str, seen: impl Into<String>) -> Checked {
    let (costs, add) = (String::new(), String::new());
    Checked { id, about, state: State::Ok, seen: seen.into(), costs, add }
}

/// Where something is missing.
pub(super) fn missing(
    id: &'static str,
    about: &'static str,
    seen: impl Into<String>,
    costs: impl Into<String>,
    add: impl Into<String>,
) -> Checked {
    let (seen, costs, add) = (seen.into(), costs.into(), add.into());
    Checked { id, about, state: State::Missing, seen, costs, add }
}
