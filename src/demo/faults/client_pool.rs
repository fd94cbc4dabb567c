//! The shop makes at most three calls to the payments service at a time; the service could take
//! many.

use std::time::Duration;

use super::{
    ChargeTraits, Fault, HEALTHY, HEALTHY_CHARGE, HEALTHY_PAYMENTS, HEALTHY_SHOP, Load, ORDERS,
    PaymentsTraits, ShopTraits, System, Truth, ramp_to, up_to,
};

/// 3 calls of about 21 ms: the knee is near 140 orders/s, the same as in `downstream`. Here the
/// queue is in the shop, and the payments service is as fast as ever. A diagnosis that blames the
/// service would be wrong.
pub(super) static SPEC: Fault = Fault {
    name: "client-pool",
    summary: "the shop makes 3 calls of 20 ms to payments at a time: knee near 140/s",
    needs_postgres: false,
    truth: Truth::knee(&["downstream-calls-limited"], 120.0, 150.0),
    broken: System {
        shop: calling(3),
        payments: PAYMENTS,
        load: Load { requests: ORDERS, shape: ramp_to(500) },
        ..HEALTHY
    },
    // Each payment takes as long, but enough calls are allowed.
    healthy: Some(System {
        shop: calling(32),
        payments: PAYMENTS,
        load: Load { requests: ORDERS, shape: up_to(200) },
        ..HEALTHY
    }),
};

const fn calling(most_calls: usize) -> ShopTraits {
    let charge = ChargeTraits { most_calls: Some(most_calls), ..HEALTHY_CHARGE };
    ShopTraits { charge, ..HEALTHY_SHOP }
}

const PAYMENTS: PaymentsTraits =
    PaymentsTraits { service_time: Duration::from_millis(20), ..HEALTHY_PAYMENTS };
