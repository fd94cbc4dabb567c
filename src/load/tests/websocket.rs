//! Sessions held open against a WebSocket server: what they send and receive, and how they
//! reconnect.

use std::sync::mpsc::Receiver;

use futures_util::{SinkExt as _, StreamExt as _};
use tokio_tungstenite::accept_async;

use super::*;
use crate::plan::{Backoff, Disconnect, Message, WebSocket};

/// What a server does with the messages of a session.
#[derive(Clone, Copy)]
enum Behaviour {
    /// Sends each message back, after this delay.
    Echo(Duration),
    Silent,
    /// Closes at the first message.
    Close,
}

/// A server, and how many sessions it has upgraded.
fn serve(behaviour: Behaviour) -> (SocketAddr, Arc<AtomicUsize>) {
    let count = Arc::new(AtomicUsize::new(0));
    let shared = Arc::clone(&count);
    let address = server::accept(move |tcp| {
        let count = Arc::clone(&shared);
        async move {
            let Ok(mut socket) = accept_async(tcp).await else { return };
            count.fetch_add(1, Ordering::SeqCst);
            while let Some(Ok(message)) = socket.next().await {
                match behaviour {
                    _ if !message.is_text() => {}
                    Behaviour::Echo(after) => {
                        assert!(message.to_text().unwrap().starts_with("ping "));
                        tokio::time::sleep(after).await;
                        drop(socket.send(message).await);
                    }
                    Behaviour::Silent => {}
                    Behaviour::Close => drop(socket.close(None).await),
                }
            }
        }
    });
    (address, count)
}

fn websocket(sessions: usize, interval: Duration, expect: bool) -> WebSocket {
    let body = Template(vec![Segment::Text("ping ".into()), Segment::Value("n".into())]);
    WebSocket {
        request: get("feed", text("/ws?a=b")),
        sessions,
        open_rate: 200.0,
        message: Some(Message { text: Body { template: body }, interval, expect }),
        drop: None,
        backoff: Backoff { from: Duration::from_millis(50), to: Duration::from_millis(400) },
    }
}

fn load(address: SocketAddr) -> LoadConfig {
    let mut config = config(address);
    let values = ResolvedValues::Range(1, 9);
    config.data.insert("n".into(), ResolvedData::of(values));
    config
}

/// Holds the sessions for `secs` seconds. Returns their seconds.
fn hold(websocket: &WebSocket, load: &LoadConfig, secs: f64) -> Vec<SessionTick> {
    let epoch = Epoch::new(Instant::now());
    let (sessions, ticks): (_, Receiver<_>) =
        Sessions::start(websocket, load, epoch, Moment::from_secs_f64(0.1)).unwrap();
    thread::sleep(Duration::from_secs_f64(secs));
    sessions.stop();
    let ticks: Vec<SessionTick> = ticks.try_iter().collect();
    for pair in ticks.windows(2) {
        assert_eq!(pair[0].window.end, pair[1].window.begin);
    }
    ticks
}

#[test]
fn sessions_are_held_and_their_round_trips_measured() {
    let (address, upgraded) = serve(Behaviour::Echo(Duration::from_millis(30)));
    let websocket = websocket(50, Duration::from_millis(200), true);
    let ticks = hold(&websocket, &load(address), 2.5);
    let last = &ticks.last().unwrap().counts;
    assert_eq!((last.open, last.opens, last.open_failures), (50, 50, 0));
    assert_eq!((last.breaks, last.drops, last.unanswered), (0, 0, 0));
    assert_eq!(upgraded.load(Ordering::SeqCst), 50);
    // 50 sessions, five times a second, for more than two seconds.
    assert!((400..=600).contains(&last.sent), "{last:?}");
    assert!(last.received > last.sent - 50, "{last:?}");
    let (mut round_trip, mut open_time) = (Histogram::new(), Histogram::new());
    for tick in &ticks {
        round_trip.merge(&tick.round_trip);
        open_time.merge(&tick.open_time);
    }
    assert_eq!((round_trip.count(), open_time.count()), (last.received, 50));
    let median = round_trip.quantile(0.5).unwrap();
    assert!((0.03..0.2).contains(&median), "{median}");
}

#[test]
fn a_storm_comes_back_with_a_backoff() {
    let (address, upgraded) = serve(Behaviour::Silent);
    let mut websocket = websocket(40, Duration::from_secs(60), false);
    websocket.drop = Some(Disconnect { share: 0.5, at: Duration::from_millis(900), every: None });
    // The connections are lost at 1 s, and restored by 1.05 s.
    let ticks = hold(&websocket, &load(address), 2.5);
    let last = &ticks.last().unwrap().counts;
    assert_eq!((last.open, last.opens, last.drops, last.breaks), (40, 60, 20, 0), "{ticks:?}");
    assert_eq!(upgraded.load(Ordering::SeqCst), 60);
}

#[test]
fn sessions_that_end_otherwise_are_counted_and_come_back() {
    let (address, _) = serve(Behaviour::Close);
    let brief = websocket(10, Duration::from_millis(100), true);
    let ticks = hold(&brief, &load(address), 2.0);
    let last = &ticks.last().unwrap().counts;
    assert!(last.breaks >= 30 && last.opens <= last.breaks + 10, "{last:?}");
    assert_eq!(last.unanswered, 0);
    // The wait grows. Otherwise there would be about 40 openings of each.
    assert!(last.opens <= 10 * 15, "{last:?}");

    let (address, _) = serve(Behaviour::Silent);
    let mut load = load(address);
    load.target.timeout = Duration::from_millis(300);
    let ticks = hold(&brief, &load, 2.0);
    let last = &ticks.last().unwrap().counts;
    assert!(last.unanswered >= 10 && last.breaks == last.unanswered, "{last:?}");

    let (_bound, refusing) = server::refusing();
    load.target.url.port = refusing.port();
    let ticks = hold(&brief, &load, 1.0);
    let last = &ticks.last().unwrap().counts;
    assert!(last.open_failures >= 10 && last.opens == 0, "{last:?}");
}

#[test]
fn what_does_not_upgrade_is_told_before_any_load() {
    let brief = websocket(1, Duration::from_secs(1), true);
    let (address, upgraded) = serve(Behaviour::Silent);
    probe_websocket(&brief, &load(address)).unwrap();
    assert_eq!(upgraded.load(Ordering::SeqCst), 1);
    let plain = server::http(|_| server::status(404));
    let error = probe_websocket(&brief, &load(plain)).unwrap_err().to_string();
    assert!(error.contains("session `feed`") && error.contains("404"), "{error}");
    let (_bound, refusing) = server::refusing();
    let error = probe_websocket(&brief, &load(refusing)).unwrap_err().to_string();
    assert!(error.contains("refused"), "{error}");
}

#[test]
fn sessions_go_over_tls_as_requests_do() {
    let (acceptor, pem) = server::acceptor(None, &[]);
    let address = server::accept(move |tcp| {
        let acceptor = acceptor.clone();
        async move {
            let Ok(tls) = acceptor.accept(tcp).await else { return };
            let Ok(mut socket) = accept_async(tls).await else { return };
            while let Some(Ok(_)) = socket.next().await {}
        }
    });
    let mut load = load(address);
    load.target.url.https = true;
    load.target.url.host = "localhost".into();
    load.target.version = plan::HttpVersion::Auto;
    load.target.tls.trust = Trust::CaFile("ca.pem".into());
    load.pem.ca = Some(pem.into_bytes());
    let ticks = hold(&websocket(5, Duration::from_secs(9), false), &load, 1.2);
    assert_eq!(ticks.last().unwrap().counts.open, 5);
}
