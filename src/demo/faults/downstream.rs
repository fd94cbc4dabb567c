//! The payments service processes three payments at a time; the shop waits for it.

use std::time::Duration;

use super::{
    Fault, HEALTHY, HEALTHY_PAYMENTS, Load, ORDERS, PaymentsTraits, System, Truth, ramp_to, up_to,
};

/// 3 slots of about 21 ms each: the knee is near 140 orders/s.
pub(super) static SPEC: Fault = Fault {
    name: "downstream",
    summary: "the payments service has 3 slots of 20 ms: knee near 140/s",
    needs_postgres: false,
    truth: Truth::knee(&["downstream-wait"], 120.0, 150.0),
    broken: System {
        payments: PaymentsTraits { slots: 3, ..PAYMENTS },
        load: Load { requests: ORDERS, shape: ramp_to(500) },
        ..HEALTHY
    },
    // Each payment takes as long, but there are enough slots.
    healthy: Some(System {
        payments: PAYMENTS,
        load: Load { requests: ORDERS, shape: up_to(200) },
        ..HEALTHY
    }),
};

const PAYMENTS: PaymentsTraits =
    PaymentsTraits { service_time: Duration::from_millis(20), ..HEALTHY_PAYMENTS };
