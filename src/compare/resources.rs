//! What a request needs of the target's resources, in one window of one run.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::bootstrap::{FEWEST_BLOCKS, SHORTEST_BLOCK};
use super::model::Measure;
use crate::diagnose::{bare, stats};
use crate::timeline::{Labels, MetricSpec, Selector, SeriesKey, Timeline, Window, names};

/// The floor of memory: what it falls to between requests and collections.
const FLOOR: f64 = 0.1;

/// A positive value of one run, and how much it varies within the run.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Measured {
    /// The value.
    pub value: f64,
    /// Its relative standard error within the run; `None` where the run is too short to tell.
    pub error: Option<f64>,
}

/// Requests per second in a window and in its blocks.
struct Requests {
    window: Window,
    rate: f64,
    blocks: Vec<(Window, f64)>,
}

/// Every resource that was measured in `window`, for a request.
pub fn per_request(timeline: &Timeline, window: Window) -> BTreeMap<Measure, Measured> {
    let mut found = BTreeMap::new();
    let Some(requests) = Requests::of(timeline, window) else { return found };
    let totals = [
        (Measure::CpuPerRequest, bare(&names::PROCESS_CPU_TIME)),
        (Measure::StatementsPerRequest, bare(&names::DB_STATEMENT_CALLS)),
        (Measure::RowsPerRequest, bare(&names::DB_ROWS_READ)),
        (
            Measure::BytesPerRequest,
            Selector {
                labels: Labels::none().with("direction", "transmit"),
                ..bare(&names::SYSTEM_NETWORK_BYTES)
            },
        ),
    ];
    for (measure, selector) in totals {
        let measured = requests.each(timeline, &selector.metric, |key| selector.matches(key));
        found.extend(measured.map(|measured| (measure, measured)));
    }
    let calls = names::TCP_CALLS_SENT.name;
    let mut services: Vec<String> =
        timeline.series_of(calls).filter_map(|(key, _)| service(key)).collect();
    services.sort();
    services.dedup();
    for name in services {
        let is_its = |key: &SeriesKey| service(key).as_deref() == Some(name.as_str());
        let measured = requests.each(timeline, calls, is_its);
        found.extend(measured.map(|measured| (Measure::CallsPerRequest(name.clone()), measured)));
    }
    found
}

/// Processor time of kneepoint itself for a request, where the target shares its machine.
pub fn own_cpu(timeline: &Timeline, window: Window) -> Option<f64> {
    let requests = Requests::of(timeline, window)?;
    let own = requests.each(timeline, names::GENERATOR_CPU_TIME.name, |_| true)?;
    (own.value > 0.0).then_some(own.value)
}

/// Bytes to which the target's memory falls within `window`.
pub fn memory_floor(timeline: &Timeline, window: Window) -> Option<f64> {
    let floors = |metric: &MetricSpec| -> Vec<f64> {
        let series = timeline.series_of(metric.name);
        let values = series.map(|(_, series)| {
            let points = series.within(window).iter();
            points.map(|point| point.value).collect::<Vec<f64>>()
        });
        values.filter_map(|values| stats::quantile(&values, FLOOR)).collect()
    };
    let of = |metric: &MetricSpec| {
        let floors = floors(metric);
        (!floors.is_empty()).then(|| floors.iter().sum())
    };
    of(&names::PROCESS_MEMORY_ANONYMOUS).or_else(|| of(&names::PROCESS_MEMORY_RSS))
}

/// How often the target's process was replaced in the run.
pub fn restarts(timeline: &Timeline) -> u64 {
    let series = timeline.series_of(names::PROCESS_START_TIME.name);
    let changes = series.map(|(_, series)| {
        let pairs = series.points.windows(2);
        pairs.filter(|pair| pair[0].value != pair[1].value).count() as u64
    });
    changes.max().unwrap_or(0)
}

/// The service that a series of calls is about. Ports change from run to run, names do not.
fn service(key: &SeriesKey) -> Option<String> {
    key.labels.get("service").map(str::to_owned).or_else(|| {
        let peer = key.labels.get("peer")?;
        Some(peer_name(peer).to_owned())
    })
}

/// The name in `127.0.0.1:40881 (payments)`; the whole where there is none.
pub fn peer_name(peer: &str) -> &str {
    // The path of a socket may hold brackets too.
    let inside = peer.strip_suffix(')').and_then(|rest| rest.rsplit_once(" ("));
    inside.map_or(peer, |(_, name)| name)
}

impl Requests {
    fn of(timeline: &Timeline, window: Window) -> Option<Self> {
        let rate_in = |window: Window| {
            let completed: u64 = timeline.ticks_within(window).map(|tick| tick.completed()).sum();
            completed as f64 / window.secs()
        };
        let rate = rate_in(window);
        if window.secs() <= 0.0 || rate <= 0.0 {
            return None;
        }
        let count = (window.secs() / SHORTEST_BLOCK) as usize;
        let length = window.end.since(window.begin) / u32::try_from(count.max(1)).ok()?;
        let blocks = (0..u32::try_from(count).ok()?).map(|index| {
            let begin = window.begin + length * index;
            let block = Window::new(begin, begin + length);
            (block, rate_in(block))
        });
        Some(Self { window, rate, blocks: blocks.collect() })
    }

    /// A running total for a request. Its error is that of a ratio of sums, from what the blocks
    /// depart from it (Cochran 1977, "Sampling Techniques", 6.3).
    fn each(
        &self,
        timeline: &Timeline,
        metric: &str,
        is_wanted: impl Fn(&SeriesKey) -> bool,
    ) -> Option<Measured> {
        let rate_in = |window: Window| {
            let series = timeline.series_of(metric).filter(|(key, _)| is_wanted(key));
            let rates: Vec<f64> = series.filter_map(|(_, series)| series.rate(window)).collect();
            (!rates.is_empty()).then(|| rates.iter().sum::<f64>())
        };
        let value = rate_in(self.window)? / self.rate;
        let rests: Vec<f64> = self
            .blocks
            .iter()
            .filter_map(|(block, rate)| Some(rate_in(*block)? - value * rate))
            .collect();
        let error = (rests.len() >= FEWEST_BLOCKS && value > 0.0)
            .then(|| (stats::variance(&rests) / rests.len() as f64).sqrt() / (self.rate * value));
        Some(Measured { value, error })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::timeline::{Batch, BatchBuilder, LoadTick, Moment};

    #[test]
    fn processor_time_for_a_request_comes_with_its_scatter() {
        let at = |second: u64| Moment::START + Duration::from_secs(second);
        let mut timeline = Timeline::default();
        let mut total = 0.0;
        for second in 0..=90 {
            let mut batch = BatchBuilder::new();
            batch.push(&names::PROCESS_CPU_TIME, total);
            let window = Window::new(at(second), at(second));
            let readings = batch.finish();
            timeline.push_batch(Batch { collector: "process".into(), window, readings });
            total += if second % 30 < 15 { 0.11 } else { 0.09 };
            let mut tick = LoadTick::empty(Window::new(at(second), at(second + 1)), "local");
            let endpoint = crate::diagnose::simulated::answered(200, 50, |_| 0.01);
            tick.endpoints.push(endpoint);
            timeline.ticks.push(tick);
        }
        let measured = per_request(&timeline, Window::new(at(0), at(90)));
        let cpu = measured[&Measure::CpuPerRequest];
        assert!((cpu.value - 0.002).abs() < 0.0001, "{cpu:?}");
        let error = cpu.error.unwrap();
        assert!((0.02..0.08).contains(&error), "a tenth up and down in six blocks: {error}");
        let short = per_request(&timeline, Window::new(at(0), at(20)));
        assert_eq!(short[&Measure::CpuPerRequest].error, None);
        assert_eq!(peer_name("127.0.0.1:40881 (payments)"), "payments");
        assert_eq!(peer_name("10.0.0.1:80"), "10.0.0.1:80");
        assert_eq!(peer_name("unix:/run/app(1).sock (php-fpm)"), "php-fpm");
        assert_eq!(peer_name("unix:/run/app(1).sock"), "unix:/run/app(1).sock");
    }
}
