//! The payments service admits a fixed rate and answers 429 to the rest.

use super::{
    Fault, HEALTHY, HEALTHY_PAYMENTS, Load, ORDERS, PaymentsTraits, Refusal, System, Truth,
    ramp_to, up_to,
};

/// Like `downstream-errors`, but with 429; the shop answers 502 in both. From outside the two
/// differ only if the shop counts its calls by status. Without that, a diagnosis can only know that
/// the service fails.
pub(super) static SPEC: Fault = Fault {
    name: "downstream-limit",
    summary: "the payments service answers 429 above 90/s: failures above 90/s",
    needs_postgres: false,
    truth: Truth::knee(&["downstream-rate-limited"], 75.0, 105.0),
    broken: System {
        payments: PaymentsTraits {
            refusal: Some(Refusal { beyond_rate: 90.0, status: 429, cost: 0.0 }),
            ..HEALTHY_PAYMENTS
        },
        load: Load { requests: ORDERS, shape: ramp_to(300) },
        ..HEALTHY
    },
    // A limit above the load.
    healthy: Some(System {
        payments: PaymentsTraits {
            refusal: Some(Refusal { beyond_rate: 2_000.0, status: 429, cost: 0.0 }),
            ..HEALTHY_PAYMENTS
        },
        load: Load { requests: ORDERS, shape: up_to(180) },
        ..HEALTHY
    }),
};
