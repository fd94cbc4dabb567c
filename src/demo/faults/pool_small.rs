//! A pool of three connections to a database that could serve many more.

use std::time::Duration;

use super::{
    Fault, HEALTHY, HEALTHY_SHOP, Load, PRODUCTS, ProductRead, ShopTraits, System, Truth, ramp_to,
    up_to,
};

/// Each read occupies its connection for about 15 ms while the storage answers: the knee is
/// slightly below 3 / 15 ms = 200 requests/s. Four connections would carry a third more.
pub(super) static SPEC: Fault = Fault {
    name: "pool-small",
    summary: "a pool of 3 connections, 15 ms per read on slow storage: knee near 195/s",
    needs_postgres: true,
    truth: Truth::knee(&["db-pool-too-small"], 170.0, 200.0),
    broken: System {
        shop: pooled(3),
        load: Load { requests: PRODUCTS, shape: ramp_to(600) },
        ..HEALTHY
    },
    // Enough connections for five times the load.
    healthy: Some(System {
        shop: pooled(16),
        load: Load { requests: PRODUCTS, shape: up_to(300) },
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
