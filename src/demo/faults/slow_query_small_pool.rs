//! The pool is full, and it is not the pool: its connections are all busy with slow queries on a
//! database that has no processor time left.

use super::{
    DatabaseTraits, Fault, HEALTHY, HEALTHY_DATABASE, HEALTHY_SHOP, Load, SEARCHES, ShopTraits,
    System, Truth, ramp_to, up_to,
};

/// As `slow-query`, with four connections: a larger pool would carry nothing more.
pub(super) static SPEC: Fault = Fault {
    name: "slow-query-small-pool",
    summary: "4 connections, all taken by searches without an index on one core: knee near 80/s",
    needs_postgres: true,
    truth: Truth::one_at_a_time(&["db-queries-slow"]),
    broken: System {
        shop: FOUR,
        database: DatabaseTraits { category_index: false, one_core: true, ..HEALTHY_DATABASE },
        load: Load { requests: SEARCHES, shape: ramp_to(400) },
        ..HEALTHY
    },
    // The index is back, and four connections are enough.
    healthy: Some(System {
        shop: FOUR,
        database: DatabaseTraits { one_core: true, ..HEALTHY_DATABASE },
        load: Load { requests: SEARCHES, shape: up_to(200) },
        ..HEALTHY
    }),
};

const FOUR: ShopTraits = ShopTraits { pool_size: 4, ..HEALTHY_SHOP };
