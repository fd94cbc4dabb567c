use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::net::{UnixListener, UnixStream};
use std::process::{Child, Command, Stdio};

use super::*;
use crate::plan::OptionValue;
use crate::timeline::{Reading, Selector};

/// Tells a process of this test what it calls: an address, or nothing.
const BACKEND: &str = "KNEEPOINT_TEST_BACKEND";
/// Tells it the path of the UNIX socket on which it listens, instead of a port.
const SOCKET: &str = "KNEEPOINT_TEST_SOCKET";

/// One end of a connection.
trait End: Read + Write + Send {}

impl<T: Read + Write + Send> End for T {}

fn connect(address: &str) -> Box<dyn End> {
    match address.strip_prefix("unix:") {
        Some(path) => Box::new(UnixStream::connect(path).unwrap()),
        None => Box::new(TcpStream::connect(address).unwrap()),
    }
}

/// Where it listens, and what it accepts.
fn listen(socket: &str) -> (String, Box<dyn Iterator<Item = Box<dyn End>> + Send>) {
    if socket.is_empty() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let next = move || Some(Box::new(listener.accept().unwrap().0) as Box<dyn End>);
        return (address, Box::new(std::iter::from_fn(next)));
    }
    let listener = UnixListener::bind(socket).unwrap();
    let next = move || Some(Box::new(listener.accept().unwrap().0) as Box<dyn End>);
    (format!("unix:{socket}"), Box::new(std::iter::from_fn(next)))
}

/// Not a test of its own: what a child of the other test does. It passes each request on to its
/// backend, or keeps it for ever.
#[test]
#[ignore = "is run by another test, as a process of its own"]
fn passes_a_request_on() {
    let Ok(backend) = std::env::var(BACKEND) else { return };
    let (address, clients) = listen(&std::env::var(SOCKET).unwrap());
    writeln!(std::io::stdout(), "\naddress={address}").unwrap();
    std::thread::spawn(move || {
        let mut open = Vec::new();
        for mut client in clients {
            client.read_exact(&mut [0]).unwrap();
            if !backend.is_empty() {
                let mut called = connect(&backend);
                called.write_all(b"?").unwrap();
                open.push(called);
            }
            open.push(client);
        }
    });
    // Until the test ends.
    std::io::stdin().read_to_end(&mut Vec::new()).unwrap();
}

/// A process that passes requests on, and the address it listens on: `socket`, or a port.
fn start(backend: &str, socket: &str) -> (Child, String) {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "collect::chain::tests::passes_a_request_on", "--ignored", "--nocapture"])
        .env(BACKEND, backend)
        .env(SOCKET, socket)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let output = BufReader::new(child.stdout.take().unwrap());
    let address = output
        .lines()
        .map_while(Result::ok)
        .find_map(|line| line.strip_prefix("address=").map(str::to_owned));
    (child, address.expect("it listens"))
}

fn value(readings: &[Reading], selector: &str) -> Option<f64> {
    let selector: Selector = selector.parse().unwrap();
    let found: Vec<f64> =
        readings.iter().filter(|it| selector.matches(&it.key)).map(|it| it.value).collect();
    (!found.is_empty()).then(|| found.iter().sum())
}

#[test]
fn services_are_found_along_the_sockets_and_read_like_the_target() {
    chain_of_three("");
}

#[test]
fn a_service_is_found_behind_a_unix_socket() {
    let directory = tempfile::tempdir().unwrap();
    chain_of_three(directory.path().join("door.sock").to_str().unwrap());
}

/// A target that calls a door, on a port or on `socket`, that calls a ledger.
fn chain_of_three(socket: &str) {
    let (mut last, last_address) = start("", "");
    let (mut middle, middle_address) = start(&last_address, socket);
    let (mut entry, entry_address) = start(&middle_address, "");
    let pid = OptionValue::Integer(u64::from(entry.id()));
    let process_config = Some(CollectorConfig::new("process").with("pid", pid));
    let hint = TargetHint { process_config, is_local: true, ..TargetHint::default() };
    let names = [format!("{middle_address}=door"), format!("{last_address}=ledger")];
    let names = OptionValue::Texts(names.to_vec());
    let mut chain = open(&CollectorConfig::new("chain").with("names", names), &hint).unwrap();
    let mut look = || {
        let mut batch = BatchBuilder::new();
        chain.sample(&mut batch).unwrap();
        batch.finish()
    };
    assert!(look().is_empty(), "nothing is called yet");

    let mut client = TcpStream::connect(&entry_address).unwrap();
    client.write_all(b"?").unwrap();
    let call = format!("chain.tcp.calls{{hop=door*,peer={last_address}*}}");
    let waited = Instant::now();
    let readings = loop {
        let readings = look();
        let is_read = value(&readings, "chain.process.cpu.time{hop=ledger*}").is_some();
        if value(&readings, &call) == Some(1.0) && is_read {
            break readings;
        }
        assert!(waited.elapsed() < Duration::from_secs(30), "{readings:?}");
        std::thread::sleep(Duration::from_millis(20));
    };
    let ledger = format!("hop=ledger ({last_address})");
    let door = format!("hop=door ({middle_address})");
    for (what, expected) in [
        (format!("chain.service{{{ledger},address={last_address},kind=service}}"), Some(1.0)),
        (format!("chain.service{{{door},address={middle_address},kind=service}}"), Some(1.0)),
        (format!("chain.tcp.sockets{{{door},role=inbound}}"), Some(1.0)),
        (format!("chain.tcp.accept_queue{{{door}}}"), Some(0.0)),
        ("chain.service".to_owned(), Some(2.0)),
        (format!("chain.tcp.requests.served{{{ledger}}}"), Some(1.0)),
        (format!("chain.process.count{{{ledger}}}"), Some(1.0)),
        (format!("chain.tcp.calls{{{ledger}}}"), None),
        ("chain.closed".to_owned(), None),
        ("tcp.requests".to_owned(), None),
    ] {
        assert_eq!(value(&readings, &what), expected, "{what}");
    }
    assert!(value(&readings, &format!("chain.threads.total{{{ledger}}}")) > Some(1.0));
    for child in [&mut entry, &mut middle, &mut last] {
        drop(child.stdin.take());
        child.wait().unwrap();
    }
}

#[test]
fn a_plan_turns_it_off() {
    let off = CollectorConfig::new("chain").with(OFF, OptionValue::Switch(true));
    let opened = crate::collect::with_defaults(vec![off], true);
    assert!(!opened.iter().any(|config| config.name == SPEC.name));
    let opened = crate::collect::with_defaults(Vec::new(), true);
    assert!(opened.iter().any(|config| config.name == SPEC.name));
}
