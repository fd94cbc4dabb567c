//! The catalogue has lost its index on the category: each search reads the whole table.

use super::{
    DatabaseTraits, Fault, HEALTHY, HEALTHY_DATABASE, Load, SEARCHES, System, Truth, ramp_to, up_to,
};

/// The database may use one core and runs one scan at a time: the knee is near 1 / (time of a
/// scan). A scan of 200,000 rows takes 7 to 20 ms of CPU, depending on the machine.
pub(super) static SPEC: Fault = Fault {
    name: "slow-query",
    summary: "no index on the category, searches scan 200,000 rows on one core: knee at 50 to 130/s",
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
