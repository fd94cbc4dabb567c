//! What a week costs: 2,000 series at 15 s from a server that speaks Prometheus' API (80 million
//! samples), and 50 million lines of an access log beside them; then the incident of that recording.
//! Goals: at most 400 MB of memory while importing, and an answer within 30 s.
//!
//! `cargo bench --bench history` takes minutes and makes a hundredth of that; `KNEEPOINT_BENCH_SCALE=1
//! cargo bench --bench history` makes all of it: the time is scaled, the number of series is not. Needs
//! 8 GB of disk for the whole week.
#![expect(
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a program that prints figures, and has failed where anything is missing"
)]

use std::fmt::Write as _;
use std::fs::File;
use std::io::{BufReader, BufWriter, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::Instant;

use kneepoint::history::{self, Access, Beside, Question};
use kneepoint::import::Files;
use kneepoint::incident::{Asked, incident};
use kneepoint::{recording, run};

/// Begin of the time, in seconds since 1970: a whole number of scrapes.
const BEGIN: u64 = 1_790_000_010;
const WEEK: f64 = 7.0 * 86_400.0;
const LINES: f64 = 50e6;
const SERIES: usize = 2000;
/// Series of the load among them: its buckets, their sum and their count.
const LOAD: usize = 14;
const STEP: u64 = 15;
const MOST_MEGABYTES: f64 = 400.0;
const MOST_SECONDS: f64 = 30.0;
const BOUNDS: [&str; LOAD - 2] =
    ["0.005", "0.01", "0.025", "0.05", "0.1", "0.25", "0.5", "1", "2.5", "5", "10", "+Inf"];
/// Tells a child of this program what to do.
const ROLE: &str = "KNEEPOINT_BENCH_ROLE";
const SCALE: &str = "KNEEPOINT_BENCH_SCALE";

fn main() {
    let scale = std::env::var(SCALE).map_or(0.01, |text| text.parse().expect("a number"));
    let seconds = ((WEEK * scale) as u64).div_ceil(STEP) * STEP;
    // `cargo bench` adds `--bench`.
    let asked: Vec<String> = std::env::args().skip(1).filter(|arg| !arg.starts_with('-')).collect();
    if let (Ok(role), [directory, url]) = (std::env::var(ROLE), asked.as_slice()) {
        return child(&role, Path::new(directory), url, seconds);
    }
    let lines = (LINES * seconds as f64 / WEEK) as u64;
    let samples = SERIES as u64 * (seconds / STEP);
    println!("{seconds} s: {SERIES} series, {samples} samples, {lines} lines of an access log");
    let directory = tempfile::tempdir().expect("a temporary directory");
    write_log(&directory.path().join("access.log"), lines, seconds);
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("it has a port"));
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            thread::spawn(move || serve(stream));
        }
    });
    for role in ["prometheus", "access log", "incident"] {
        let mut child = Command::new(std::env::current_exe().expect("this program has a path"));
        child.arg(directory.path()).arg(&url).env(ROLE, role).env(SCALE, scale.to_string());
        assert!(child.status().expect("this program starts").success());
    }
}

fn child(role: &str, directory: &Path, url: &str, seconds: u64) {
    let (plain, whole) = (directory.join("plain.zst"), directory.join("whole.zst"));
    let began = Instant::now();
    match role {
        "prometheus" => import(url, seconds, &plain),
        "access log" => join(&directory.join("access.log"), &plain, &whole),
        _ => explain(&whole),
    }
    let took = began.elapsed().as_secs_f64();
    let goal = if role == "incident" { MOST_SECONDS } else { f64::INFINITY };
    println!("{role:<12} {took:>8.1} s {}", verdict(took, goal));
    let goal = if role == "incident" { f64::INFINITY } else { MOST_MEGABYTES };
    let peak = peak_megabytes();
    println!("{role:<12} {peak:>8.1} MB of memory at most {}", verdict(peak, goal));
}

fn verdict(figure: f64, goal: f64) -> String {
    match goal.is_finite() {
        true if figure <= goal => format!("(goal: {goal})"),
        true => format!("(goal: {goal}; MISSED)"),
        false => String::new(),
    }
}

fn import(url: &str, seconds: u64, to: &Path) {
    let question = Question {
        access: Access { url: url.to_owned(), ..Access::default() },
        target: vec!["{job=\"shop\"}".to_owned()],
        from: BEGIN as f64,
        to: (BEGIN + seconds) as f64,
        ..Question::default()
    };
    let mut out = BufWriter::new(File::create(to).expect("a file can be made"));
    let read = history::record(&question, "bench", &mut out, &mut |_| {}).expect("it is read");
    out.flush().expect("the disk has room");
    let bytes = std::fs::metadata(to).expect("it was just written").len();
    println!("{} samples, a recording of {:.1} MB", read.samples, bytes as f64 / 1e6);
}

fn join(log: &Path, before: &Path, after: &Path) {
    let open = |path: &Path| BufReader::new(File::open(path).expect("it is there"));
    let overview = recording::overview(open(before)).expect("it is a recording");
    let mut files = Files::new(None).observed(history::cell(&overview));
    files.add(&mut open(log)).expect("it is an access log");
    let requests = files.into_observed().expect("it has requests");
    let beside = Beside { requests: Some(requests), ..Beside::default() };
    let mut out = BufWriter::new(File::create(after).expect("a file can be made"));
    let notes = history::join(open(before), &overview, beside, &mut out).expect("they fit");
    out.flush().expect("the disk has room");
    let clock = notes.iter().find(|note| note.contains("clock")).map_or("", String::as_str);
    println!("{clock}");
}

fn explain(path: &Path) {
    let file = BufReader::new(File::open(path).expect("it is there"));
    let (recording, _) = recording::read(file).expect("it is a recording");
    let found = incident(&recording, &run::rules(), &Asked::default());
    println!("{} series moved", found.shifts.len());
}

/// Peak resident memory of this process.
fn peak_megabytes() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kilobytes = line.and_then(|rest| rest.split_whitespace().next()?.parse::<f64>().ok());
    kilobytes.unwrap_or(f64::NAN) * 1024.0 / 1e6
}

/// A number that looks like chance, and is the same for the same place.
fn mixed(place: u64) -> u64 {
    let mixed = place.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (mixed ^ (mixed >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9) >> 32
}

/// Requests of one scrape interval: a mean that varies by chance.
fn requests(scrape: u64) -> u64 {
    let mean = LINES / WEEK * STEP as f64;
    (mean * (0.75 + mixed(scrape) as f64 / f64::from(u32::MAX) / 2.0)) as u64
}

/// Writes the log of the requests that the counters count.
fn write_log(path: &Path, lines: u64, seconds: u64) {
    let mut out = BufWriter::new(File::create(path).expect("a file can be made"));
    let (mut text, mut written) = (String::new(), 0);
    for scrape in 0..seconds / STEP {
        let count = requests(scrape);
        for place in 0..count {
            let at = BEGIN + scrape * STEP + place * STEP / count.max(1);
            let of = mixed(written);
            text.clear();
            let at = jiff::Timestamp::from_second(at as i64).expect("a time");
            let shown = at.strftime("%d/%b/%Y:%H:%M:%S +0000");
            let target =
                ["/cart", "/items", "/search?q=1", "/login", "/pay", "/", "/a.js", "/b.js"];
            let target = target[(of % 8) as usize];
            let status = if of.is_multiple_of(500) { 503 } else { 200 };
            let made = writeln!(
                text,
                "10.0.{}.{} - - [{shown}] \"GET {target} HTTP/1.1\" {status} 5316 \"-\" \"Mozilla/5.0\" \
                 rt=0.{:03}",
                of % 200,
                of / 200 % 200,
                10 + of % 90
            );
            made.expect("writing to memory cannot fail");
            out.write_all(text.as_bytes()).expect("the disk has room");
            written += 1;
        }
    }
    println!("{written} lines written, {lines} wanted");
}

/// Labels of a series as JSON.
fn labels(place: usize) -> String {
    let name = "http_server_request_duration_seconds";
    let of_load = "\"instance\":\"shop:80\",\"job\":\"shop\",\"http_route\":\"/cart\",\
                   \"http_request_method\":\"GET\",\"http_response_status_code\":\"200\"";
    match (place, BOUNDS.get(place)) {
        (_, Some(bound)) => {
            format!("{{\"__name__\":\"{name}_bucket\",{of_load},\"le\":\"{bound}\"}}")
        }
        (place, None) if place == BOUNDS.len() => {
            format!("{{\"__name__\":\"{name}_sum\",{of_load}}}")
        }
        (place, None) if place == BOUNDS.len() + 1 => {
            format!("{{\"__name__\":\"{name}_count\",{of_load}}}")
        }
        (place, None) => format!(
            "{{\"__name__\":\"shop_gauge_{}\",\"instance\":\"shop:80\",\"job\":\"shop\",\"of\":\"v{}\"}}",
            place % 100,
            place / 100
        ),
    }
}

fn serve(mut stream: TcpStream) {
    let mut pending = Vec::new();
    let mut totals: Vec<u64> = vec![0];
    loop {
        let mut part = [0; 8192];
        let end = loop {
            if let Some(at) = pending.windows(4).position(|end| end == b"\r\n\r\n") {
                break at + 4;
            }
            match stream.read(&mut part) {
                Ok(length) if length > 0 => pending.extend_from_slice(&part[..length]),
                _ => return,
            }
        };
        let head = String::from_utf8_lossy(&pending[..end]).into_owned();
        pending.drain(..end);
        let target = head.split(' ').nth(1).unwrap_or_default();
        let url = url::Url::parse(&format!("http://x{target}")).expect("a URL");
        let body = answer(&url, &mut totals);
        let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len());
        if stream
            .write_all(head.as_bytes())
            .and_then(|()| stream.write_all(body.as_bytes()))
            .is_err()
        {
            return;
        }
    }
}

fn answer(url: &url::Url, totals: &mut Vec<u64>) -> String {
    let get = |wanted: &str| {
        let found = url.query_pairs().find(|(name, _)| name == wanted);
        found.map(|(_, value)| value.into_owned()).unwrap_or_default()
    };
    let data = match url.path().rsplit('/').next().unwrap_or_default() {
        "series" => format!("[{}]", (0..SERIES).map(labels).collect::<Vec<_>>().join(",")),
        "query" => {
            let query = get("query");
            let range = query.rsplit('[').next().unwrap_or_default();
            let millis: f64 = range.trim_end_matches("ms]").parse().unwrap_or(0.0);
            let to: f64 = get("time").parse().unwrap_or(0.0);
            let is_asked = |labels: &str| {
                let name = labels.split('"').nth(3).unwrap_or_default();
                query.split(['"', '|']).any(|part| part == name)
            };
            let of = (0..SERIES).map(|place| (place, labels(place)));
            let of = of.filter(|(_, labels)| is_asked(labels));
            let result: Vec<String> = of
                .map(|(place, labels)| series(place, &labels, to - millis / 1e3, to, totals))
                .collect();
            format!("{{\"resultType\":\"matrix\",\"result\":[{}]}}", result.join(","))
        }
        _ => "{}".to_owned(),
    };
    format!("{{\"status\":\"success\",\"data\":{data}}}")
}

/// One series with its samples.
fn series(place: usize, labels: &str, from: f64, to: f64, totals: &mut Vec<u64>) -> String {
    let mut text = format!("{{\"metric\":{labels},\"values\":[");
    let first = (from.max(BEGIN as f64) as u64 - BEGIN).div_ceil(STEP);
    let last = (to as u64).saturating_sub(BEGIN) / STEP;
    for scrape in first..=last {
        while totals.len() <= scrape as usize {
            let next = totals.last().copied().unwrap_or(0) + requests(totals.len() as u64 - 1);
            totals.push(next);
        }
        let total = totals[scrape as usize];
        let value = match place {
            // Two thirds take 25 to 50 ms, the others up to 100.
            0..3 => 0.0,
            3 => (total / 3 * 2) as f64,
            place if place == BOUNDS.len() => total as f64 * 0.055,
            place if place < LOAD => total as f64,
            place => 50.0 + (mixed(scrape * 4096 + place as u64) % 1000) as f64 / 100.0,
        };
        let comma = if scrape == first { "" } else { "," };
        let made = write!(text, "{comma}[{},\"{value}\"]", BEGIN + scrape * STEP);
        made.expect("writing to memory cannot fail");
    }
    text + "]}"
}
