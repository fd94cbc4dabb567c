//! An order calls the payments service inside its transaction. All connections are in use, the
//! calls are as fast as ever, and the database has nothing to do.

use std::time::Duration;

use super::{
    ChargeTraits, Fault, HEALTHY, HEALTHY_CHARGE, HEALTHY_PAYMENTS, HEALTHY_SHOP, Load, ORDERS,
    PaymentsTraits, ShopTraits, System, Truth, ramp_to, up_to,
};

/// Each order holds one of 5 connections for the 40 ms of the call and a little longer: the knee is
/// near 5 / 43 ms = 116 orders/s, although the payments service could carry more.
pub(super) static SPEC: Fault = Fault {
    name: "downstream-in-transaction",
    summary: "orders call payments (40 ms) inside their transaction, 5 connections: knee near 115/s",
    needs_postgres: true,
    truth: Truth::knee(&["db-connections-held"], 95.0, 125.0),
    broken: System {
        shop: ShopTraits {
            pool_size: 5,
            charge: ChargeTraits { in_transaction: true, ..HEALTHY_CHARGE },
            ..HEALTHY_SHOP
        },
        payments: PAYMENTS,
        load: Load { requests: ORDERS, shape: ramp_to(400) },
        ..HEALTHY
    },
    // The payment is made outside the transaction.
    healthy: Some(System {
        shop: ShopTraits { pool_size: 5, ..HEALTHY_SHOP },
        payments: PAYMENTS,
        load: Load { requests: ORDERS, shape: up_to(200) },
        ..HEALTHY
    }),
};

const PAYMENTS: PaymentsTraits =
    PaymentsTraits { service_time: Duration::from_millis(40), ..HEALTHY_PAYMENTS };
