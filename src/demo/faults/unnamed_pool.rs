//! A pool of three connections whose gauges have names of their own, and a proxy between the shop and
//! its database.

use std::time::Duration;

use super::{
    BeforeDatabase, Fault, HEALTHY, HEALTHY_SHOP, HEALTHY_SURROUNDINGS, Load, PRODUCTS, PoolGauges,
    ProductRead, ShopTraits, Surroundings, System, Truth, ramp_to, up_to,
};

/// The same limit as in `pool-small`: 3 connections, 15 ms for each read, a little more for the way
/// through the proxy. The shop's peer is the proxy, on a port that says nothing, and no table knows
/// the names of the pool's gauges. A diagnosis has to find out that the peer leads to PostgreSQL
/// and that the gauges are those of a pool.
pub(super) static SPEC: Fault = Fault {
    name: "unnamed-pool",
    summary: "a pool of 3 with unusual gauges, a proxy in front of the database: knee near 190/s",
    needs_postgres: true,
    truth: Truth::knee(&["db-pool-too-small"], 160.0, 200.0),
    broken: System {
        shop: pooled(3),
        surroundings: PROXIED_DATABASE,
        load: Load { requests: PRODUCTS, shape: ramp_to(600) },
        ..HEALTHY
    },
    // Enough connections for five times the load.
    healthy: Some(System {
        shop: pooled(16),
        surroundings: PROXIED_DATABASE,
        load: Load { requests: PRODUCTS, shape: up_to(300) },
        ..HEALTHY
    }),
};

const fn pooled(pool_size: usize) -> ShopTraits {
    ShopTraits {
        pool_size,
        pool_gauges: PoolGauges::OwnNames,
        product_read: ProductRead::SlowStorage(Duration::from_millis(15)),
        ..HEALTHY_SHOP
    }
}

const PROXIED_DATABASE: Surroundings =
    Surroundings { before_database: BeforeDatabase::Proxy, ..HEALTHY_SURROUNDINGS };
