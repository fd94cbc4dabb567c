//! A slow report that is a small part of the load takes most of the threads, and product pages wait
//! for one.

use std::time::Duration;

use super::{
    Fault, HEALTHY, HEALTHY_SHOP, Load, Pause, RequestShare, Shape, ShopRequest, ShopTraits,
    System, Truth, up_to,
};

/// 6 threads; of 100 requests, 92 take 5 ms and 8 take 0.5 s: 45 ms on average, and the knee is near
/// 135 requests/s. It comes earlier where some reports meet by chance.
pub(super) static SPEC: Fault = Fault {
    name: "heavy-report",
    summary: "8 % of the requests are reports of 0.5 s, which take 6 threads: knee near 135/s",
    needs_postgres: false,
    truth: Truth::knee(&["worker-exhaustion"], 95.0, 155.0).in_endpoint("report"),
    broken: System {
        shop: on_threads(6),
        load: Load { requests: REPORTING, shape: LONG_STAGES },
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

/// Long enough for several reports to begin and end in each.
const LONG_STAGES: Shape = Shape::Breakpoint { start_rate: 20, max_rate: 400, hold_s: 8 };

const fn on_threads(threads: usize) -> ShopTraits {
    ShopTraits {
        pause: Pause::OnThreads(threads, Duration::from_millis(5)),
        report: Duration::from_millis(500),
        ..HEALTHY_SHOP
    }
}
