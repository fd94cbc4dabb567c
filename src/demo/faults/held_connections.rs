//! The shop keeps its database connection, in an open transaction, while it does something else.

use std::time::Duration;

use super::{
    Fault, HEALTHY_PAYMENTS, HEALTHY_SHOP, Load, PRODUCTS, ProductRead, ShopTraits, ramp_to,
};

/// Each request holds one of 5 connections for about 27 ms, of which the database works less than
/// one: the knee is near 5 / 27 ms = 185 requests/s.
pub(super) static SPEC: Fault = Fault {
    name: "held-connections",
    summary: "25 ms of other work inside each transaction, 5 connections: knee near 185/s",
    needs_postgres: true,
    expected_rule: Some("db-connections-held"),
    shop: ShopTraits {
        pool_size: 5,
        product_read: ProductRead::HeldTransaction(Duration::from_millis(25)),
        ..HEALTHY_SHOP
    },
    payments: HEALTHY_PAYMENTS,
    load: Load { requests: PRODUCTS, shape: ramp_to(600) },
};
