//! Invoice numbers without gaps: every order takes the next number from one row, and keeps the row
//! locked during its remaining work.

use std::time::Duration;

use super::{
    Fault, HEALTHY, HEALTHY_SHOP, Load, ORDERS, ShopTraits, System, Truth, ramp_to, up_to,
};

/// Each order locks the row for about 8.5 ms, and the orders queue for it: the knee is near 1 / 8.5
/// ms = 115 orders/s, for any size of the pool.
pub(super) static SPEC: Fault = Fault {
    name: "row-lock",
    summary: "each order locks the invoice-number row for 7 ms: knee near 115/s",
    needs_postgres: true,
    truth: Truth::knee(&["db-lock-wait"], 90.0, 125.0),
    broken: System {
        shop: ShopTraits {
            pool_size: 20,
            invoice_held: Some(Duration::from_millis(7)),
            ..HEALTHY_SHOP
        },
        load: Load { requests: ORDERS, shape: ramp_to(400) },
        ..HEALTHY
    },
    // The lock is taken at the very end.
    healthy: Some(System {
        shop: ShopTraits { pool_size: 20, invoice_held: Some(Duration::ZERO), ..HEALTHY_SHOP },
        load: Load { requests: ORDERS, shape: up_to(200) },
        ..HEALTHY
    }),
};
