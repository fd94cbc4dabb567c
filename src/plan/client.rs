//! How clients behave towards a target that fails, and towards the connections they have.

use std::time::Duration;

use serde::Serialize;

use super::Backoff;

/// How a client asks again. Real clients do, and what they ask again is load on a target that is
/// failing already.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Retries {
    /// Attempts after the first one, above zero.
    pub most: u32,
    /// The wait before each of them: at random up to a limit that doubles (full jitter).
    pub backoff: Backoff,
    /// Retries at most for each request that is not one; no bound where 1 or more of them are
    /// allowed for each (a retry budget, as clients have it against amplification).
    pub budget: f64,
}

impl Retries {
    /// So many retries for each request where the plan does not say: no bound but `most`.
    pub const USUAL_BUDGET: f64 = f64::INFINITY;
}

/// When a client makes a new connection although it has one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Reuse {
    /// After so many requests on one.
    pub requests: Option<u64>,
    /// Where it was idle for longer.
    pub idle: Option<Duration>,
}
