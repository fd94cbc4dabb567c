//! Four workers that each wait for the payments service, which is as fast as ever.

use std::time::Duration;

use super::{
    ChargeTraits, Fault, HEALTHY, HEALTHY_CHARGE, HEALTHY_PAYMENTS, HEALTHY_SHOP, Handlers, Load,
    ORDERS, PaymentsTraits, ShopTraits, System, Truth, ramp_to, up_to,
};

/// 4 workers of about 32 ms each: the knee is near 125 orders/s.
///
/// The workers wait for the service, and a faster service would raise the limit just as more
/// workers would. But it was always as slow as this: a diagnosis that blames it would be wrong.
pub(super) static SPEC: Fault = Fault {
    name: "worker-pool",
    summary: "4 worker threads, each blocked for the 30 ms of a payment: knee near 125/s",
    needs_postgres: false,
    truth: Truth::knee(&["worker-exhaustion"], 100.0, 133.0),
    broken: System {
        shop: workers(4),
        payments: PAYMENTS,
        load: Load { requests: ORDERS, shape: ramp_to(400) },
        ..HEALTHY
    },
    // Enough workers for all waiting requests.
    healthy: Some(System {
        shop: workers(32),
        payments: PAYMENTS,
        load: Load { requests: ORDERS, shape: up_to(200) },
        ..HEALTHY
    }),
};

const fn workers(threads: usize) -> ShopTraits {
    ShopTraits {
        runtime: Handlers::Workers(threads),
        charge: ChargeTraits { blocking: true, ..HEALTHY_CHARGE },
        ..HEALTHY_SHOP
    }
}

const PAYMENTS: PaymentsTraits =
    PaymentsTraits { service_time: Duration::from_millis(30), ..HEALTHY_PAYMENTS };
