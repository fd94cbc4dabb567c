//! The shop may use every core, but one event loop does all the work.

use std::time::Duration;

use super::{
    Fault, HEALTHY, HEALTHY_SHOP, Handlers, Load, PRODUCTS, ShopTraits, System, Truth, ramp_to,
    up_to,
};

/// 6 ms of CPU time per page on one thread: the knee is slightly below 1 / 6 ms = 167 requests/s,
/// because the event loop also reads and writes.
pub(super) static SPEC: Fault = Fault {
    name: "single-thread",
    summary: "6 ms of CPU per product page on one event loop: knee near 160/s",
    needs_postgres: false,
    truth: Truth::knee(&["single-thread-saturated"], 140.0, 167.0),
    broken: System {
        shop: ShopTraits {
            runtime: Handlers::EventLoop,
            pricing: Duration::from_millis(6),
            ..HEALTHY_SHOP
        },
        load: Load { requests: PRODUCTS, shape: ramp_to(500) },
        ..HEALTHY
    },
    // The same event loop with pages that need little CPU.
    healthy: Some(System {
        shop: ShopTraits {
            runtime: Handlers::EventLoop,
            pricing: Duration::from_micros(600),
            ..HEALTHY_SHOP
        },
        load: Load { requests: PRODUCTS, shape: up_to(250) },
        ..HEALTHY
    }),
};
