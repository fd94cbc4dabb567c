//! The shop abandons a slow call to the payments service and retries it up to three times. The
//! service still works on the abandoned calls.

use std::time::Duration;

use super::{
    ChargeTraits, Fault, HEALTHY, HEALTHY_CHARGE, HEALTHY_PAYMENTS, HEALTHY_SHOP, Load, ORDERS,
    PaymentsTraits, ShopTraits, System, Truth, ramp_to, up_to,
};

/// 3 slots of 20 ms carry 150 payments/s as long as no call waits longer than 120 ms. After that,
/// each order makes up to four calls, of which all but one are wasted, and goodput falls.
///
/// The payments service is full first. Then the retries multiply its load and make it collapse.
pub(super) static SPEC: Fault = Fault {
    name: "retry-storm",
    summary: "payments has 3 slots of 20 ms, 3 retries after 120 ms each: collapse at 140/s",
    needs_postgres: false,
    truth: Truth::knee(&["retry-amplification"], 110.0, 150.0),
    broken: System {
        shop: RETRYING,
        payments: PaymentsTraits { slots: 3, ..PAYMENTS },
        load: Load { requests: ORDERS, shape: ramp_to(400) },
        ..HEALTHY
    },
    // The same retries, but nothing triggers them.
    healthy: Some(System {
        shop: RETRYING,
        payments: PAYMENTS,
        load: Load { requests: ORDERS, shape: up_to(180) },
        ..HEALTHY
    }),
};

const RETRYING: ShopTraits = ShopTraits {
    charge: ChargeTraits {
        timeout: Some(Duration::from_millis(120)),
        retries: 3,
        ..HEALTHY_CHARGE
    },
    ..HEALTHY_SHOP
};

const PAYMENTS: PaymentsTraits =
    PaymentsTraits { service_time: Duration::from_millis(20), ..HEALTHY_PAYMENTS };
