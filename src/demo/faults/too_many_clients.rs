//! The pool may open more connections than the database admits.

use std::time::Duration;

use super::{
    DatabaseTraits, Fault, HEALTHY, HEALTHY_DATABASE, HEALTHY_SHOP, Load, PRODUCTS, ProductRead,
    ShopTraits, System, Truth, ramp_to, up_to,
};

/// Of 20 connections, PostgreSQL reserves 3 for superusers, and the monitor uses one. So 16 reads
/// of 100 ms can run at once, which is 160 requests/s, while the pool would open 40 connections. A
/// request that needs one more fails at once.
pub(super) static SPEC: Fault = Fault {
    name: "too-many-clients",
    summary: "a pool of 40 connections, a database that accepts 17: failures above 150/s",
    needs_postgres: true,
    truth: Truth::knee(&["db-connections-refused"], 100.0, 165.0),
    broken: System {
        shop: POOL_OF_FORTY,
        database: DatabaseTraits { max_connections: 20, ..HEALTHY_DATABASE },
        load: Load { requests: PRODUCTS, shape: ramp_to(400) },
        ..HEALTHY
    },
    // A database that admits as many connections as the pool may open.
    healthy: Some(System {
        shop: POOL_OF_FORTY,
        load: Load { requests: PRODUCTS, shape: up_to(220) },
        ..HEALTHY
    }),
};

const POOL_OF_FORTY: ShopTraits = ShopTraits {
    pool_size: 40,
    product_read: ProductRead::SlowStorage(Duration::from_millis(100)),
    ..HEALTHY_SHOP
};
