//! Twelve threads in a blocking call, behind an event loop that reads every request. Nothing exports
//! how many of them are busy.

use std::time::Duration;

use super::{
    Fault, HEALTHY, HEALTHY_SHOP, Load, PRODUCTS, Pause, ShopTraits, System, Truth, ramp_to, up_to,
};

/// 12 threads of 100 ms each: the knee is near 118 pages/s. The requests queue inside the shop, where
/// no socket shows that they wait.
pub(super) static SPEC: Fault = Fault {
    name: "blocked-threads",
    summary: "12 threads, each blocked for the 100 ms of a page: knee near 118/s",
    needs_postgres: false,
    truth: Truth::knee(&["worker-exhaustion"], 100.0, 125.0),
    broken: System {
        shop: on_threads(12),
        load: Load { requests: PRODUCTS, shape: ramp_to(400) },
        ..HEALTHY
    },
    // Each page blocks as long, but there are enough threads.
    healthy: Some(System {
        shop: on_threads(200),
        load: Load { requests: PRODUCTS, shape: up_to(200) },
        ..HEALTHY
    }),
};

const fn on_threads(threads: usize) -> ShopTraits {
    ShopTraits { pause: Pause::OnThreads(threads, Duration::from_millis(100)), ..HEALTHY_SHOP }
}
