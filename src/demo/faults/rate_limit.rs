//! A token bucket admits a fixed rate and rejects the rest at once with 429.

use super::{
    Admission, Fault, HEALTHY, HEALTHY_SHOP, Load, PRODUCTS, ShopTraits, System, Truth, ramp_to,
    up_to,
};

/// Above 120 requests/s the rest is rejected with `Retry-After`; nothing else is near its limit.
pub(super) static SPEC: Fault = Fault {
    name: "rate-limit",
    summary: "accepts 120 requests/s, answers 429 to the rest: knee at 120/s",
    needs_postgres: false,
    truth: Truth::knee(&["rate-limited"], 105.0, 130.0),
    broken: System {
        shop: ShopTraits { admission: Admission::Rate(120.0), ..HEALTHY_SHOP },
        load: Load { requests: PRODUCTS, shape: ramp_to(400) },
        ..HEALTHY
    },
    // A limit above the load.
    healthy: Some(System {
        shop: ShopTraits { admission: Admission::Rate(2_000.0), ..HEALTHY_SHOP },
        load: Load { requests: PRODUCTS, shape: up_to(200) },
        ..HEALTHY
    }),
};
