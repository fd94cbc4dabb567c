//! The payments service takes a fixed number of calls at a time and refuses the others at once.

use std::time::Duration;

use super::{
    Fault, HEALTHY, HEALTHY_PAYMENTS, Load, ORDERS, PaymentsTraits, System, Truth, ramp_to, up_to,
};

/// A payment takes 40 ms, and 6 may be in progress: it carries at most 6 / 40 ms = 150 requests/s.
/// Calls that come close together are refused before that. Where the run does not tell a limit on
/// calls at a time from a limit on their rate, it is still right that the service fails.
pub(super) static SPEC: Fault = Fault {
    name: "peer-few-at-a-time",
    summary: "the payments service refuses the 7th call at a time: failures above 115/s",
    needs_postgres: false,
    truth: Truth::knee(&["downstream-admission-limit", "downstream-errors"], 100.0, 165.0),
    broken: System {
        payments: PaymentsTraits {
            service_time: Duration::from_millis(40),
            most_at_once: Some(6),
            ..HEALTHY_PAYMENTS
        },
        load: Load { requests: ORDERS, shape: ramp_to(400) },
        ..HEALTHY
    },
    // A limit above what the load needs.
    healthy: Some(System {
        payments: PaymentsTraits {
            service_time: Duration::from_millis(40),
            most_at_once: Some(200),
            ..HEALTHY_PAYMENTS
        },
        load: Load { requests: ORDERS, shape: up_to(180) },
        ..HEALTHY
    }),
};
