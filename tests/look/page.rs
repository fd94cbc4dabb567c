//! The live page of a run.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::time::{Duration, Instant};

use kneepoint::recording::{self, Recording};
use serde_json::Value;

use super::Run;
use super::browser::Browser;
use super::target::Server;

fn recorded(out: &Path) -> Recording {
    let file = File::open(out.join("recording.jsonl.zst")).unwrap();
    recording::read(BufReader::new(file)).unwrap().0
}

/// A plain request, and the whole answer.
fn ask(url: &str, method: &str, path: &str) -> String {
    let rest = url.trim_start_matches("http://");
    let (host, token) = rest.split_once('/').unwrap();
    let path = match path.strip_prefix('!') {
        Some(path) => path.to_owned(),
        None => format!("/{token}{path}"),
    };
    let mut stream = TcpStream::connect(host).unwrap();
    let request = format!(
        "{method} {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

/// The numbers that the page shows: the second they are of, and each by its id.
type Sample = (f64, BTreeMap<String, f64>);

fn sample(browser: &mut Browser) -> Option<Sample> {
    let shown = browser.eval(
        "(function () { var list = document.getElementById('numbers'); if (!list) return null;\
         var all = { second: list.dataset.second };\
         list.querySelectorAll('li').forEach(function (item) { all[item.id] = item.dataset.value; });\
         return all; })()",
    );
    let Value::Object(map) = shown else { return None };
    let second = map.get("second")?.as_str()?.split(' ').next()?.parse().ok()?;
    let number = |(id, value): (&String, &Value)| {
        Some((id.strip_prefix("number-")?.to_owned(), value.as_str()?.parse().ok()?))
    };
    Some((second, map.iter().filter_map(number).collect()))
}

#[test]
fn the_page_shows_what_is_recorded_and_becomes_the_report() {
    let Some(mut browser) = Browser::start() else { return };
    let server = Server::start();
    let out = tempfile::tempdir().unwrap();
    let url = server.url();
    let arguments = ["run", &url, "--live", "--start", "20/s", "--max", "60/s", "--hold", "3s"];
    let run = Run::start(&arguments, out.path());
    browser.open(&run.url);
    browser.wait("document.querySelectorAll('#numbers li').length > 5");
    let mut samples: Vec<Sample> = Vec::new();
    let since = Instant::now();
    while samples.len() < 6 && since.elapsed() < Duration::from_secs(20) {
        if let Some(sample) = sample(&mut browser)
            && samples.last().is_none_or(|last| last.0 != sample.0)
        {
            samples.push(sample);
        }
        std::thread::sleep(Duration::from_millis(200));
    }
    assert!(samples.len() >= 6, "{samples:?}");
    browser.fits("live");
    browser.wait("document.getElementById('evidence') !== null");
    let title = browser.eval("document.title");
    assert!(!title.as_str().unwrap().contains("live"), "{title}");
    assert_eq!(browser.errors, [""; 0]);
    let (said, code) = run.end();
    assert!(code.is_some(), "{said}");

    let recording = recorded(out.path());
    for (second, numbers) in samples {
        let ticks = &recording.timeline.ticks;
        let is_it = |tick: &&kneepoint::timeline::LoadTick| tick.window.begin.secs() == second;
        let tick = ticks.iter().find(is_it).unwrap_or_else(|| panic!("no tick at {second}"));
        let seconds = tick.window.secs();
        let mut times = kneepoint::timeline::Histogram::new();
        tick.successes().for_each(|each| times.merge(each));
        let expected = [
            ("offered", Some(tick.offered as f64 / seconds)),
            ("completed", Some(tick.completed() as f64 / seconds)),
            ("succeeded", Some(tick.succeeded() as f64 / seconds)),
            ("in_flight", Some(tick.in_flight)),
            ("backlog", Some(tick.backlog as f64)),
            ("p50", times.quantile(0.5)),
            ("p99", times.quantile(0.99)),
        ];
        for (id, expected) in expected {
            let (shown, expected) = (numbers.get(id).copied(), expected);
            let same = match (shown, expected) {
                (Some(a), Some(b)) => (a - b).abs() <= 1e-9 * b.abs().max(1.0),
                (a, b) => a == b,
            };
            assert!(same, "{id} at {second} s: shown {shown:?}, recorded {expected:?}");
        }
    }
}

#[test]
fn only_who_knows_the_address_sees_and_only_control_steers() {
    let server = Server::start();
    let out = tempfile::tempdir().unwrap();
    let url = server.url();
    let arguments = ["run", &url, "--live", "--start", "20/s", "--max", "40/s", "--hold", "3s"];
    let run = Run::start(&arguments, out.path());
    for path in ["!/", "!/events", "!/now.json", "!/0123456789abcdef0123456789abcdef/now.json"] {
        let answer = ask(&run.url, "GET", path);
        assert!(answer.starts_with("HTTP/1.1 404"), "{path}: {answer}");
    }
    let page = ask(&run.url, "GET", "");
    assert!(page.starts_with("HTTP/1.1 200"), "{page}");
    let (head, _) = page.split_once("\r\n\r\n").unwrap();
    for header in [
        "content-security-policy: default-src 'none'",
        "referrer-policy: no-referrer",
        "cache-control: no-store",
        "x-frame-options: DENY",
    ] {
        assert!(head.contains(header), "no `{header}` in\n{head}");
    }
    assert!(!head.contains("unsafe"), "{head}");
    let answer = ask(&run.url, "POST", "end");
    assert!(answer.starts_with("HTTP/1.1 403") && answer.contains("--control"), "{answer}");
    assert!(ask(&run.url, "DELETE", "").starts_with("HTTP/1.1 405"));
    run.interrupt();
    let (said, code) = run.end();
    assert_eq!(code, Some(105), "{said}");
}

#[test]
fn with_control_a_viewer_marks_pauses_and_ends_the_run() {
    let server = Server::start();
    let out = tempfile::tempdir().unwrap();
    let url = server.url();
    let arguments =
        ["run", &url, "--live", "--control", "--start", "20/s", "--max", "400/s", "--hold", "2s"];
    let run = Run::start(&arguments, out.path());
    let state = || -> Value {
        let answer = ask(&run.url, "GET", "now.json");
        serde_json::from_str(answer.split_once("\r\n\r\n").unwrap().1).unwrap()
    };
    let until = |what: &str, is: &dyn Fn(&Value) -> bool| {
        let since = Instant::now();
        while !is(&state()) {
            assert!(since.elapsed() < Duration::from_secs(30), "never {what}: {}", state());
            std::thread::sleep(Duration::from_millis(50));
        }
    };
    until("running", &|now| now["state"] == "running");
    assert!(ask(&run.url, "POST", "mark").starts_with("HTTP/1.1 200"));
    assert!(ask(&run.url, "POST", "pause").starts_with("HTTP/1.1 200"));
    until("paused", &|now| now["state"] == "paused");
    // The baseline is planned for four seconds; held, it stays.
    until("held", &|now| now["at"]["value"].as_f64() > Some(9.0));
    assert_eq!(state()["stage"]["number"], 1, "{}", state());
    assert!(ask(&run.url, "POST", "resume").starts_with("HTTP/1.1 200"));
    until("on its way", &|now| now["stage"]["number"].as_u64() > Some(1));
    assert!(ask(&run.url, "POST", "end").starts_with("HTTP/1.1 200"));
    let (said, code) = run.end();
    assert_eq!(code, Some(105), "{said}");
    let recording = recorded(out.path());
    let events: Vec<&str> = recording.events.iter().map(|event| event.text.as_str()).collect();
    for event in ["marked", "somebody holds the load at this stage", "the search goes on"] {
        assert!(events.contains(&event), "{event}: {events:?}");
    }
    let first = recording.timeline.stages[0];
    assert!(first.window.secs() > 6.0, "{first:?}");
}
