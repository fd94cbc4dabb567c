//! Requests and intervals against what is known of them.

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
