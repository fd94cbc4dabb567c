//! What a plan says about the target's processes, used to find them.

use std::fmt;

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
    /// By the path of the UNIX socket they listen on.
    Socket(String),
    /// By the id or the name of the container they run in.
    Container(String),
    /// By the TCP port on which they listen on behalf of another process.
    Forwarder(u16),
}

impl Wanted {
    /// Whether the processes are found by where they listen.
    pub fn listens(&self) -> bool {
        matches!(self, Wanted::Port(_) | Wanted::Socket(_) | Wanted::Forwarder(_))
    }

    /// What `config` asks for with its options `pid`, `name`, `port` and `container`. Without any of
    /// them: the target's own socket or port, if the target is local.
    ///
    /// # Errors
    /// If more than one option is set, a number is out of range, or nothing identifies the target.
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
        let container = config.and_then(|config| config.text("container"));
        if let Some(container) = container {
            return of_container(container, config);
        }
        match (integer("pid"), name, integer("port")) {
            (Some(pid), None, None) => match u32::try_from(pid) {
                Ok(pid) if pid > 0 => Ok(Wanted::Pid(pid)),
                _ => Err(out_of_range("pid", pid)),
            },
            (None, Some(name), None) if !name.is_empty() => Ok(Wanted::Name(name.to_owned())),
            (None, Some(_), None) => Err(OpenError::new(
                "`name` is empty",
                "give the name of the process as `ps -o comm` shows it",
            )),
            (None, None, Some(port)) => match u16::try_from(port) {
                Ok(port) if port > 0 => Ok(Wanted::Port(port)),
                _ => Err(out_of_range("port", port)),
            },
            (None, None, None) if let Some(path) = &hint.socket => Ok(Wanted::Socket(path.clone())),
            (None, None, None) if hint.is_local && hint.port > 0 => Ok(Wanted::Port(hint.port)),
            (None, None, None) => Err(OpenError::new(
                "the target is not on this machine, so its process cannot be found by its port",
                "run kneepoint on the target's machine, or name a local process with `pid`, \
                 `name`, `port` or `container`",
            )),
            _ => Err(OpenError::new(
                "`pid`, `name` and `port` together do not say which process is meant",
                "keep one of them",
            )),
        }
    }
}

/// The processes of a container, where nothing else is asked for.
fn of_container(container: &str, config: Option<&CollectorConfig>) -> Result<Wanted, OpenError> {
    let others = ["pid", "name", "port"];
    let given = others
        .into_iter()
        .find(|option| config.is_some_and(|config| config.options.contains_key(*option)));
    match given {
        Some(option) => Err(OpenError::new(
            format!("`{option}` and `container` together do not say which process is meant"),
            "keep one of them",
        )),
        None if container.is_empty() => Err(OpenError::new(
            "`container` is empty",
            "give the name or the id that `docker ps` shows",
        )),
        None => Ok(Wanted::Container(container.to_owned())),
    }
}

impl fmt::Display for Wanted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Wanted::Pid(pid) => write!(f, "pid {pid}"),
            Wanted::Name(name) => write!(f, "process `{name}`"),
            Wanted::Port(port) => write!(f, "the process that listens on port {port}"),
            Wanted::Socket(path) => write!(f, "the process that listens on `{path}`"),
            Wanted::Container(container) => write!(f, "container `{container}`"),
            Wanted::Forwarder(port) => write!(f, "what forwards port {port}"),
        }
    }
}
