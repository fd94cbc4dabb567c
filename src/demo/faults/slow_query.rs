//! The catalogue lost its index on the category: each search reads the whole table.

use super::{
    DatabaseTraits, Fault, HEALTHY, HEALTHY_DATABASE, Load, SEARCHES, System, Truth, ramp_to, up_to,
};

/// A scan of 200,000 rows takes PostgreSQL 10 to 20 ms of processor time. The database may use
/// one core, so that the knee lies in the same place on any machine and the load is left with a
/// core of its own on a small one.
pub(super) static SPEC: Fault = Fault {
    name: "slow-query",
    summary: "no index on the category, each search scans 200,000 rows on one core: knee near 80/s",
    needs_postgres: true,
    truth: Truth::one_at_a_time(&["db-queries-slow"]),
    broken: System {
        database: DatabaseTraits { category_index: false, one_core: true, ..HEALTHY_DATABASE },
        load: Load { requests: SEARCHES, shape: ramp_to(400) },
        ..HEALTHY
    },
    // The index is back.
    healthy: Some(System {
        database: DatabaseTraits { one_core: true, ..HEALTHY_DATABASE },
        load: Load { requests: SEARCHES, shape: up_to(200) },
        ..HEALTHY
    }),
};
