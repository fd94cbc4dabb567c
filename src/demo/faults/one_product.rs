//! Nothing is wrong with the shop, but with its test: all requests ask for one product, which the
//! shop reads once and keeps in its memory.

use std::time::Duration;

use super::{
    Fault, HEALTHY, HEALTHY_SHOP, Load, PRODUCTS, Pause, RequestShare, ShopRequest, ShopTraits,
    System, Truth, up_to,
};

/// The database answers the first request only. There is no knee.
pub(super) static SPEC: Fault = Fault {
    name: "one-product",
    summary: "all requests ask for one product, which the shop has in its memory: too clean a test",
    needs_postgres: true,
    truth: Truth::apart(&["cache-illusion"]),
    broken: System {
        shop: REMEMBERING,
        load: Load { requests: ONE, shape: up_to(150) },
        ..HEALTHY
    },
    // The same memory, and requests that it does not hold the answers to.
    healthy: Some(System {
        shop: REMEMBERING,
        load: Load { requests: PRODUCTS, shape: up_to(150) },
        ..HEALTHY
    }),
};

/// A page takes long enough for the generator's lateness on a busy machine not to matter.
const REMEMBERING: ShopTraits =
    ShopTraits { remembers: true, pause: Pause::Asleep(Duration::from_millis(15)), ..HEALTHY_SHOP };

const ONE: &[RequestShare] = &[RequestShare { request: ShopRequest::OneProduct, weight: 1 }];
