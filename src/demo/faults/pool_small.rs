//! Three pooled connections in front of a database that has room for many more.

use std::time::Duration;

use super::{
    Fault, HEALTHY_PAYMENTS, HEALTHY_SHOP, Load, PRODUCTS, ProductRead, ShopTraits, ramp_to,
};

/// Each read occupies its connection for about 15 ms while the storage answers: the knee is a
/// little below 3 / 15 ms = 200 requests/s, and four connections would carry a third more.
pub(super) static SPEC: Fault = Fault {
    name: "pool-small",
    summary: "a pool of 3 connections, 15 ms per read on slow storage: knee near 195/s",
    needs_postgres: true,
    expected_rule: Some("db-pool-too-small"),
    shop: ShopTraits {
        pool_size: 3,
        product_read: ProductRead::SlowStorage(Duration::from_millis(15)),
        ..HEALTHY_SHOP
    },
    payments: HEALTHY_PAYMENTS,
    load: Load { requests: PRODUCTS, shape: ramp_to(600) },
};
