//! Two faults at once: the one with the lower capacity is the cause.

use std::time::Duration;

use super::{
    Fault, HEALTHY, HEALTHY_PAYMENTS, HEALTHY_SHOP, Load, ORDERS, PaymentsTraits, ShopTraits,
    System, Truth, ramp_to, up_to,
};

/// The payments service carries 2 / 26 ms = 77 orders/s. The row of the invoice numbers, which an
/// order reaches first, carries about 115. Above that rate orders queue there as well, but it is
/// not the cause.
pub(super) static SPEC: Fault = Fault {
    name: "two-limits",
    summary: "payments with 2 slots of 25 ms (77/s) and a row lock of 7 ms (115/s): knee near 77/s",
    needs_postgres: true,
    truth: Truth::knee(&["downstream-wait"], 65.0, 82.0),
    broken: System {
        shop: ShopTraits {
            pool_size: 20,
            invoice_held: Some(Duration::from_millis(7)),
            ..HEALTHY_SHOP
        },
        payments: PaymentsTraits { slots: 2, ..PAYMENTS },
        load: Load { requests: ORDERS, shape: ramp_to(400) },
        ..HEALTHY
    },
    // Enough capacity on both sides.
    healthy: Some(System {
        shop: ShopTraits { pool_size: 20, invoice_held: Some(Duration::ZERO), ..HEALTHY_SHOP },
        payments: PAYMENTS,
        load: Load { requests: ORDERS, shape: up_to(160) },
        ..HEALTHY
    }),
};

const PAYMENTS: PaymentsTraits =
    PaymentsTraits { service_time: Duration::from_millis(25), ..HEALTHY_PAYMENTS };
