//! Some product pages never give their database connection back to the pool.

use super::{
    Fault, HEALTHY, HEALTHY_KEEPS, HEALTHY_SHOP, Keeps, Load, PRODUCTS, ShopTraits, System, Truth,
    ramp_to, up_to,
};

/// Every 80th page keeps one of 16 connections. After 16 times 80 pages none is left, whatever the
/// rate: there is no knee, although every page fails from then on.
pub(super) static SPEC: Fault = Fault {
    name: "pool-leak",
    summary: "every 80th product page keeps its database connection, 16 connections: fails for good \
              after 1,280 requests",
    needs_postgres: true,
    truth: Truth::apart(&["pool-leak"]),
    broken: System {
        shop: ShopTraits {
            keeps: Keeps { pooled_every: Some(80), ..HEALTHY_KEEPS },
            ..HEALTHY_SHOP
        },
        load: Load { requests: PRODUCTS, shape: ramp_to(300) },
        ..HEALTHY
    },
    healthy: Some(System { load: Load { requests: PRODUCTS, shape: up_to(200) }, ..HEALTHY }),
};
