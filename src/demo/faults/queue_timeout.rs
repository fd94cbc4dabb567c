//! Requests wait for one of a few places, and those that wait for too long are rejected.

use std::time::Duration;

use super::{
    Admission, Fault, HEALTHY, HEALTHY_SHOP, Load, PRODUCTS, Pause, ShopTraits, System, Truth,
    ramp_to, up_to,
};

/// A page takes 40 ms without using anything, and 6 may be in work: the knee is at 6 / 40 ms = 150
/// requests/s. The others wait for at most 250 ms, and then get 503.
pub(super) static SPEC: Fault = Fault {
    name: "queue-timeout",
    summary: "40 ms per page, 6 at a time, 503 after 250 ms in the queue: knee near 140/s",
    needs_postgres: false,
    truth: Truth::knee(&["queue-timeout"], 100.0, 165.0),
    broken: System {
        shop: ShopTraits {
            pause: Pause::Asleep(Duration::from_millis(40)),
            admission: Admission::Queue { at_a_time: 6, at_most: Duration::from_millis(250) },
            ..HEALTHY_SHOP
        },
        load: Load { requests: PRODUCTS, shape: ramp_to(400) },
        ..HEALTHY
    },
    // More places than the load needs.
    healthy: Some(System {
        shop: ShopTraits {
            pause: Pause::Asleep(Duration::from_millis(40)),
            admission: Admission::Queue { at_a_time: 200, at_most: Duration::from_millis(250) },
            ..HEALTHY_SHOP
        },
        load: Load { requests: PRODUCTS, shape: up_to(200) },
        ..HEALTHY
    }),
};
