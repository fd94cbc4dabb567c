//! What prevents load from being made, with messages that say what to do.

use thiserror::Error;

use crate::timeline::ResponseClass;

/// Why no load can be made.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum LoadError {
    /// The target's name has no address.
    #[error("cannot resolve `{host}`: {reason}; check `{key}` in [target], or use an address")]
    Resolve {
        /// Host of the target, or of the proxy.
        host: String,
        /// The key of the plan that names it.
        key: &'static str,
        /// What the resolver said.
        reason: String,
    },
    /// The certificates to check the target against cannot be used.
    #[error("cannot use the certificates for `{host}`: {reason}; check `tls` in [target]")]
    Certificates {
        /// Host of the target.
        host: String,
        /// What is wrong with them.
        reason: String,
    },
    /// There is nothing to send.
    #[error("there is no request with a weight above zero; add a [[request]]")]
    NoRequests,
    /// A request is not valid on the wire.
    #[error("request `{endpoint}`: {reason}")]
    Request {
        /// Name of the request in the plan.
        endpoint: String,
        /// What is wrong with it, and what to do.
        reason: String,
    },
    /// The process may not open enough sockets.
    #[error(
        "{needed} file descriptors are needed for `max_in_flight` but {allowed} are allowed; \
         raise the limit with `ulimit -n {needed}`, or lower `max_in_flight` in [limits]"
    )]
    Descriptors {
        /// Sockets and some other files.
        needed: u64,
        /// The hard limit of this process.
        allowed: u64,
    },
    /// The operating system refused a thread, a timer or an event queue.
    #[error("cannot start a load thread: {0}; check the limits of this process (`ulimit -a`)")]
    Thread(#[from] std::io::Error),
    /// One WebSocket session was tried before any load and could not be opened.
    #[error(
        "cannot open the WebSocket session `{name}` at `{address}`: {reason}; check `path` and \
         `headers` of [[websocket]]"
    )]
    NoSession {
        /// Name of the sessions in the plan.
        name: String,
        /// Where it was tried.
        address: String,
        /// What the network or the target said.
        reason: String,
    },
    /// One request was tried before any load and got no response.
    #[error("request `{endpoint}` got no response from `{address}` ({class}): {reason}; {hint}")]
    NoResponse {
        /// Name of the request in the plan.
        endpoint: String,
        /// Where it was sent.
        address: String,
        /// How it ended.
        class: ResponseClass,
        /// What the network or the peer said.
        reason: String,
        /// What to do about it.
        hint: &'static str,
    },
}

impl LoadError {
    /// The first of several errors. [`probe()`](super::probe()), which runs earlier, reports all of
    /// them.
    pub(super) fn first(errors: Vec<LoadError>) -> LoadError {
        errors.into_iter().next().unwrap_or(LoadError::NoRequests)
    }
}
