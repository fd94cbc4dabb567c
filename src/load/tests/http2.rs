//! HTTP/2 against h2 servers: streams that share a connection, and how connections end.

use std::cell::Cell;
use std::rc::Rc;

use bytes::Bytes;
use h2::{Reason, server as h2_server};
use hyper::Response;
use tokio::io::{AsyncRead, AsyncWrite};

use super::*;
use crate::plan::HttpVersion;

/// What one server saw.
#[derive(Default)]
struct Seen {
    connections: AtomicUsize,
    requests: AtomicUsize,
    /// Maximum number of streams open at the same time on one connection.
    at_once: AtomicUsize,
    bytes: AtomicUsize,
}

/// What a server does with a request, by its number on the connection.
#[derive(Clone, Copy)]
enum Behaviour {
    /// Answers after this delay, with a body of this many bytes.
    Answer(Duration, usize),
    /// Answers, and after this many requests says that it accepts no more.
    GoAwayAfter(usize),
    /// Refuses every other stream.
    RefuseOdd,
    Reset(Reason),
}

async fn speak(io: impl AsyncRead + AsyncWrite + Unpin, behaviour: Behaviour, seen: Arc<Seen>) {
    let Ok(mut connection) = h2_server::handshake(io).await else { return };
    let (open, mut count) = (Rc::new(Cell::new(0)), 0);
    seen.connections.fetch_add(1, Ordering::SeqCst);
    while let Some(Ok((request, mut respond))) = connection.accept().await {
        let number = count;
        count += 1;
        match behaviour {
            Behaviour::RefuseOdd if number % 2 == 1 => respond.send_reset(Reason::REFUSED_STREAM),
            Behaviour::Reset(reason) => respond.send_reset(reason),
            _ => {
                let (seen, open) = (Arc::clone(&seen), Rc::clone(&open));
                open.set(open.get() + 1);
                seen.at_once.fetch_max(open.get(), Ordering::SeqCst);
                tokio::task::spawn_local(async move {
                    answer(request, respond, behaviour, &seen).await;
                    open.set(open.get() - 1);
                });
            }
        }
        if matches!(behaviour, Behaviour::GoAwayAfter(most) if count >= most) {
            connection.graceful_shutdown();
        }
    }
}

async fn answer(
    request: hyper::Request<h2::RecvStream>,
    mut respond: h2_server::SendResponse<Bytes>,
    behaviour: Behaviour,
    seen: &Seen,
) {
    assert_eq!(request.headers()["x-kneepoint"], "synthetic");
    assert!(request.headers().get("host").is_none() && request.uri().authority().is_some());
    let mut body = request.into_body();
    while let Some(Ok(piece)) = body.data().await {
        seen.bytes.fetch_add(piece.len(), Ordering::SeqCst);
        drop(body.flow_control().release_capacity(piece.len()));
    }
    seen.requests.fetch_add(1, Ordering::SeqCst);
    let size = match behaviour {
        Behaviour::Answer(after, size) => {
            tokio::time::sleep(after).await;
            size
        }
        _ => 5,
    };
    let head = Response::builder().header("server", "two").body(()).unwrap();
    let Ok(mut stream) = respond.send_response(head, size == 0) else { return };
    if size > 0 {
        drop(stream.send_data(Bytes::from(vec![b'x'; size]), true));
        // Until everything has been sent.
        while let Some(Ok(_)) = std::future::poll_fn(|cx| stream.poll_capacity(cx)).await {}
    }
}

fn serve(behaviour: Behaviour) -> (SocketAddr, Arc<Seen>) {
    let seen = Arc::new(Seen::default());
    let shared = Arc::clone(&seen);
    let address = server::accept(move |tcp| speak(tcp, behaviour, Arc::clone(&shared)));
    (address, seen)
}

fn config_for(address: SocketAddr) -> LoadConfig {
    let mut config = config(address);
    config.target.version = HttpVersion::Http2;
    config.workers = Some(1);
    config
}

const GOOD: ResponseClass = ResponseClass::Status(200);

#[test]
fn requests_share_connections_as_far_as_the_plan_says() {
    let slow = Behaviour::Answer(Duration::from_millis(300), 100_000);
    for (streams, connections) in [(100, 1..=1), (5, 4..=4), (1, 20..=20)] {
        let (address, seen) = serve(slow);
        let mut config = config_for(address);
        config.target.streams = streams;
        let stages = [stage(0.2, 0.2, 100.0, 100.0)];
        let ticks = run(config, &stages, Duration::from_secs(10));
        assert_eq!(classes(&ticks), BTreeMap::from([(GOOD, 20)]), "{streams}");
        let made = seen.connections.load(Ordering::SeqCst);
        assert!(connections.contains(&made), "{streams}: {made}");
        assert_eq!(sum(&ticks, |tick| tick.connects), made as u64);
        assert!(seen.at_once.load(Ordering::SeqCst) <= streams);
        assert_eq!(sum(&ticks, |tick| tick.phases.wait.count()), 20);
    }
}

#[test]
fn a_connection_for_each_request_is_one() {
    let (address, seen) = serve(Behaviour::Answer(Duration::ZERO, 0));
    let mut config = config_for(address);
    config.target.connections = Connections::PerRequest;
    assert_eq!(how_twenty_end(config), BTreeMap::from([(GOOD, 20)]));
    assert_eq!(seen.connections.load(Ordering::SeqCst), 20);
}

#[test]
fn bodies_go_both_ways_under_flow_control() {
    const SIZE: usize = 3_000_000;
    let (address, seen) = serve(Behaviour::Answer(Duration::ZERO, SIZE));
    let mut config = config_for(address);
    config.requests[0].method = "POST".into();
    config.requests[0].body = Some(Body { template: text(&"x".repeat(SIZE)) });
    assert_eq!(how_twenty_end(config), BTreeMap::from([(GOOD, 20)]));
    assert_eq!(seen.bytes.load(Ordering::SeqCst), 20 * SIZE);
}

#[test]
fn what_was_not_looked_at_is_sent_again() {
    let (address, seen) = serve(Behaviour::GoAwayAfter(5));
    let mut config = config_for(address);
    config.max_in_flight = 1;
    let stages = [stage(0.2, 0.5, 100.0, 100.0), stage(0.7, 0.3, 0.0, 0.0)];
    let ticks = run(config.clone(), &stages, Duration::from_secs(10));
    assert_eq!(classes(&ticks), BTreeMap::from([(GOOD, 50)]));
    assert_eq!(seen.requests.load(Ordering::SeqCst), 50);
    assert!((10..=13).contains(&seen.connections.load(Ordering::SeqCst)));

    let (address, _) = serve(Behaviour::RefuseOdd);
    config.target.url.port = address.port();
    let ticks = run(config, &stages, Duration::from_secs(10));
    assert_eq!(classes(&ticks), BTreeMap::from([(GOOD, 50)]));
}

#[test]
fn ends_of_streams_are_told_apart() {
    for (reason, class) in [
        (Reason::INTERNAL_ERROR, ResponseClass::Reset),
        (Reason::HTTP_1_1_REQUIRED, ResponseClass::Protocol),
    ] {
        let (address, _) = serve(Behaviour::Reset(reason));
        assert_eq!(how_twenty_end(config_for(address)), BTreeMap::from([(class, 20)]), "{reason}");
    }
    // A timeout ends its stream, but not the connection.
    let (address, seen) = serve(Behaviour::Answer(Duration::from_secs(30), 0));
    let mut slow = config_for(address);
    slow.target.timeout = Duration::from_millis(300);
    assert_eq!(how_twenty_end(slow), BTreeMap::from([(ResponseClass::Timeout, 20)]));
    assert_eq!(seen.connections.load(Ordering::SeqCst), 1);

    let (_bound, refusing) = server::refusing();
    let ended = how_twenty_end(config_for(refusing));
    assert_eq!(ended, BTreeMap::from([(ResponseClass::Connect, 20)]));
    // An HTTP/1.1 server answers the preface with an error, and closes.
    let old = server::http(|_| server::status(200));
    let ended = how_twenty_end(config_for(old));
    assert!(!ended.contains_key(&GOOD), "{ended:?}");
}

#[test]
fn both_sides_agree_on_a_version() {
    for (offers, version, expected) in [
        (vec!["h2", "http/1.1"], HttpVersion::Auto, "h2"),
        (vec!["http/1.1"], HttpVersion::Auto, "http/1.1"),
        (vec![], HttpVersion::Auto, "http/1.1"),
        (vec!["h2", "http/1.1"], HttpVersion::Http1, "http/1.1"),
        (vec!["h2"], HttpVersion::Http2, "h2"),
    ] {
        let (acceptor, pem) = server::acceptor(None, &offers);
        let seen = Arc::new(Seen::default());
        let shared = Arc::clone(&seen);
        let address = server::accept(move |tcp| {
            let (acceptor, seen) = (acceptor.clone(), Arc::clone(&shared));
            async move {
                let Ok(tls) = acceptor.accept(tcp).await else { return };
                if tls.get_ref().1.alpn_protocol() == Some(b"h2") {
                    speak(tls, Behaviour::Answer(Duration::ZERO, 10), seen).await;
                } else {
                    server::speak_http1(tls, &|_| server::status(200)).await;
                }
            }
        });
        let mut config = config(address);
        config.target.version = version;
        config.target.url.https = true;
        config.target.url.host = "localhost".into();
        config.target.tls.trust = Trust::CaFile("ca.pem".into());
        config.pem.ca = Some(pem.into_bytes());
        assert_eq!(how_twenty_end(config), BTreeMap::from([(GOOD, 20)]), "{offers:?} {version:?}");
        let by_h2 = seen.requests.load(Ordering::SeqCst);
        assert_eq!(by_h2, if expected == "h2" { 20 } else { 0 }, "{offers:?} {version:?}");
    }
}

#[test]
fn a_probe_sees_a_response_of_http2() {
    let (address, _) = serve(Behaviour::Answer(Duration::ZERO, 10));
    let report = probe(&config_for(address), Duration::from_secs(5)).unwrap().remove(0);
    assert_eq!((report.status, report.server.as_deref()), (200, Some("two")));
}
