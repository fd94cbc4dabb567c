//! The engine against real servers, well-behaved ones and others.

mod connections;
mod hostile;
mod http2;
mod journeys;
mod mix;
mod naps;
mod proxy;
mod response;
mod server;
mod streams;
mod tls;
mod websocket;

use std::collections::{BTreeMap, HashSet};
use std::io::{Read, Write};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use super::*;
use crate::plan::{
    self, Body, Connections, DataOrder, Segment, Target, TargetUrl, Template, Trust,
};
use crate::timeline::{Epoch, Histogram, Moment, Phases, ResponseClass, StageRole, Window};

fn text(text: &str) -> Template {
    Template(vec![Segment::Text(text.into())])
}

fn get(name: &str, path: Template) -> plan::Request {
    plan::Request::get(name, path)
}

pub(super) fn config(address: SocketAddr) -> LoadConfig {
    let host = address.ip().to_string();
    let url = TargetUrl { https: false, host, port: address.port(), base_path: String::new() };
    let (connections, timeout) = (Connections::KeepAlive, Duration::from_secs(5));
    LoadConfig {
        target: Target { connections, timeout, ..Target::usual(url) },
        requests: Vec::new(),
        journeys: Vec::new(),
        flows: Vec::new(),
        data: BTreeMap::new(),
        max_in_flight: 200,
        max_rate: 1e6,
        workers: Some(2),
        share: Share::WHOLE,
        takeover: crate::load::Takeover::default(),
        seed: 1,
        generator: "here".into(),
        pem: PemFiles::default(),
    }
    .with_mix(vec![(get("home", text("/")), 1.0)])
}

fn stage(begin: f64, secs: f64, from: f64, to: f64) -> Stage {
    let begin = Moment::from_secs_f64(begin);
    let window = Window::new(begin, begin + Duration::from_secs_f64(secs));
    Stage { rate_from: from, ..Stage::constant(StageRole::Ramp, window, to) }
}

/// Holds the stages (times from now on), then waits for their end and for `grace`.
fn run(config: LoadConfig, stages: &[Stage], grace: Duration) -> Vec<LoadTick> {
    let epoch = Epoch::new(Instant::now());
    let (generator, receiver) = Generator::start(config, epoch).unwrap();
    stages.iter().for_each(|stage| generator.hold(0, stage));
    let end = stages.iter().map(|stage| stage.window.end).max().unwrap();
    thread::sleep(epoch.instant(end).saturating_duration_since(Instant::now()));
    let rest = generator.stop(grace);
    receiver.try_iter().chain(rest).collect()
}

fn sum(ticks: &[LoadTick], count: impl Fn(&LoadTick) -> u64) -> u64 {
    ticks.iter().map(count).sum()
}

fn classes(ticks: &[LoadTick]) -> BTreeMap<ResponseClass, u64> {
    let mut classes = BTreeMap::new();
    for endpoint in ticks.iter().flat_map(|tick| &tick.endpoints) {
        *classes.entry(endpoint.class).or_default() += endpoint.response_time.count();
        assert_eq!(endpoint.response_time.count(), endpoint.service_time.count());
    }
    classes
}

/// Sends 20 requests to the server at `address`. Returns how they ended.
fn how_twenty_end(config: LoadConfig) -> BTreeMap<ResponseClass, u64> {
    let ticks = run(config, &[stage(0.2, 0.2, 100.0, 100.0)], Duration::from_secs(10));
    assert_eq!(sum(&ticks, |tick| tick.offered), 20);
    assert_eq!(sum(&ticks, |tick| tick.sent), 20);
    classes(&ticks)
}

#[test]
fn every_arrival_is_sent_in_its_second_and_once() {
    let count = Arc::new(AtomicUsize::new(0));
    let served = Arc::clone(&count);
    let address = server::http(move |seen| {
        assert_eq!(seen.mark.as_deref(), Some("synthetic"));
        served.fetch_add(1, Ordering::SeqCst);
        server::status(200)
    });
    let stages = [stage(0.5, 1.0, 200.0, 200.0), stage(1.5, 1.0, 400.0, 600.0)];
    let ticks = run(config(address), &stages, Duration::from_secs(5));
    assert_eq!(count.load(Ordering::SeqCst), 700);
    assert_eq!(classes(&ticks), BTreeMap::from([(ResponseClass::Status(200), 700)]));
    // The second stage: 400 t + 100 t^2 after half a second.
    let offered: Vec<u64> = ticks.iter().map(|tick| tick.offered).collect();
    assert_eq!(offered[..3], [100, 100 + 225, 275], "{offered:?}");
    assert_eq!(sum(&ticks, |tick| tick.sent), 700);
    assert_eq!(sum(&ticks, |tick| tick.lateness.count()), 700);
    assert_eq!(sum(&ticks, |tick| tick.connects), sum(&ticks, |tick| tick.connect_time.count()));
    for pair in ticks.windows(2) {
        assert_eq!(pair[0].window.end, pair[1].window.begin);
        assert_eq!(pair[0].window.end.nanos() % 1_000_000_000, 0);
    }
    // Little's law: the requests in flight match the sum of the service times.
    let in_flight: f64 = ticks.iter().map(|tick| tick.in_flight * tick.window.secs()).sum();
    let busy: f64 = ticks
        .iter()
        .flat_map(|tick| &tick.endpoints)
        .map(|endpoint| endpoint.response_time.sum())
        .sum();
    assert!(in_flight > 0.0 && in_flight <= busy * 1.1 + 0.01, "{in_flight} against {busy}");
}

#[test]
fn responses_are_told_apart() {
    use ResponseClass::{Protocol, Reset, Status};
    const HEAD: &str = "HTTP/1.1 200 OK\r\n";
    let cases: Vec<(String, ResponseClass)> = vec![
        ("HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n".into(), Status(404)),
        ("HTTP/1.1 500 Oh\r\ncontent-length: 2\r\nconnection: close\r\n\r\nno".into(), Status(500)),
        (format!("{HEAD}\r\nuntil the end"), Status(200)),
        (format!("{HEAD}transfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"), Status(200)),
        ("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 None\r\n\r\n".into(), Status(204)),
        (format!("{HEAD}content-length: 100\r\n\r\nhalf"), Reset),
        (format!("{HEAD}transfer-encoding: chunked\r\n\r\n3\r\nab"), Reset),
        ("HTTP/1.1 200".into(), Reset),
        (String::new(), Reset),
        (format!("{HEAD}transfer-encoding: chunked\r\n\r\nzz\r\n"), Protocol),
        ("SSH-2.0-OpenSSH_9.2\r\n\r\n".into(), Protocol),
        (format!("{HEAD}x: {}\r\n\r\n", "y".repeat(1_000_000)), Protocol),
    ];
    let running: Vec<_> = cases
        .into_iter()
        .map(|(response, expected)| {
            let response: &'static str = response.leak();
            let (address, _) = server::raw(server::once(response));
            (response, expected, thread::spawn(move || how_twenty_end(config(address))))
        })
        .collect();
    for (response, expected, thread) in running {
        let shown: String = response.chars().take(60).collect();
        assert_eq!(thread.join().unwrap(), BTreeMap::from([(expected, 20)]), "{shown:?}");
    }
}

#[test]
fn what_failed_requests_got_is_kept_without_secrets() {
    let response = "HTTP/1.1 503 Full\r\nretry-after: 1\r\ncontent-length: 33\r\n\r\n\
                    pool timed out, password=hunter22";
    let (address, _) = server::raw(server::once(response));
    let ticks = run(config(address), &[stage(0.2, 0.2, 100.0, 100.0)], Duration::from_secs(10));
    let failures: Vec<_> = ticks.iter().flat_map(|tick| &tick.failures).collect();
    assert_eq!(failures.iter().map(|it| it.count).sum::<u64>(), 20);
    for failure in failures {
        assert_eq!(failure.kind.example, "pool timed out, password=***");
        assert_eq!(failure.kind.headers, [("retry-after".to_owned(), "1".to_owned())]);
    }
}

#[test]
fn failures_to_get_a_response_are_told_apart() {
    let (_bound, refusing) = server::refusing();
    assert_eq!(how_twenty_end(config(refusing)), BTreeMap::from([(ResponseClass::Connect, 20)]));

    let (silent, _) = server::raw(|_| thread::sleep(Duration::from_secs(30)));
    let mut slow = config(silent);
    slow.target.timeout = Duration::from_millis(300);
    let ended = how_twenty_end(slow.clone());
    assert_eq!(ended, BTreeMap::from([(ResponseClass::Timeout, 20)]));
    // The same port, which never answers in TLS.
    slow.target.url.https = true;
    slow.target.tls.trust = Trust::Insecure;
    assert_eq!(how_twenty_end(slow), BTreeMap::from([(ResponseClass::Tls, 20)]));

    let (half, _) = server::raw(|connection| {
        server::read_request(connection);
        drop(connection.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf"));
        thread::sleep(Duration::from_secs(30));
    });
    let mut slow = config(half);
    slow.target.timeout = Duration::from_millis(300);
    assert_eq!(how_twenty_end(slow), BTreeMap::from([(ResponseClass::Timeout, 20)]));
}

#[test]
fn certificates_are_checked_as_the_plan_says() {
    let (address, pem) = server::https(|_| server::status(200));
    let mut config = config(address);
    config.target.url.https = true;
    config.target.url.host = "localhost".into();
    let ended = |config: &LoadConfig| how_twenty_end(config.clone());
    assert_eq!(ended(&config), BTreeMap::from([(ResponseClass::Tls, 20)]));
    config.target.tls.trust = Trust::Insecure;
    assert_eq!(ended(&config), BTreeMap::from([(ResponseClass::Status(200), 20)]));
    config.target.tls.trust = Trust::CaFile("ca.pem".into());
    config.pem.ca = Some(pem.into_bytes());
    assert_eq!(ended(&config), BTreeMap::from([(ResponseClass::Status(200), 20)]));
    config.pem.ca = Some(b"nothing in it".to_vec());
    let error = Generator::start(config, Epoch::new(Instant::now())).err().unwrap();
    assert!(error.to_string().contains("`ca.pem` has no PEM certificate"), "{error}");
}

#[test]
fn connections_are_kept_or_not_as_the_plan_says() {
    let address = server::http(|_| server::status(200));
    let stages = [stage(0.2, 1.0, 100.0, 100.0)];
    let mut config = config(address);
    config.max_in_flight = 20;
    let kept = run(config.clone(), &stages, Duration::from_secs(5));
    assert!(sum(&kept, |tick| tick.connects) <= 20);
    config.target.connections = Connections::PerRequest;
    let fresh = run(config, &stages, Duration::from_secs(5));
    assert_eq!(sum(&fresh, |tick| tick.connects), 100);
    assert_eq!(classes(&fresh), BTreeMap::from([(ResponseClass::Status(200), 100)]));
}

#[test]
fn the_server_is_left_to_close_first() {
    let closed_by_server = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&closed_by_server);
    let (address, _) = server::raw(move |connection| {
        server::read_request(connection);
        let response = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
        drop(connection.write_all(response));
        connection.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
        // If the client closed, this read would end without an error and without data.
        if connection.read(&mut [0]).is_err() {
            count.fetch_add(1, Ordering::SeqCst);
        }
    });
    for connections in [Connections::PerRequest, Connections::KeepAlive] {
        let mut config = config(address);
        config.target.connections = connections;
        // At most 2 requests in flight. A connection that is closing does not count: it waits
        // beside the next request.
        config.max_in_flight = 2;
        let stages = [stage(0.2, 0.2, 100.0, 100.0), stage(0.4, 0.5, 0.0, 0.0)];
        let ticks = run(config, &stages, Duration::from_secs(10));
        assert_eq!(classes(&ticks), BTreeMap::from([(ResponseClass::Status(200), 20)]));
        assert_eq!(sum(&ticks, |tick| tick.connects), 20);
        assert_eq!(closed_by_server.swap(0, Ordering::SeqCst), 20);
    }
}

#[test]
fn a_connection_closed_while_idle_is_no_error_but_one_dropped_at_work_is() {
    const OK: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";
    // Closes after each response without notice.
    let (rude, taken) = server::raw(|connection| {
        server::read_request(connection);
        drop(connection.write_all(OK));
    });
    assert_eq!(how_twenty_end(config(rude)), BTreeMap::from([(ResponseClass::Status(200), 20)]));
    assert_eq!(taken.load(Ordering::SeqCst), 20);
    // Accepts a second request, works on it for longer than any idle close takes, and drops it.
    let (broken, _) = server::raw(|connection| {
        server::read_request(connection);
        drop(connection.write_all(OK));
        if server::read_request(connection) {
            thread::sleep(Duration::from_millis(1500));
        }
    });
    let mut config = config(broken);
    config.workers = Some(1);
    let ended = how_twenty_end(config);
    assert!(ended.get(&ResponseClass::Reset).is_some_and(|resets| *resets > 0), "{ended:?}");
}

#[test]
fn values_vary_and_bodies_arrive() {
    let all = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&all);
    let address = server::http(move |request| {
        seen.lock().unwrap().push(request);
        server::status(201)
    });
    let value = || Segment::Value("id".into());
    let mut post = get("order", Template(vec![Segment::Text("/order/".into()), value()]));
    post.method = "POST".into();
    post.body = Some(Body { template: Template(vec![Segment::Text("id=".into()), value()]) });
    let mut config = config(address);
    config = config.with_mix(vec![(post, 1.0)]);
    let values = ResolvedValues::Range(0, 99);
    config.data.insert(
        "id".into(),
        ResolvedData { order: DataOrder::Sequential, ..ResolvedData::of(values) },
    );
    run(config, &[stage(0.2, 1.0, 100.0, 100.0)], Duration::from_secs(5));
    let all = all.lock().unwrap();
    for seen in all.iter() {
        assert_eq!(seen.path.strip_prefix("/order/"), seen.body.strip_prefix("id="));
        assert_eq!(seen.method, "POST");
    }
    let paths: HashSet<&str> = all.iter().map(|seen| seen.path.as_str()).collect();
    assert_eq!((all.len(), paths.len()), (100, 100));
}

#[test]
fn a_stalled_target_bounds_connections_and_nothing_is_unsent_in_silence() {
    let (address, taken) = server::raw(|_| thread::sleep(Duration::from_secs(30)));
    let mut config = config(address);
    config.max_in_flight = 8;
    let ticks = run(config, &[stage(0.1, 3.0, 50_000.0, 50_000.0)], Duration::ZERO);
    assert_eq!(taken.load(Ordering::SeqCst), 8);
    let (offered, held_back) =
        (sum(&ticks, |tick| tick.offered), sum(&ticks, |tick| tick.held_back));
    assert_eq!(offered, 150_000);
    assert_eq!(sum(&ticks, |tick| tick.sent), 8);
    assert_eq!(held_back, offered - 8);
    assert_eq!(sum(&ticks, |tick| tick.lateness.count()), offered);
    assert_eq!(ticks.iter().map(|tick| tick.backlog).max(), Some(100_000));
    // The target had 8 all the time, so the ticks of whole seconds show that.
    assert!((ticks[1].in_flight - 8.0).abs() < 1e-6, "{}", ticks[1].in_flight);
}

#[test]
fn ticks_come_each_second_without_load_too() {
    let address = server::http(|_| server::status(200));
    let epoch = Epoch::new(Instant::now());
    let (generator, receiver) = Generator::start(config(address), epoch).unwrap();
    let wait = Duration::from_secs(10);
    let ends: Vec<f64> =
        (0..3).map(|_| receiver.recv_timeout(wait).unwrap().window.end.secs()).collect();
    assert_eq!(ends, [1.0, 2.0, 3.0]);
    drop(generator);
    assert!(receiver.iter().all(|tick| tick.offered == 0));
}

#[test]
fn ticks_that_no_one_reads_are_merged_and_not_lost() {
    let (sender, receiver) = sync_channel(1);
    let mut outlet = meter::Outlet::new(sender);
    let mut meter = meter::Meter::new("here".into(), vec!["home".into()], Arc::default(), 0);
    for second in 1..=4 {
        meter.offered();
        meter.begun(second * meter::SECOND - meter::SECOND / 2);
        outlet.send(meter.close(second * meter::SECOND, second));
    }
    let first = receiver.recv().unwrap();
    assert_eq!((first.offered, first.window.end), (1, Moment::from_secs_f64(1.0)));
    outlet.finish(meter.close(4 * meter::SECOND + 1, 9));
    let merged = receiver.recv().unwrap();
    assert_eq!((merged.offered, merged.backlog), (3, 9));
    assert_eq!(merged.window.begin, Moment::from_secs_f64(1.0));
    // 1.5, 2.5 and 3.5 in flight.
    assert!((merged.in_flight - 2.5).abs() < 1e-6, "{}", merged.in_flight);
}

/// The server knows the truth: when it answered each request, compared with the intended start of
/// that request. This includes the time to work off the queue after a stall. It excludes only the
/// time until the client sees the answer.
#[test]
fn a_stall_is_measured_from_the_intended_start() {
    const HEARING_SECS: f64 = 0.025;
    let (period, stall) = (Duration::from_millis(2500), Duration::from_secs(1));
    let (address, answers) = server::stall_now_and_then(period, stall);
    let mut config = config(address);
    // One worker draws the values in the order of arrivals. A hundred requests arrive in a stall,
    // and most wait for a connection. A clock that starts when they are sent would miss that wait.
    (config.workers, config.max_in_flight) = (Some(1), 20);
    config = config.with_mix(vec![(get("nth", Template(vec![Segment::Value("n".into())])), 1.0)]);
    let values = ResolvedValues::Range(0, 499);
    config.data.insert(
        "n".into(),
        ResolvedData { order: DataOrder::Sequential, ..ResolvedData::of(values) },
    );
    let stage = stage(0.2, 5.0, 100.0, 100.0);
    let epoch = Epoch::new(Instant::now());
    let (generator, receiver) = Generator::start(config, epoch).unwrap();
    generator.hold(0, &stage);
    // Longer than the stage: requests that wait for a connection when load ends are dropped.
    thread::sleep(Duration::from_millis(6700));
    let rest = generator.stop(Duration::from_secs(10));
    let ticks: Vec<LoadTick> = receiver.try_iter().chain(rest).collect();

    let mut schedule = pacer::Schedule::new(0, 1, 1e6);
    schedule.push(&stage);
    let answers = answers.lock().unwrap();
    let mut truth = Vec::new();
    while schedule.next() != pacer::NEVER {
        let intended = epoch.instant(Moment::from_nanos(schedule.next()));
        let answered = answers[&format!("/{}", truth.len())];
        truth.push(answered.saturating_duration_since(intended).as_secs_f64());
        schedule.advance();
    }
    truth.sort_by(f64::total_cmp);
    let (mut response_time, mut service_time) = (Histogram::new(), Histogram::new());
    for endpoint in ticks.iter().flat_map(|tick| &tick.endpoints) {
        response_time.merge(&endpoint.response_time);
        service_time.merge(&endpoint.service_time);
    }
    assert_eq!((truth.len(), response_time.count()), (500, 500));
    for quantile in [0.7, 0.8, 0.9, 0.99] {
        let truth = truth[(500.0 * quantile) as usize - 1];
        let measured = response_time.quantile(quantile).unwrap();
        let expected = truth * 0.98..truth * 1.02 + HEARING_SECS;
        assert!(expected.contains(&measured), "p{quantile}: {measured} s instead of {truth} s");
    }
    // The load did separate the two.
    let (response, service) = (response_time.quantile(0.8), service_time.quantile(0.8));
    assert!(service.unwrap() < response.unwrap() / 2.0, "{service:?} {response:?}");
}

#[test]
fn a_probe_tells_who_answers_or_what_to_do() {
    let address = server::http(|seen| {
        let mut response = server::status(if seen.path == "/" { 200 } else { 404 });
        response.headers_mut().insert("server", "shop/1".parse().unwrap());
        response
    });
    let mut config = config(address);
    config = config
        .with_mix(vec![(get("home", text("/")), 1.0), (get("missing", text("/missing")), 1.0)]);
    let timeout = Duration::from_secs(5);
    let reports = probe(&config, timeout).unwrap();
    assert_eq!(reports.len(), 2);
    assert_eq!((reports[0].status, reports[1].status), (200, 404));
    assert_eq!(reports[1].endpoint, "missing");
    assert_eq!(reports[0].peer, address.to_string());
    assert_eq!(reports[0].server.as_deref(), Some("shop/1"));

    let (_bound, refusing) = server::refusing();
    let port = refusing.port();
    config.target.url.port = port;
    let errors = probe(&config, timeout).unwrap_err();
    assert_eq!(errors.len(), 2);
    assert_eq!(
        errors[0].to_string(),
        format!(
            "request `home` got no response from `127.0.0.1:{port}` (connect): connection \
             refused (os error 111); start the target, or check host and port of `url` in [target]"
        )
        .replace("connection refused", "Connection refused")
    );
}

#[test]
fn a_target_may_listen_on_a_unix_socket() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("app.sock");
    let mut config = config("127.0.0.1:9".parse().unwrap());
    config.target.url.host = "shop.example".into();
    config.target.unix_socket = Some(path.display().to_string());
    let error = probe(&config, Duration::from_secs(5)).unwrap_err().remove(0).to_string();
    assert!(error.contains("app.sock`") && error.contains("check `unix_socket`"), "{error}");

    server::http_at(&path, |_| server::status(200));
    let report = probe(&config, Duration::from_secs(5)).unwrap().remove(0);
    assert_eq!((report.peer, report.status), (path.display().to_string(), 200));
    for connections in [Connections::KeepAlive, Connections::PerRequest] {
        config.target.connections = connections;
        let ended = how_twenty_end(config.clone());
        assert_eq!(ended, BTreeMap::from([(ResponseClass::Status(200), 20)]));
    }
}

#[test]
fn the_time_of_a_request_is_parted() {
    let (address, _) = server::raw(|connection| {
        while server::read_request(connection) {
            thread::sleep(Duration::from_millis(60));
            drop(connection.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n"));
            for byte in [b"a", b"b"] {
                thread::sleep(Duration::from_millis(50));
                drop(connection.write_all(byte));
            }
        }
    });
    let ticks = run(config(address), &[stage(0.2, 0.2, 100.0, 100.0)], Duration::from_secs(10));
    let mut phases = Phases::default();
    ticks.iter().for_each(|tick| phases.merge(&tick.phases));
    assert!(phases.tls.is_empty());
    for (phase, low, high) in
        [(&phases.send, 0.0, 0.02), (&phases.wait, 0.06, 0.5), (&phases.receive, 0.1, 0.5)]
    {
        let median = phase.quantile(0.5).unwrap();
        assert_eq!(phase.count(), 20);
        assert!((low..high).contains(&median), "{median} in {phases:?}");
    }

    let (address, _) = server::https(|_| server::status(200));
    let mut config = config(address);
    config.target.url.https = true;
    config.target.tls.trust = Trust::Insecure;
    let ticks = run(config, &[stage(0.2, 0.2, 100.0, 100.0)], Duration::from_secs(10));
    for tick in &ticks {
        assert_eq!(tick.phases.tls.count(), tick.connects);
        assert!(tick.phases.tls.sum() <= tick.connect_time.sum());
    }
}
