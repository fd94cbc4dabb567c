//! Nothing is wrong, although hundreds of requests are open: each answer takes many seconds, as with
//! long polling. A diagnosis that takes their descriptors for a leak is wrong.

use std::time::Duration;

use super::{
    Fault, HEALTHY, HEALTHY_SHOP, Load, PRODUCTS, Pause, ShopTraits, System, Truth, steady,
};

/// 40 requests/s of 12 s each: 480 are open from the twelfth second on.
pub(super) static SPEC: Fault = Fault {
    name: "long-polls",
    summary: "a healthy shop with 480 open requests: each answer takes 12 s, no knee and no leak",
    needs_postgres: false,
    truth: Truth::HEALTHY,
    broken: System {
        shop: ShopTraits { pause: Pause::Asleep(Duration::from_secs(12)), ..HEALTHY_SHOP },
        load: Load { requests: PRODUCTS, shape: steady(40) },
        ..HEALTHY
    },
    healthy: None,
};
