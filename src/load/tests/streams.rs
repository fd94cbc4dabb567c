//! The client stops reading a streaming response when it has seen enough.

use std::net::TcpStream;

use super::*;
use crate::plan::Streaming;

/// `count` events, one every `every`, then what `end` says.
fn events(
    every: Duration,
    count: usize,
    end: &'static str,
) -> impl Fn(&mut TcpStream) + Send + Sync + 'static {
    move |connection| {
        if !server::read_request(connection) {
            return;
        }
        const HEAD: &str = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\n\
                            transfer-encoding: chunked\r\n\r\n";
        drop(connection.write_all(HEAD.as_bytes()));
        for _ in 0..count {
            thread::sleep(every);
            let both: [&[u8]; 2] = [b"9\r\ndata: 1\n\n\r\n", b"3\r\n:\n\n\r\n"];
            if both.iter().any(|text| connection.write_all(text).is_err()) {
                return;
            }
        }
        drop(connection.write_all(end.as_bytes()));
    }
}

fn follow(address: SocketAddr, events: Option<u64>, duration: Option<Duration>) -> LoadConfig {
    let mut config = config(address);
    config.requests[0].stream = Some(Streaming { events, duration });
    config
}

fn service(ticks: &[LoadTick]) -> f64 {
    let mut all = Histogram::new();
    ticks.iter().flat_map(|tick| &tick.endpoints).for_each(|end| all.merge(&end.service_time));
    all.quantile(0.5).unwrap()
}

#[test]
fn a_stream_ends_well_after_its_events_or_its_time() {
    let millis = Duration::from_millis;
    let stages = [stage(0.2, 0.2, 100.0, 100.0)];
    let good = BTreeMap::from([(ResponseClass::Status(200), 20)]);
    let (address, _) = server::raw(events(millis(30), 1_000, ""));
    for (wanted, time, low, high) in [
        (Some(4), None, 0.12, 0.6),
        (None, Some(millis(200)), 0.2, 0.6),
        (Some(1_000), Some(millis(200)), 0.2, 0.6),
        // Longer than the timeout, which applies to the first byte.
        (None, Some(millis(700)), 0.7, 1.5),
    ] {
        let mut config = follow(address, wanted, time);
        config.target.timeout = millis(650);
        let ticks = run(config, &stages, Duration::from_secs(10));
        assert_eq!(classes(&ticks), good, "{wanted:?} {time:?}");
        let median = service(&ticks);
        assert!((low..high).contains(&median), "{wanted:?} {time:?}: {median}");
        let mut wait = Histogram::new();
        ticks.iter().for_each(|tick| wait.merge(&tick.phases.wait));
        assert!(wait.quantile(0.5).unwrap() < 0.1, "the first byte comes at once");
    }
}

#[test]
fn a_stream_that_ends_too_early_has_failed() {
    let (address, _) = server::raw(events(Duration::ZERO, 3, "0\r\n\r\n"));
    let ended = how_twenty_end(follow(address, Some(4), None));
    assert_eq!(ended, BTreeMap::from([(ResponseClass::Reset, 20)]));
    let good = BTreeMap::from([(ResponseClass::Status(200), 20)]);
    assert_eq!(how_twenty_end(follow(address, Some(3), None)), good);
    // The server's own end counts as well.
    assert_eq!(how_twenty_end(follow(address, None, Some(Duration::from_secs(60)))), good);
    let refused = "HTTP/1.1 503 Busy\r\ncontent-length: 0\r\n\r\n";
    let (address, _) = server::raw(server::once(refused));
    let ended = how_twenty_end(follow(address, Some(4), None));
    assert_eq!(ended, BTreeMap::from([(ResponseClass::Status(503), 20)]));
}

#[test]
fn what_comes_as_one_piece_is_received_until_it_ends() {
    const OPEN: &str = "HTTP/1.1 200 OK\r\n\r\ndata";
    let piece_then_close = |connection: &mut TcpStream| {
        if server::read_request(connection) {
            drop(connection.write_all(OPEN.as_bytes()));
            thread::sleep(Duration::from_millis(200));
        }
    };
    let (address, _) = server::raw(piece_then_close);
    let follow = |millis| follow(address, None, Some(Duration::from_millis(millis)));
    let stages = [stage(0.2, 0.2, 100.0, 100.0)];
    for (how, config) in [
        ("left by the timer", follow(200)),
        ("closed by the server", follow(60_000)),
        ("no stream", config(address)),
    ] {
        let ticks = run(config, &stages, Duration::from_secs(10));
        let mut receive = Histogram::new();
        ticks.iter().for_each(|tick| receive.merge(&tick.phases.receive));
        assert_eq!(receive.count(), 20, "{how}");
        // A client that reads the piece late has less of the time left.
        let median = receive.quantile(0.5).unwrap();
        assert!(median > 0.1, "{how}: {median}");
    }
}
