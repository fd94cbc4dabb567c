//! A control group limits the shop to half a core, on a machine that has idle cores.

use std::time::Duration;

use super::{
    Fault, HEALTHY, HEALTHY_SHOP, HEALTHY_SURROUNDINGS, Load, PRODUCTS, ShopTraits, Surroundings,
    System, Truth, ramp_to, up_to,
};

/// 4 ms of CPU time per page and half a core: the knee is at 0.5 / 4 ms = 125 requests/s, minus the
/// time for reading and writing.
pub(super) static SPEC: Fault = Fault {
    name: "cpu-quota",
    summary: "4 ms of CPU per product page, a quota of half a core: knee near 110/s",
    needs_postgres: false,
    truth: Truth::knee(&["cpu-throttled"], 85.0, 125.0),
    broken: System {
        shop: PRICED,
        surroundings: Surroundings { cpu_quota: Some(0.5), ..HEALTHY_SURROUNDINGS },
        load: Load { requests: PRODUCTS, shape: ramp_to(400) },
        ..HEALTHY
    },
    // A quota that is large enough.
    healthy: Some(System {
        shop: PRICED,
        surroundings: Surroundings { cpu_quota: Some(1.8), ..HEALTHY_SURROUNDINGS },
        load: Load { requests: PRODUCTS, shape: up_to(130) },
        ..HEALTHY
    }),
};

const PRICED: ShopTraits = ShopTraits { pricing: Duration::from_millis(4), ..HEALTHY_SHOP };
