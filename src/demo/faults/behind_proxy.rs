//! The limit is in another process than the tested one: a proxy stands in front.

use std::time::Duration;

use super::{
    CallsOver, Fault, HEALTHY, HEALTHY_SHOP, HEALTHY_SURROUNDINGS, Handlers, Load, PRODUCTS,
    ShopTraits, Surroundings, System, Truth, ramp_to, up_to,
};

/// One event loop with 6 ms of CPU time per page, as in `single-thread`, behind a proxy. The load
/// reaches the proxy, and the proxy is what is watched. It waits for its backend. Naming that peer
/// is correct. Naming the backend's thread, if it can be seen, is correct too.
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

const PROXIED: Surroundings = Surroundings { proxy: Some(CallsOver::Tcp), ..HEALTHY_SURROUNDINGS };
