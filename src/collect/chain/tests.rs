use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};

use super::*;
use crate::plan::OptionValue;
use crate::timeline::{Reading, Selector};

/// Tells a process of this test what it calls: an address, or nothing.
const BACKEND: &str = "KNEEPOINT_TEST_BACKEND";

/// Not a test of its own: what a child of the other test does. It passes each request on to its
/// backend, or keeps it for ever.
#[test]
#[ignore = "is run by another test, as a process of its own"]
fn passes_a_request_on() {
    let Ok(backend) = std::env::var(BACKEND) else { return };
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    writeln!(std::io::stdout(), "\nport={}", listener.local_addr().unwrap().port()).unwrap();
    std::thread::spawn(move || {
        let mut open = Vec::new();
        for client in listener.incoming() {
            let mut client = client.unwrap();
            client.read_exact(&mut [0]).unwrap();
            if !backend.is_empty() {
                let mut called = TcpStream::connect(&backend).unwrap();
                called.write_all(b"?").unwrap();
                open.push(called);
            }
            open.push(client);
        }
    });
    // Until the test ends.
    std::io::stdin().read_to_end(&mut Vec::new()).unwrap();
}

/// A process that passes requests on, and the address it listens on.
fn start(backend: &str) -> (Child, String) {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "collect::chain::tests::passes_a_request_on", "--ignored", "--nocapture"])
        .env(BACKEND, backend)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let output = BufReader::new(child.stdout.take().unwrap());
    let port = output.lines().map_while(Result::ok).find_map(|line| {
        let port = line.strip_prefix("port=")?;
        Some(port.to_owned())
    });
    (child, format!("127.0.0.1:{}", port.expect("it listens")))
}

fn value(readings: &[Reading], selector: &str) -> Option<f64> {
    let selector: Selector = selector.parse().unwrap();
    let found: Vec<f64> =
        readings.iter().filter(|it| selector.matches(&it.key)).map(|it| it.value).collect();
    (!found.is_empty()).then(|| found.iter().sum())
}

#[test]
fn services_are_found_along_the_sockets_and_read_like_the_target() {
    let (mut last, last_address) = start("");
    let (mut middle, middle_address) = start(&last_address);
    let (mut entry, entry_address) = start(&middle_address);
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
    for (what, expected) in [
        (format!("chain.service{{{ledger},address={last_address},kind=service}}"), Some(1.0)),
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
