//! A target of which one part means harm while the rest is well: the requests to the rest stay on
//! schedule, those to the bad part are counted as what they are, and kneepoint does not grow.

#![allow(clippy::unwrap_used, reason = "a test whose own server fails has failed")]

mod memory;

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use kneepoint::load::{FlowConfig, Generator, LoadConfig, PemFiles, Share};
use kneepoint::plan::{self, Arrivals};
use kneepoint::timeline::{
    Epoch, Histogram, LoadTick, Moment, ResponseClass, Stage, StageRole, Window,
};

#[global_allocator]
static COUNTED: memory::Counted = memory::Counted;

/// What the server answers to a bad request, until its end or that of the client.
type Behaviour = Arc<dyn Fn(&mut TcpStream) + Send + Sync>;

const GOOD: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\ngood";
const SECONDS: f64 = 1.0;
const RATE: f64 = 100.0;
/// What all of a run may take: lanes, what is kept of their bodies, and the server's own.
const MOST_MEMORY: usize = 48 << 20;

/// What is counted is of the whole process: one run at a time.
static ALONE: Mutex<()> = Mutex::new(());

/// Reads one request without a body; its path, until the client has gone.
fn read_path(connection: &mut TcpStream) -> Option<String> {
    let (mut seen, mut piece) = (Vec::new(), [0; 4096]);
    while !seen.ends_with(b"\r\n\r\n") {
        match connection.read(&mut piece) {
            Ok(count) if count > 0 => seen.extend_from_slice(&piece[..count]),
            _ => return None,
        }
    }
    String::from_utf8(seen).unwrap().split(' ').nth(1).map(str::to_owned)
}

/// A thread for each connection: `behave` at once, or where a bad request has come.
fn serve(is_http: bool, behave: Behaviour) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for connection in listener.incoming() {
            let (mut connection, behave) = (connection.unwrap(), Arc::clone(&behave));
            thread::spawn(move || {
                if !is_http {
                    return behave(&mut connection);
                }
                while let Some(path) = read_path(&mut connection) {
                    if path.starts_with("/bad") {
                        return behave(&mut connection);
                    }
                    if connection.write_all(GOOD).is_err() {
                        return;
                    }
                }
            });
        }
    });
    address
}

fn plan(address: SocketAddr, version: &str, bad: &str) -> plan::Plan {
    let text = format!(
        "[target]\nurl = \"http://{address}\"\ntimeout = \"600ms\"\nversion = \"http/{version}\"\n\
         [[journey]]\nname = \"good\"\nweight = 9\n\
         step = [{{ name = \"good\", path = \"/good\" }}]\n\
         [[journey]]\nname = \"bad\"\nweight = 1\ncookies = true\n\
         step = [{{ name = \"bad\", path = \"/bad\"{bad} }}]\n\
         [load]\nexecutor = \"constant-arrival-rate\"\nrate = \"1/s\"\nduration = \"1s\"\n"
    );
    plan::parse(&text, "it", &[], &|_| None).unwrap_or_else(|why| panic!("{why}"))
}

/// What a run came to.
struct Came {
    /// How the requests ended, by their name.
    classes: BTreeMap<(String, ResponseClass), u64>,
    /// Response times of the good ones.
    good: Histogram,
    failed_checks: u64,
    memory: usize,
}

/// Makes load for a second, with every arrival accounted for.
fn run(plan: plan::Plan) -> Came {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let config = LoadConfig {
        target: plan.target,
        requests: plan.requests,
        flows: vec![FlowConfig::open(Arrivals::Even, plan.journeys.len())],
        journeys: plan.journeys,
        data: BTreeMap::new(),
        max_in_flight: 200,
        max_rate: 1e6,
        workers: Some(1),
        share: Share::WHOLE,
        takeover: kneepoint::load::Takeover::default(),
        seed: 3,
        generator: "here".to_owned(),
        pem: PemFiles::default(),
    };
    let begin = Moment::from_secs_f64(0.2);
    let window = Window::new(begin, begin + Duration::from_secs_f64(SECONDS));
    let work = || {
        let epoch = Epoch::new(Instant::now());
        let (generator, receiver) = Generator::start(config, epoch).unwrap();
        generator.hold(0, &Stage::constant(StageRole::Ramp, window, RATE));
        thread::sleep(epoch.instant(window.end).saturating_duration_since(Instant::now()));
        let rest = generator.stop(Duration::from_secs(10));
        receiver.try_iter().chain(rest).collect::<Vec<LoadTick>>()
    };
    let (ticks, memory) = memory::peak_of_process(work);
    let offered: u64 = ticks.iter().map(|tick| tick.offered).sum();
    let held_back: u64 = ticks.iter().map(|tick| tick.held_back).sum();
    assert_eq!((offered, held_back), ((SECONDS * RATE) as u64, 0), "off schedule");
    let (mut classes, mut good) = (BTreeMap::new(), Histogram::new());
    for endpoint in ticks.iter().flat_map(|tick| &tick.endpoints) {
        let key = (endpoint.endpoint.clone(), endpoint.class);
        *classes.entry(key).or_default() += endpoint.response_time.count();
        if endpoint.endpoint == "good" {
            good.merge(&endpoint.response_time);
        }
    }
    assert_eq!(classes.values().sum::<u64>(), offered, "{classes:?}");
    let checks = ticks.iter().flat_map(|tick| &tick.journeys.failed_checks);
    Came { classes, good, failed_checks: checks.map(|(_, count)| count).sum(), memory }
}

fn drip(connection: &mut TcpStream, text: &[u8]) {
    for byte in text.iter().cycle() {
        if connection.write_all(&[*byte]).is_err() {
            return;
        }
        thread::sleep(Duration::from_millis(100));
    }
}

fn forever(connection: &mut TcpStream, text: &[u8]) {
    let block = text.repeat(1 + 16_384 / text.len());
    while connection.write_all(&block).is_ok() {}
}

fn first(head: impl Into<Vec<u8>>, then: fn(&mut TcpStream, &[u8]), with: &[u8]) -> Behaviour {
    let (head, with) = (head.into(), with.to_vec());
    Arc::new(move |connection| {
        if connection.write_all(&head).is_ok() {
            then(connection, &with);
        }
    })
}

fn only(bytes: impl Into<Vec<u8>>) -> Behaviour {
    first(bytes, |_, _| (), b"")
}

fn answer(headers: &str, body: &[u8]) -> Behaviour {
    let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n{headers}\r\n", body.len());
    only([head.as_bytes(), body].concat())
}

fn gzip(length: usize) -> Vec<u8> {
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    let block = vec![b' '; 1 << 20];
    (0..length >> 20).for_each(|_| gzip.write_all(&block).unwrap());
    gzip.finish().unwrap()
}

const CHECKED: &str = ", check = { contains = \"token\", matches = \"to+ken\" }";
const JSON: &str = ", check = { json = { \"$..id\" = 7 } }";

/// A name, how the bad requests end, what the plan says of them, what the server does.
type Case = (&'static str, ResponseClass, &'static str, Behaviour);

fn cases() -> Vec<Case> {
    use ResponseClass::{Check, Protocol, Reset, Status, Timeout};
    const OK: &str = "HTTP/1.1 200 OK\r\n";
    const OPEN: &str = "HTTP/1.1 200 OK\r\n\r\n";
    let cookies: String =
        (0..90).map(|n| format!("set-cookie: c{n}={}; Path=/\r\n", "x".repeat(600))).collect();
    let long_key = format!("{{\"{}\": [{}0]}}", "k".repeat(400_000), "0,".repeat(300_000));
    vec![
        ("a head in slow drips", Timeout, "", first(OK, drip, b"a: b\r\n")),
        ("a body in slow drips", Timeout, CHECKED, first(OPEN, drip, b"token")),
        ("an endless body", Timeout, "", first(OPEN, forever, b"body")),
        ("an endless body that is read", Timeout, CHECKED, first(OPEN, forever, b"body")),
        (
            "a flood of interim responses",
            Protocol,
            "",
            first("", forever, b"HTTP/1.1 103 E\r\n\r\n"),
        ),
        ("garbage", Protocol, "", first("", forever, b"\x16\x03\x01garbage")),
        ("garbage behind the response", Protocol, "", only([GOOD, b"garbage"].concat())),
        ("less than it said", Reset, CHECKED, only(format!("{OK}content-length: 99\r\n\r\ntoken"))),
        (
            "a redirect of a megabyte",
            Protocol,
            "",
            only(format!("HTTP/1.1 302 F\r\nlocation: /{}\r\n\r\n", "x".repeat(1 << 20))),
        ),
        ("a flood of cookies", Status(200), "", answer(&cookies, b"")),
        ("a bomb", Check, CHECKED, answer("content-encoding: gzip\r\n", &gzip(200 << 20))),
        ("a bomb of JSON", Check, JSON, answer("", long_key.as_bytes())),
        ("a tower of JSON", Check, JSON, answer("", "[".repeat(1 << 20).as_bytes())),
    ]
}

#[test]
fn one_bad_part_of_a_target_does_not_spoil_the_rest() {
    for (name, expected, bad, behaviour) in cases() {
        let came = run(plan(serve(true, behaviour), "1.1", bad));
        let ended: BTreeSet<_> = came.classes.keys().cloned().collect();
        let good = ("good".to_owned(), ResponseClass::Status(200));
        assert_eq!(ended, BTreeSet::from([good, ("bad".to_owned(), expected)]), "{name}");
        let is_checked = expected == ResponseClass::Check;
        assert_eq!(came.failed_checks > 0, is_checked, "{name}: {}", came.failed_checks);
        // Nine in ten of the rest within the time that a busy machine takes for as many.
        let late = came.good.quantile(0.9).unwrap();
        assert!(late < 0.5, "{name}: {late} s");
        assert!(came.memory < MOST_MEMORY, "{name}: {} bytes", came.memory);
    }
}

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let mut frame = (payload.len() as u32).to_be_bytes()[1..].to_vec();
    frame.extend([kind, flags]);
    frame.extend(stream.to_be_bytes());
    frame.extend_from_slice(payload);
    frame
}

#[test]
fn what_is_no_http2_is_an_error_and_nothing_more() {
    let settings = frame(4, 0, 0, b"");
    let with = |then: Vec<u8>| first(settings.clone(), forever, &then);
    // A literal header that is not indexed: `x: yyy…`.
    let header = [&[0, 1, b'x', 127, 0xa1, 0x7f][..], &[b'y'; 16_288]].concat();
    let begun = [settings.clone(), frame(1, 0, 1, &header)].concat();
    let cases: Vec<(&str, Behaviour)> = vec![
        ("garbage", first("", forever, b"garbage")),
        ("zeros", first("", forever, b"\0")),
        ("HTTP/1.1", first("", forever, GOOD)),
        ("silence after its settings", first(settings.clone(), drip, &settings)),
        ("a flood of settings", with(settings.clone())),
        ("a flood of pings", with(frame(6, 0, 0, b"12345678"))),
        ("a flood of unknown frames", with(frame(99, 0, 0, &[7; 100]))),
        ("a flood of windows", with(frame(8, 0, 0, &[0x7f, 0xff, 0xff, 0xff]))),
        ("bodies that no one asked for", with(frame(0, 0, 1, &[7; 1000]))),
        ("resets that no one asked for", with(frame(3, 0, 1, &[0, 0, 0, 8]))),
        ("endless headers", first(begun, forever, &frame(9, 0, 1, &header))),
        ("an immense frame", with([&[0xff; 5][..], &[0, 0, 0, 1]].concat())),
        ("an end at once", only(settings.clone())),
    ];
    for (name, behaviour) in cases {
        let came = run(plan(serve(false, behaviour), "2", ""));
        let is_failure = |class: &ResponseClass| {
            matches!(class, ResponseClass::Protocol | ResponseClass::Reset | ResponseClass::Timeout)
        };
        let ended: Vec<_> = came.classes.keys().collect();
        assert!(ended.iter().all(|(_, class)| is_failure(class)), "{name}: {ended:?}");
        assert!(came.memory < MOST_MEMORY, "{name}: {} bytes", came.memory);
    }
}
