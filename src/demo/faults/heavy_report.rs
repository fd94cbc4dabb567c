//! A slow report that is a small part of the load takes most of the threads, and product pages wait
//! for one.

use std::time::Duration;

use super::{
    Fault, HEALTHY, HEALTHY_SHOP, Load, Pause, RequestShare, ShopRequest, ShopTraits, System,
    Truth, ramp_to, up_to,
};

/// 12 threads; of 100 requests, 92 take 5 ms and 8 take 1 s: 85 ms on average, and the knee is near
/// 140 requests/s. It comes earlier where some reports meet by chance.
pub(super) static SPEC: Fault = Fault {
    name: "heavy-report",
    summary: "8 % of the requests are reports of 1 s, which take 12 threads: knee near 135/s",
    needs_postgres: false,
    truth: Truth::knee(&["worker-exhaustion"], 90.0, 150.0).in_endpoint("report"),
    broken: System {
        shop: on_threads(12),
        load: Load { requests: REPORTING, shape: ramp_to(400) },
        ..HEALTHY
    },
    // Reports take as long, but there are enough threads.
    healthy: Some(System {
        shop: on_threads(200),
        load: Load { requests: REPORTING, shape: up_to(200) },
        ..HEALTHY
    }),
};

const REPORTING: &[RequestShare] = &[
    RequestShare { request: ShopRequest::Product, weight: 92 },
    RequestShare { request: ShopRequest::Report, weight: 8 },
];

const fn on_threads(threads: usize) -> ShopTraits {
    ShopTraits {
        pause: Pause::OnThreads(threads, Duration::from_millis(5)),
        report: Duration::from_secs(1),
        ..HEALTHY_SHOP
    }
}
