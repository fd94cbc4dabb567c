//! The catalogue lost its index on the category: each search reads the whole table.

use super::{Fault, HEALTHY_PAYMENTS, HEALTHY_SHOP, Load, SEARCHES, ShopTraits, ramp_to};

/// A scan of 200,000 rows takes PostgreSQL 10 to 20 ms of processor time, so that two cores carry
/// about 100 searches/s.
pub(super) static SPEC: Fault = Fault {
    name: "slow-query",
    summary: "no index on the category, each search scans 200,000 rows: knee near 100/s on 2 cores",
    needs_postgres: true,
    expected_rule: Some("db-queries-slow"),
    shop: ShopTraits { category_index: false, ..HEALTHY_SHOP },
    payments: HEALTHY_PAYMENTS,
    load: Load { requests: SEARCHES, shape: ramp_to(400) },
};
