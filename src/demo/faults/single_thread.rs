//! The shop may use every core, and one event loop does all the work.

use std::time::Duration;

use super::{Fault, HEALTHY_PAYMENTS, HEALTHY_SHOP, Handlers, Load, PRODUCTS, ShopTraits, ramp_to};

/// 6 ms of processor time each on one thread: the knee is a little below 1 / 6 ms = 167
/// requests/s, for the event loop also reads and writes.
pub(super) static SPEC: Fault = Fault {
    name: "single-thread",
    summary: "6 ms of processor time per product page on one event loop: knee near 160/s",
    needs_postgres: false,
    expected_rule: Some("single-thread-saturated"),
    shop: ShopTraits {
        runtime: Handlers::EventLoop,
        pricing: Duration::from_millis(6),
        ..HEALTHY_SHOP
    },
    payments: HEALTHY_PAYMENTS,
    load: Load { requests: PRODUCTS, shape: ramp_to(500) },
};
