//! The limit is in the process behind a proxy that calls it over a UNIX socket: all its workers are
//! blocked.

use super::behind_proxy_workers::{enough_workers, few_workers};
use super::{CallsOver, Fault, Truth};

/// 4 workers that each page blocks for 25 ms, as in `behind-proxy-workers`: the knee is near 155/s.
/// The proxy opens a UNIX connection for each request, as nginx does to php-fpm and gunicorn. No TCP
/// port leads to the shop.
pub(super) static SPEC: Fault = Fault {
    name: "behind-socket-workers",
    summary: "a proxy calls 4 workers over a UNIX socket, each blocked 25 ms by a page: knee near 155/s",
    needs_postgres: false,
    truth: Truth::knee(&["worker-exhaustion"], 130.0, 163.0),
    broken: few_workers(CallsOver::Unix),
    healthy: Some(enough_workers(CallsOver::Unix)),
};
