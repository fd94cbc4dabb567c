//! The shop keeps its database connection, in an open transaction, while it does other work.

use std::time::Duration;

use super::{
    Fault, HEALTHY, HEALTHY_SHOP, Load, PRODUCTS, Pause, ProductRead, ShopTraits, System, Truth,
    ramp_to, up_to,
};

/// Each request holds one of 5 connections for about 27 ms, of which the database works for less
/// than 1 ms: the knee is near 5 / 27 ms = 185 requests/s.
pub(super) static SPEC: Fault = Fault {
    name: "held-connections",
    summary: "25 ms of other work inside each transaction, 5 connections: knee near 185/s",
    needs_postgres: true,
    truth: Truth::knee(&["db-connections-held"], 150.0, 200.0),
    broken: System {
        shop: ShopTraits {
            pool_size: 5,
            product_read: ProductRead::HeldTransaction(OTHER_WORK),
            ..HEALTHY_SHOP
        },
        load: Load { requests: PRODUCTS, shape: ramp_to(600) },
        ..HEALTHY
    },
    // The same work, done after the connection is returned to the pool.
    healthy: Some(System {
        shop: ShopTraits { pool_size: 5, pause: Pause::Asleep(OTHER_WORK), ..HEALTHY_SHOP },
        load: Load { requests: PRODUCTS, shape: up_to(250) },
        ..HEALTHY
    }),
};

const OTHER_WORK: Duration = Duration::from_millis(25);
