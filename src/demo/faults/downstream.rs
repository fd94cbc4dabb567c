//! The payments service works on three payments at a time; the shop waits for it.

use std::time::Duration;

use super::{Fault, HEALTHY_SHOP, Load, ORDERS, PaymentsTraits, ramp_to};

/// 3 slots of about 21 ms each: the knee is near 140 orders/s.
pub(super) static SPEC: Fault = Fault {
    name: "downstream",
    summary: "the payments service has 3 slots of 20 ms: knee near 140/s",
    needs_postgres: false,
    expected_rule: Some("downstream-wait"),
    shop: HEALTHY_SHOP,
    payments: PaymentsTraits { slots: 3, service_time: Duration::from_millis(20) },
    load: Load { requests: ORDERS, shape: ramp_to(500) },
};
