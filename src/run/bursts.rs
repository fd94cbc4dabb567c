//! Bursts after a run in which requests were refused. They tell a limit on requests at a time from a
//! limit on their rate, which look the same as long as every request takes the same time.
//!
//! A limit on requests at a time lets in as many of a burst as it allows, and nobody else until one of
//! them is done. A rate limit lets in what its bucket holds, which is another number, and has some
//! more tokens half a request later.

use std::collections::VecDeque;
use std::time::Duration;

use crate::timeline::{Histogram, Stage, Timeline, Window};

/// Share of the requests of a stage that fail from which a limit is reached.
const SOME_FAIL: f64 = 0.02;
/// Failures are at once if half of them take less than this share of the median success.
const AT_ONCE: f64 = 0.8;
/// Requests of a burst, as a multiple of those that are admitted at a time.
const BURST: f64 = 3.0;
/// Largest burst.
const LARGEST: f64 = 1000.0;
/// Shortest time from one burst to the next, and as a multiple of the time of a request.
const SHORTEST: Duration = Duration::from_secs(2);
const REQUESTS_APART: f64 = 5.0;
/// Longest time from one burst to the next. Slower systems are not probed.
const LONGEST: Duration = Duration::from_secs(10);
/// Shortest time of a request for which a second burst comes in the middle of it.
const SHORTEST_REQUEST: Duration = Duration::from_millis(20);

/// Requests that start at once, and the time until the next ones.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Burst {
    /// The requests, spread over the whole time, per second.
    pub(super) rate: f64,
    pub(super) duration: Duration,
}

/// What the stages in which requests were refused have in common.
#[derive(Default)]
struct Refusing {
    seconds: f64,
    service: Histogram,
    failures: Histogram,
}

/// The bursts after the stages of `timeline`. None where nothing was refused at once, or where they
/// would exceed `max_rate`.
pub(super) fn after(timeline: &Timeline, max_rate: f64) -> VecDeque<Burst> {
    planned(timeline, max_rate).unwrap_or_default()
}

fn planned(timeline: &Timeline, max_rate: f64) -> Option<VecDeque<Burst>> {
    let refusing = refusing(timeline);
    let median = refusing.service.quantile(0.5)?;
    let is_at_once = refusing.failures.quantile(0.5)? < AT_ONCE * median;
    let admitted = refusing.service.sum() / refusing.seconds;
    let request = refusing.service.mean()?;
    let pause = SHORTEST.as_secs_f64().max((REQUESTS_APART * request).ceil());
    let burst = (BURST * admitted.ceil()).min(LARGEST);
    let fits = pause <= LONGEST.as_secs_f64() && burst <= max_rate;
    if !is_at_once || !fits {
        return None;
    }
    let probe =
        |seconds: f64| Burst { rate: burst / seconds, duration: Duration::from_secs_f64(seconds) };
    let mut bursts = VecDeque::from([probe(pause), probe(pause)]);
    let half = request / 2.0;
    // Both come within one second, and count against the highest rate together.
    if request >= SHORTEST_REQUEST.as_secs_f64() && 2.0 * burst <= max_rate {
        bursts.extend([probe(half), probe(pause)]);
    }
    Some(bursts)
}

fn refusing(timeline: &Timeline) -> Refusing {
    let mut sum = Refusing::default();
    let measured = timeline.stages.iter().filter(|stage| stage.role.is_measured());
    for window in measured.filter_map(|stage| refusing_part(timeline, stage)) {
        sum.seconds += window.secs();
        for endpoint in timeline.ticks_within(window).flat_map(|tick| &tick.endpoints) {
            match endpoint.class.is_success() {
                true => sum.service.merge(&endpoint.service_time),
                false => sum.failures.merge(&endpoint.service_time),
            }
        }
    }
    sum
}

/// The ticks of a stage in which requests were refused.
fn refusing_part(timeline: &Timeline, stage: &Stage) -> Option<Window> {
    let (mut completed, mut succeeded) = (0, 0);
    let mut whole: Option<Window> = None;
    for tick in timeline.ticks_within(stage.window) {
        completed += tick.completed();
        succeeded += tick.succeeded();
        let begin = whole.map_or(tick.window.begin, |whole| whole.begin);
        whole = Some(Window::new(begin, tick.window.end));
    }
    let is_refusing = (completed - succeeded) as f64 >= SOME_FAIL * completed as f64;
    whole.filter(|_| is_refusing && completed > succeeded && succeeded > 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::timeline::{EndpointTick, LoadTick, Moment, ResponseClass, StageRole};

    /// Two stages of ten seconds: in the second, six of ten requests are admitted.
    fn timeline(service: Duration, refusal: Duration) -> Timeline {
        let mut timeline = Timeline::default();
        let at = |second: u64| Moment::START + Duration::from_secs(second);
        for (index, failures) in [(0, 0), (1, 100)] {
            let window = Window::new(at(10 * index), at(10 * index + 10));
            timeline.stages.push(Stage::constant(StageRole::Ramp, window, 250.0));
            for second in 10 * index..10 * index + 10 {
                let ended = |status, count, time| {
                    let mut times = Histogram::new();
                    (0..count).for_each(|_| times.record(time));
                    EndpointTick {
                        endpoint: "page".to_owned(),
                        class: ResponseClass::Status(status),
                        response_time: times.clone(),
                        service_time: times,
                    }
                };
                timeline.ticks.push(LoadTick {
                    endpoints: vec![ended(200, 150, service), ended(503, failures, refusal)],
                    ..LoadTick::empty(Window::new(at(second), at(second + 1)), "test")
                });
            }
        }
        timeline
    }

    #[test]
    fn a_burst_has_three_times_what_is_admitted_at_a_time() {
        let (service, refusal) = (Duration::from_millis(40), Duration::from_millis(1));
        let bursts = after(&timeline(service, refusal), 400.0);
        let sizes: Vec<f64> =
            bursts.iter().map(|it| (it.rate * it.duration.as_secs_f64()).round()).collect();
        assert!(sizes.iter().all(|size| (18.0..=21.0).contains(size)), "{sizes:?}");
        let pauses: Vec<u128> = bursts.iter().map(|it| it.duration.as_millis()).collect();
        assert!(matches!(pauses[..], [2000, 2000, 19..=21, 2000]), "{pauses:?}");
    }

    #[test]
    fn there_are_none_where_they_would_tell_nothing_or_exceed_the_limit() {
        let (quick, slow) = (Duration::from_millis(1), Duration::from_millis(40));
        assert!(after(&timeline(slow, quick), 5.0).is_empty(), "beyond the highest rate");
        assert!(after(&timeline(slow, slow * 2), 400.0).is_empty(), "failures are late");
        assert!(after(&timeline(Duration::from_secs(4), quick), 400.0).is_empty(), "too slow");
        assert!(after(&Timeline::default(), 400.0).is_empty());
    }
}
