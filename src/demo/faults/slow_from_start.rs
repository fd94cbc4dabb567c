//! Slow at any load, but not slower at high load: the times are long, but there is no knee.

use std::time::Duration;

use super::{
    Fault, HEALTHY, HEALTHY_SHOP, Load, PRODUCTS, Pause, ShopTraits, System, Truth, up_to,
};

/// Every page takes 400 ms, and nothing has a limit.
pub(super) static SPEC: Fault = Fault {
    name: "slow-from-start",
    summary: "every product page takes 400 ms at any load: slow, and no knee",
    needs_postgres: false,
    truth: Truth::HEALTHY,
    broken: System {
        shop: ShopTraits { pause: Pause::Asleep(Duration::from_millis(400)), ..HEALTHY_SHOP },
        load: Load { requests: PRODUCTS, shape: up_to(200) },
        ..HEALTHY
    },
    healthy: None,
};
