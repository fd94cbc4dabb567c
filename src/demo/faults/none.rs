//! Nothing is wrong: a diagnosis that names a cause here is wrong.

use super::{Fault, HEALTHY, Truth};

/// See [`HEALTHY`].
pub(super) static SPEC: Fault = Fault {
    name: "none",
    summary: "a healthy shop: no knee up to the highest rate of the plan",
    needs_postgres: false,
    truth: Truth::HEALTHY,
    broken: HEALTHY,
    healthy: None,
};
