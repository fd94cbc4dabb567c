//! Turns single requests, as other tools list them, into ticks of one second and into stages.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::error::ImportError;
use crate::recording::{Environment, Event, PlanSummary, Recording, Stop, StopReason};
use crate::timeline::{
    EndpointTick, Histogram, LoadTick, Moment, ResponseClass, Stage, StageRole, Timeline, Window,
};

/// Shortest stage in seconds, and most stages of a run.
const SHORTEST_STAGE: usize = 4;
const MOST_STAGES: usize = 40;
/// Neighbouring stages become one where their rates differ by at most this share.
const SAME_RATE: f64 = 0.05;

/// Longest run that is read, in seconds. Each second has a tick: one time that is wrong by years
/// would take the memory of all seconds up to it.
const LONGEST_RUN: f64 = 7.0 * 86_400.0;

/// One request.
#[derive(Clone, Debug, PartialEq)]
pub struct Request {
    /// When it was sent, in seconds since 1970 (UTC).
    pub sent_unix: f64,
    /// SecondTallys to the end of the response.
    pub took: f64,
    /// Method and path, or the tool's own name for it.
    pub endpoint: String,
    /// How it ended.
    pub class: ResponseClass,
}

/// The path of a URL. Its query is left out: it varies, and may hold secrets.
pub fn path_of(url: &str) -> Option<String> {
    let url = url::Url::parse(url).ok().filter(url::Url::has_host)?;
    Some(url.path().to_owned())
}

/// All requests of a run.
#[derive(Debug, Default)]
pub struct Requests(Vec<Request>);

impl Requests {
    /// Adds one.
    ///
    /// # Errors
    /// When its times are not times.
    pub fn add(&mut self, request: Request) -> Result<(), String> {
        if !(request.sent_unix.is_finite() && request.took.is_finite() && request.took >= 0.0) {
            return Err(format!(
                "a request sent at {} s that took {} s: expected a time and a duration of at least 0",
                request.sent_unix, request.took
            ));
        }
        self.0.push(request);
        Ok(())
    }

    /// The recording of these requests.
    ///
    /// # Errors
    /// When there is no request, or the last ended too long after the first began.
    pub fn into_recording(self, from: &str, name: &str) -> Result<Recording, ImportError> {
        let begin = self.0.iter().map(|request| request.sent_unix).reduce(f64::min);
        let begin = begin.ok_or(ImportError::Empty)?.floor();
        let end = self.0.iter().map(|it| it.sent_unix + it.took).fold(begin, f64::max);
        if end - begin > LONGEST_RUN {
            return Err(ImportError::Long { days: ((end - begin) / 86_400.0) as u64 });
        }
        let ticks = self.ticks(begin, end);
        let stages = stages(&ticks);
        let timeline = Timeline { stages, ticks, ..Timeline::default() };
        let at = timeline.end();
        let text = format!(
            "imported from {from}: it measures response times from the send. Requests that its \
             schedule asked for but that were not sent are not included"
        );
        Ok(Recording {
            plan: self.plan(name, &timeline),
            environment: Environment {
                kneepoint: env!("CARGO_PKG_VERSION").to_owned(),
                started_unix: begin,
                target: format!("as {from} saw it"),
                ..Environment::default()
            },
            events: vec![Event { at: Moment::START, text }],
            stop: Some(Stop { at, reason: StopReason::Completed }),
            timeline,
        })
    }

    fn plan(&self, name: &str, timeline: &Timeline) -> PlanSummary {
        let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
        for request in &self.0 {
            *counts.entry(&request.endpoint).or_default() += 1;
        }
        let share = |count: usize| count as f64 / self.0.len() as f64;
        let requests = counts.iter().map(|(name, count)| ((*name).to_owned(), share(*count)));
        PlanSummary {
            name: name.to_owned(),
            requests: requests.collect(),
            executor: "imported".to_owned(),
            max_rate: timeline.stages.iter().map(Stage::rate).fold(0.0, f64::max),
            max_vus: 0,
            tags: Vec::new(),
            ..PlanSummary::default()
        }
    }

    /// One tick a second from `begin` to the end of the last response.
    fn ticks(&self, begin: f64, end: f64) -> Vec<LoadTick> {
        let mut seconds: Vec<SecondTally> = Vec::new();
        seconds.resize_with((end - begin).floor() as usize + 1, SecondTally::default);
        for request in &self.0 {
            let sent = request.sent_unix - begin;
            let done = sent + request.took;
            let (first, last) = (sent as usize, done as usize);
            seconds[first].sent += 1;
            if first == last {
                seconds[first].in_flight += request.took;
            } else {
                seconds[first].in_flight += (first + 1) as f64 - sent;
                seconds[last].in_flight += done - last as f64;
                // Only its ends are noted, not each second between them: a request may take days.
                seconds[first + 1].throughout += 1;
                seconds[last].throughout -= 1;
            }
            let key = (request.endpoint.as_str(), request.class);
            let took = Duration::from_secs_f64(request.took);
            seconds[last].ended.entry(key).or_default().record(took);
        }
        let mut throughout = 0;
        for second in &mut seconds {
            throughout += second.throughout;
            second.in_flight += throughout as f64;
        }
        seconds.into_iter().enumerate().map(|(index, second)| second.tick(index)).collect()
    }
}

/// What is counted in one second.
#[derive(Default)]
struct SecondTally<'r> {
    sent: u64,
    in_flight: f64,
    /// How many more requests than in the second before were in flight throughout.
    throughout: i64,
    ended: BTreeMap<(&'r str, ResponseClass), Histogram>,
}

impl SecondTally<'_> {
    fn tick(self, index: usize) -> LoadTick {
        let endpoints = self.ended.into_iter().map(|((endpoint, class), times)| EndpointTick {
            endpoint: endpoint.to_owned(),
            class,
            service_time: times.clone(),
            response_time: times,
        });
        LoadTick {
            offered: self.sent,
            sent: self.sent,
            in_flight: self.in_flight,
            endpoints: endpoints.collect(),
            ..LoadTick::empty(seconds(index, index + 1), "imported")
        }
    }
}

fn seconds(from: usize, to: usize) -> Window {
    let at = |second: usize| Moment::from_secs_f64(second as f64);
    Window::new(at(from), at(to))
}

/// Spans in which the load hardly changed: the stages of the other tool are not in its results.
fn stages(ticks: &[LoadTick]) -> Vec<Stage> {
    // The last second is rarely complete, and after the last send there is no load.
    let sending = ticks.iter().rposition(|tick| tick.offered > 0).unwrap_or(0).max(1);
    let length = SHORTEST_STAGE.max(sending.div_ceil(MOST_STAGES));
    let rate = |from: usize, to: usize| {
        let sent: u64 = ticks[from..to].iter().map(|tick| tick.offered).sum();
        sent as f64 / (to - from) as f64
    };
    let mut begins: BTreeSet<usize> = (0..sending).step_by(length).collect();
    // A rest that is shorter than a stage belongs to the stage before it.
    begins.retain(|begin| *begin == 0 || sending - begin >= length);
    let mut spans: Vec<(usize, usize)> = Vec::new();
    let ends = begins.iter().skip(1).copied().chain([sending]);
    for (from, to) in begins.iter().copied().zip(ends) {
        match spans.last_mut() {
            Some(last)
                if (rate(last.0, last.1) - rate(from, to)).abs()
                    <= SAME_RATE * rate(last.0, last.1) =>
            {
                last.1 = to;
            }
            _ => spans.push((from, to)),
        }
    }
    let stage = |(from, to): (usize, usize)| {
        Stage::constant(StageRole::Ramp, seconds(from, to), rate(from, to))
    };
    spans.into_iter().map(stage).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Requests to one server of 100 requests per second, in order of arrival.
    fn queue(rates: &[f64]) -> Requests {
        let (mut requests, mut free) = (Requests::default(), 0.0_f64);
        for (index, rate) in rates.iter().enumerate() {
            for number in 0..(rate * 8.0) as usize {
                let sent = index as f64 * 8.0 + number as f64 / rate;
                free = free.max(sent) + 0.01;
                let class = ResponseClass::Status(200);
                let endpoint = "GET /".to_owned();
                let request =
                    Request { sent_unix: 1.7e9 + sent, took: free - sent, endpoint, class };
                requests.add(request).unwrap();
            }
        }
        requests
    }

    #[test]
    fn requests_become_seconds_and_stages() {
        let recording = queue(&[20.0, 40.0, 40.0, 60.0]).into_recording("it", "name").unwrap();
        let stages = &recording.timeline.stages;
        let rates: Vec<f64> = stages.iter().map(|stage| stage.rate().round()).collect();
        assert_eq!(rates, [20.0, 40.0, 60.0]);
        assert_eq!(stages[1].window, seconds(8, 24));
        let tick = &recording.timeline.ticks[3];
        assert_eq!((tick.offered, tick.completed(), tick.succeeded()), (20, 20, 20));
        assert!((tick.in_flight - 0.2).abs() < 1e-6, "20/s of 10 ms: {}", tick.in_flight);
        assert_eq!(recording.plan.requests, [("GET /".to_owned(), 1.0)]);
    }

    #[test]
    fn impossible_times_are_refused() {
        let request = |sent_unix, took| Request {
            sent_unix,
            took,
            endpoint: String::new(),
            class: ResponseClass::Timeout,
        };
        assert!(Requests::default().add(request(f64::NAN, 1.0)).is_err());
        assert!(Requests::default().add(request(1.0, -1.0)).is_err());
        assert!(Requests::default().into_recording("it", "name").is_err());
    }

    /// One line with a wrong time once asked for the memory of all the seconds up to it.
    #[test]
    fn a_run_of_years_is_refused_and_a_request_of_days_is_not() {
        let recording = |sent: &[f64], took: f64| {
            let mut requests = Requests::default();
            for sent in sent {
                let (endpoint, class) = ("GET /".to_owned(), ResponseClass::Timeout);
                requests.add(Request { sent_unix: *sent, took, endpoint, class }).unwrap();
            }
            requests.into_recording("it", "name")
        };
        for (sent, took) in [(&[0.0, 1e12][..], 1.0), (&[1e9], 1e300), (&[-1e308, 1e308], 0.0)] {
            let why = recording(sent, took).unwrap_err().to_string();
            assert!(why.contains("days"), "{why}");
        }
        let day = recording(&[0.5, 10.5], 86_400.0).unwrap();
        let in_flight: Vec<f64> = day.timeline.ticks.iter().map(|tick| tick.in_flight).collect();
        assert_eq!(in_flight[..3], [0.5, 1.0, 1.0]);
        assert_eq!((in_flight[10], in_flight[11], in_flight[86_399]), (1.5, 2.0, 2.0));
        assert_eq!(in_flight[86_400..], [1.5, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 0.5]);
    }
}
