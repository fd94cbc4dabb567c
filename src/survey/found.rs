//! What was found of a service, as plain data.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;

/// What was found of a service.
#[derive(Clone, Debug, Default)]
pub struct Survey {
    /// Its base URL.
    pub url: String,
    /// The path and query that were given, or `/`.
    pub path: String,
    /// Its processes, such as `pid 4242 (shop) and 3 children`.
    pub processes: Option<String>,
    /// What runs it.
    pub runtimes: Vec<Runtime>,
    /// Variables of its environment that say where its database is.
    pub variables: Vec<Variable>,
    /// The log files that it writes.
    pub logs: Vec<PathBuf>,
    /// What it is connected to that answers as PostgreSQL does.
    pub databases: Vec<SocketAddr>,
    /// What else it is connected to, with the number of connections.
    pub peers: BTreeMap<SocketAddr, usize>,
    /// Its endpoints of metrics.
    pub metrics: Vec<Metrics>,
    /// Its health routes that answer with success.
    pub health: Vec<String>,
    /// The path of its OpenAPI description.
    pub description: Option<String>,
    /// Operations of the description that can be sent as they are.
    pub operations: Vec<Operation>,
    /// How many others the description has: they need values, a body, or change data.
    pub left_out: usize,
    /// What was looked for and not found, each with what to do.
    pub missing: Vec<String>,
}

impl Survey {
    /// What was found, one thing each.
    pub fn seen(&self) -> Vec<String> {
        let mut seen = Vec::new();
        seen.extend(self.processes.iter().map(|it| format!("the process: {it}")));
        if !self.runtimes.is_empty() {
            let names: Vec<&str> = self.runtimes.iter().map(|runtime| runtime.name()).collect();
            seen.push(format!("the runtime: {}", names.join(", ")));
        }
        seen.extend(self.metrics.iter().map(|it| format!("metrics: {}", it.has)));
        seen.extend(self.health.iter().map(|it| format!("a health route: {it}")));
        if let Some(path) = &self.description {
            seen.push(format!(
                "an OpenAPI description at {path}; operations that can be sent as they are: {}; those that \
                 need values or a body, or change data: {}",
                self.operations.len(),
                self.left_out
            ));
        }
        seen.extend(self.databases.iter().map(|it| format!("PostgreSQL at {it}")));
        seen.extend(self.variables.iter().map(|it| {
            format!(
                "the environment variable `{}` of the process, which names its database",
                it.name
            )
        }));
        seen.extend(self.logs.iter().map(|it| format!("the log file {}", it.display())));
        for (peer, count) in &self.peers {
            let connections = if *count == 1 { "connection" } else { "connections" };
            seen.push(format!(
                "{count} {connections} to {peer}, which the collector `tcp` watches"
            ));
        }
        seen
    }
}

/// An endpoint of metrics.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Metrics {
    /// Its URL.
    pub url: String,
    /// What it has, such as `240 series of …, with metrics of HikariCP`.
    pub has: String,
}

/// An operation that can be sent as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Operation {
    /// Its path, with the base of the description in front.
    pub path: String,
    /// Whether the description asks for a login.
    pub is_secured: bool,
}

/// What runs a service, as far as kneepoint reads it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Runtime {
    /// A Java virtual machine.
    Jvm,
    /// The reference implementation of Python.
    CPython,
    /// A program made by Go.
    Go,
    /// Node.js, whose stacks kneepoint does not read.
    Node,
}

impl Runtime {
    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Runtime::Jvm => "a JVM",
            Runtime::CPython => "CPython",
            Runtime::Go => "Go",
            Runtime::Node => "Node.js",
        }
    }
}

/// A variable of the service's environment that names a database. Its value is not kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Variable {
    /// Its name.
    pub name: String,
    /// Whether its value is a URL of PostgreSQL as kneepoint reads it.
    pub is_postgres_url: bool,
}
