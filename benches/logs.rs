//! What following a log costs: a writer adds lines to a file at a fixed rate, and the collector
//! looks at it once a second, as in a run. Goals: 100,000 lines a second below 20 % of a core, in
//! bounded memory, and none of the planted secrets in what it keeps.
//!
//! `cargo bench --bench logs` takes a minute; `cargo bench --bench logs -- RATE SECONDS` another
//! rate and time.
#![expect(
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a program that prints figures, and has failed where anything is missing"
)]

use std::fs::{File, OpenOptions};
use std::io::{BufWriter, Write};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use kneepoint::collect::{self, TargetHint};
use kneepoint::plan::{CollectorConfig, OptionValue};
use kneepoint::timeline::BatchBuilder;

const RATE: u64 = 100_000;
const SECONDS: u64 = 60;
/// The writer wakes this often.
const BEAT: Duration = Duration::from_millis(10);
/// Stands in every planted secret.
const SECRET: &str = "hunter2";
/// Largest share of a core, and largest growth of memory in bytes.
const MOST_CORES: f64 = 0.2;
const MOST_MEMORY: f64 = 32e6;

fn main() {
    // `cargo bench` adds `--bench`.
    let asked: Vec<u64> = std::env::args()
        .skip(1)
        .filter(|arg| !arg.starts_with('-'))
        .map(|arg| arg.parse().expect("a number"))
        .collect();
    let rate = asked.first().copied().unwrap_or(RATE);
    let seconds = asked.get(1).copied().unwrap_or(SECONDS);
    let directory = tempfile::tempdir().expect("a temporary directory");
    let path = directory.path().join("app.log");
    File::create(&path).expect("a log file");
    let is_over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let writer = scope.spawn(|| write(&path, rate, &is_over));
        let figures = follow(&path, seconds);
        is_over.store(true, Ordering::Relaxed);
        let written = writer.join().expect("the writer ends");
        figures.print(rate, seconds, written);
    });
}

/// A line of the kinds that services write, some with secrets and some with words that vary.
fn line(number: u64) -> String {
    let (id, millis) = (number.wrapping_mul(2_654_435_761), number % 997);
    match number % 20 {
        0..10 => format!(
            "10.0.{}.{} - - [28/Nov/2026:18:00:01 +0000] \"GET /orders/{id}?page={} HTTP/1.1\" \
             200 {millis} \"-\" \"Mozilla/5.0 (X11; Linux x86_64)\"",
            number % 256,
            id % 256,
            number % 7
        ),
        10..14 => format!(
            "{{\"level\":\"info\",\"ts\":17643528{millis},\"msg\":\"order {id} created\",\
             \"user\":\"u{id:x}\",\"ms\":{millis}}}"
        ),
        14..17 => format!(
            "2026-11-28 18:00:01,{millis:03} INFO  [http-nio-8080-exec-{}] c.s.OrderService - \
             order {id} of customer '{}' took {millis} ms",
            number % 200,
            id % 5000
        ),
        17 => format!("time=2026-11-28T18:00:01Z level=warn msg=\"slow\" ms={millis} id={id:x}"),
        18 => format!(
            "2026-11-28 18:00:01,{millis:03} ERROR c.s.Pool - HikariPool-1 - Connection is not \
             available, request timed out after {millis}ms; postgres://shop:{SECRET}@db:5432/shop"
        ),
        _ => format!(
            "level=error msg=\"login failed password={SECRET}{}\" Authorization: Bearer {SECRET}{id:x}",
            // Every secret is another one, so that templates could multiply.
            letters(id)
        ),
    }
}

fn letters(mut number: u64) -> String {
    let mut word = String::new();
    while number > 0 {
        word.push(char::from(b'a' + (number % 26) as u8));
        number /= 26;
    }
    word
}

/// Writes at a rate until the end; returns how many lines.
fn write(path: &Path, rate: u64, is_over: &AtomicBool) -> u64 {
    let file = OpenOptions::new().append(true).open(path).expect("the log file");
    let mut file = BufWriter::with_capacity(1 << 20, file);
    let lines: Vec<String> = (0..20_000).map(line).collect();
    let begin = Instant::now();
    let mut written = 0_u64;
    while !is_over.load(Ordering::Relaxed) {
        let due = (begin.elapsed().as_secs_f64() * rate as f64) as u64;
        while written < due {
            let line = &lines[(written % lines.len() as u64) as usize];
            writeln!(file, "{line}").expect("room on the disk");
            written += 1;
        }
        file.flush().expect("room on the disk");
        std::thread::sleep(BEAT);
    }
    written
}

struct Figures {
    cores: f64,
    memory: f64,
    lines: f64,
    unparsed: f64,
    templates: usize,
    leaked: usize,
    events: Vec<String>,
}

fn follow(path: &Path, seconds: u64) -> Figures {
    let spec = collect::find("logs").expect("the collector");
    let files = OptionValue::Texts(vec![path.display().to_string()]);
    let config = CollectorConfig::new("logs").with("files", files);
    let mut collector =
        (spec.open)(&config, &TargetHint::default()).expect("a log that can be followed");
    let (mut events, mut kept) = (Vec::new(), Vec::new());
    let (mut last, mut first_memory) = (Vec::new(), None);
    let (begin, cpu) = (Instant::now(), thread_cpu());
    for second in 1..=seconds {
        std::thread::sleep((begin + Duration::from_secs(second)).duration_since(Instant::now()));
        let mut batch = BatchBuilder::new();
        collector.sample(&mut batch).expect("a look");
        last = batch.finish();
        events.extend(collector.events());
        kept.extend(collector.quotes());
        // What it needs at all is there after a few looks.
        if second == 3 {
            first_memory = Some(resident());
        }
    }
    let elapsed = begin.elapsed().as_secs_f64();
    let lines = |unparsed: bool| -> f64 {
        let of_level = last.iter().filter(|reading| {
            reading.key.metric == "log.lines"
                && (reading.key.labels.get("level") == Some("unparsed")) == unparsed
        });
        of_level.map(|reading| reading.value).sum()
    };
    let texts = kept.iter().map(|(key, text)| format!("{key} {text}"));
    Figures {
        cores: (thread_cpu() - cpu) / elapsed,
        memory: first_memory.map_or(0.0, |first| resident() - first),
        lines: lines(false),
        unparsed: lines(true),
        templates: kept.len(),
        leaked: texts.filter(|text| text.contains(SECRET)).count(),
        events,
    }
}

impl Figures {
    fn print(&self, rate: u64, seconds: u64, written: u64) {
        let judge = |good: bool| if good { "ok" } else { "MISSED" };
        println!("{rate} lines/s for {seconds} s, {written} written");
        println!(
            "  {:.1} % of a core (goal: below {:.0} %) {}",
            self.cores * 100.0,
            MOST_CORES * 100.0,
            judge(self.cores < MOST_CORES)
        );
        println!(
            "  {:.1} MB more memory after the first looks (goal: below {:.0} MB) {}",
            self.memory / 1e6,
            MOST_MEMORY / 1e6,
            judge(self.memory < MOST_MEMORY)
        );
        println!(
            "  {} lines counted, {} of them only counted; {} templates",
            self.lines + self.unparsed,
            self.unparsed,
            self.templates
        );
        println!("  {} texts with a planted secret {}", self.leaked, judge(self.leaked == 0));
        self.events.iter().for_each(|event| println!("  {event}"));
    }
}

/// Processor seconds of this thread.
fn thread_cpu() -> f64 {
    let stat = std::fs::read_to_string("/proc/thread-self/schedstat").expect("Linux");
    let nanos = stat.split(' ').next().and_then(|text| text.parse::<f64>().ok());
    nanos.expect("nanoseconds on the processor") / 1e9
}

/// Resident bytes of this process.
fn resident() -> f64 {
    let statm = std::fs::read_to_string("/proc/self/statm").expect("Linux");
    let pages = statm.split(' ').nth(1).and_then(|text| text.parse::<f64>().ok());
    pages.expect("resident pages") * 4096.0
}
