//! Malicious or badly broken servers: each request ends with a clear result, in time, and what is
//! kept of the server's data stays small.

use std::net::TcpStream;

use super::*;

/// Sends `text` over and over, until the client disconnects.
fn forever(text: &'static [u8]) -> impl Fn(&mut TcpStream) {
    move |connection| {
        let block = text.repeat(1 + 4096 / text.len());
        while connection.write_all(&block).is_ok() {}
    }
}

/// What a server does after it has read a request.
type Behaviour = Box<dyn Fn(&mut TcpStream) + Send + Sync>;

fn after(head: &'static str, then: impl Fn(&mut TcpStream) + Send + Sync + 'static) -> Behaviour {
    Box::new(move |connection| {
        if server::read_request(connection) && connection.write_all(head.as_bytes()).is_ok() {
            then(connection);
        }
    })
}

fn drip(text: &'static [u8]) -> impl Fn(&mut TcpStream) {
    move |connection| {
        for byte in text.iter().cycle() {
            if connection.write_all(&[*byte]).is_err() {
                return;
            }
            thread::sleep(Duration::from_millis(2));
        }
    }
}

#[test]
fn hostile_servers_are_told_apart_and_got_rid_of() {
    use ResponseClass::{Protocol, Timeout};
    const OK: &str = "HTTP/1.1 200 OK\r\n";
    const EMPTY: &str = "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";
    const CHUNKED: &str = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";
    let cases: Vec<(&str, ResponseClass, Behaviour)> = vec![
        ("endless headers", Protocol, after(OK, forever(b"a: b\r\n"))),
        ("one endless header", Protocol, after("HTTP/1.1 200 OK\r\nx: ", forever(b"y"))),
        ("endless interim responses", Protocol, after("", forever(b"HTTP/1.1 100 C\r\n\r\n"))),
        ("endless blank lines", Protocol, after("", forever(b"\r\n"))),
        ("nothing but zeros", Protocol, after("", forever(b"\0"))),
        ("too large a chunk size", Protocol, after(CHUNKED, forever(b"f"))),
        ("endless chunk extension", Protocol, after(CHUNKED, forever(b"1;"))),
        (
            "endless trailers",
            Protocol,
            after(CHUNKED, |connection| {
                drop(connection.write_all(b"0\r\n"));
                forever(b"a: b\r\n")(connection);
            }),
        ),
        ("more than it said", Protocol, Box::new(server::once(format!("{EMPTY}hello").leak()))),
        ("two responses", Protocol, Box::new(server::once(EMPTY.repeat(2).leak()))),
        (
            "an endless body",
            Timeout,
            after(OK, |connection| {
                drop(connection.write_all(b"\r\n"));
                forever(b"body")(connection);
            }),
        ),
        ("endless chunks", Timeout, after(CHUNKED, forever(b"1\r\nx\r\n"))),
        ("a head in drips", Timeout, after(OK, drip(b"a: b\r\n"))),
        (
            "a body in drips",
            Timeout,
            after(OK, |connection| {
                drop(connection.write_all(b"content-length: 99999999\r\n\r\n"));
                drip(b"x")(connection);
            }),
        ),
    ];
    let running: Vec<_> = cases
        .into_iter()
        .map(|(name, expected, behave)| {
            let (address, _) = server::raw(behave);
            let mut config = config(address);
            config.workers = Some(1);
            config.target.timeout = Duration::from_millis(1500);
            (name, expected, thread::spawn(move || how_twenty_end(config)))
        })
        .collect();
    for (name, expected, thread) in running {
        assert_eq!(thread.join().unwrap(), BTreeMap::from([(expected, 20)]), "{name}");
    }
}

/// Data that come without a request could only be mistaken for the answer to the next request.
#[test]
fn a_connection_that_speaks_unasked_is_not_used_again() {
    let (address, _) =
        server::raw(after("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n", |connection| {
            thread::sleep(Duration::from_millis(200));
            drop(connection.write_all(b"HTTP/1.1 500 No\r\ncontent-length: 0\r\n\r\n"));
            thread::sleep(Duration::from_secs(30));
        }));
    let config = config(address);
    let connector = connect::Connector::new(connect::Route::resolve(&config).unwrap());
    let mut mix = super::super::mix::Mix::compile(&config, 0, 1)
        .unwrap_or_else(|errors| panic!("{errors:?}"));
    let mut session = super::super::session::Session::default();
    mix.begin(0, None, &mut session);
    assert_eq!(mix.next(&mut session), Ok(super::super::program::Todo::Request(0)));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let mut deadline = deadline::Deadline::new();
        deadline.set(Instant::now() + Duration::from_secs(20));
        let mut link = connector.connect(&mut deadline).await.unwrap();
        let request = mix.build(0, &session);
        let answer = link.exchange(&request, Instant::now(), &mut deadline, &mut ()).await;
        let status = answer.unwrap();
        assert_eq!(status, 200);
        deadline.limit(std::future::poll_fn(|cx| link.poll_ended(cx))).await.unwrap();
        assert!(!link.is_ready().await);
    });
}

/// If a server answers before it has the whole request, and closes, that counts as an answer.
#[test]
fn an_early_answer_counts() {
    let (address, _) = server::raw(|connection| {
        let mut begin = [0; 16];
        if connection.read_exact(&mut begin).is_ok() {
            drop(connection.write_all(b"HTTP/1.1 413 Large\r\ncontent-length: 0\r\n\r\n"));
            drop(connection.shutdown(std::net::Shutdown::Write));
            // Closing with unread data would send a reset ahead of the answer.
            while connection.read(&mut [0; 4096]).is_ok_and(|count| count > 0) {}
        }
    });
    let mut config = config(address);
    config.requests[0].method = "POST".into();
    config.requests[0].body = Some(Body { template: text(&"x".repeat(3_000_000)) });
    assert_eq!(how_twenty_end(config), BTreeMap::from([(ResponseClass::Status(413), 20)]));
}
