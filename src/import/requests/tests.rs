//! Requests and intervals against what is known of them.

use super::*;
use crate::timeline::LoadTick;

/// Requests to one server of 100 requests per second, in order of arrival.
fn queue(rates: &[f64]) -> Requests {
    let (mut requests, mut free) = (Requests::default(), 0.0_f64);
    for (index, rate) in rates.iter().enumerate() {
        for number in 0..(rate * 8.0) as usize {
            let sent = index as f64 * 8.0 + number as f64 / rate;
            free = free.max(sent) + 0.01;
            let class = ResponseClass::Status(200);
            let endpoint = "GET /".to_owned();
            let (sent_unix, took) = (1.7e9 + sent, free - sent);
            let said = String::new();
            let request = Request { sent_unix, took, endpoint, class, said };
            requests.add(request).unwrap();
        }
    }
    requests
}

#[test]
fn requests_become_seconds_and_stages() {
    let recording =
        queue(&[20.0, 40.0, 40.0, 60.0]).into_load("it", "name").unwrap().into_recording();
    let stages = &recording.timeline.stages;
    let rates: Vec<f64> = stages.iter().map(|stage| stage.rate().round()).collect();
    assert_eq!(rates, [20.0, 40.0, 60.0]);
    assert_eq!(stages[1].window.secs(), 16.0);
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
        said: String::new(),
    };
    assert!(Requests::default().add(request(f64::NAN, 1.0)).is_err());
    assert!(Requests::default().add(request(1.0, -1.0)).is_err());
    assert!(Requests::default().into_load("it", "name").is_err());
}

#[test]
fn each_second_of_an_interval_has_the_same_distribution() {
    let times: Vec<(f64, u64)> = (1..=100).map(|millis| (f64::from(millis) / 1e3, 1)).collect();
    let mut requests = Requests::default();
    let class = ResponseClass::Status(200);
    let ended = Ended { seconds: (100, 110), endpoint: "", class, times: &times, said: "" };
    requests.add_ended(&ended).unwrap();
    requests.add_ended(&Ended { times: &[(0.05, 25)], ..ended }).unwrap();
    requests.add_sent((100, 110), 125, 120).unwrap();
    let ticks = requests.into_load("it", "name").unwrap().ticks;
    let counts: Vec<u64> = ticks.iter().map(LoadTick::completed).collect();
    assert!(counts.iter().sum::<u64>() == 125 && counts.iter().all(|it| *it >= 12), "{counts:?}");
    let means: Vec<f64> =
        ticks.iter().map(|tick| tick.endpoints[0].response_time.mean().unwrap()).collect();
    assert!(means.iter().all(|mean| (mean - 0.0505).abs() < 0.001), "{means:?}");
    let sums = |of: fn(&LoadTick) -> u64| ticks.iter().map(of).sum::<u64>();
    assert_eq!((sums(|tick| tick.offered), sums(|tick| tick.sent)), (125, 120));
}

#[test]
fn intervals_of_another_time_are_left_out() {
    let mut requests = Requests::default();
    requests.keep_within(1.7e9..1.7e9 + 100.0);
    for begin in [1_699_999_900, 1_700_000_010] {
        let (seconds, class) = ((begin, begin + 10), ResponseClass::Status(200));
        requests.add_sent(seconds, 20, 20).unwrap();
        let times = &[(0.1, 20)];
        requests.add_ended(&Ended { seconds, endpoint: "", class, times, said: "" }).unwrap();
        requests.add_in_flight(seconds, 0.2).unwrap();
    }
    let load = requests.into_load("it", "name").unwrap();
    assert_eq!((load.zero_unix, load.ticks.len()), (1.700_000_01e9, 10));
    assert_eq!(load.ticks.iter().map(LoadTick::completed).sum::<u64>(), 20);
    assert!(load.notes.iter().any(|note| note.contains("20 earlier or later")), "{:?}", load.notes);
}

/// One line with a wrong time once asked for the memory of all the seconds up to it.
#[test]
fn a_run_of_years_is_refused_and_a_request_of_days_is_not() {
    let recording = |sent: &[f64], took: f64| {
        let mut requests = Requests::default();
        for sent in sent {
            let (endpoint, class) = ("GET /".to_owned(), ResponseClass::Timeout);
            let said = String::new();
            requests.add(Request { sent_unix: *sent, took, endpoint, class, said })?;
        }
        requests.into_load("it", "name").map_err(|error| error.to_string())
    };
    let weeks: Vec<f64> = (0..2_000).map(|place| f64::from(place) * 500.0).collect();
    let impossible =
        [(&[0.0, 1e12][..], 1.0), (&[1e9], 1e300), (&[-1e308, 1e308], 0.0), (&weeks, 1.0)];
    for (sent, took) in impossible {
        let why = recording(sent, took).unwrap_err();
        assert!(why.contains("days"), "{why}");
    }
    let day = recording(&[0.5, 10.5], 86_400.0).unwrap();
    let in_flight: Vec<f64> = day.ticks.iter().map(|tick| tick.in_flight).collect();
    assert_eq!(in_flight[..3], [0.5, 1.0, 1.0]);
    assert_eq!((in_flight[10], in_flight[11], in_flight[86_399]), (1.5, 2.0, 2.0));
    assert_eq!(in_flight[86_400..], [1.5, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 0.5]);
}
