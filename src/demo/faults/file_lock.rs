//! Every product page needs the lock of one file, as a write to an SQLite database does.

use std::time::Duration;

use super::{
    Fault, HEALTHY, HEALTHY_SHOP, Load, PRODUCTS, Pause, ShopTraits, System, Truth, ramp_to, up_to,
};

/// Each page holds the lock for about 7 ms, which is 140 pages/s. Who does not get it sleeps and asks
/// again, for up to 0.1 s, so that it is free for a part of the time: the knee lies a little lower. No
/// thread waits in a lock that the kernel knows.
pub(super) static SPEC: Fault = Fault {
    name: "file-lock",
    summary: "each product page holds the lock of one file for 7 ms, and polls for it: knee near 130/s",
    needs_postgres: false,
    truth: Truth::knee(&["file-lock-contention"], 95.0, 145.0),
    broken: System {
        shop: ShopTraits { pause: Pause::FileLocked(HELD), ..HEALTHY_SHOP },
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
