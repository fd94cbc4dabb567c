//! The pool is full, but it is not the cause: all its connections are busy with slow queries on a
//! database that has no CPU left.

use super::{
    DatabaseTraits, Fault, HEALTHY, HEALTHY_DATABASE, HEALTHY_SHOP, Load, SEARCHES, ShopTraits,
    System, Truth, ramp_to, up_to,
};

/// Like `slow-query`, with four connections: a larger pool would not help.
pub(super) static SPEC: Fault = Fault {
    name: "slow-query-small-pool",
    summary: "4 connections, all busy with searches without an index: knee at 50 to 130/s",
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
