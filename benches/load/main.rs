//! What making load costs, and how true it is, beside the tools that others use. Parts:
//!
//! - `cost`: CPU per request, at 64 connections or users and one client thread, as fast as it goes.
//!   Goal: a journey of two steps with a capture, checks and cookies costs at most twice what a
//!   plain request costs wrk.
//! - `memory`: peak resident memory with 1,000 and 10,000 users or connections; none of a tool that
//!   did not come to so many connections. Goal: at most 150 MB with 10,000.
//! - `stall`: the p99 of a server that stands still for 1 s in every 10 s at a constant rate,
//!   against what the times at which it stood still make of it. Goal: within 1 %.
//! - `lateness`: actual minus intended start at 1,000/s and 5,000/s, at even distances and at
//!   random. Goal: p99 below 250 us at 5,000/s, on cores that are not busy with something else.
//! - `pace`: CPU per request at 1,000/s and 5,000/s, beside the tools that keep a rate and a plain
//!   client of one thread that sleeps, sends and waits. To wake a thread costs a machine more than
//!   to send a request, so that a request at a rate costs several times what it costs flat out.
//! - `silent`: peak memory with 2,000 connections to a server that never answers.
//!
//! `cargo bench --bench load` runs all, `cargo bench --bench load -- cost stall` some, and
//! `--json=FILE` writes the figures to a file too. CPU is in user code and in the kernel together,
//! as a median of rounds in which the tools take turns: read the ratios. A tool that is not there
//! is left out. Nothing is asserted: the figures are of one run on one machine.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a bench is read by a person")]

mod outcome;
mod own;
mod peers;
mod plain;
mod process;
mod servers;
mod table;

use std::path::Path;

use own::{Job, Load};
use peers::{PEERS, Run, Task, Work};
use servers::{Server, Stalling};
use table::{Figures, Late, Paced, Row, median};

/// And users, where there are users.
const CONNECTIONS: usize = 64;
const ROUNDS: usize = 5;
/// Of one tool in one round.
const SECS: u64 = 3;
const MEMORY_SECS: u64 = 8;
const USERS: [usize; 2] = [1_000, 10_000];
const STALL_RATE: f64 = 500.0;
const STALL_SECS: u64 = 20;
/// Tells a child of this program what it is: `server`, or a [`Job`].
const ROLE: &str = "KNEEPOINT_BENCH_ROLE";
/// What kneepoint does is measured under these names.
const OPEN: &str = "kneepoint, open model";
const CLOSED: &str = "kneepoint, users";
const JOURNEY: &str = "kneepoint, journey";
/// What a client costs that is written plainly.
const PLAIN: &str = "a plain client";

fn main() {
    match std::env::var(ROLE) {
        Ok(role) if role == "server" => return servers::serve_as_child(),
        Ok(role) => return own::load_as_child(&role),
        Err(_) => {}
    }
    process::raise_descriptors();
    // `cargo bench` adds `--bench`.
    let (options, parts): (Vec<String>, Vec<String>) =
        std::env::args().skip(1).partition(|arg| arg.starts_with("--"));
    let wants = |part: &str| parts.is_empty() || parts.iter().any(|asked| asked == part);
    let directory = tempfile::tempdir().expect("a temporary directory");
    let server = Server::start(directory.path());
    let mut figures = Figures::new(server.name);
    if wants("cost") {
        cost(&mut figures, server.port, directory.path());
    }
    if wants("memory") {
        memory(&mut figures, server.port, directory.path());
    }
    if wants("stall") {
        stall(&mut figures, directory.path());
    }
    if wants("lateness") {
        lateness(&mut figures, server.port);
    }
    if wants("pace") {
        pace(&mut figures, server.port, directory.path());
    }
    if wants("silent") {
        silent(&mut figures);
    }
    println!("{figures}");
    if let Some(file) = options.iter().find_map(|option| option.strip_prefix("--json=")) {
        std::fs::write(file, figures.json()).expect("the file can be written");
    }
}

/// Offered to kneepoint in the open model as a multiple of what wrk got through: enough to keep
/// every connection busy, and little for it to hold back.
const ABOVE_WRK: f64 = 1.1;

fn cost(figures: &mut Figures, port: u16, directory: &Path) {
    for round in 0..ROUNDS {
        eprintln!("cost: round {} of {ROUNDS}", round + 1);
        let mut offered = 200_000.0;
        for peer in PEERS.iter().filter(|peer| round == 0 || !peer.is_slow) {
            let Some(run) = peer.run(&Task { port, work: Work::FlatOut, directory }) else {
                continue;
            };
            if peer.name == "wrk" {
                offered = run.requests as f64 / SECS as f64 * ABOVE_WRK;
            }
            figures.row(peer.name).count(&run);
        }
        let open = Load::Open { rate: offered, in_flight: CONNECTIONS, is_poisson: false };
        let closed = Load::Closed { vus: CONNECTIONS, think_secs: 0 };
        for (name, load) in [(OPEN, open), (CLOSED, closed), (JOURNEY, closed)] {
            let job = Job { port, secs: SECS, load, is_journey: name == JOURNEY };
            figures.row(name).count(&own_run(&job));
        }
    }
}

fn own_run(job: &Job) -> Run {
    let (outcome, cost) = job.run();
    Run { requests: outcome.requests, p50: Some(outcome.p50), p99: Some(outcome.p99), cost }
}

fn memory(figures: &mut Figures, port: u16, directory: &Path) {
    for users in USERS {
        let keep = |row: &mut Row, run: &Run| {
            // One that did not come to a connection each is no match for one that did.
            let bytes = run.cost.peak_bytes.filter(|_| run.cost.peak_descriptors >= users);
            row.memory.push((users, bytes));
        };
        for peer in &PEERS {
            eprintln!("memory: {users} users of {}", peer.name);
            if let Some(run) = peer.run(&Task { port, work: Work::Users(users), directory }) {
                keep(figures.row(peer.name), &run);
            }
        }
        for name in [CLOSED, JOURNEY] {
            let load = Load::Closed { vus: users, think_secs: 1 };
            let job = Job { port, secs: MEMORY_SECS, load, is_journey: name == JOURNEY };
            keep(figures.row(name), &own_run(&job));
        }
    }
}

fn stall(figures: &mut Figures, directory: &Path) {
    let count = (STALL_RATE * STALL_SECS as f64) as usize;
    let keep = |row: &mut Row, run: &Run, server: &Stalling| {
        row.p99 = run.p99.zip(server.true_p99(STALL_RATE, count));
    };
    for peer in &PEERS {
        eprintln!("stall: {}", peer.name);
        let server = Stalling::start();
        let task = Task { port: server.port, work: Work::Stall, directory };
        if let Some(run) = peer.run(&task) {
            keep(figures.row(peer.name), &run, &server);
        }
    }
    let server = Stalling::start();
    let load = Load::Open { rate: STALL_RATE, in_flight: 1_000, is_poisson: false };
    let job = Job { port: server.port, secs: STALL_SECS, load, is_journey: false };
    keep(figures.row(OPEN), &own_run(&job), &server);
}

fn lateness(figures: &mut Figures, port: u16) {
    for rate in [1_000.0, 5_000.0] {
        for is_poisson in [false, true] {
            eprintln!("lateness: {rate}/s");
            let load = Load::Open { rate, in_flight: 1_000, is_poisson };
            let job = Job { port, secs: SECS, load, is_journey: false };
            let runs: Vec<_> = (0..ROUNDS).map(|_| job.run()).collect();
            let [p50, p99, longest] =
                [0, 1, 2].map(|at| median(runs.iter().map(|(outcome, _)| outcome.lateness[at])));
            let cpu = median(runs.iter().map(|(outcome, cost)| {
                let [user, sys] = cost.cpu.map(|cpu| cpu.as_secs_f64());
                (user + sys) * 1e6 / outcome.requests.max(1) as f64
            }));
            figures.lateness.push(Late { rate, is_poisson, cpu, p50, p99, longest });
        }
    }
}

fn pace(figures: &mut Figures, port: u16, directory: &Path) {
    for rate in [1_000, 5_000] {
        for round in 0..ROUNDS {
            eprintln!("pace: {rate}/s, round {} of {ROUNDS}", round + 1);
            for peer in &PEERS {
                if let Some(run) = peer.run(&Task { port, work: Work::Pace(rate), directory }) {
                    Paced::count(&mut figures.paced, peer.name, rate, &run);
                }
            }
            let plain = Load::Plain { rate: rate as f64 };
            let open = Load::Open { rate: rate as f64, in_flight: 1_000, is_poisson: false };
            for (name, load) in [(PLAIN, plain), (OPEN, open)] {
                let run = own_run(&Job { port, secs: SECS, load, is_journey: false });
                Paced::count(&mut figures.paced, name, rate, &run);
            }
        }
    }
}

/// Each of 2,000 requests keeps its own connection.
fn silent(figures: &mut Figures) {
    const CONNECTIONS: usize = 2_000;
    let port = servers::silent();
    let [few, many] = [(1.0, 1), (10_000.0, CONNECTIONS)].map(|(rate, in_flight)| {
        let load = Load::Open { rate, in_flight, is_poisson: false };
        Job { port, secs: SECS, load, is_journey: false }.run().1.peak_bytes
    });
    if let (Some(few), Some(many)) = (few, many) {
        let more = many.saturating_sub(few) as f64;
        figures.notes.push(format!(
            "{CONNECTIONS} connections to a server that never answers: {:.1} MB at the peak, \
             {:.1} MB of it for them and the requests that wait ({:.1} kB a connection)",
            many as f64 / 1e6,
            more / 1e6,
            more / 1e3 / CONNECTIONS as f64,
        ));
    }
}
