//! The payments service fails some of the calls that it gets at the same time, each as quickly as it
//! answers the others. The shop retries at once, and so makes more of them meet.

use std::time::Duration;

use super::{
    ChargeTraits, Fault, HEALTHY, HEALTHY_CHARGE, HEALTHY_PAYMENTS, HEALTHY_SHOP, Load, ORDERS,
    PaymentsTraits, ShopTraits, System, Truth, ramp_to, up_to,
};

/// With 4 payments of 30 ms in progress a further one fails. Orders at 70/s make 2 calls at a time,
/// one in seven fails, and its retry comes on top; near 90/s each failure causes another, and an
/// order makes up to six calls. No call ever takes longer: the service is not slow.
pub(super) static SPEC: Fault = Fault {
    name: "quick-retries",
    summary: "payments fails the fifth call at a time, 5 retries at once: collapse near 90/s",
    needs_postgres: false,
    truth: Truth::knee(&["retry-amplification"], 60.0, 130.0),
    broken: System {
        shop: RETRYING,
        payments: PaymentsTraits { fails_from: Some(4), ..PAYMENTS },
        load: Load { requests: ORDERS, shape: ramp_to(300) },
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

const RETRYING: ShopTraits =
    ShopTraits { charge: ChargeTraits { retries: 5, ..HEALTHY_CHARGE }, ..HEALTHY_SHOP };

const PAYMENTS: PaymentsTraits =
    PaymentsTraits { service_time: Duration::from_millis(30), ..HEALTHY_PAYMENTS };
