//! The limit is in the process behind a proxy that calls it over a UNIX socket: all its workers are
//! blocked.

use std::time::Duration;

use super::{
    CallsOver, Fault, HEALTHY, HEALTHY_SHOP, HEALTHY_SURROUNDINGS, Handlers, Load, PRODUCTS, Pause,
    ShopTraits, Surroundings, System, Truth, ramp_to, up_to,
};

/// 4 workers that each page blocks for 25 ms, as in `behind-proxy-workers`: the knee is near 155/s.
/// The proxy opens a UNIX connection for each request, as nginx does to php-fpm and gunicorn. No TCP
/// port leads to the shop.
pub(super) static SPEC: Fault = Fault {
    name: "behind-socket-workers",
    summary: "a proxy calls 4 workers over a UNIX socket, each blocked 25 ms by a page: knee near 155/s",
    needs_postgres: false,
    truth: Truth::knee(&["worker-exhaustion"], 130.0, 163.0),
    broken: System {
        shop: blocked(4),
        surroundings: PROXIED,
        load: Load { requests: PRODUCTS, shape: ramp_to(400) },
        ..HEALTHY
    },
    // Enough workers for three times the load.
    healthy: Some(System {
        shop: blocked(16),
        surroundings: PROXIED,
        load: Load { requests: PRODUCTS, shape: up_to(200) },
        ..HEALTHY
    }),
};

const fn blocked(workers: usize) -> ShopTraits {
    ShopTraits {
        runtime: Handlers::Workers(workers),
        pause: Pause::Blocking(Duration::from_millis(25)),
        ..HEALTHY_SHOP
    }
}

const PROXIED: Surroundings = Surroundings { proxy: Some(CallsOver::Unix), ..HEALTHY_SURROUNDINGS };
