//! Every product page computes its price again, and the process may use one core.

use std::time::Duration;

use super::{
    Fault, HEALTHY, HEALTHY_SHOP, Load, PRODUCTS, ShopTraits, System, Truth, ramp_to, up_to,
};

/// 9 ms of CPU time per page on one core: the knee is at 1 / 9 ms = 111 requests/s.
pub(super) static SPEC: Fault = Fault {
    name: "compute",
    summary: "9 ms of CPU per product page, one core allowed: knee near 110/s",
    needs_postgres: false,
    truth: Truth::knee(&["cpu-saturated"], 95.0, 112.0),
    broken: System {
        shop: ShopTraits { one_core: true, pricing: Duration::from_millis(9), ..HEALTHY_SHOP },
        load: Load { requests: PRODUCTS, shape: ramp_to(400) },
        ..HEALTHY
    },
    // A tenth of the work for the same pages.
    healthy: Some(System {
        shop: ShopTraits { one_core: true, pricing: Duration::from_micros(900), ..HEALTHY_SHOP },
        load: Load { requests: PRODUCTS, shape: up_to(200) },
        ..HEALTHY
    }),
};
