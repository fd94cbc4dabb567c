//! A shop that needs much CPU rejects requests that it cannot serve soon.

use std::time::Duration;

use super::{
    Admission, Fault, HEALTHY, HEALTHY_SHOP, Load, PRODUCTS, ShopTraits, System, Truth, ramp_to,
    up_to,
};

/// 9 ms of CPU time per page on one core: the knee is at 1 / 9 ms = 111 requests/s. Beyond that, 12
/// requests are in flight and the rest gets 503 at once, which keeps the admitted requests fast.
/// The rejections show that the limit is reached; the limit is the core.
pub(super) static SPEC: Fault = Fault {
    name: "shedding",
    summary: "9 ms of CPU per page on one core, 503 above 12 in flight: knee near 105/s",
    needs_postgres: false,
    truth: Truth::knee(&["cpu-saturated"], 85.0, 115.0),
    broken: System {
        shop: ShopTraits { pricing: Duration::from_millis(9), ..SHEDDING },
        load: Load { requests: PRODUCTS, shape: ramp_to(300) },
        ..HEALTHY
    },
    // A tenth of the work for the same pages.
    healthy: Some(System {
        shop: ShopTraits { pricing: Duration::from_micros(900), ..SHEDDING },
        load: Load { requests: PRODUCTS, shape: up_to(180) },
        ..HEALTHY
    }),
};

const SHEDDING: ShopTraits =
    ShopTraits { one_core: true, admission: Admission::InWork(12), ..HEALTHY_SHOP };
