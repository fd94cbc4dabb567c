//! Rates at which a worker naps: the measurements stay the same.

use super::*;

/// One request every 1.25 ms.
const RATE: f64 = 800.0;

/// One worker at that rate for a second. All requests are answered.
fn nap(config: LoadConfig) -> Vec<LoadTick> {
    let config = LoadConfig { workers: Some(1), ..config };
    let ticks = run(config, &[stage(0.2, 1.0, RATE, RATE)], Duration::from_secs(5));
    assert_eq!(sum(&ticks, |tick| tick.sent), RATE as u64);
    assert_eq!(classes(&ticks), BTreeMap::from([(ResponseClass::Status(200), RATE as u64)]));
    assert_eq!(sum(&ticks, |tick| tick.lateness.count()), RATE as u64);
    ticks
}

fn service_time(ticks: &[LoadTick]) -> Histogram {
    let mut all = Histogram::new();
    for endpoint in ticks.iter().flat_map(|tick| &tick.endpoints) {
        all.merge(&endpoint.service_time);
    }
    all
}

/// A response that is read when the next journey is due had arrived long before.
fn assert_timed_by_arrival(ticks: &[LoadTick]) {
    let median = service_time(ticks).quantile(0.5).unwrap();
    assert!(median < 0.8 / RATE, "{median}");
    let in_flight: f64 = ticks.iter().map(|tick| tick.in_flight * tick.window.secs()).sum();
    let endpoints = ticks.iter().flat_map(|tick| &tick.endpoints);
    let busy: f64 = endpoints.map(|endpoint| endpoint.response_time.sum()).sum();
    assert!(in_flight > 0.0 && in_flight <= busy * 1.1 + 0.01, "{in_flight} against {busy}");
}

#[test]
fn a_response_is_timed_by_when_it_came() {
    assert_timed_by_arrival(&nap(config(server::http(|_| server::status(200)))));
}

#[test]
fn so_is_one_over_tls() {
    let (address, pem) = server::https(|_| server::status(200));
    let mut config = config(address);
    config.target.url.https = true;
    config.target.url.host = "localhost".into();
    config.target.tls.trust = Trust::CaFile("ca.pem".into());
    config.pem.ca = Some(pem.into_bytes());
    assert_timed_by_arrival(&nap(config));
}

#[test]
fn a_server_that_takes_its_time_is_measured_to_it() {
    const PAUSE: Duration = Duration::from_millis(30);
    let address = server::accept(|mut tcp| async move {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        let mut room = [0; 1024];
        while tcp.read(&mut room).await.is_ok_and(|count| count > 0) {
            tokio::time::sleep(PAUSE).await;
            drop(tcp.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await);
        }
    });
    let ticks = nap(config(address));
    let shortest = service_time(&ticks).quantile(0.0).unwrap();
    assert!(shortest > PAUSE.as_secs_f64() * 0.99, "{shortest}");
}

#[test]
fn long_responses_and_short_ones_are_read_to_their_end() {
    let address = server::http(|seen| match seen.path.as_str() {
        "/long" => hyper::Response::new(vec![b'x'; 300_000].into()),
        _ => server::status(200),
    });
    let mix = vec![(get("short", text("/")), 3.0), (get("long", text("/long")), 1.0)];
    nap(config(address).with_mix(mix));
}

#[test]
fn connections_that_end_meanwhile_are_made_anew() {
    let served = AtomicUsize::new(0);
    let address = server::http(move |_| {
        let mut response = server::status(200);
        if served.fetch_add(1, Ordering::Relaxed) % 7 == 6 {
            let close = hyper::header::HeaderValue::from_static("close");
            response.headers_mut().insert(hyper::header::CONNECTION, close);
        }
        response
    });
    let ticks = nap(config(address));
    assert!(sum(&ticks, |tick| tick.connects) >= RATE as u64 / 7);
}
