//! A process-wide lock around something slow: every thread queues for it.

use std::time::Duration;

use super::{
    Fault, HEALTHY, HEALTHY_SHOP, Load, PRODUCTS, Pause, ShopTraits, System, Truth, ramp_to, up_to,
};

/// Each page holds the lock for about 7 ms: the knee is near 1 / 7 ms = 140 requests/s. The machine
/// is idle, no thread uses CPU, and no other process is involved.
pub(super) static SPEC: Fault = Fault {
    name: "app-lock",
    summary: "each product page holds a process-wide lock for 7 ms: knee near 140/s",
    needs_postgres: false,
    truth: Truth::knee(&["app-lock-contention"], 115.0, 145.0),
    broken: System {
        shop: ShopTraits { pause: Pause::Locked(HELD), ..HEALTHY_SHOP },
        load: Load { requests: PRODUCTS, shape: ramp_to(400) },
        ..HEALTHY
    },
    // Waits for the same time without the lock.
    healthy: Some(System {
        shop: ShopTraits { pause: Pause::Asleep(HELD), ..HEALTHY_SHOP },
        load: Load { requests: PRODUCTS, shape: up_to(220) },
        ..HEALTHY
    }),
};

const HELD: Duration = Duration::from_millis(7);
