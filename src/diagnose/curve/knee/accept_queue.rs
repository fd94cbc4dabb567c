//! What the kernel drops because the target's accept queue is full.
//!
//! A SYN, or the last segment of the handshake, that finds the queue full is dropped, and the client
//! tries again after a second, then three (listen(2), tcp(7)). The target sees nothing of it, and its
//! queue is no longer than before: the clients wait outside, and there are more of them all the
//! time.

use crate::diagnose::measure::level::gauge;
use crate::diagnose::terms::model::{Quantiles, StageSummary};
use crate::diagnose::terms::operand::bare;
use crate::timeline::{Labels, MetricSpec, Selector, Timeline, Window, names};

/// Share of the offered load that must be dropped, and the drops per second, to matter.
const DROPPED_SHARE: f64 = 0.01;
const DROPS_PER_SECOND: f64 = 0.5;
/// Share of its limit at which an accept queue is full in the mean of a stage.
const FULL: f64 = 0.9;
/// Share of its limit that a queue must have come to at one look at least to have overflowed
/// between two, and how many looks it takes to say that it never did.
const FILLED: f64 = 0.5;
const ENOUGH_LOOKS: usize = 20;
/// What is dropped is sent again after this many seconds at the earliest: `TCP_RTO_MIN` of Linux
/// (include/net/tcp.h). A SYN is after a whole second.
const SENT_AGAIN: f64 = 0.2;

/// What is dropped in a stage, or about to be, in words; `None` where nothing is, or nobody looked.
pub fn overflow(timeline: &Timeline, stage: &StageSummary) -> Option<String> {
    let window = stage.window;
    let drops = rate(timeline, &names::SYSTEM_TCP_LISTEN_DROPS, window);
    let matters = drops > (DROPPED_SHARE * stage.offered).max(DROPS_PER_SECOND);
    // The kernel counts drops for the whole machine: they may be another service's.
    if matters && !nobody_waited(stage) && !never_filled(timeline, window) {
        return Some(format!(
            "the kernel drops {drops:.0} connections per second because the accept queue is full"
        ));
    }
    full_queue(timeline, window)
}

/// Whether no request took as long as one whose connection was dropped takes at least.
fn nobody_waited(stage: &StageSummary) -> bool {
    let slowest = |times: Option<Quantiles>| times.map_or(0.0, |times| times.max);
    stage.held_back == 0 && slowest(stage.response).max(slowest(stage.failures)) < SENT_AGAIN
}

/// Whether the target's accept queues were looked at often and never got near their limits.
fn never_filled(timeline: &Timeline, window: Window) -> bool {
    let mut looks = 0;
    for (key, series) in timeline.select(&bare(&names::TCP_ACCEPT_QUEUE)) {
        let labels = key.labels.clone();
        let limit = Selector { labels, ..bare(&names::TCP_ACCEPT_QUEUE_LIMIT) };
        let Some(limit) = gauge(timeline, &limit, window) else { return false };
        let points = series.within(window);
        looks += points.len();
        if points.iter().any(|point| point.value >= FILLED * limit) {
            return false;
        }
    }
    looks >= ENOUGH_LOOKS
}

/// The accept queue that is at its limit.
fn full_queue(timeline: &Timeline, window: Window) -> Option<String> {
    timeline.select(&bare(&names::TCP_ACCEPT_QUEUE)).find_map(|(key, _)| {
        let port = key.labels.get("port")?;
        let of_port = |metric: &MetricSpec| {
            let labels = Labels::none().with("port", port);
            gauge(timeline, &Selector { labels, ..bare(metric) }, window)
        };
        let queue = of_port(&names::TCP_ACCEPT_QUEUE)?;
        let limit = of_port(&names::TCP_ACCEPT_QUEUE_LIMIT).filter(|limit| *limit > 0.0)?;
        (queue >= FULL * limit)
            .then(|| format!("{queue:.0} connections wait in an accept queue of {limit:.0}"))
    })
}

/// Growth per second of all series of a counter.
fn rate(timeline: &Timeline, metric: &MetricSpec, window: Window) -> f64 {
    timeline.select(&bare(metric)).filter_map(|(_, series)| series.rate(window)).sum()
}
