//! A token bucket admits a fixed rate and answers 429 at once to the rest.

use super::{Fault, HEALTHY_PAYMENTS, HEALTHY_SHOP, Load, PRODUCTS, ShopTraits, ramp_to};

/// Beyond 120 requests/s the rest is refused with `Retry-After`; nothing else is near its limit.
pub(super) static SPEC: Fault = Fault {
    name: "rate-limit",
    summary: "120 requests/s are admitted, the rest gets 429: knee at 120/s",
    needs_postgres: false,
    expected_rule: Some("rate-limited"),
    shop: ShopTraits { admitted_rate: Some(120.0), ..HEALTHY_SHOP },
    payments: HEALTHY_PAYMENTS,
    load: Load { requests: PRODUCTS, shape: ramp_to(400) },
};
