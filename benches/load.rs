//! What making load costs, and how true it is: CPU per request against wrk and oha at equal
//! connections, lateness at fixed rates, and the p99 of a server that stalls against the truth.
//!
//! `cargo bench --bench load`. Figures are of one run on one machine: read the ratios. Needs
//! `wrk` (`apt-get install wrk`), takes `oha` (`cargo install oha`) and `nginx` if they are there.

#![allow(clippy::print_stdout, reason = "a bench is read by a person")]

use std::collections::BTreeMap;
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
use kneepoint::load::{Generator, LoadConfig};
use kneepoint::plan::{Connections, Request, Segment, Target, TargetUrl, Template, Tls};
use kneepoint::timeline::{Epoch, Histogram, LoadTick, Moment, Stage, StageRole, Window};

const CONNECTIONS: usize = 64;
const SECS: u64 = 5;
/// Tells a child of this program what it is: `server`, or `client PORT RATE IN_FLIGHT`.
const ROLE: &str = "KNEEPOINT_BENCH_ROLE";

fn main() {
    match std::env::var(ROLE) {
        Ok(role) if role == "server" => serve_as_child(),
        Ok(role) => load_as_child(&role),
        Err(_) => compare(),
    }
}

fn compare() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let (mut server, port, name) = start_server(directory.path());
    println!("server: {name}; {CONNECTIONS} connections, one client thread, {SECS} s each\n");
    println!("{:<28} {:>10} {:>14} {:>8}", "flat out", "req/s", "CPU us/request", "to wrk");
    let url = format!("http://127.0.0.1:{port}/");
    let wrk = run_wrk(&url);
    let rows = [
        ("wrk (apt-get install wrk)", wrk),
        ("oha (cargo install oha)", run_oha(&url)),
        ("kneepoint", Some(run_kneepoint(port, 400_000.0, CONNECTIONS).0)),
    ];
    for (name, usage) in rows {
        match usage {
            None => println!("{name:<28} {:>10}", "not found"),
            Some(usage) => {
                let ratio =
                    wrk.map_or("-".into(), |wrk| format!("{:.2}", usage.micros() / wrk.micros()));
                let rate = usage.requests as f64 / SECS as f64;
                println!("{name:<28} {rate:>10.0} {:>14.2} {ratio:>8}", usage.micros());
            }
        }
    }
    println!(
        "\n{:<28} {:>10} {:>14} {:>10} {:>10}",
        "kneepoint at a rate", "req/s", "CPU us/request", "late p50", "late p99"
    );
    for rate in [1_000.0, 5_000.0] {
        let (usage, lateness) = run_kneepoint(port, rate, 1_000);
        println!(
            "{:<28} {:>10.0} {:>14.2} {:>7} us {:>7} us",
            "",
            usage.requests as f64 / SECS as f64,
            usage.micros(),
            lateness[0],
            lateness[1],
        );
    }
    drop(server.kill());
    drop(server.wait());
    println!("\n{}", stall());
}

/// What a client process used and did.
#[derive(Clone, Copy)]
struct Usage {
    cpu: Duration,
    requests: u64,
}

impl Usage {
    fn micros(self) -> f64 {
        self.cpu.as_secs_f64() * 1e6 / self.requests.max(1) as f64
    }
}

/// Runs a program to its end; its output, and its user and system time. `None` where there is no
/// such program.
fn measure(command: &mut Command) -> Option<(String, Duration)> {
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().ok()?;
    let mut output = String::new();
    child.stdout.take()?.read_to_string(&mut output).ok()?;
    // SAFETY: zero is a valid value of every field.
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    let mut status = 0;
    // SAFETY: both out-values outlive the call, and the child has not been waited for.
    unsafe { libc::wait4(child.id() as libc::pid_t, &raw mut status, 0, &raw mut usage) };
    let time = |value: libc::timeval| {
        Duration::new(value.tv_sec as u64, 0) + Duration::from_micros(value.tv_usec as u64)
    };
    Some((output, time(usage.ru_utime) + time(usage.ru_stime)))
}

fn run_wrk(url: &str) -> Option<Usage> {
    let (connections, secs) = (CONNECTIONS.to_string(), format!("{SECS}s"));
    let (output, cpu) =
        measure(Command::new("wrk").args(["-t1", "-c", &connections, "-d", &secs, url]))?;
    let line = output.lines().find(|line| line.contains(" requests in "))?;
    Some(Usage { cpu, requests: line.split_whitespace().next()?.parse().ok()? })
}

fn run_oha(url: &str) -> Option<Usage> {
    let (connections, secs) = (CONNECTIONS.to_string(), format!("{SECS}s"));
    let arguments = ["--no-tui", "--output-format", "json", "-c", &connections, "-z", &secs, url];
    let (output, cpu) =
        measure(Command::new("oha").env("TOKIO_WORKER_THREADS", "1").args(arguments))?;
    let report: serde_json::Value = serde_json::from_str(&output).ok()?;
    let rate = report["summary"]["requestsPerSec"].as_f64()?;
    Some(Usage { cpu, requests: (rate * SECS as f64) as u64 })
}

/// Also the lateness in microseconds at p50 and p99.
fn run_kneepoint(port: u16, rate: f64, in_flight: usize) -> (Usage, [u64; 2]) {
    let program = std::env::current_exe().expect("this program has a path");
    let mut command = Command::new(program);
    command.env(ROLE, format!("client {port} {rate} {in_flight}"));
    let (output, cpu) = measure(&mut command).expect("this program starts");
    let numbers: Vec<u64> =
        output.split_whitespace().filter_map(|part| part.parse().ok()).collect();
    let [requests, p50, p99] = numbers[..] else { panic!("the client said `{output}`") };
    (Usage { cpu, requests }, [p50, p99])
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
    println!("{completed} {} {}", micros(0.5), micros(0.99));
}

fn config(port: u16, max_in_flight: usize) -> LoadConfig {
    let host = Ipv4Addr::LOCALHOST.to_string();
    let url = TargetUrl { https: false, host, port, base_path: String::new() };
    let (connections, timeout) = (Connections::KeepAlive, Duration::from_secs(10));
    LoadConfig {
        target: Target { url, connections, timeout, tls: Tls::SystemRoots },
        requests: vec![Request {
            name: "home".into(),
            weight: 1.0,
            method: "GET".into(),
            path: Template(vec![Segment::Text("/".into())]),
            headers: vec![],
            body: None,
        }],
        data: BTreeMap::new(),
        max_in_flight,
        max_rate: 1e6,
        workers: Some(1),
        seed: 1,
        generator: "bench".into(),
        ca_pem: None,
    }
}

/// Holds one rate; the ticks, and when the stage began.
fn run(config: LoadConfig, rate: f64, secs: u64) -> (Vec<LoadTick>, Instant) {
    let epoch = Epoch::new(Instant::now());
    let (generator, receiver) = Generator::start(config, epoch).expect("the load starts");
    let begin = Moment::from_secs_f64(0.1);
    let window = Window::new(begin, begin + Duration::from_secs(secs));
    generator.hold(&Stage { role: StageRole::Ramp, window, rate_from: rate, rate_to: rate });
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
        "worker_processes 1; daemon off; pid {0}/pid; error_log /dev/null;\n\
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
        || {},
    );
}

/// Serves for as long as the process lives.
fn serve(tell: impl FnOnce(SocketAddr), before_each: impl Fn() + 'static) {
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
                let service = service_fn(|_| {
                    before_each();
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

/// A server that stands still for 1 s in every 10 s: the p99 from the intended start against what
/// the schedule and the server's own log of its stalls make of it.
fn stall() -> String {
    const RATE: f64 = 200.0;
    const RUN_SECS: u64 = 20;
    let stalls = Arc::new(Mutex::new(Vec::new()));
    let (told, address) = std::sync::mpsc::sync_channel(1);
    let log = Arc::clone(&stalls);
    thread::spawn(move || {
        let next = std::cell::Cell::new(Instant::now() + Duration::from_secs(5));
        let maybe_stall = move || {
            if Instant::now() >= next.get() {
                let begin = Instant::now();
                thread::sleep(Duration::from_secs(1));
                next.set(next.get() + Duration::from_secs(10));
                log.lock().expect("no one panics").push((begin, Instant::now()));
            }
        };
        serve(move |address| told.send(address).expect("the caller waits"), maybe_stall);
    });
    let address: SocketAddr = address.recv().expect("the server tells its port");
    let (ticks, begin) = run(config(address.port(), 1_000), RATE, RUN_SECS);
    let mut measured = Histogram::new();
    for endpoint in ticks.iter().flat_map(|tick| &tick.endpoints) {
        measured.merge(&endpoint.response_time);
    }
    let stalls = stalls.lock().expect("no one panics");
    let count = (RATE * RUN_SECS as f64) as u64;
    let mut truth: Vec<f64> = (0..count)
        .map(|index| {
            let intended = begin + Duration::from_secs_f64((index as f64 + 0.5) / RATE);
            let inside = stalls.iter().find(|(begin, end)| (*begin..*end).contains(&intended));
            inside.map_or(0.0, |(_, end)| (*end - intended).as_secs_f64())
        })
        .collect();
    truth.sort_by(f64::total_cmp);
    let truth = truth[(count as f64 * 0.99) as usize - 1];
    let p99 = measured.quantile(0.99).unwrap_or(0.0);
    format!(
        "stalling server (1 s in every 10 s, {} stalls): p99 {p99:.3} s, truth {truth:.3} s, {:+.1} %",
        stalls.len(),
        (p99 / truth - 1.0) * 100.0,
    )
}
