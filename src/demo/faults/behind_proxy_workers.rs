//! The limit is in the process behind a proxy: all its workers are blocked.

use std::time::Duration;

use super::{
    CallsOver, Fault, HEALTHY, HEALTHY_SHOP, HEALTHY_SURROUNDINGS, Handlers, Load, PRODUCTS, Pause,
    Shape, ShopTraits, Surroundings, System, Truth, ramp_to, up_to,
};

/// 4 workers that each page blocks for 25 ms, behind a proxy: the knee is near 155/s. The proxy,
/// which the load reaches, has no limit and only waits.
pub(super) static SPEC: Fault = Fault {
    name: "behind-proxy-workers",
    summary: "a proxy in front of 4 workers, each blocked 25 ms by a page: knee near 155/s",
    needs_postgres: false,
    truth: Truth::knee(&["worker-exhaustion"], 130.0, 163.0),
    broken: few_workers(CallsOver::Tcp),
    healthy: Some(enough_workers(CallsOver::Tcp)),
};

/// A proxy in front of too few workers.
pub(super) const fn few_workers(calls: CallsOver) -> System {
    behind_proxy(calls, 4, ramp_to(400))
}

/// The same with enough of them for three times the load.
pub(super) const fn enough_workers(calls: CallsOver) -> System {
    behind_proxy(calls, 16, up_to(200))
}

const fn behind_proxy(calls: CallsOver, workers: usize, shape: Shape) -> System {
    System {
        shop: ShopTraits {
            runtime: Handlers::Workers(workers),
            pause: Pause::Blocking(Duration::from_millis(25)),
            ..HEALTHY_SHOP
        },
        surroundings: Surroundings { proxy: Some(calls), ..HEALTHY_SURROUNDINGS },
        load: Load { requests: PRODUCTS, shape },
        ..HEALTHY
    }
}
