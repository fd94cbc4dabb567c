//! The limit is a pool of the process behind a proxy.

use std::time::Duration;

use super::{
    CallsOver, Fault, HEALTHY, HEALTHY_SHOP, HEALTHY_SURROUNDINGS, Load, PRODUCTS, ProductRead,
    ShopTraits, Surroundings, System, Truth, ramp_to, up_to,
};

/// Three connections of 15 ms for each read, as in `pool-small`, behind a proxy. The pool and the
/// database belong to the shop, not to the proxy that the load reaches.
pub(super) static SPEC: Fault = Fault {
    name: "behind-proxy-pool",
    summary: "a proxy in front of a pool of 3 connections, 15 ms per read: knee near 195/s",
    needs_postgres: true,
    truth: Truth::knee(&["db-pool-too-small"], 165.0, 200.0),
    broken: System {
        shop: pooled(3),
        surroundings: PROXIED,
        load: Load { requests: PRODUCTS, shape: ramp_to(600) },
        ..HEALTHY
    },
    // Enough connections for five times the load.
    healthy: Some(System {
        shop: pooled(16),
        surroundings: PROXIED,
        load: Load { requests: PRODUCTS, shape: up_to(250) },
        ..HEALTHY
    }),
};

const fn pooled(pool_size: usize) -> ShopTraits {
    ShopTraits {
        pool_size,
        product_read: ProductRead::SlowStorage(Duration::from_millis(15)),
        ..HEALTHY_SHOP
    }
}

const PROXIED: Surroundings = Surroundings { proxy: Some(CallsOver::Tcp), ..HEALTHY_SURROUNDINGS };
