//! Nothing is wrong, although hundreds of requests are open: each answer takes many seconds, as with
//! long polling. A diagnosis that takes their descriptors for a leak is wrong.

use std::time::Duration;

use super::{
    Fault, HEALTHY, HEALTHY_SHOP, Load, PRODUCTS, Pause, ShopTraits, System, Truth, steady,
};

/// 40 requests/s of 6 s each: 240 are open from the sixth second on. The usual timeout is 10 s.
pub(super) static SPEC: Fault = Fault {
    name: "long-polls",
    summary: "a healthy shop with 240 open requests: each answer takes 6 s, no knee and no leak",
    needs_postgres: false,
    truth: Truth::HEALTHY,
    broken: System {
        shop: ShopTraits { pause: Pause::Asleep(Duration::from_secs(6)), ..HEALTHY_SHOP },
        load: Load { requests: PRODUCTS, shape: steady(40) },
        ..HEALTHY
    },
    healthy: None,
};
