//! Journeys and executors, end to end: what users know and do, and how many there are.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http_body_util::Full;
use hyper::Response;

use super::server::{self, Seen};
use super::*;
use crate::plan::{
    Action, Backoff, Capture, CaptureSource, Check, Header, Journey, Retries, Step, StepCondition,
    ThinkTime, ValueTest,
};

fn template(text: &str) -> Template {
    let piece = |(index, part): (usize, &str)| match (part.is_empty(), index % 2) {
        (true, _) => None,
        (false, 0) => Some(Segment::Text(part.into())),
        (false, _) => Some(Segment::Value(part.into())),
    };
    Template(text.split(['{', '}']).enumerate().filter_map(piece).collect())
}

fn capture(name: &str, source: CaptureSource) -> Capture {
    Capture { name: name.to_owned(), source }
}

/// A configuration with one journey, in one flow of this kind.
pub(super) fn journey(
    address: SocketAddr,
    requests: Vec<plan::Request>,
    steps: Vec<Step>,
    kind: FlowKind,
) -> LoadConfig {
    let journey = Journey { steps, cookies: true, ..Journey::of_one("journey", 1.0, 0) };
    LoadConfig {
        requests,
        journeys: vec![journey],
        flows: vec![FlowConfig { journeys: vec![0], kind }],
        ..config(address)
    }
}

pub(super) fn steps(requests: usize) -> Vec<Step> {
    (0..requests).map(|request| Step::of(Action::Request(request))).collect()
}

const OPEN: FlowKind = FlowKind::Open(plan::Arrivals::Even);
pub(super) const CLOSED: FlowKind = FlowKind::Closed(Iterations::Unlimited);

pub(super) fn vus(begin: f64, secs: f64, from: f64, to: f64) -> Stage {
    Stage { vus_from: from, vus_to: to, ..stage(begin, secs, 0.0, 0.0) }
}

/// The paths that each user requested, by its cookie.
type Visits = Arc<Mutex<HashMap<String, Vec<String>>>>;

/// A shop that knows its users. Each login gets a new token and a new cookie, and both have to come
/// back together.
fn shop() -> (SocketAddr, Visits) {
    let visits = Visits::default();
    let (seen, logins) = (Arc::clone(&visits), AtomicUsize::new(0));
    let address = server::http(move |request: Seen| {
        if request.path == "/login" {
            let number = logins.fetch_add(1, Ordering::SeqCst);
            assert_eq!(request.cookie, None, "a new user has no cookies");
            return Response::builder()
                .header("set-cookie", format!("sid=s{number}; Path=/; HttpOnly"))
                .header("location", format!("http://elsewhere/orders/{number}"))
                .body(Full::new(Bytes::from(format!(r#"{{"user": {{"token": "t{number}"}}}}"#))))
                .unwrap();
        }
        let token = request.authorization.unwrap_or_default();
        let cookie = request.cookie.unwrap_or_default();
        if token.strip_prefix("Bearer t") != cookie.strip_prefix("sid=s") || token.is_empty() {
            return server::status(403);
        }
        seen.lock().unwrap().entry(cookie).or_default().push(request.path);
        server::status(200)
    });
    (address, visits)
}

fn login() -> plan::Request {
    let captures = vec![
        capture("token", CaptureSource::Json("$.user.token".to_owned())),
        capture("orders", CaptureSource::Header("location".to_owned())),
    ];
    let method = "POST".to_owned();
    plan::Request { method, captures, ..plan::Request::get("login", text("/login")) }
}

fn with_token(name: &str, path: &str) -> plan::Request {
    let token = Header::Plain(template("Bearer {token}"));
    let headers = vec![("authorization".to_owned(), token)];
    plan::Request { headers, ..plan::Request::get(name, template(path)) }
}

#[test]
fn what_one_step_learns_the_next_one_uses_and_users_share_nothing() {
    let (address, visits) = shop();
    let requests = vec![login(), with_token("orders", "{orders}"), with_token("pay", "/pay")];
    let browse = Step { repeat: 2, ..Step::of(Action::Request(1)) };
    let token = StepCondition { name: "token".to_owned(), test: ValueTest::Present(true) };
    let pay = Step { when: vec![token], ..Step::of(Action::Request(2)) };
    let steps = vec![Step::of(Action::Request(0)), browse, pay];
    let ticks = run(
        journey(address, requests, steps, OPEN),
        &[stage(0.1, 1.0, 50.0, 50.0)],
        Duration::from_secs(2),
    );
    assert_eq!(classes(&ticks), BTreeMap::from([(ResponseClass::Status(200), 200)]));
    assert_eq!(sum(&ticks, |tick| tick.offered), 200, "each request of a journey counts");
    assert_eq!(sum(&ticks, |tick| tick.sent), 200);
    assert_eq!(sum(&ticks, |tick| tick.journeys.completed), 50);
    let visits = visits.lock().unwrap();
    assert_eq!(visits.len(), 50);
    for (cookie, paths) in visits.iter() {
        let orders = cookie.replace("sid=s", "/orders/");
        assert_eq!(paths[..], [orders.clone(), orders, "/pay".to_owned()]);
    }
}

#[test]
fn a_response_that_is_not_as_expected_has_failed_and_is_told() {
    let address = server::http(|_| server::status(200));
    let checks = vec![Check::Contains("hello".to_owned()), Check::Status(vec![201])];
    let wrong = plan::Request { checks, ..get("wrong", text("/")) };
    let captures = vec![capture("id", CaptureSource::Regex("id=(.*)".to_owned()))];
    let empty = plan::Request { captures, ..get("empty", text("/")) };
    let requests = vec![wrong, empty, get("never", text("/never"))];
    let config = journey(address, requests, steps(3), OPEN);
    let ticks = run(config, &[stage(0.1, 0.5, 40.0, 40.0)], Duration::from_secs(2));
    assert_eq!(classes(&ticks), BTreeMap::from([(ResponseClass::Check, 40)]));
    assert_eq!(sum(&ticks, |tick| tick.journeys.abandoned), 20, "it lacks a value");
    let mut failed = BTreeMap::new();
    for (check, count) in ticks.iter().flat_map(|tick| &tick.journeys.failed_checks) {
        *failed.entry(check.as_str()).or_insert(0) += count;
    }
    assert_eq!(
        failed,
        BTreeMap::from([("wrong: status is 201", 20), ("empty: `id` is found", 20)])
    );
}

#[test]
fn users_think_and_are_not_in_flight_meanwhile() {
    let address = server::http(|_| server::status(200));
    let pause = ThinkTime::Fixed(Duration::from_millis(300));
    let think = Step { think: Some(pause), ..Step::of(Action::Request(0)) };
    let config = journey(address, vec![get("home", text("/"))], vec![think], CLOSED);
    let ticks = run(config, &[vus(0.0, 3.0, 10.0, 10.0)], Duration::from_secs(1));
    // Ten users for 3 s, with a cycle of slightly more than 300 ms each.
    let done = sum(&ticks, LoadTick::succeeded);
    assert!((80..=100).contains(&done), "{done}");
    let busy = ticks.iter().map(|tick| tick.in_flight).fold(0.0, f64::max);
    assert!(busy < 2.0, "{busy} in flight");
}

/// Maximum number of requests that a server works on at the same time.
fn slow_server(delay: Duration) -> (SocketAddr, Arc<AtomicUsize>) {
    let (now, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let seen = Arc::clone(&most);
    let (address, _) = server::raw(move |connection| {
        loop {
            let busy = now.fetch_add(1, Ordering::SeqCst) + 1;
            seen.fetch_max(busy, Ordering::SeqCst);
            thread::sleep(delay);
            now.fetch_sub(1, Ordering::SeqCst);
            let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";
            let mut next = [0; 4096];
            if std::io::Write::write_all(connection, answer).is_err()
                || !matches!(std::io::Read::read(connection, &mut next), Ok(1..))
            {
                return;
            }
        }
    });
    (address, most)
}

#[test]
fn so_many_users_are_so_many_requests_at_a_time() {
    let (address, most) = slow_server(Duration::from_millis(20));
    let config = journey(address, vec![get("home", text("/"))], steps(1), CLOSED);
    // Up to six, then down to two, over one second each.
    let stages = [vus(0.0, 1.0, 0.0, 6.0), vus(1.0, 1.0, 6.0, 2.0)];
    let ticks = run(config, &stages, Duration::from_secs(1));
    assert_eq!(most.load(Ordering::SeqCst), 6);
    // Three on average in the first second and four in the second: 50 requests a second each.
    let done = sum(&ticks, LoadTick::succeeded);
    assert!((200..=360).contains(&done), "{done}");
    assert_eq!(sum(&ticks, |tick| tick.held_back), 0);
}

#[test]
fn iterations_are_counted_and_then_it_is_over() {
    for (iterations, expected) in [
        (Iterations::PerVu(7, 3), 21),
        (Iterations::Shared(20, 3), 20),
        (Iterations::Shared(2, 3), 2),
    ] {
        let address = server::http(|_| server::status(200));
        let kind = FlowKind::Closed(iterations);
        let config = journey(address, vec![get("home", text("/"))], steps(1), kind);
        let (generator, receiver) = Generator::start(config, Epoch::new(Instant::now())).unwrap();
        generator.hold(0, &vus(0.0, 60.0, 3.0, 3.0));
        let deadline = Instant::now() + Duration::from_secs(20);
        while !generator.is_done(0) {
            assert!(Instant::now() < deadline, "{iterations:?} does not end");
            thread::sleep(Duration::from_millis(10));
        }
        let rest = generator.stop(Duration::from_secs(1));
        let ticks: Vec<LoadTick> = receiver.try_iter().chain(rest).collect();
        assert_eq!(sum(&ticks, LoadTick::succeeded), expected, "{iterations:?}");
    }
}

#[test]
fn loads_go_on_side_by_side() {
    let address = server::http(|_| server::status(200));
    let mut config =
        journey(address, vec![get("a", text("/a")), get("b", text("/b"))], steps(1), OPEN);
    config.journeys = vec![Journey::of_one("a", 1.0, 0), Journey::of_one("b", 1.0, 1)];
    config.flows = vec![
        FlowConfig { journeys: vec![0], kind: OPEN },
        FlowConfig { journeys: vec![1], kind: CLOSED },
    ];
    // The highest rate of the run applies to all loads together.
    config.max_rate = 60.0;
    let (generator, receiver) = Generator::start(config, Epoch::new(Instant::now())).unwrap();
    generator.hold(0, &stage(0.0, 4.0, 10.0, 10.0));
    generator.hold(1, &vus(0.0, 4.0, 2.0, 2.0));
    thread::sleep(Duration::from_secs(4));
    let rest = generator.stop(Duration::from_secs(1));
    let ticks: Vec<LoadTick> = receiver.try_iter().chain(rest).collect();
    let of = |name: &str| -> u64 {
        let ended = ticks.iter().flat_map(|tick| &tick.endpoints);
        ended.filter(|end| end.endpoint == name).map(|end| end.response_time.count()).sum()
    };
    assert!((38..=40).contains(&of("a")), "{}", of("a"));
    // Users without think time use what is left of the highest rate, and one second's burst.
    let all = of("a") + of("b");
    assert!((200..=310).contains(&all), "{all}");
    assert!(sum(&ticks, |tick| tick.journeys.capped) > 100);
}

#[test]
fn a_trace_is_replayed_at_its_times_with_its_values() {
    let seen: Arc<Mutex<Vec<String>>> = Arc::default();
    let paths = Arc::clone(&seen);
    let address = server::http(move |request| {
        paths.lock().unwrap().push(request.path);
        server::status(200)
    });
    let arrivals: Vec<Arrival> =
        [0, 100, 150, 700].map(|ms| Arrival { at: ms * 1_000_000, journey: 0 }).to_vec();
    let request = get("item", template("/item/{row.id}"));
    let mut config = journey(address, vec![request], steps(1), FlowKind::Replay(arrivals.into()));
    let cells = ["x", "9", "y", "8", "x", "7", "z", "6"].map(str::to_owned);
    let columns = ["name", "id"].map(str::to_owned);
    let rows = ResolvedValues::Rows { columns: columns.into(), cells: cells.into() };
    config.data = BTreeMap::from([(
        "row".to_owned(),
        ResolvedData { is_trace: true, ..ResolvedData::of(rows) },
    )]);
    let ticks = run(config, &[stage(0.1, 1.0, 4.0, 4.0)], Duration::from_secs(1));
    assert_eq!(sum(&ticks, |tick| tick.offered), 4);
    let mut seen = seen.lock().unwrap().clone();
    seen.sort();
    assert_eq!(seen, ["/item/6", "/item/7", "/item/8", "/item/9"]);
}

#[test]
fn data_that_are_used_up_end_the_load() {
    let address = server::http(|_| server::status(200));
    let mut config = journey(
        address,
        vec![get("item", template("/{id}"))],
        steps(1),
        FlowKind::Closed(Iterations::Unlimited),
    );
    let sequence = ResolvedData {
        order: DataOrder::Sequential,
        exhausted: plan::WhenExhausted::Stop,
        ..ResolvedData::of(ResolvedValues::Range(1, 30))
    };
    config.data = BTreeMap::from([("id".to_owned(), sequence)]);
    let ticks = run(config, &[vus(0.0, 1.0, 4.0, 4.0)], Duration::from_secs(1));
    assert_eq!(sum(&ticks, LoadTick::succeeded), 30);
}

#[test]
fn popular_values_are_drawn_as_often_as_they_should_be() {
    use super::super::mix::Mix;
    use super::super::session::Session;

    let draws = |order, per| {
        let address = SocketAddr::from(([127, 0, 0, 1], 1));
        let mut config = journey(address, vec![get("item", template("/{id}"))], steps(1), OPEN);
        let range = ResolvedData::of(ResolvedValues::Range(1, 1000));
        config.data = BTreeMap::from([("id".to_owned(), ResolvedData { order, per, ..range })]);
        let mut mix = Mix::compile(&config, 0, 1).ok().unwrap();
        let mut session = Session::default();
        let mut counts = BTreeMap::new();
        for _ in 0..20_000 {
            mix.begin(0, None, &mut session);
            mix.next(&mut session).unwrap();
            let path = mix.build(0, &session).target();
            *counts.entry(path[1..].parse::<u32>().unwrap()).or_insert(0) += 1;
        }
        counts
    };
    let zipf = draws(DataOrder::Zipf(1.0), plan::DrawnPer::Iteration);
    // The first of a thousand gets 1 / H(1000) = 13.4 % of the draws, the second half of that.
    assert!((2500..2850).contains(&zipf[&1]), "{}", zipf[&1]);
    assert!((1200..1480).contains(&zipf[&2]), "{}", zipf[&2]);
    let hot = draws(DataOrder::Hot { keys: 0.01, share: 0.9 }, plan::DrawnPer::Iteration);
    let first: u32 = hot.range(..=10).map(|(_, count)| count).sum();
    assert!((17_800..18_200).contains(&first), "{first}");
    let kept = draws(DataOrder::Random, plan::DrawnPer::Vu);
    assert_eq!(kept.len(), 1, "a user keeps its value");
}

#[test]
fn what_is_done_once_is_known_afterwards() {
    let (address, visits) = shop();
    let requests = vec![login(), with_token("orders", "{orders}")];
    let config = journey(address, requests, steps(2), OPEN);
    let once = once(&config, &steps(2), Duration::from_secs(5)).unwrap();
    assert_eq!(once.captured["token"], "t0");
    let statuses: Vec<u16> = once.reports.iter().map(|report| report.status).collect();
    assert_eq!(statuses, [200, 200]);
    assert_eq!(visits.lock().unwrap()["sid=s0"], ["/orders/0"]);
    // A probe sends the same requests as a separate user.
    let reports = probe(&config, Duration::from_secs(5)).unwrap();
    assert!(reports.iter().all(|report| report.status == 200 && report.missed.is_empty()));
}

#[test]
fn clients_ask_again_and_the_amplification_is_measured() {
    let count = AtomicUsize::new(0);
    // Every second answer is a 503.
    let address = server::http(move |_| match count.fetch_add(1, Ordering::SeqCst) % 2 {
        0 => server::status(503),
        _ => server::status(200),
    });
    let backoff = Backoff { from: Duration::from_millis(1), to: Duration::from_millis(2) };
    let mut config = config(address);
    config.workers = Some(1);
    config.target.retries = Some(Retries { most: 3, backoff, budget: Retries::USUAL_BUDGET });
    let ticks = run(config, &[stage(0.1, 1.0, 50.0, 50.0)], Duration::from_secs(2));
    assert_eq!(classes(&ticks), BTreeMap::from([(ResponseClass::Status(200), 50)]));
    assert_eq!(
        sum(&ticks, |tick| tick.sent),
        50,
        "a request is sent once, however often it is asked"
    );
    assert_eq!(sum(&ticks, |tick| tick.journeys.retries), 50);
}
