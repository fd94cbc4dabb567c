//! How connections open and close, as a server sees it.

use super::journeys::{CLOSED, journey, steps, vus};
use super::*;
use crate::plan::{Backoff, Disconnect, Dns, ReconnectStorm, ThinkTime};

/// When a server accepted and lost its connections.
#[derive(Clone, Default)]
struct Visitors {
    came: Arc<Mutex<Vec<Instant>>>,
    went: Arc<Mutex<Vec<Instant>>>,
}

impl Visitors {
    fn came(&self) -> Vec<Instant> {
        self.came.lock().unwrap().clone()
    }

    fn went(&self) -> Vec<Instant> {
        self.went.lock().unwrap().clone()
    }
}

/// A server that answers after `delay` and never closes a connection itself.
fn serve(delay: Duration) -> (SocketAddr, Visitors) {
    let visitors = Visitors::default();
    let seen = visitors.clone();
    let (address, _) = server::raw(move |connection| {
        seen.came.lock().unwrap().push(Instant::now());
        while server::read_request(connection) {
            thread::sleep(delay);
            drop(connection.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"));
        }
        seen.went.lock().unwrap().push(Instant::now());
    });
    (address, visitors)
}

fn storm(share: f64, at: f64, backoff: f64) -> ReconnectStorm {
    let backoff = Duration::from_secs_f64(backoff);
    ReconnectStorm {
        drop: Disconnect { share, at: Duration::from_secs_f64(at), every: None },
        backoff: Backoff { from: backoff, to: backoff },
    }
}

#[test]
fn half_of_the_connections_are_lost_at_once_and_come_back() {
    let (address, visitors) = serve(Duration::from_millis(100));
    let mut config = config(address);
    config.workers = Some(1);
    config.target.storm = Some(storm(0.5, 1.0, 0.4));
    let begin = Instant::now();
    // About twenty connections. Most of them are idle at the storm and after it.
    let stages = [stage(0.2, 0.5, 200.0, 200.0), stage(0.7, 1.8, 20.0, 20.0)];
    let ticks = run(config, &stages, Duration::from_secs(5));
    let (came, went) = (visitors.came(), visitors.went());
    let lost_at = begin + Duration::from_millis(1200);
    let before = came.iter().filter(|at| **at < lost_at).count();
    let lost: Vec<_> = went.iter().filter(|at| **at < lost_at + Duration::from_secs(1)).collect();
    assert!(before >= 10, "{before}");
    assert_eq!(lost.len(), before / 2);
    assert!(lost.iter().all(|at| **at >= lost_at), "none is lost before its time");
    assert_eq!(came.len(), before + before / 2);
    // Each waits for at least half of the backoff.
    let earliest = lost_at + Duration::from_millis(200);
    assert!(came[before..].iter().all(|at| *at >= earliest), "{lost_at:?}: {came:?}");
    assert_eq!(sum(&ticks, |tick| tick.connects), came.len() as u64);
    assert_eq!(classes(&ticks), BTreeMap::from([(ResponseClass::Status(200), 136)]));
}

#[test]
fn what_is_due_while_every_connection_is_away_waits() {
    let (address, visitors) = serve(Duration::ZERO);
    let mut config = config(address);
    config.workers = Some(1);
    // Away from 0.9 s until at least 1.1 s.
    config.target.storm = Some(storm(1.0, 0.7, 0.4));
    let ticks = run(config, &[stage(0.2, 2.0, 100.0, 100.0)], Duration::from_secs(5));
    assert_eq!(classes(&ticks), BTreeMap::from([(ResponseClass::Status(200), 200)]));
    assert!(ticks[0].backlog > 0, "what waits is on record");
    let (mut response_time, mut service_time) = (Histogram::new(), Histogram::new());
    for endpoint in ticks.iter().flat_map(|tick| &tick.endpoints) {
        response_time.merge(&endpoint.response_time);
        service_time.merge(&endpoint.service_time);
    }
    let longest = response_time.max().unwrap();
    assert!(longest > 0.15, "measured from the intended start: {longest}");
    assert!(service_time.sum() < response_time.sum() / 2.0);
    assert!(visitors.came().len() >= 2);
}

#[test]
fn virtual_users_lose_theirs_again_and_again() {
    let (address, visitors) = serve(Duration::from_millis(5));
    let mut config = journey(address, vec![get("home", text("/"))], steps(1), CLOSED);
    config.workers = Some(1);
    config.journeys[0].steps[0].think = Some(ThinkTime::Fixed(Duration::from_millis(20)));
    let mut often = storm(1.0, 0.5, 0.002);
    often.drop.every = Some(Duration::from_millis(500));
    config.target.storm = Some(often);
    let ticks = run(config, &[vus(0.1, 1.8, 6.0, 6.0)], Duration::from_secs(5));
    // At 0.6, 1.1 and 1.6 s.
    assert_eq!(visitors.came().len(), 6 * 4);
    assert_eq!(sum(&ticks, |tick| tick.connects), 6 * 4);
    assert_eq!(classes(&ticks).keys().collect::<Vec<_>>(), [&ResponseClass::Status(200)]);
}

#[test]
fn who_finds_no_one_waits_longer_each_time() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let serve = |mut connection: std::net::TcpStream| {
        while server::read_request(&mut connection) {
            drop(connection.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"));
        }
    };
    // Accepts one connection, and after its end none for a while.
    thread::spawn(move || {
        let (first, _) = listener.accept().unwrap();
        drop(listener);
        serve(first);
        thread::sleep(Duration::from_millis(800));
        let listener = std::net::TcpListener::bind(address).unwrap();
        listener.incoming().for_each(|connection| serve(connection.unwrap()));
    });
    let mut config = config(address);
    (config.workers, config.max_in_flight) = (Some(1), 1);
    let mut storm = storm(1.0, 0.5, 0.1);
    storm.backoff.to = Duration::from_millis(400);
    config.target.storm = Some(storm);
    let stages = [stage(0.1, 2.0, 50.0, 50.0), stage(2.1, 0.5, 0.0, 0.0)];
    let ended = classes(&run(config, &stages, Duration::from_secs(5)));
    let refused = ended[&ResponseClass::Connect];
    // Each attempt is made for one of the forty requests that wait in the meantime.
    assert!((1..=8).contains(&refused), "{ended:?}");
    assert_eq!(ended[&ResponseClass::Status(200)], 100 - refused);
}

#[test]
fn a_pool_is_as_large_as_the_plan_says_and_what_is_due_beyond_it_waits() {
    let (address, visitors) = serve(Duration::from_millis(100));
    let mut config = config(address);
    config.target.max_connections = Some(3);
    // This load needs six connections.
    let ticks = run(config, &[stage(0.1, 1.5, 60.0, 60.0)], Duration::from_secs(5));
    assert_eq!(visitors.came().len(), 3);
    assert!(ticks[0].backlog > 10, "{}", ticks[0].backlog);
    let (sent, held_back) = (sum(&ticks, |tick| tick.sent), sum(&ticks, |tick| tick.held_back));
    assert_eq!(sent + held_back, 90);
    assert_eq!(classes(&ticks), BTreeMap::from([(ResponseClass::Status(200), sent)]));
}

#[test]
fn a_connection_out_of_use_is_closed_without_a_request_that_would_notice() {
    let (address, visitors) = serve(Duration::ZERO);
    let mut config = config(address);
    (config.workers, config.target.max_connections) = (Some(1), Some(1));
    config.target.reuse = plan::Reuse { requests: None, idle: Some(Duration::from_millis(200)) };
    let burst = |begin| stage(begin, 0.2, 100.0, 100.0);
    let stages = [burst(0.1), stage(0.3, 1.7, 0.0, 0.0), burst(2.0)];
    let ticks = run(config, &stages, Duration::from_secs(5));
    assert_eq!(classes(&ticks), BTreeMap::from([(ResponseClass::Status(200), 40)]));
    let (came, went) = (visitors.came(), visitors.went());
    assert_eq!(came.len(), 2);
    // Long before the next request, which comes 1.7 s later.
    assert!(came[1] - went[0] > Duration::from_millis(500), "{:?}", came[1] - went[0]);
}

#[test]
fn a_name_is_resolved_as_often_as_the_plan_says() {
    let (address, _) = serve(Duration::ZERO);
    let mut config = config(address);
    (config.workers, config.target.connections) = (Some(1), Connections::PerRequest);
    let mut resolved = |host: &str, dns| {
        (config.target.url.host, config.target.dns) = (host.to_owned(), dns);
        let stages = [stage(0.1, 1.0, 50.0, 50.0)];
        let ticks = run(config.clone(), &stages, Duration::from_secs(5));
        assert_eq!(classes(&ticks), BTreeMap::from([(ResponseClass::Status(200), 50)]));
        assert_eq!(sum(&ticks, |tick| tick.connect_time.count()), 50);
        sum(&ticks, |tick| tick.phases.dns.count())
    };
    assert_eq!(resolved("localhost", Dns::Once), 0);
    assert_eq!(resolved("localhost", Dns::PerConnection), 50);
    let now_and_then = resolved("localhost", Dns::Every(Duration::from_millis(300)));
    assert!((1..=12).contains(&now_and_then), "{now_and_then}");
    assert_eq!(resolved("127.0.0.1", Dns::PerConnection), 0, "an address has no name");
}

#[test]
fn connections_are_given_up_as_the_plan_says() {
    let address = server::http(|_| server::status(200));
    let mut config = journey(address, vec![get("home", text("/"))], steps(1), CLOSED);
    config.workers = Some(1);
    config.target.reuse = plan::Reuse { requests: Some(5), idle: None };
    config.journeys[0].steps[0].think = Some(ThinkTime::Fixed(Duration::from_millis(10)));
    let ticks = run(config.clone(), &[vus(0.0, 1.0, 1.0, 1.0)], Duration::from_secs(1));
    let (done, connects) = (sum(&ticks, |tick| tick.sent), sum(&ticks, |tick| tick.connects));
    assert_eq!(connects, done.div_ceil(5), "{done} requests");
    config.target.reuse = plan::Reuse { requests: None, idle: Some(Duration::from_millis(1)) };
    let ticks = run(config, &[vus(0.0, 1.0, 1.0, 1.0)], Duration::from_secs(1));
    assert_eq!(sum(&ticks, |tick| tick.sent), sum(&ticks, |tick| tick.connects));
}
