//! What the kernel turns away at the target's door: connections that find the listen queue full.
//!
//! A SYN, or the last segment of the handshake, that finds it full is dropped, and the client tries
//! again after a second, then three (listen(2), tcp(7)). Nothing of it shows in the target, whose
//! queue stays as long as it was: it goes on outside of the door, and is not stationary there.

use crate::diagnose::facts::bare;
use crate::diagnose::level::gauge;
use crate::timeline::{Labels, MetricSpec, Selector, Timeline, Window, names};

/// Share of the offered load that must be dropped, and the drops per second, to matter.
const DROPPED_SHARE: f64 = 0.01;
const DROPS_PER_SECOND: f64 = 0.5;
/// Share of its limit at which a listen queue is full in the mean of a stage.
const FULL: f64 = 0.9;

/// What is turned away in `window` at `offered` requests per second, in words; `None` where nothing
/// is, or nobody looked.
pub fn turned_away(timeline: &Timeline, window: Window, offered: f64) -> Option<String> {
    let drops = rate(timeline, &names::SYSTEM_TCP_LISTEN_DROPS, window);
    if drops > (DROPPED_SHARE * offered).max(DROPS_PER_SECOND) {
        return Some(format!("the kernel drops {drops:.0} connections a second at a full door"));
    }
    full_queue(timeline, window)
}

/// The listen queue that is at its limit.
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
            .then(|| format!("{queue:.0} of at most {limit:.0} connections wait to be accepted"))
    })
}

/// Growth per second of all series of a counter.
fn rate(timeline: &Timeline, metric: &MetricSpec, window: Window) -> f64 {
    timeline.select(&bare(metric)).filter_map(|(_, series)| series.rate(window)).sum()
}
