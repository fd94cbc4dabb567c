//! The shop admits a fixed number of requests at a time and rejects the others at once.

use std::time::Duration;

use super::{
    Admission, Fault, HEALTHY, HEALTHY_SHOP, Load, PRODUCTS, Pause, ShopTraits, System, Truth,
    ramp_to, up_to,
};

/// A page takes 40 ms without using anything, and 6 may be in work: it carries at most 6 / 40 ms =
/// 150 requests/s. Requests that come close together are rejected before that. Unlike in
/// `shedding`, nothing is near a limit, and unlike in `rate-limit`, a shop whose pages took half as
/// long would admit twice as many.
pub(super) static SPEC: Fault = Fault {
    name: "few-at-a-time",
    summary: "40 ms per page, 503 at once above 6 at a time: failures above 115/s",
    needs_postgres: false,
    truth: Truth::knee(&["admission-limit"], 100.0, 165.0),
    broken: System {
        shop: ShopTraits {
            pause: Pause::Asleep(Duration::from_millis(40)),
            admission: Admission::InWork(6),
            ..HEALTHY_SHOP
        },
        load: Load { requests: PRODUCTS, shape: ramp_to(400) },
        ..HEALTHY
    },
    // A limit above what the load needs.
    healthy: Some(System {
        shop: ShopTraits {
            pause: Pause::Asleep(Duration::from_millis(40)),
            admission: Admission::InWork(200),
            ..HEALTHY_SHOP
        },
        load: Load { requests: PRODUCTS, shape: up_to(200) },
        ..HEALTHY
    }),
};
