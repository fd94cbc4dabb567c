//! What `capacity` says of a history below 60 % of a limit, against the limit that a search then finds.
//!
//! The history is a day in minutes: levels of load in random order, arrivals at random, one reading a
//! second of everything. The limit is the knee of the search that the fault's own plan makes.
//!
//! By default one fault is run. Environment variables ask for more:
//!
//! | variable | what it does |
//! |---|---|
//! | `KNEEPOINT_CAPACITY` | faults to run, or `ten`, or `all` that have a limit |
//! | `KNEEPOINT_CAPACITY_SEED` | another order of the levels, other moments of the arrivals (1) |
//! | `KNEEPOINT_CAPACITY_KEEP` | directory for the recordings; those that are there are looked at again, without load |
//! | `KNEEPOINT_BIN` | the program to run, such as a release build |

use std::fs::{self, File};
use std::io::BufReader;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::thread;
use std::time::{Duration, Instant};

use kneepoint::demo::{self, FAULTS, Fault, Launcher, Running};
use kneepoint::diagnose::{Headroom, RuleSet, diagnose, headroom, stats};
use kneepoint::recording::{self, Recording};
use kneepoint::timeline::LoadTick;

use super::http::{free_port, get};
use super::program::program;

/// The part of the limit that the history sees, from and to.
const SEEN: (f64, f64) = (0.15, 0.58);
/// Levels of load, and seconds of each. The default, for every day, is shorter.
const LEVELS: usize = 24;
const LEVELS_OF_ONE: usize = 18;
const SECONDS: u64 = 10;
/// An interval that is wider than this says nothing.
const WIDEST: f64 = 2.0;
/// The fault that runs by default.
const SHORT: &str = "pool-small";
/// Systems whose limit is a resource that is measured with its size, from the first request on, and one
/// (`two-limits`) whose first limit is a peer's own.
const TEN: [&str; 10] = [
    "compute",
    "single-thread",
    "cpu-quota",
    "shedding",
    "pool-small",
    "unnamed-pool",
    "pooler-small",
    "held-connections",
    "behind-proxy-pool",
    "two-limits",
];
/// How many of ten must lie inside.
const RIGHT_OF_TEN: usize = 8;

/// Seconds for which the instances carry twice the limit of one.
const CARRIES: u64 = 30;
/// Carried well is what the prediction calls so: hardly anything fails, and the mean response time is
/// at most this many times that of the history.
const SUCCEEDS: f64 = 0.99;
const SLOWER: f64 = 1.5;
/// An address that another server had is taken again after at most this long.
const NGINX_STARTS: Duration = Duration::from_secs(10);

/// Where one fault's recordings are.
struct Bench {
    program: PathBuf,
    keep: Option<PathBuf>,
    temporary: tempfile::TempDir,
    seed: u64,
    levels: usize,
}

impl Bench {
    fn new(levels: usize) -> Self {
        Self {
            program: program(),
            keep: std::env::var_os("KNEEPOINT_CAPACITY_KEEP").map(PathBuf::from),
            temporary: tempfile::tempdir().unwrap(),
            seed: std::env::var("KNEEPOINT_CAPACITY_SEED")
                .map_or(1, |seed| seed.parse().expect("a number")),
            levels,
        }
    }

    fn directory(&self, fault: &Fault) -> PathBuf {
        let root = self.keep.as_deref().unwrap_or(self.temporary.path());
        root.join(format!("{}-{}", fault.name, self.seed))
    }

    fn start(&self, fault: &Fault) -> Running {
        Launcher::new().unwrap().with_program(&self.program).start(fault, None).unwrap()
    }

    fn run(&self, plan: &str, out: &Path) -> Recording {
        fs::create_dir_all(out).unwrap();
        let file = out.join("plan.toml");
        fs::write(&file, format!("seed = {}\n{plan}", self.seed)).unwrap();
        let mut command = Command::new(&self.program);
        let output =
            command.arg("run").arg(&file).arg("--out").arg(out).arg("--quiet").output().unwrap();
        // There is a password in it.
        fs::remove_file(&file).unwrap();
        let told = || String::from_utf8_lossy(&output.stderr).into_owned();
        read(out).unwrap_or_else(|| panic!("no recording: {}", told()))
    }

    /// The limit that a search finds, and a history below it.
    fn limit_and_history(&self, fault: &Fault) -> (Option<f64>, Option<Recording>) {
        let directory = self.directory(fault);
        let searched = directory.join("limit");
        let search = read(&searched).unwrap_or_else(|| {
            let shop = self.start(fault);
            let search = self.run(&shop.plan, &searched);
            shop.stop();
            search
        });
        let Some(knee) = diagnose(&search, RuleSet::builtin()).knee else { return (None, None) };
        let lived = directory.join("history");
        let history = read(&lived).unwrap_or_else(|| {
            let shop = self.start(fault);
            let history = self.run(&self.day(&shop.plan, knee.rate), &lived);
            shop.stop();
            history
        });
        (Some(knee.rate), Some(history))
    }

    /// What `count` instances make of `rate` requests a second: the share that succeeds, and the mean
    /// response time.
    fn behind_nginx(&self, fault: &Fault, count: u64, rate: f64) -> (f64, f64) {
        let shops: Vec<Running> = (0..count).map(|_| self.start(fault)).collect();
        let balancer = Balancer::start(&shops).expect("nginx starts");
        let plan = &shops[0].plan;
        let (requests, _) = plan.split_once("[load]").unwrap();
        let front = format!("http://127.0.0.1:{}", balancer.port);
        let plan = format!(
            "{}[load]\nexecutor = \"constant-arrival-rate\"\nrate = \"{rate:.1}/s\"\n\
             duration = \"{CARRIES}s\"\n",
            requests.replace(&shops[0].url, &front)
        );
        let out = self.temporary.path().join(format!("{}-times-{count}", fault.name));
        let recording = self.run(&plan, &out);
        drop(balancer);
        carried(&recording)
    }

    /// The plan with the load of a day below `limit` in place of its own, and a reading a second.
    fn day(&self, plan: &str, limit: f64) -> String {
        let mut random = stats::Random::new(self.seed);
        let (low, high) = SEEN;
        let step = (high - low) / self.levels as f64;
        let mut levels: Vec<f64> = (0..self.levels)
            .map(|level| limit * (low + step * (level as f64 + random.uniform())))
            .collect();
        for last in (1..levels.len()).rev() {
            levels.swap(last, random.below(last + 1));
        }
        let (requests, rest) = plan.split_once("[load]").unwrap();
        let (_, rest) = rest.split_once("\n[").unwrap();
        let stages: Vec<String> = levels.iter().map(|rate| held(*rate)).collect();
        let load = format!(
            "[load]\nexecutor = \"ramping-arrival-rate\"\narrivals = \"poisson\"\n\
             start_rate = \"{:.1}/s\"\nstages = [\n{}\n]\n",
            levels[0],
            stages.join("\n")
        );
        let each_second = |section: &str| match section.starts_with("[collect.") {
            true => section.replacen("]\n", "]\ninterval = \"1s\"\n", 1),
            false => section.to_owned(),
        };
        let rest: Vec<String> = format!("[{rest}").split("\n\n").map(each_second).collect();
        format!("{requests}{load}\n{}", rest.join("\n\n"))
    }
}

/// A level that is reached within a second and held.
fn held(rate: f64) -> String {
    format!(
        "{{ target = \"{rate:.1}/s\", duration = \"1s\" }},\n\
         {{ target = \"{rate:.1}/s\", duration = \"{}s\" }},",
        SECONDS - 1
    )
}

fn read(directory: &Path) -> Option<Recording> {
    let file = File::open(directory.join("recording.jsonl.zst")).ok()?;
    Some(recording::read(BufReader::new(file)).ok()?.0)
}

/// The limit with its interval as text, and whether the knee lies in it.
fn told(room: &Headroom, knee: f64) -> (String, bool) {
    let Some((limit, first)) = room.limit.zip(room.resources.first()) else {
        return (room.caveats.first().cloned().unwrap_or_default(), false);
    };
    let is_in = (limit.low..=limit.high).contains(&knee) && limit.high <= WIDEST * limit.low;
    let text = format!("{:.0} [{:.0}, {:.0}] by {}", limit.rate, limit.low, limit.high, first.name);
    (text, is_in)
}

fn chosen() -> Vec<&'static Fault> {
    let wanted = std::env::var("KNEEPOINT_CAPACITY").unwrap_or_else(|_| SHORT.to_owned());
    let find = |name: &str| demo::find(name).unwrap_or_else(|| panic!("no fault `{name}`"));
    match wanted.as_str() {
        "ten" => TEN.into_iter().map(find).collect(),
        "all" => FAULTS.iter().copied().filter(|fault| fault.truth.knee.is_some()).collect(),
        names => names.split_whitespace().map(find).collect(),
    }
}

#[test]
fn a_limit_is_predicted_from_below_sixty_percent_of_it() {
    let faults = chosen();
    let bench = Bench::new(if faults.len() > 1 { LEVELS } else { LEVELS_OF_ONE });
    let (mut right, mut seen) = (0, 0);
    for fault in faults {
        if let Some(lacking) = demo::lacking(fault) {
            eprintln!("{}: left out: {lacking}", fault.name);
            continue;
        }
        let (Some(knee), Some(history)) = bench.limit_and_history(fault) else {
            eprintln!("{:<26} no limit was found", fault.name);
            continue;
        };
        let highest = history.timeline.ticks.chunks(4).map(rate).fold(0.0, f64::max);
        let (text, is_in) = told(&headroom(&history, RuleSet::builtin(), None), knee);
        let mark = if is_in { ": inside" } else { "" };
        eprintln!(
            "{:<26} limit {knee:>4.0}, seen up to {highest:>4.0}, predicted {text}{mark}",
            fault.name
        );
        (right, seen) = (right + usize::from(is_in), seen + 1);
    }
    let wanted = (seen * RIGHT_OF_TEN) / TEN.len();
    assert!(right >= wanted, "{right} of {seen} limits lie in their interval");
}

fn rate(ticks: &[LoadTick]) -> f64 {
    let seconds: f64 = ticks.iter().map(|tick| tick.window.secs()).sum();
    let count: u64 = ticks.iter().map(LoadTick::completed).sum();
    count as f64 / seconds.max(f64::MIN_POSITIVE)
}

/// Successful requests, of all, and the mean response time of these in seconds.
fn carried(recording: &Recording) -> (f64, f64) {
    let ticks = &recording.timeline.ticks;
    let sum = |of: fn(&LoadTick) -> u64| ticks.iter().map(of).sum::<u64>() as f64;
    let times = ticks.iter().flat_map(|tick| &tick.endpoints).map(|it| it.response_time.sum());
    let answered = sum(LoadTick::completed);
    (sum(LoadTick::succeeded) / sum(|tick| tick.offered), times.sum::<f64>() / answered)
}

/// nginx in front of several shops.
struct Balancer {
    child: Child,
    port: u16,
    _directory: tempfile::TempDir,
}

impl Balancer {
    fn start(shops: &[Running]) -> Option<Self> {
        let directory = tempfile::tempdir().unwrap();
        let at = directory.path().display();
        let servers: String = shops
            .iter()
            .map(|shop| format!("server {};", shop.url.trim_start_matches("http://")))
            .collect();
        let port = free_port();
        let paths: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
            .iter()
            .map(|kind| format!("{kind}_temp_path {at}/{kind};"))
            .collect();
        let conf = format!(
            "daemon off; pid {at}/pid; error_log {at}/log; worker_processes 1;\n\
             events {{ worker_connections 2048; }}\n\
             http {{ access_log off; {paths}\n\
             upstream shops {{ {servers} keepalive 64; }}\n\
             server {{ listen 127.0.0.1:{port}; location / {{ proxy_pass http://shops;\n\
             proxy_http_version 1.1; proxy_set_header Connection \"\"; }} }} }}\n"
        );
        let file = directory.path().join("nginx.conf");
        fs::write(&file, conf).unwrap();
        let mut command = Command::new("nginx");
        command.arg("-e").arg(directory.path().join("log")).arg("-c").arg(&file);
        let path = std::env::var("PATH").unwrap_or_default();
        let child = command.env("PATH", format!("{path}:/usr/sbin")).spawn().ok()?;
        let balancer = Self { child, port, _directory: directory };
        let begun = Instant::now();
        while get(port, "/health").is_none() {
            assert!(begun.elapsed() < NGINX_STARTS, "nginx does not answer");
            thread::sleep(Duration::from_millis(50));
        }
        Some(balancer)
    }
}

impl Drop for Balancer {
    fn drop(&mut self) {
        // Its worker ends with it.
        let pid = self.child.id().to_string();
        let _told = Command::new("kill").args(["-TERM", &pid]).status().is_ok();
        let _reaped = self.child.wait().is_ok();
    }
}

#[test]
fn the_instances_that_are_predicted_carry_twice_the_limit() {
    let fault = demo::find(SHORT).unwrap();
    if let Some(lacking) = demo::lacking(fault) {
        eprintln!("{}: left out: {lacking}", fault.name);
        return;
    }
    let bench = Bench::new(LEVELS_OF_ONE);
    let (Some(knee), Some(history)) = bench.limit_and_history(fault) else {
        panic!("no limit was found");
    };
    let twice = 2.0 * knee;
    let wanted = headroom(&history, RuleSet::builtin(), Some(twice)).wanted.unwrap();
    let count = wanted.instances.expect("the instances are known");
    let (_, before) = carried(&history);
    let (few, few_take) = bench.behind_nginx(fault, 1, twice);
    let (all, all_take) = bench.behind_nginx(fault, count, twice);
    eprintln!(
        "one instance carries {knee:.0}/s; of {twice:.0}/s one carries {:.0} % (mean {:.0} ms), the \
         {count} that are predicted carry {:.1} % (mean {:.1} ms; {:.1} ms in the history)",
        100.0 * few,
        1e3 * few_take,
        100.0 * all,
        1e3 * all_take,
        1e3 * before
    );
    assert!(all >= SUCCEEDS && all_take <= SLOWER * before, "{count} instances do not carry it");
    assert!(few < SUCCEEDS || few_take > SLOWER * before, "one instance carries it as well");
}
