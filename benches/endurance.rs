//! What a day costs: 24 h at one look a second of 300 series, and 100 requests/s over ten
//! endpoints with their histograms, on a simulated clock through the real writer and the real
//! condenser of a live run; then read and diagnosed in a process of its own. Goals: a file of at
//! most 150 MB, a run that stays below 150 MB of memory, a diagnosis within 5 s and 500 MB.
//!
//! `cargo bench --bench endurance` takes a minute or two and prints figures beside their goals;
//! `cargo bench --bench endurance -- HOURS` holds another length, and `-- HOURS FILE` keeps the
//! recording.
#![expect(
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a program that prints figures, and has failed where anything is missing"
)]

use std::fs::File;
use std::io::{BufReader, BufWriter, Write};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use kneepoint::diagnose::{RuleSet, diagnose};
use kneepoint::recording::{self, Environment, PlanSummary, Stop, StopReason, Writer};
use kneepoint::timeline::{
    Batch, Condenser, EndpointTick, Histogram, Kind, Labels, LoadTick, Moment, Reading,
    ResponseClass, SeriesKey, Stage, StageRole, Timeline, Unit, Window,
};
use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};
use rand_distr::{Distribution, Poisson, StandardNormal};

const HOURS: u64 = 24;
const SERIES: usize = 300;
const ENDPOINTS: usize = 10;
/// Requests per second of each endpoint.
const RATE: f64 = 10.0;
/// Ticks and looks that a live run keeps; at most twice as many.
const KEPT: usize = 2000;
/// Tells a child of this program what to do, with which file and how many hours.
const ROLE: &str = "KNEEPOINT_BENCH_ROLE";

fn main() {
    // `cargo bench` adds `--bench`.
    let asked: Vec<String> = std::env::args().skip(1).filter(|arg| !arg.starts_with('-')).collect();
    let hours = asked.first().map_or(HOURS, |text| text.parse().expect("a number of hours"));
    let directory = tempfile::tempdir().expect("a temporary directory");
    let kept = asked.get(1).map(Into::into);
    let file = kept.unwrap_or_else(|| directory.path().join("endurance.jsonl.zst"));
    match std::env::var(ROLE).as_deref() {
        Ok("write") => return write(&file, hours),
        Ok(_) => return read(&file),
        Err(_) => {}
    }
    println!("{hours} h at 1 s, {SERIES} series, {ENDPOINTS} endpoints of {RATE}/s");
    for role in ["write", "read"] {
        let program = std::env::current_exe().expect("this program has a path");
        let mut child = Command::new(program);
        child.arg(hours.to_string()).arg(&file).env(ROLE, role);
        assert!(child.status().expect("this program starts").success());
    }
}

fn tell(what: &str, figure: f64, unit: &str, goal: f64) {
    println!("{what:<44} {figure:>8.1} {unit:<3} (goal: at most {goal} {unit})");
}

/// Peak resident memory of this process.
fn peak_megabytes() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kilobytes = line.and_then(|rest| rest.split_whitespace().next()?.parse::<f64>().ok());
    kilobytes.unwrap_or(f64::NAN) * 1024.0 / 1e6
}

fn write(path: &Path, hours: u64) {
    let plan = PlanSummary {
        name: "endurance".to_owned(),
        target: "http://127.0.0.1:8080/".to_owned(),
        executor: "constant-arrival-rate".to_owned(),
        max_rate: RATE * ENDPOINTS as f64,
        ..PlanSummary::default()
    };
    let environment = Environment { started_unix: 1.7e9, cores: 4, ..Environment::default() };
    let out = BufWriter::new(File::create(path).expect("a file can be made"));
    let mut writer = Writer::create(out, &plan, &environment).expect("the disk has room");
    let mut timeline = Timeline::default();
    let mut condenser = Condenser::new(KEPT);
    let mut random = SmallRng::seed_from_u64(1);
    let mut system = System::new(&mut random);
    let end = Moment::START + Duration::from_secs(hours * 3600);
    let window = Window::new(Moment::START, end);
    let rate = RATE * ENDPOINTS as f64;
    let stage = Stage::constant(StageRole::Ramp, window, rate);
    writer.stage(&stage).expect("the disk has room");
    timeline.stages.push(stage);
    let (mut early, mut spent) = (0.0, Duration::ZERO);
    for second in 0..hours * 3600 {
        let tick = tick(second, &mut random);
        let batches = system.look(second, &mut random);
        let begun = Instant::now();
        writer.tick(&tick).expect("the disk has room");
        for batch in &batches {
            writer.batch(batch).expect("the disk has room");
        }
        writer.flush_if_due(tick.window.end).expect("the disk has room");
        condenser.push_tick(&mut timeline, tick);
        for batch in batches {
            condenser.push_batch(&mut timeline, batch);
        }
        spent += begun.elapsed();
        // Until then, what is kept still grows.
        if second == 4 * KEPT as u64 {
            early = peak_megabytes();
        }
    }
    let mut out = writer.finish(&Stop { at: end, reason: StopReason::Completed }).expect("room");
    out.flush().expect("the disk has room");
    let bytes = std::fs::metadata(path).expect("it was just written").len();
    tell("recording", bytes as f64 / 1e6, "MB", 150.0);
    tell("memory of the run's own room, peak", peak_megabytes(), "MB", 150.0);
    // These two have no goal.
    let grown = peak_megabytes() - early;
    println!("{:<44} {grown:>8.1} MB", "  of that, grown since the first hours");
    let micros = spent.as_secs_f64() * 1e6 / (hours * 3600) as f64;
    println!("{:<44} {micros:>8.1} us", "CPU of writing and keeping, a second of load");
}

fn read(path: &Path) {
    let begun = Instant::now();
    let file = BufReader::new(File::open(path).expect("it was just written"));
    let (recording, notes) = recording::read(file).expect("it is a recording");
    assert!(notes.is_empty(), "{notes:?}");
    let after_reading = begun.elapsed().as_secs_f64();
    let diagnosis = diagnose(&recording, RuleSet::builtin());
    let took = begun.elapsed().as_secs_f64();
    println!(
        "kept: {} ticks, {} series, {} looks, {} points; diagnosed {} stages",
        recording.timeline.ticks.len(),
        recording.timeline.series.len(),
        recording.timeline.readings.values().map(Vec::len).max().unwrap_or(0),
        recording.timeline.series.values().map(|series| series.points.len()).sum::<usize>(),
        diagnosis.stages.len(),
    );
    tell("reading", after_reading, "s", 5.0);
    tell("reading and diagnosis", took, "s", 5.0);
    tell("memory of reading and diagnosis, peak", peak_megabytes(), "MB", 500.0);
}

/// A number of the standard normal distribution.
fn normal(random: &mut SmallRng) -> f64 {
    StandardNormal.sample(random)
}

/// A number from the Poisson distribution with this mean.
fn arrivals(random: &mut SmallRng, mean: f64) -> u32 {
    Poisson::new(mean).expect("the mean is above zero").sample(random) as u32
}

fn second_window(second: u64) -> Window {
    let begin = Moment::START + Duration::from_secs(second);
    Window::new(begin, begin + Duration::from_secs(1))
}

fn tick(second: u64, random: &mut SmallRng) -> LoadTick {
    let mut lateness = Histogram::new();
    let mut endpoints = Vec::new();
    let (mut count, mut in_flight) = (0, 0.0);
    for endpoint in 0..ENDPOINTS {
        let mut response_time = Histogram::new();
        let mut service_time = Histogram::new();
        let arrivals = arrivals(random, RATE);
        for _ in 0..arrivals {
            let seconds = 0.004 * (1 + endpoint) as f64 * (0.4 * normal(random)).exp();
            let late = Duration::from_secs_f64(60e-6 * (0.5 * normal(random)).exp());
            service_time.record(Duration::from_secs_f64(seconds));
            response_time.record(Duration::from_secs_f64(seconds) + late);
            lateness.record(late);
            in_flight += seconds;
        }
        count += u64::from(arrivals);
        let failed = random.random::<f64>() < 0.01;
        endpoints.push(EndpointTick {
            endpoint: format!("GET /endpoint/{endpoint}"),
            class: ResponseClass::Status(if failed { 503 } else { 200 }),
            response_time,
            service_time,
        });
    }
    LoadTick {
        offered: count,
        sent: count,
        in_flight,
        lateness,
        endpoints,
        ..LoadTick::empty(second_window(second), "local")
    }
}

/// What collectors read: a third of the series are constant, a third are counters (most are whole
/// numbers, some are seconds), a third are levels (bytes in pages, shares, small numbers).
struct System {
    keys: Vec<(SeriesKey, Kind)>,
    values: Vec<f64>,
}

impl System {
    fn new(random: &mut SmallRng) -> Self {
        let keys = (0..SERIES).map(|index| {
            let labels = Labels::none().with("of", format!("part {}", index / 3));
            match index % 3 {
                0 => (SeriesKey::new("system.limit", labels), Kind::Gauge),
                1 => (SeriesKey::new("system.work", labels), Kind::Counter),
                _ => (SeriesKey::new("system.level", labels), Kind::Gauge),
            }
        });
        let values = (0..SERIES).map(|_| (random.random::<f64>() * 1e6).round());
        Self { keys: keys.collect(), values: values.collect() }
    }

    fn look(&mut self, second: u64, random: &mut SmallRng) -> Vec<Batch> {
        let mut readings = Vec::with_capacity(SERIES);
        for (index, ((key, kind), value)) in self.keys.iter().zip(&mut self.values).enumerate() {
            match (index % 3, index / 3 % 4) {
                (0, _) => {}
                // Seconds to the nanosecond, as the kernel counts them.
                (1, 0) => *value += (0.02 * random.random::<f64>() * 1e9).round() / 1e9,
                (1, _) => *value += f64::from(arrivals(random, 5.0)),
                (_, 0) => *value = (1e9 + 1e6 * normal(random)).div_euclid(4096.0) * 4096.0,
                (_, 1) => *value = (0.3 + 0.05 * normal(random)).clamp(0.0, 1.0),
                _ => *value = f64::from(arrivals(random, 4.0)),
            }
            let reading =
                Reading { key: key.clone(), unit: Unit::Count, kind: *kind, value: *value };
            readings.push(reading);
        }
        let names = ["host", "process", "prometheus"];
        let mut batches = Vec::new();
        for (name, of) in names.iter().zip(readings.chunks(SERIES / names.len())) {
            let begin = second_window(second).begin
                + Duration::from_secs_f64(0.01 * random.random::<f64>());
            let window = Window::new(begin, begin + Duration::from_micros(700));
            batches.push(Batch { collector: (*name).to_owned(), window, readings: of.to_vec() });
        }
        batches
    }
}
