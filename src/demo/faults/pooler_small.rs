//! A pool behind a pool: sixteen connections to a pooler that has three to the database.

use std::time::Duration;

use super::{
    BeforeDatabase, Fault, HEALTHY, HEALTHY_SHOP, HEALTHY_SURROUNDINGS, Load, PRODUCTS,
    ProductRead, ShopTraits, Surroundings, System, Truth, ramp_to, up_to,
};

/// Each read occupies a connection to the database for about 15 ms: the knee is slightly below
/// 3 / 15 ms = 200 requests/s. At the knee all connections of the shop are in use too. They are not
/// held, and more of them would not help: their calls wait in the pooler.
pub(super) static SPEC: Fault = Fault {
    name: "pooler-small",
    summary: "a pool of 16 behind a pooler with 3 connections, 15 ms per read: knee near 190/s",
    needs_postgres: true,
    truth: Truth::knee(&["pooler-pool-too-small"], 160.0, 200.0),
    broken: behind_pooler(3, ramp_to(600)),
    // As many connections of the pooler as of the shop.
    healthy: Some(behind_pooler(16, up_to(300))),
};

const fn behind_pooler(connections: usize, shape: super::Shape) -> System {
    System {
        shop: ShopTraits {
            product_read: ProductRead::SlowStorage(Duration::from_millis(15)),
            ..HEALTHY_SHOP
        },
        surroundings: Surroundings {
            before_database: BeforeDatabase::Pooler(connections),
            ..HEALTHY_SURROUNDINGS
        },
        load: Load { requests: PRODUCTS, shape },
        ..HEALTHY
    }
}
