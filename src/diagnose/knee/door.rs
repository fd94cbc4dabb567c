//! What the kernel turns away at the target's door: connections that find the listen queue full.
//!
//! A SYN, or the last segment of the handshake, that finds it full is dropped, and the client tries
//! again after a second, then three (listen(2), tcp(7)). Nothing of it shows in the target, whose
//! queue stays as long as it was: it goes on outside of the door, and is not stationary there.

use crate::diagnose::stats;
use crate::timeline::{Kind, Labels, Selector, Timeline, Window, names};

/// Share of the offered load that must be dropped, and the drops per second, to matter.
const DROPPED_SHARE: f64 = 0.01;
const DROPS_PER_SECOND: f64 = 0.5;
/// Share of its limit at which a listen queue is full in the mean of a stage.
const FULL: f64 = 0.9;

/// What is turned away in `window` at `offered` requests per second, in words; `None` where nothing
/// is, or nobody looked.
pub fn turned_away(timeline: &Timeline, window: Window, offered: f64) -> Option<String> {
    let drops = rate(timeline, names::SYSTEM_TCP_LISTEN_DROPS.name, window);
    if drops > (DROPPED_SHARE * offered).max(DROPS_PER_SECOND) {
        return Some(format!("the kernel drops {drops:.0} connections a second at a full door"));
    }
    full_queue(timeline, window)
}

/// The listen queue that is at its limit.
fn full_queue(timeline: &Timeline, window: Window) -> Option<String> {
    timeline.select(&all(names::TCP_ACCEPT_QUEUE.name)).find_map(|(key, _)| {
        let port = key.labels.get("port")?;
        let of_port = |name: &str| {
            let labels = Labels::none().with("port", port);
            level(timeline, &Selector { metric: name.to_owned(), labels }, window)
        };
        let queue = of_port(names::TCP_ACCEPT_QUEUE.name)?;
        let limit = of_port(names::TCP_ACCEPT_QUEUE_LIMIT.name).filter(|limit| *limit > 0.0)?;
        (queue >= FULL * limit)
            .then(|| format!("{queue:.0} of at most {limit:.0} connections wait to be accepted"))
    })
}

fn all(metric: &str) -> Selector {
    Selector { metric: metric.to_owned(), labels: Labels::none() }
}

fn level(timeline: &Timeline, selector: &Selector, window: Window) -> Option<f64> {
    let values: Vec<f64> = timeline
        .select(selector)
        .filter(|(_, series)| series.kind == Kind::Gauge)
        .flat_map(|(_, series)| series.within(window))
        .map(|point| point.value)
        .collect();
    stats::mean(&values)
}

/// Growth per second of all series of a counter.
fn rate(timeline: &Timeline, metric: &str, window: Window) -> f64 {
    timeline.select(&all(metric)).filter_map(|(_, series)| series.rate(window)).sum()
}
