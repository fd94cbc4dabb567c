//! What many viewers cost.

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use kneepoint::recording::Recording;
use kneepoint::timeline::Histogram;

use super::Run;
use super::target::Server;

const VIEWERS: usize = 50;
/// Requests per second, as `benches/load` measures lateness at.
const RATES: [u32; 2] = [1000, 5000];
/// Pairs of neighbouring parts of a run, one in which nobody looks and one in which fifty do: what
/// else goes on on the machine changes from minute to minute, and meets both of a pair alike.
const PAIRS: usize = 20;
/// The least and the greatest of 20 values that bound their median with 95.9 %, counted from 1: the
/// order statistics of the sign test.
const BOUNDS: [usize; 2] = [6, 15];
/// How long one part is measured.
const BLOCK: Duration = Duration::from_secs(5);
/// What goes before it: the pages are opened, and what that takes is over.
const SETTLING: Duration = Duration::from_secs(2);

/// What one part of a run came to.
struct Block {
    /// Seconds of processor time by thread.
    threads: Vec<(String, f64)>,
    /// Begin and end, in seconds since 1970.
    span: (f64, f64),
    events: usize,
}

/// Seconds that each thread of a process has run so far.
fn threads(pid: u32) -> Vec<(String, String, f64)> {
    let tasks = std::fs::read_dir(format!("/proc/{pid}/task")).unwrap();
    let read = |task: std::io::Result<std::fs::DirEntry>| {
        let task = task.ok()?.path();
        let name = std::fs::read_to_string(task.join("comm")).ok()?.trim().to_owned();
        let run = std::fs::read_to_string(task.join("schedstat")).ok()?;
        let nanos: f64 = run.split(' ').next()?.parse().ok()?;
        Some((task.file_name()?.to_str()?.to_owned(), name, nanos / 1e9))
    };
    tasks.filter_map(read).collect()
}

fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs_f64()
}

/// Opens the events of a page. What comes is left in the socket, so that a viewer takes no processor
/// time on this machine: whoever looks does so from another one.
fn open(url: &str) -> TcpStream {
    let (host, token) = url.trim_start_matches("http://").split_once('/').unwrap();
    let mut stream = TcpStream::connect(host).unwrap();
    let request = format!("GET /{token}events HTTP/1.1\r\nHost: {host}\r\n\r\n");
    stream.write_all(request.as_bytes()).unwrap();
    stream
}

/// How many events a viewer got.
fn events(mut stream: TcpStream) -> usize {
    stream.set_nonblocking(true).unwrap();
    let mut bytes = Vec::new();
    // Ends in an error where nothing more has come yet.
    let _open = stream.read_to_end(&mut bytes).is_err();
    bytes.windows(6).filter(|part| part == b"data: ").count()
}

fn measure(run: &Run, viewers: usize) -> Block {
    let watching: Vec<TcpStream> = (0..viewers).map(|_| open(&run.url)).collect();
    sleep(SETTLING);
    let (before, begin) = (threads(run.child.id()), now());
    sleep(BLOCK);
    let (after, end) = (threads(run.child.id()), now());
    let spent = |(id, name, used): (String, String, f64)| {
        let from = before.iter().find(|(it, _, _)| *it == id).map_or(0.0, |(_, _, used)| *used);
        (name, used - from)
    };
    let threads = after.into_iter().map(spent).collect();
    Block { threads, span: (begin, end), events: watching.into_iter().map(events).sum() }
}

/// Requests that were sent in a part of a run, and how late, up to which quantile.
fn sent(recording: &Recording, block: &Block) -> (f64, [f64; 2]) {
    let started = recording.environment.started_unix;
    let (mut late, mut requests) = (Histogram::new(), 0);
    for tick in &recording.timeline.ticks {
        let (begin, end) = (started + tick.window.begin.secs(), started + tick.window.end.secs());
        if begin >= block.span.0 && end <= block.span.1 {
            late.merge(&tick.lateness);
            requests += tick.sent;
        }
    }
    (requests as f64, [0.5, 0.99].map(|quantile| late.quantile(quantile).unwrap_or(0.0)))
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// Prints the processor time of a request and the lateness without viewers and with fifty, in turn
/// within one run. Ten minutes on a quiet machine, with a release build in `KNEEPOINT_BIN`.
#[test]
#[ignore = "a measurement: minutes on a quiet machine"]
#[allow(clippy::print_stdout, reason = "it prints a table")]
fn the_table() {
    for rate in RATES {
        let server = Server::start();
        let out = tempfile::tempdir().unwrap();
        let plan = out.path().join("plan.toml");
        std::fs::write(&plan, plan_text(&server.url(), rate)).unwrap();
        let run = Run::start(&["run", plan.to_str().unwrap(), "--live"], out.path());
        sleep(Duration::from_secs(8));
        // Two with, then two without: what grows with the run meets both alike.
        let turns = (0..2 * PAIRS).map(|at| if at.div_ceil(2) % 2 == 1 { VIEWERS } else { 0 });
        let blocks: Vec<(usize, Block)> = turns.map(|it| (it, measure(&run, it))).collect();
        run.interrupt();
        run.end();
        print(rate, &blocks, out.path());
    }
}

#[allow(clippy::print_stdout, reason = "it prints a table")]
fn print(rate: u32, blocks: &[(usize, Block)], out: &Path) {
    let file = std::fs::File::open(out.join("recording.jsonl.zst")).unwrap();
    let (recording, _) = kneepoint::recording::read(std::io::BufReader::new(file)).unwrap();
    println!("{rate} requests/s");
    println!("viewers  events  CPU of a request  of it the page  lateness p50       p99");
    let rows: Vec<(usize, [f64; 4])> = blocks
        .iter()
        .map(|(viewers, block)| {
            let (requests, late) = sent(&recording, block);
            let seconds = block.span.1 - block.span.0;
            // Whole seconds lie within the part; its processor time is of all of it.
            let rate = requests.max(1.0) / requests_seconds(&recording, block);
            let micros = |is: &dyn Fn(&str) -> bool| {
                let used = block.threads.iter().filter(|(name, _)| is(name));
                used.map(|(_, used)| used).sum::<f64>() / seconds / rate * 1e6
            };
            let is_page = |name: &str| name == "kp-viewer" || name == "kp-live";
            let (all, page) = (micros(&|_| true), micros(&is_page));
            let row = [all, page, late[0] * 1e6, late[1] * 1e6];
            println!(
                "{viewers:7}  {:6}  {:13.2} µs  {:11.2} µs  {:9.1} µs  {:6.1} µs",
                block.events, row[0], row[1], row[2], row[3]
            );
            (*viewers, row)
        })
        .collect();
    print_threads(blocks);
    let of = |viewers: usize, at: usize| {
        let each = rows.iter().filter(|(of, _)| *of == viewers);
        median(each.map(|(_, row)| row[at]).collect())
    };
    for (at, what) in [(0, "CPU of a request"), (2, "lateness p50"), (3, "lateness p99")] {
        let [median, low, high] = change(&rows, at).map(|ratio| (ratio - 1.0) * 100.0);
        println!(
            "{what}: medians {:.2} µs without, {:.2} µs with viewers; of pairs {median:+.1} % \
             (95 % interval {low:+.1} to {high:+.1} %)",
            of(0, at),
            of(VIEWERS, at)
        );
    }
    let added = of(VIEWERS, 1) - of(0, 1);
    println!("the page's threads: {added:+.3} µs a request, {:+.1} %", added / of(0, 0) * 100.0);
}

/// Which threads take the processor time: those that send requests and serve the page, and those that
/// collect, to which viewers on this machine are more sockets to read.
#[allow(clippy::print_stdout, reason = "it prints a table")]
fn print_threads(blocks: &[(usize, Block)]) {
    let mut by_name: BTreeMap<&str, [Vec<f64>; 2]> = BTreeMap::new();
    for (viewers, block) in blocks {
        let mut used: BTreeMap<&str, f64> = BTreeMap::new();
        for (name, seconds) in &block.threads {
            *used.entry(name).or_default() += seconds / (block.span.1 - block.span.0);
        }
        for (name, used) in used {
            by_name.entry(name).or_default()[usize::from(*viewers > 0)].push(used);
        }
    }
    println!("thread            without      with viewers (medians)");
    let lasting = |each: &[Vec<f64>; 2]| each.iter().all(|values| !values.is_empty());
    for (name, each) in by_name.into_iter().filter(|(_, each)| lasting(each)) {
        let [without, with] = each.map(|values| median(values) * 1e3);
        println!("{name:16} {without:8.2}  {with:8.2} ms/s");
    }
}

/// How a measure with viewers stands to that without: median of the pairs, and its bounds.
fn change(rows: &[(usize, [f64; 4])], at: usize) -> [f64; 3] {
    let ratio = |pair: &[(usize, [f64; 4])]| {
        let (one, other) = (pair[0].1[at], pair[1].1[at]);
        if pair[0].0 == VIEWERS { one / other } else { other / one }
    };
    let mut ratios: Vec<f64> = rows.chunks_exact(2).map(ratio).collect();
    ratios.sort_by(f64::total_cmp);
    let middle = f64::midpoint(ratios[PAIRS / 2 - 1], ratios[PAIRS / 2]);
    [middle, ratios[BOUNDS[0] - 1], ratios[BOUNDS[1] - 1]]
}

/// Seconds of the ticks that lie within a part of a run.
fn requests_seconds(recording: &Recording, block: &Block) -> f64 {
    let started = recording.environment.started_unix;
    let ticks = recording.timeline.ticks.iter();
    let is_in = |tick: &&kneepoint::timeline::LoadTick| {
        started + tick.window.begin.secs() >= block.span.0
            && started + tick.window.end.secs() <= block.span.1
    };
    ticks.filter(is_in).map(|tick| tick.window.secs()).sum::<f64>().max(1.0)
}

fn plan_text(url: &str, rate: u32) -> String {
    format!(
        "name = \"many viewers\"\n[target]\nurl = \"{url}\"\n[[request]]\nname = \"root\"\npath = \"/\"\n\
         [load]\nexecutor = \"constant-arrival-rate\"\nrate = \"{rate}/s\"\nduration = \"330s\"\n\
         [limits]\nmax_rate = \"{rate}/s\"\n"
    )
}
