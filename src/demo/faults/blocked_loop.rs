//! A handler blocks the event loop without using CPU: nothing is busy, and nothing makes progress.

use std::time::Duration;

use super::{
    Fault, HEALTHY, HEALTHY_SHOP, Handlers, Load, PRODUCTS, Pause, ShopTraits, System, Truth,
    ramp_to, up_to,
};

/// Each request blocks the thread for 8 ms: the knee is near 1 / 8.3 ms = 120 requests/s. The only
/// thread is a worker that waits, but not for another process.
pub(super) static SPEC: Fault = Fault {
    name: "blocked-loop",
    summary: "each product page blocks the one event loop for 8 ms: knee near 120/s",
    needs_postgres: false,
    truth: Truth::knee(&["worker-exhaustion"], 100.0, 125.0),
    broken: System {
        shop: ShopTraits {
            runtime: Handlers::EventLoop,
            pause: Pause::Blocking(WAIT),
            ..HEALTHY_SHOP
        },
        load: Load { requests: PRODUCTS, shape: ramp_to(400) },
        ..HEALTHY
    },
    // The same wait without blocking the thread.
    healthy: Some(System {
        shop: ShopTraits {
            runtime: Handlers::EventLoop,
            pause: Pause::Asleep(WAIT),
            ..HEALTHY_SHOP
        },
        load: Load { requests: PRODUCTS, shape: up_to(200) },
        ..HEALTHY
    }),
};

const WAIT: Duration = Duration::from_millis(8);
