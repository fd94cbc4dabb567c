//! The payments service fails requests above its capacity, and each failure costs it work.

use super::{
    Fault, HEALTHY, HEALTHY_PAYMENTS, Load, ORDERS, PaymentsTraits, Refusal, System, Truth,
    ramp_to, up_to,
};

/// Above 90 payments/s the service answers 500, and three failures cost as much as one payment: of
/// 180/s it completes 45. The shop answers 502. Nothing in the shop itself is near a limit.
pub(super) static SPEC: Fault = Fault {
    name: "downstream-errors",
    summary: "the payments service answers 500 above 90/s: failures above 90/s",
    needs_postgres: false,
    truth: Truth::knee(&["downstream-errors"], 75.0, 105.0),
    broken: System {
        payments: PaymentsTraits {
            refusal: Some(Refusal { beyond_rate: 90.0, status: 500, cost: 1.0 / 3.0 }),
            ..HEALTHY_PAYMENTS
        },
        load: Load { requests: ORDERS, shape: ramp_to(300) },
        ..HEALTHY
    },
    // A service without failures.
    healthy: Some(System { load: Load { requests: ORDERS, shape: up_to(180) }, ..HEALTHY }),
};
