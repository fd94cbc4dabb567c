//! A service with a native histogram of its response times, which a real Prometheus stores.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use super::prometheus::Prometheus;
use super::{completed, kneepoint, now, read, told};

/// Eight buckets for each doubling.
const SCHEMA: i64 = 3;
/// Times of the requests in seconds, and how many of each come in a second.
const REQUESTS: [(f64, u64); 3] = [(0.012, 30), (0.085, 15), (0.9, 5)];
const HISTOGRAM: u64 = 4;

fn varint(mut number: u64, out: &mut Vec<u8>) {
    while number >= 0x80 {
        out.push((number as u8) | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

fn zigzag(number: i64) -> u64 {
    ((number << 1) ^ (number >> 63)).cast_unsigned()
}

fn number(field: u64, value: u64, out: &mut Vec<u8>) {
    varint(field << 3, out);
    varint(value, out);
}

fn double(field: u64, value: f64, out: &mut Vec<u8>) {
    varint(field << 3 | 1, out);
    out.extend_from_slice(&value.to_le_bytes());
}

fn bytes(field: u64, value: &[u8], out: &mut Vec<u8>) {
    varint(field << 3 | 2, out);
    varint(value.len() as u64, out);
    out.extend_from_slice(value);
}

/// Number of the bucket that holds a time: its upper bound is 2 to the power of an eighth of it.
fn bucket(time: f64) -> i64 {
    (time.log2() * 2f64.powi(SCHEMA as i32)).ceil() as i64
}

/// The metrics after so many rounds of the requests, as Prometheus' protocol buffers.
fn exposition(rounds: u64) -> Vec<u8> {
    let mut histogram = Vec::new();
    number(1, rounds * REQUESTS.iter().map(|(_, count)| count).sum::<u64>(), &mut histogram);
    let sum: f64 = REQUESTS.iter().map(|(time, count)| time * *count as f64).sum();
    double(2, sum * rounds as f64, &mut histogram);
    number(5, zigzag(SCHEMA), &mut histogram);
    double(6, 1e-9, &mut histogram);
    let (mut next, mut last) = (0, 0);
    let mut deltas = Vec::new();
    for (time, count) in REQUESTS {
        let mut span = Vec::new();
        number(1, zigzag(bucket(time) - next), &mut span);
        number(2, 1, &mut span);
        bytes(12, &span, &mut histogram);
        next = bucket(time) + 1;
        let count = (count * rounds) as i64;
        deltas.push(count - last);
        last = count;
    }
    for delta in deltas {
        number(13, zigzag(delta), &mut histogram);
    }
    let mut metric = Vec::new();
    let labels = [
        ("http_request_method", "GET"),
        ("http_response_status_code", "200"),
        ("http_route", "/cart"),
    ];
    for (name, value) in labels {
        let mut label = Vec::new();
        bytes(1, name.as_bytes(), &mut label);
        bytes(2, value.as_bytes(), &mut label);
        bytes(1, &label, &mut metric);
    }
    bytes(7, &histogram, &mut metric);
    let mut family = Vec::new();
    bytes(1, b"http_server_request_duration_seconds", &mut family);
    number(3, HISTOGRAM, &mut family);
    bytes(4, &metric, &mut family);
    let mut out = Vec::new();
    varint(family.len() as u64, &mut out);
    out.extend_from_slice(&family);
    out
}

fn answer(mut stream: TcpStream, rounds: u64) {
    let mut request = [0; 4096];
    let _length = stream.read(&mut request).unwrap_or(0);
    let body = exposition(rounds);
    let head = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: application/vnd.google.protobuf; \
         proto=io.prometheus.client.MetricFamily; encoding=delimited\r\nContent-Length: {}\r\n\
         Connection: close\r\n\r\n",
        body.len()
    );
    let _gone = stream.write_all(&[head.as_bytes(), &body].concat()).is_err();
}

/// Count of the histogram in the first and in the last stored sample.
fn stored(prometheus: &Prometheus) -> (f64, f64) {
    let path = "/api/v1/query?query=http_server_request_duration_seconds[10m]";
    let answer = prometheus.get(path).unwrap();
    let body = answer.split_once("\r\n\r\n").unwrap().1;
    let answer: serde_json::Value = serde_json::from_str(body).unwrap();
    let samples = answer["data"]["result"][0]["histograms"].as_array().unwrap();
    let count = |sample: &serde_json::Value| -> f64 {
        sample[1]["count"].as_str().unwrap().parse().unwrap()
    };
    (count(samples.first().unwrap()), count(samples.last().unwrap()))
}

#[test]
fn native_histograms_become_load() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let begin = Arc::new(Mutex::new(Instant::now()));
    let since = Arc::clone(&begin);
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let rounds = since.lock().unwrap().elapsed().as_millis() / 1000;
            answer(stream, rounds as u64);
        }
    });
    let options = ["--enable-feature=native-histograms"];
    let Some(prometheus) = Prometheus::start_with(port, &options) else { return };
    let from = now();
    thread::sleep(Duration::from_secs(12));
    let (to, (first, last)) = (now(), stored(&prometheus));
    let directory = tempfile::tempdir().unwrap();
    let out = directory.path().join("night");
    let imported = kneepoint(&[
        "import",
        "prometheus",
        "--url",
        &prometheus.url(),
        "--match",
        "{job=\"shop\"}",
        "--from",
        &format!("{:.3}", from - 10.0),
        "--to",
        &format!("{to:.3}"),
        "--out",
        out.to_str().unwrap(),
    ]);
    assert!(imported.status.success(), "{}", told(&imported));
    let recording = read(&out);
    // A further scrape may have come between the two questions.
    let each: u64 = REQUESTS.iter().map(|(_, count)| count).sum();
    let counted = completed(&recording);
    let expected = (last - first) as u64;
    assert!(counted > 0 && counted <= expected + each && counted + each >= expected, "{counted}");
    let mut times = kneepoint::timeline::Histogram::new();
    for endpoint in recording.timeline.ticks.iter().flat_map(|tick| &tick.endpoints) {
        assert_eq!(endpoint.endpoint, "GET /cart");
        times.merge(&endpoint.response_time);
    }
    let mean = REQUESTS.iter().map(|(time, count)| time * *count as f64).sum::<f64>() / each as f64;
    assert!((times.mean().unwrap() / mean - 1.0).abs() < 0.02, "{:?}", times.mean());
    // A quantile is exact to its bucket, of which there are eight for each doubling.
    for (quantile, time) in [(0.5, 0.012), (0.8, 0.085), (0.95, 0.9)] {
        let found = times.quantile(quantile).unwrap();
        assert!((found / time).log2().abs() <= 0.15, "{quantile}: {found} for {time}");
    }
    // Their counts and sums are series, as those of classic ones are.
    let names =
        ["http_server_request_duration_seconds_count", "http_server_request_duration_seconds"];
    let known = recording.timeline.series.keys().any(|key| names.contains(&key.metric.as_str()));
    assert!(known, "{:?}", recording.timeline.series.keys().map(|key| &key.metric));
}
