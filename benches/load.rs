//! What making load costs, and how true it is. Four parts, each under a minute:
//!
//! - `cost`: CPU per request against wrk and oha on one nginx, at 64 connections and one client
//!   thread, as fast as it goes. Goal: at most 1.25 times wrk's.
//! - `lateness`: actual minus intended start at 1,000/s and 5,000/s. Goal: p99 below 250 us at
//!   5,000/s, on cores that are not busy with something else.
//! - `stall`: the p99 of a server that stands still for 1 s in every 10 s, against what the
//!   schedule and the server's log of its answers make of it. Goal: within 2 %.
//! - `memory`: peak resident memory with 2,000 connections to a server that never answers.
//!
//! `cargo bench --bench load` runs all, `cargo bench --bench load -- cost stall` some. Figures
//! are medians of rounds in which the tools take turns, on one machine: read the ratios. Takes
//! `wrk` (`apt-get install wrk`), `oha` (`cargo install oha`) and `nginx` if they are there.

#![allow(clippy::print_stdout, reason = "a bench is read by a person")]

use std::collections::{BTreeMap, HashMap};
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::Full;
use hyper::Response;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use kneepoint::load::{Generator, LoadConfig, PemFiles, ResolvedData, ResolvedValues};
use kneepoint::plan::{Connections, DataOrder, Request, Segment, Target, TargetUrl, Template};
use kneepoint::timeline::{Epoch, Histogram, LoadTick, Moment, Stage, StageRole, Window};

const CONNECTIONS: usize = 64;
const ROUNDS: usize = 5;
/// Of one tool in one round.
const SECS: u64 = 3;
/// Tells a child of this program what it is: `server`, or `client PORT RATE IN_FLIGHT`.
const ROLE: &str = "KNEEPOINT_BENCH_ROLE";

fn main() {
    match std::env::var(ROLE) {
        Ok(role) if role == "server" => return serve_as_child(),
        Ok(role) => return load_as_child(&role),
        Err(_) => {}
    }
    // `cargo bench` adds `--bench`.
    let asked: Vec<String> = std::env::args().skip(1).filter(|arg| !arg.starts_with('-')).collect();
    let wants = |part: &str| asked.is_empty() || asked.iter().any(|arg| arg == part);
    if wants("cost") || wants("lateness") {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let (mut server, port, name) = start_server(directory.path());
        println!("server: {name}; medians of {ROUNDS} rounds of {SECS} s");
        if wants("cost") {
            cost(port);
        }
        if wants("lateness") {
            lateness(port);
        }
        drop(server.kill());
        drop(server.wait());
    }
    if wants("stall") {
        println!("\n{}", stall());
    }
    if wants("memory") {
        println!("\n{}", memory());
    }
}

/// Offered to kneepoint as a multiple of what wrk got through: enough to keep every connection
/// busy, and little for it to hold back.
const ABOVE_WRK: f64 = 1.1;

fn cost(port: u16) {
    let url = format!("http://127.0.0.1:{port}/");
    let names = ["wrk", "oha", "kneepoint"];
    let mut usages: [Vec<Usage>; 3] = Default::default();
    for _ in 0..ROUNDS {
        let wrk = run_wrk(&url);
        let rate = wrk.map_or(200_000.0, |wrk| wrk.rate() * ABOVE_WRK);
        usages[0].extend(wrk);
        usages[1].extend(run_oha(&url));
        usages[2].push(run_kneepoint(port, rate, CONNECTIONS).0);
    }
    println!(
        "\n{CONNECTIONS} connections, flat out: CPU per request in us\n{:<12} {:>9} {:>8} {:>8} {:>8} {:>8}",
        "", "req/s", "user", "sys", "both", "to wrk"
    );
    let both = |usages: &[Usage]| median(usages.iter().map(|usage| usage.micros().iter().sum()));
    let wrk = both(&usages[0]);
    for (name, usages) in names.iter().zip(&usages) {
        let [user, sys] =
            [0, 1].map(|part| median(usages.iter().map(|usage| usage.micros()[part])));
        let rate = median(usages.iter().map(|usage| usage.rate()));
        let both = both(usages);
        println!("{name:<12} {rate:>9.0} {user:>8.2} {sys:>8.2} {both:>8.2} {:>8.2}", both / wrk);
    }
}

fn lateness(port: u16) {
    println!(
        "\nkneepoint at a rate: CPU per request and lateness in us\n{:<12} {:>9} {:>8} {:>8} {:>8} {:>8} {:>8}",
        "", "req/s", "user", "sys", "p50", "p99", "max"
    );
    for rate in [1_000.0, 5_000.0] {
        let runs: Vec<_> = (0..ROUNDS).map(|_| run_kneepoint(port, rate, 1_000)).collect();
        let [user, sys] =
            [0, 1].map(|part| median(runs.iter().map(|(usage, _)| usage.micros()[part])));
        let [p50, p99, max] = [0, 1, 2].map(|at| median(runs.iter().map(|(_, late)| late[at])));
        let got = median(runs.iter().map(|(usage, _)| usage.rate()));
        println!("{:<12} {got:>9.0} {user:>8.2} {sys:>8.2} {p50:>8.0} {p99:>8.0} {max:>8.0}", "");
    }
}

/// The middle one; not a number where there is none.
fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

/// What a client process used and did.
#[derive(Clone, Copy)]
struct Usage {
    cost: Cost,
    requests: u64,
}

/// What a process used in its life.
#[derive(Clone, Copy)]
struct Cost {
    /// In user code and in the kernel.
    cpu: [Duration; 2],
    peak_bytes: u64,
}

impl Usage {
    /// Per request, in user code and in the kernel.
    fn micros(self) -> [f64; 2] {
        self.cost.cpu.map(|cpu| cpu.as_secs_f64() * 1e6 / self.requests.max(1) as f64)
    }

    /// Requests per second.
    fn rate(self) -> f64 {
        self.requests as f64 / SECS as f64
    }
}

/// A client that has not ended by then hangs: it is ended, told of and left out.
const PATIENCE: Duration = Duration::from_secs(SECS + 10);

/// Runs a program to its end; its output, and what it used. `None` where there is no such
/// program, or it does not end.
fn measure(command: &mut Command) -> Option<(String, Cost)> {
    let mut child =
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().ok()?;
    let mut pipe = child.stdout.take()?;
    let reader = thread::spawn(move || {
        let mut output = String::new();
        pipe.read_to_string(&mut output).map(|_| output)
    });
    let deadline = Instant::now() + PATIENCE;
    let usage = loop {
        let late = Instant::now() >= deadline;
        if late {
            drop(child.kill());
        }
        match wait(&child, late) {
            Some(_) if late => {
                println!("{command:?} did not end within {PATIENCE:?}: left out");
                return None;
            }
            Some(usage) => break usage,
            None => thread::sleep(Duration::from_millis(5)),
        }
    };
    let time = |value: libc::timeval| {
        Duration::new(value.tv_sec as u64, 0) + Duration::from_micros(value.tv_usec as u64)
    };
    let cpu = [time(usage.ru_utime), time(usage.ru_stime)];
    let output = reader.join().ok()?.ok()?;
    Some((output, Cost { cpu, peak_bytes: usage.ru_maxrss as u64 * 1024 }))
}

/// What a child used, once it has ended; waits for that if `block`.
fn wait(child: &Child, block: bool) -> Option<libc::rusage> {
    // SAFETY: zero is a valid value of every field.
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    let mut status = 0;
    let flags = if block { 0 } else { libc::WNOHANG };
    let pid = child.id() as libc::pid_t;
    // SAFETY: both out-values outlive the call, and the child has not been waited for.
    let ended = unsafe { libc::wait4(pid, &raw mut status, flags, &raw mut usage) };
    (ended == pid).then_some(usage)
}

fn run_wrk(url: &str) -> Option<Usage> {
    let (connections, secs) = (CONNECTIONS.to_string(), format!("{SECS}s"));
    let (output, cost) =
        measure(Command::new("wrk").args(["-t1", "-c", &connections, "-d", &secs, url]))?;
    let line = output.lines().find(|line| line.contains(" requests in "))?;
    Some(Usage { cost, requests: line.split_whitespace().next()?.parse().ok()? })
}

fn run_oha(url: &str) -> Option<Usage> {
    let (connections, secs) = (CONNECTIONS.to_string(), format!("{SECS}s"));
    let arguments = ["--no-tui", "--output-format", "json", "-c", &connections, "-z", &secs, url];
    let (output, cost) =
        measure(Command::new("oha").env("TOKIO_WORKER_THREADS", "1").args(arguments))?;
    let report: serde_json::Value = serde_json::from_str(&output).ok()?;
    let rate = report["summary"]["requestsPerSec"].as_f64()?;
    Some(Usage { cost, requests: (rate * SECS as f64) as u64 })
}

/// Also the lateness in microseconds: p50, p99, the longest.
fn run_kneepoint(port: u16, rate: f64, in_flight: usize) -> (Usage, [f64; 3]) {
    let program = std::env::current_exe().expect("this program has a path");
    let mut command = Command::new(program);
    command.env(ROLE, format!("client {port} {rate} {in_flight}"));
    let (output, cost) = measure(&mut command).expect("this program starts");
    let numbers: Vec<u64> =
        output.split_whitespace().filter_map(|part| part.parse().ok()).collect();
    let [requests, p50, p99, max] = numbers[..] else { panic!("the client said `{output}`") };
    (Usage { cost, requests }, [p50, p99, max].map(|micros| micros as f64))
}

fn load_as_child(role: &str) {
    let parts: Vec<&str> = role.split_whitespace().collect();
    let ["client", port, rate, in_flight] = parts[..] else { panic!("no such role: `{role}`") };
    let port = port.parse().expect("a port");
    let rate: f64 = rate.parse().expect("a rate");
    let config = config(port, in_flight.parse().expect("a number"));
    let (ticks, _) = run(config, rate, SECS);
    let mut lateness = Histogram::new();
    ticks.iter().for_each(|tick| lateness.merge(&tick.lateness));
    let completed: u64 = ticks.iter().map(LoadTick::completed).sum();
    let micros = |quantile| (lateness.quantile(quantile).unwrap_or(0.0) * 1e6) as u64;
    println!("{completed} {} {} {}", micros(0.5), micros(0.99), micros(1.0));
}

/// A server that takes connections and never answers: each of 2,000 requests keeps its own.
fn memory() -> String {
    const CONNECTIONS: usize = 2_000;
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    let port = listener.local_addr().expect("a bound listener has an address").port();
    thread::spawn(move || {
        let mut kept = Vec::new();
        kept.extend(listener.incoming());
    });
    let few = run_kneepoint(port, 1.0, 1).0.cost.peak_bytes;
    let many = run_kneepoint(port, 10_000.0, CONNECTIONS).0.cost.peak_bytes;
    format!(
        "{CONNECTIONS} connections to a server that never answers: {:.1} MB at the peak, {:.1} MB of \
         it for the connections and the requests that wait ({:.1} kB a connection)",
        many as f64 / 1e6,
        (many - few) as f64 / 1e6,
        (many - few) as f64 / 1e3 / CONNECTIONS as f64,
    )
}

fn config(port: u16, max_in_flight: usize) -> LoadConfig {
    let host = Ipv4Addr::LOCALHOST.to_string();
    let url = TargetUrl { https: false, host, port, base_path: String::new() };
    let (connections, timeout) = (Connections::KeepAlive, Duration::from_secs(10));
    LoadConfig {
        target: Target { connections, timeout, ..Target::usual(url) },
        requests: vec![],
        journeys: vec![],
        flows: vec![],
        data: BTreeMap::new(),
        max_in_flight,
        max_rate: 1e6,
        workers: Some(1),
        seed: 1,
        generator: "bench".into(),
        pem: PemFiles::default(),
    }
    .with_mix(vec![(Request::get("home", Template(vec![Segment::Text("/".into())])), 1.0)])
}

/// Holds one rate; the ticks, and when the stage began.
fn run(config: LoadConfig, rate: f64, secs: u64) -> (Vec<LoadTick>, Instant) {
    let epoch = Epoch::new(Instant::now());
    let (generator, receiver) = Generator::start(config, epoch).expect("the load starts");
    let begin = Moment::from_secs_f64(0.1);
    let window = Window::new(begin, begin + Duration::from_secs(secs));
    generator.hold(0, &Stage::constant(StageRole::Ramp, window, rate));
    thread::sleep(epoch.instant(window.end).saturating_duration_since(Instant::now()));
    let rest = generator.stop(Duration::from_secs(2));
    (receiver.try_iter().chain(rest).collect(), epoch.instant(begin))
}

/// nginx where there is one, else a server of this program in a process of its own.
fn start_server(directory: &Path) -> (Child, u16, &'static str) {
    let free =
        TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).and_then(|listener| listener.local_addr());
    let port = free.expect("a free port").port();
    let text = format!(
        "master_process off; daemon off; pid {0}/pid; error_log /dev/null;\n\
         events {{ worker_connections 4096; }}\n\
         http {{ access_log off; keepalive_requests 1000000000; client_body_temp_path {0}/body;\n\
         proxy_temp_path {0}/proxy; fastcgi_temp_path {0}/fcgi; uwsgi_temp_path {0}/uwsgi;\n\
         scgi_temp_path {0}/scgi; server {{ listen 127.0.0.1:{port};\n\
         location / {{ return 200 \"hello\"; }} }} }}\n",
        directory.display()
    );
    let conf = directory.join("nginx.conf");
    std::fs::write(&conf, text).expect("a file in the temporary directory");
    let nginx = Command::new("nginx").arg("-c").arg(&conf).stderr(Stdio::null()).spawn();
    if let Ok(nginx) = nginx {
        thread::sleep(Duration::from_millis(300));
        return (nginx, port, "nginx, 1 worker");
    }
    let program = std::env::current_exe().expect("this program has a path");
    let mut command = Command::new(program);
    let mut child =
        command.env(ROLE, "server").stdout(Stdio::piped()).spawn().expect("this program starts");
    let mut port = [0; 2];
    let output = child.stdout.as_mut().expect("it is piped");
    output.read_exact(&mut port).expect("the server tells its port");
    (child, u16::from_be_bytes(port), "hyper, 1 thread (no nginx found)")
}

fn serve_as_child() {
    serve(
        |address| {
            let mut output = std::io::stdout();
            let told = output.write_all(&address.port().to_be_bytes());
            told.and_then(|()| output.flush()).expect("the parent listens");
        },
        |_| {},
    );
}

/// Serves for as long as the process lives.
fn serve(tell: impl FnOnce(SocketAddr), before_each: impl Fn(&str) + 'static) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build_local(tokio::runtime::LocalOptions::default())
        .expect("a runtime");
    let before_each = std::rc::Rc::new(before_each);
    runtime.block_on(async move {
        let listener =
            tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a port");
        tell(listener.local_addr().expect("a bound listener has an address"));
        while let Ok((tcp, _)) = listener.accept().await {
            let before_each = before_each.clone();
            tokio::task::spawn_local(async move {
                let service = service_fn(|request: hyper::Request<_>| {
                    before_each(request.uri().path());
                    async {
                        Ok::<_, hyper::Error>(Response::new(Full::new(Bytes::from_static(
                            b"hello",
                        ))))
                    }
                });
                // Clients that go away are none of the server's business.
                drop(http1::Builder::new().serve_connection(TokioIo::new(tcp), service).await);
            });
        }
    });
}

/// A server that stands still for 1 s in every 10 s: the p99 from the intended start against when
/// the schedule meant each request to start and the server's own log says that it answered it.
fn stall() -> String {
    const RATE: f64 = 200.0;
    const RUN_SECS: u64 = 20;
    let answers = Arc::new(Mutex::new(HashMap::new()));
    let (told, address) = std::sync::mpsc::sync_channel(1);
    let log = Arc::clone(&answers);
    thread::spawn(move || {
        let next = std::cell::Cell::new(Instant::now() + Duration::from_secs(5));
        let maybe_stall = move |path: &str| {
            if Instant::now() >= next.get() {
                thread::sleep(Duration::from_secs(1));
                next.set(next.get() + Duration::from_secs(10));
            }
            log.lock().expect("no one panics").insert(path.to_owned(), Instant::now());
        };
        serve(move |address| told.send(address).expect("the caller waits"), maybe_stall);
    });
    let address: SocketAddr = address.recv().expect("the server tells its port");
    let mut config = config(address.port(), 1_000);
    // One worker draws the values in the order of arrivals.
    config.requests[0].path = Template(vec![Segment::Value("n".into())]);
    let values = ResolvedValues::Range(0, i64::MAX - 1);
    config.data.insert(
        "n".into(),
        ResolvedData { order: DataOrder::Sequential, ..ResolvedData::of(values) },
    );
    let (ticks, begin) = run(config, RATE, RUN_SECS);
    let mut measured = Histogram::new();
    for endpoint in ticks.iter().flat_map(|tick| &tick.endpoints) {
        measured.merge(&endpoint.response_time);
    }
    let answers = answers.lock().expect("no one panics");
    let count = (RATE * RUN_SECS as f64) as usize;
    let mut truth: Vec<f64> = (0..count)
        .map(|index| {
            let intended = begin + Duration::from_secs_f64((index as f64 + 0.5) / RATE);
            let answered = answers.get(&format!("/{index}")).copied().unwrap_or(intended);
            answered.saturating_duration_since(intended).as_secs_f64()
        })
        .collect();
    truth.sort_by(f64::total_cmp);
    let truth = truth[count * 99 / 100 - 1];
    let p99 = measured.quantile(0.99).unwrap_or(0.0);
    format!(
        "stalling server (1 s in every 10 s, {} of {count} answered): p99 {p99:.3} s, truth \
         {truth:.3} s, {:+.1} %",
        answers.len(),
        (p99 / truth - 1.0) * 100.0,
    )
}
