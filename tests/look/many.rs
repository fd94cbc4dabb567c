//! What many viewers cost.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use super::Run;
use super::target::Server;

const VIEWERS: usize = 50;

/// Seconds of processor time of a process so far.
fn cpu(pid: u32) -> f64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let fields: Vec<&str> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
    let ticks: f64 = [11, 12].iter().map(|at| fields[*at].parse::<f64>().unwrap()).sum();
    ticks / 100.0
}

/// Prints the processor time of a request and the lateness without viewers and with fifty, in turn.
#[test]
#[ignore = "a measurement: minutes on a quiet machine"]
#[allow(clippy::print_stdout, reason = "it prints a table")]
fn the_table() {
    println!("viewers  CPU of a request  lateness p99  events");
    for viewers in [0, VIEWERS, 0, VIEWERS, 0, VIEWERS] {
        let server = Server::start();
        let out = tempfile::tempdir().unwrap();
        let plan = out.path().join("plan.toml");
        std::fs::write(&plan, plan_text(&server.url())).unwrap();
        let run = Run::start(&["run", plan.to_str().unwrap(), "--live"], out.path());
        let (done, events) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let watching: Vec<_> = (0..viewers)
            .map(|_| {
                let (url, done, events) = (run.url.clone(), Arc::clone(&done), Arc::clone(&events));
                thread::spawn(move || watch(&url, &done, &events))
            })
            .collect();
        thread::sleep(Duration::from_secs(5));
        let before = cpu(run.child.id());
        thread::sleep(Duration::from_secs(20));
        let used = cpu(run.child.id()) - before;
        done.store(true, Ordering::Relaxed);
        run.interrupt();
        let (said, _) = run.end();
        watching.into_iter().for_each(|it| it.join().unwrap());
        let file = std::fs::File::open(out.path().join("recording.jsonl.zst")).unwrap();
        let (recording, _) = kneepoint::recording::read(std::io::BufReader::new(file)).unwrap();
        let mut late = kneepoint::timeline::Histogram::new();
        let (mut requests, mut seconds) = (0, 0.0);
        for tick in recording.timeline.ticks.iter().filter(|tick| tick.sent > 0) {
            late.merge(&tick.lateness);
            requests += tick.sent;
            seconds += tick.window.secs();
        }
        let rate = requests as f64 / seconds;
        println!(
            "{viewers:7}  {:13.2} µs  {:9.1} µs  {}",
            used / 20.0 / rate * 1e6,
            late.quantile(0.99).unwrap_or(0.0) * 1e6,
            events.load(Ordering::Relaxed)
        );
        assert!(!said.is_empty());
    }
}

fn plan_text(url: &str) -> String {
    format!(
        "name = \"many viewers\"\n[target]\nurl = \"{url}\"\n[[request]]\nname = \"root\"\npath = \"/\"\n\
         [load]\nexecutor = \"constant-arrival-rate\"\nrate = \"2000/s\"\nduration = \"60s\"\n\
         [limits]\nmax_rate = \"2000/s\"\n"
    )
}

/// Takes in the events of a page as a browser does.
fn watch(url: &str, done: &AtomicBool, events: &AtomicU64) {
    let (host, token) = url.trim_start_matches("http://").split_once('/').unwrap();
    let mut stream = TcpStream::connect(host).unwrap();
    stream.set_read_timeout(Some(Duration::from_millis(500))).unwrap();
    let request = format!("GET /{token}events HTTP/1.1\r\nHost: {host}\r\n\r\n");
    stream.write_all(request.as_bytes()).unwrap();
    let mut bytes = [0; 65536];
    while !done.load(Ordering::Relaxed) {
        let Ok(length) = stream.read(&mut bytes) else { continue };
        if length == 0 {
            return;
        }
        let count = bytes[..length].windows(6).filter(|part| part == b"data: ").count();
        events.fetch_add(count as u64, Ordering::Relaxed);
    }
}
