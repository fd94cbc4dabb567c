//! A small HTTP server as the target of a run, and the program itself.

use std::io::{BufRead, BufReader, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

/// The program under test.
pub const KNEEPOINT: &str = env!("CARGO_BIN_EXE_kneepoint");

/// A call of the program that is killed where it hangs.
pub fn kneepoint(arguments: &[&str]) -> assert_cmd::Command {
    let mut command = assert_cmd::Command::new(KNEEPOINT);
    command.args(arguments).timeout(Duration::from_secs(120));
    command
}

/// Answers on a port of its own until it is killed: `/slow` after 400 ms, `/missing` with 404,
/// `/page` with HTML, `/metrics` with metrics, of which `/metrics/failing` has only the first
/// two; everything else at once.
pub struct Server {
    pub port: u16,
    state: Arc<State>,
}

#[derive(Default)]
struct State {
    requests: AtomicU64,
    scrapes: AtomicU64,
    dead: AtomicBool,
    connections: Mutex<Vec<TcpStream>>,
    paths: Mutex<Vec<String>>,
}

impl Server {
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let port = listener.local_addr().expect("bound").port();
        let state = Arc::new(State::default());
        let shared = Arc::clone(&state);
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                if shared.dead.load(Ordering::SeqCst) {
                    return;
                }
                let Ok(kept) = stream.try_clone() else { continue };
                shared.connections.lock().expect("no panic").push(kept);
                let state = Arc::clone(&shared);
                thread::spawn(move || serve(&stream, &state));
            }
        });
        Self { port, state }
    }

    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Requests other than scrapes.
    pub fn requests(&self) -> u64 {
        self.state.requests.load(Ordering::SeqCst)
    }

    /// Paths with queries of the requests, in the order in which they came.
    pub fn paths(&self) -> Vec<String> {
        self.state.paths.lock().expect("no panic").clone()
    }

    /// Ends it as a crash does: nobody listens, and every connection is gone.
    pub fn kill(&self) {
        self.state.dead.store(true, Ordering::SeqCst);
        // Wakes the one that accepts, so that it lets go of the port.
        drop(TcpStream::connect(("127.0.0.1", self.port)));
        for connection in self.state.connections.lock().expect("no panic").drain(..) {
            // It may be closed already.
            let _closed = connection.shutdown(Shutdown::Both).is_err();
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}

fn serve(stream: &TcpStream, state: &State) {
    let mut reader = BufReader::new(stream);
    while let Some(path) = read_request(&mut reader) {
        if !path.starts_with("/metrics") {
            state.paths.lock().expect("no panic").push(path.clone());
        }
        let path = path.split('?').next().unwrap_or_default();
        let is_scrape = path.starts_with("/metrics");
        let count = if is_scrape { &state.scrapes } else { &state.requests };
        let before = count.fetch_add(1, Ordering::SeqCst);
        let (status, kind, body) = match path {
            "/slow" => {
                thread::sleep(Duration::from_millis(400));
                (200, "text/plain", "late")
            }
            "/missing" => (404, "text/plain", "no"),
            "/page" => (200, "text/html", "<!doctype html><title>A page</title>"),
            "/metrics/failing" if before >= 2 => (500, "text/plain", "out of order"),
            _ if is_scrape => (200, "text/plain", "# TYPE shop_orders counter\nshop_orders 7\n"),
            _ => (200, "text/plain", "fine"),
        };
        let length = body.len();
        let answered = write!(
            &mut &*stream,
            "HTTP/1.1 {status} X\r\ncontent-type: {kind}\r\ncontent-length: {length}\r\n\r\n{body}"
        );
        if answered.is_err() {
            return;
        }
    }
}

/// The path of the next request, read to the end of its body.
fn read_request(reader: &mut impl BufRead) -> Option<String> {
    let mut first = String::new();
    reader.read_line(&mut first).ok()?;
    let path = first.split(' ').nth(1)?.to_owned();
    let mut length = 0;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok().filter(|read| *read > 0)?;
        match line.trim().split_once(':') {
            None => break,
            Some((name, value)) if name.eq_ignore_ascii_case("content-length") => {
                length = value.trim().parse().ok()?;
            }
            Some(_) => {}
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some(path)
}

/// Writes a plan into `directory`; gives its path.
pub fn write_plan(directory: &Path, text: &str) -> PathBuf {
    let path = directory.join("plan.toml");
    std::fs::write(&path, text).expect("own directory");
    path
}

/// The `[load]` of a plan that offers these rates, in requests a second, for so long each. It takes less
/// time than a search, and shows the same where it is known between which of them the knee lies.
pub fn held(rates: impl IntoIterator<Item = u32>, secs: u32) -> String {
    let rates: Vec<u32> = rates.into_iter().collect();
    let stage = |rate: &u32| {
        format!(
            "{{ target = \"{rate}/s\", duration = \"0s\" }}, \
             {{ target = \"{rate}/s\", duration = \"{secs}s\" }}"
        )
    };
    let stages: Vec<String> = rates.iter().map(stage).collect();
    let first = rates.first().copied().unwrap_or(1);
    format!(
        "[load]\nexecutor = \"ramping-arrival-rate\"\nstart_rate = \"{first}/s\"\n\
         stages = [{}]\n",
        stages.join(", ")
    )
}
