//! The catalogue lost its index on the category: each search reads the whole table.

use super::{Fault, HEALTHY_PAYMENTS, HEALTHY_SHOP, Load, SEARCHES, ShopTraits, ramp_to};

/// A scan of 200,000 rows takes PostgreSQL 10 to 20 ms of processor time. The database may use
/// one core, so that the knee lies in the same place on any machine and the load is left with a
/// core of its own on a small one.
pub(super) static SPEC: Fault = Fault {
    name: "slow-query",
    summary: "no index on the category, each search scans 200,000 rows on one core: knee near 80/s",
    needs_postgres: true,
    expected_rule: Some("db-queries-slow"),
    shop: ShopTraits { category_index: false, database_on_one_core: true, ..HEALTHY_SHOP },
    payments: HEALTHY_PAYMENTS,
    load: Load { requests: SEARCHES, shape: ramp_to(400) },
};
