//! What a person should know of a run that can start all the same.

use std::fmt;

/// One such thing.
#[derive(Clone, Debug, PartialEq)]
pub enum Warning {
    /// The target listens on a UNIX socket, which no collector looks into.
    NoTcpPort {
        /// The socket's path.
        path: String,
    },
    /// Requests of HTTP/2 share connections, so that sockets do not tell what the target serves.
    SharedConnections,
    /// The same, because WebSocket sessions hold connections.
    HeldConnections,
    /// The target runs in another network namespace, which kneepoint may not enter.
    NoRights,
    /// With a connection per request, this machine runs out of local ports.
    FewPorts {
        /// Requests per second that its ports carry for long.
        sustained: f64,
    },
    /// A request failed some of the times that it was tried.
    SomeFail {
        /// Its name.
        request: String,
        /// How often it failed.
        failed: u32,
        /// How often it was tried.
        asked: u32,
        /// Why it failed the last time.
        why: String,
    },
    /// Something that an agent says, or why it is left out.
    OfAgent {
        /// Its name.
        agent: String,
        /// What.
        what: String,
    },
    /// A collector was not opened; the run goes on without it.
    LeftOut {
        /// The collector, and why.
        what: String,
    },
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sockets = "its sockets do not show how many requests the target is serving";
        match self {
            Self::NoTcpPort { path } => write!(
                f,
                "the target listens on the UNIX socket `{path}`: its connections and its accept \
                 queue cannot be watched"
            ),
            Self::SharedConnections => write!(f, "HTTP/2 requests share connections: {sockets}"),
            Self::HeldConnections => write!(f, "WebSocket sessions hold connections: {sockets}"),
            Self::NoRights => write!(
                f,
                "the target runs in another network namespace, such as a container's: kneepoint needs \
                 CAP_SYS_PTRACE to find its process (CPU, memory, threads, limits), and CAP_SYS_ADMIN \
                 too to list its sockets (calls, accept queue, services behind it); run it as root, or \
                 as the user who started the container"
            ),
            Self::FewPorts { sustained } => write!(
                f,
                "with a connection per request, this machine's ports last for about \
                 {sustained:.0} requests/s; at a higher rate they run out within a minute"
            ),
            Self::SomeFail { request, failed, asked, why } => write!(
                f,
                "request `{request}` failed {failed} of the {asked} times that it was tried without \
                 load: {why}"
            ),
            Self::OfAgent { agent, what } => write!(f, "agent `{agent}`: {what}"),
            Self::LeftOut { what } => write!(f, "{what}; the run goes on without it"),
        }
    }
}
