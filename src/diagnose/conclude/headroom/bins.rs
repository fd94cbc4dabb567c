//! A recording in bins of equal length, and which of them were carried well.

use crate::diagnose::terms::stats;
use crate::timeline::{LoadTick, Timeline, Window};

/// Most bins that a recording is cut into, and ticks of one at least: with fewer a mean says little.
const MOST_BINS: usize = 120;
const USUAL_TICKS: usize = 4;
/// A short recording is cut into shorter bins, so that there are this many: what a mean of few ticks
/// says less, more bins say more, as long as a counter is read twice in each.
const SHORT_RECORDING: usize = 16;
const FEWEST_TICKS: usize = 2;
/// A bin was carried well where at most this share of its requests failed beyond what always does,
const FAILED: f64 = 0.01;
/// and its mean response time is at most this many times the usual one of the least loaded half.
const SLOWER: f64 = 1.5;

/// One bin of the load.
pub(super) struct Bin {
    pub window: Window,
    /// Requests per second that ended.
    pub rate: f64,
    /// Share of them that failed.
    errors: f64,
    /// Their mean response time in seconds.
    time: f64,
    pub is_good: bool,
}

/// The recording in bins of equal length.
pub(super) fn bins(timeline: &Timeline) -> Vec<Bin> {
    let count = timeline.ticks.len();
    let usual = (count / SHORT_RECORDING).clamp(FEWEST_TICKS, USUAL_TICKS);
    let each = usual.max(count.div_ceil(MOST_BINS));
    let parts = timeline.ticks.chunks(each).filter(|part| part.len() == each);
    let mut bins: Vec<Bin> = parts.filter_map(bin).collect();
    let rates: Vec<f64> = bins.iter().map(|bin| bin.rate).collect();
    let middle = stats::median(&rates).unwrap_or(0.0);
    let usual = |of: &dyn Fn(&Bin) -> f64| {
        let quiet = bins.iter().filter(|bin| bin.rate <= middle);
        stats::median(&quiet.map(of).collect::<Vec<_>>()).unwrap_or(0.0)
    };
    let (failing, slow) = (usual(&|bin| bin.errors), usual(&|bin| bin.time));
    for bin in &mut bins {
        bin.is_good = bin.errors <= failing + FAILED && bin.time <= SLOWER * slow;
    }
    bins
}

/// The ticks of a bin together; `None` without requests.
fn bin(ticks: &[LoadTick]) -> Option<Bin> {
    let (first, last) = (ticks.first()?, ticks.last()?);
    let window = Window::new(first.window.begin, last.window.end);
    let all: u64 = ticks.iter().map(LoadTick::completed).sum();
    let good: u64 = ticks.iter().map(LoadTick::succeeded).sum();
    let times = ticks.iter().flat_map(|tick| &tick.endpoints);
    let time: f64 = times.map(|endpoint| endpoint.response_time.sum()).sum();
    let count = all as f64;
    (all > 0 && window.secs() > 0.0).then(|| Bin {
        window,
        rate: count / window.secs(),
        errors: (all - good) as f64 / count,
        time: time / count,
        is_good: false,
    })
}
