//! The limit is in another process than the one that is tested: a proxy stands in front.

use std::time::Duration;

use super::{
    Fault, HEALTHY, HEALTHY_SHOP, HEALTHY_SURROUNDINGS, Handlers, Load, PRODUCTS, ShopTraits,
    Surroundings, System, Truth, ramp_to, up_to,
};

/// One event loop with 6 ms of CPU time a page, as `single-thread`, behind a proxy. What the
/// load meets and what is watched is the proxy, which waits for its backend: to name that peer is
/// right, and to name the backend's thread where it can be seen is right too.
pub(super) static SPEC: Fault = Fault {
    name: "behind-proxy",
    summary: "a proxy in front of one event loop, 6 ms of CPU per page: knee near 160/s",
    needs_postgres: false,
    truth: Truth::knee(&["downstream-wait", "single-thread-saturated"], 135.0, 167.0),
    broken: System {
        shop: ShopTraits { pricing: Duration::from_millis(6), ..EVENT_LOOP },
        surroundings: PROXIED,
        load: Load { requests: PRODUCTS, shape: ramp_to(400) },
        ..HEALTHY
    },
    // A tenth of the work for the same pages.
    healthy: Some(System {
        shop: ShopTraits { pricing: Duration::from_micros(600), ..EVENT_LOOP },
        surroundings: PROXIED,
        load: Load { requests: PRODUCTS, shape: up_to(220) },
        ..HEALTHY
    }),
};

const EVENT_LOOP: ShopTraits = ShopTraits { runtime: Handlers::EventLoop, ..HEALTHY_SHOP };

const PROXIED: Surroundings = Surroundings { proxy: true, ..HEALTHY_SURROUNDINGS };
