//! The shop makes at most twelve calls at a time to a payments service that is slow by nature and
//! could take many more.

use std::time::Duration;

use super::{
    ChargeTraits, Fault, HEALTHY, HEALTHY_CHARGE, HEALTHY_PAYMENTS, HEALTHY_SHOP, Load, ORDERS,
    PaymentsTraits, ShopTraits, System, Truth, ramp_to, up_to,
};

/// 12 calls of about 101 ms: the knee is near 118 orders/s. Even at low load an order is nearly only
/// this wait, so the service looks guilty; but a call never takes longer.
pub(super) static SPEC: Fault = Fault {
    name: "call-limit",
    summary: "the shop makes 12 calls of 100 ms to payments at a time: knee near 118/s",
    needs_postgres: false,
    truth: Truth::knee(&["downstream-calls-limited"], 100.0, 125.0),
    broken: System {
        shop: calling(12),
        payments: PAYMENTS,
        load: Load { requests: ORDERS, shape: ramp_to(400) },
        ..HEALTHY
    },
    // Each payment takes as long, but enough calls are allowed.
    healthy: Some(System {
        shop: calling(150),
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
    PaymentsTraits { service_time: Duration::from_millis(100), ..HEALTHY_PAYMENTS };
