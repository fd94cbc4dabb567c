//! Every product page computes its price anew, and the process may use one core.

use std::time::Duration;

use super::{Fault, HEALTHY_PAYMENTS, HEALTHY_SHOP, Load, PRODUCTS, ShopTraits, ramp_to};

/// 9 ms of processor time each on one core: the knee is at 1 / 9 ms = 111 requests/s.
pub(super) static SPEC: Fault = Fault {
    name: "compute",
    summary: "9 ms of processor time per product page, one core allowed: knee near 110/s",
    needs_postgres: false,
    expected_rule: Some("cpu-saturated"),
    shop: ShopTraits { one_core: true, pricing: Duration::from_millis(9), ..HEALTHY_SHOP },
    payments: HEALTHY_PAYMENTS,
    load: Load { requests: PRODUCTS, shape: ramp_to(400) },
};
