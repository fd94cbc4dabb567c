//! The lab: systems with a known fault, their healthy twins, and how often the diagnosis is right.
//!
//! The table of faults is the sample shop's own: each fault says which causes are right and where
//! its knee lies, see `src/demo/faults/`. Every system is started for real, run as anybody would
//! run a service, and scored. The test fails when
//!
//! - a wrong cause is named first,
//! - the knee lies outside what is built in,
//! - a healthy twin is accused,
//! - no cause is named more often than [`MAY_BE_SILENT`] allows.
//!
//! By default one fault and its twin are run, so that the tests stay short. Environment variables
//! ask for more:
//!
//! | variable | what it does |
//! |---|---|
//! | `KNEEPOINT_LAB` | faults to run with their twins, or `all`; `pool-small:broken` and `pool-small:healthy` are one of the two |
//! | `KNEEPOINT_LAB_WAYS` | where they run (`here`): `direct`, `one`, `two`, `translated` and `rootless` are ways into a network namespace, see [`way::Way`]; or `all` |
//! | `KNEEPOINT_LAB_SEEDS` | how many runs of each, with another seed for the load (1) |
//! | `KNEEPOINT_LAB_LANES` | how many systems run side by side, of those that leave the CPU idle (three for each core) |
//! | `KNEEPOINT_LAB_KEEP` | directory for the recordings; what is there already is diagnosed and not run again |
//! | `KNEEPOINT_BIN` | the program to run, such as a release build |
#![expect(clippy::print_stderr, reason = "the table is for whoever runs the tests by hand")]

#[path = "../program/mod.rs"]
mod program;
mod score;
#[allow(dead_code, reason = "other tests use more of it")]
#[path = "../space/mod.rs"]
mod space;
mod system;
mod way;

use std::collections::VecDeque;
use std::num::NonZero;
use std::panic::resume_unwind;
use std::sync::Mutex;
use std::thread;

use kneepoint::demo::{self, FAULTS};

use score::{Score, Scored, failures};
use system::{Bench, System};
use way::Way;

/// The fault that runs by default: it needs no database and takes a few minutes.
const SHORT: &str = "single-thread";

/// In how many runs of a lab a fault may be left without a cause. A fault that is not listed must
/// get one in every run; an entry says why the cause cannot be told.
const MAY_BE_SILENT: &[(&str, usize)] = &[];

/// The systems that are asked for.
fn chosen() -> Vec<System> {
    let wanted = std::env::var("KNEEPOINT_LAB").unwrap_or_else(|_| SHORT.to_owned());
    let ways = chosen_ways();
    let both = |fault: &'static demo::Fault| {
        let twins = if fault.has_twin() { &[false, true][..] } else { &[false] };
        ways.iter().flat_map(move |way| {
            twins.iter().map(move |&healthy| System { fault, healthy, way: *way })
        })
    };
    if wanted == "all" {
        return FAULTS.iter().copied().flat_map(both).collect();
    }
    wanted
        .split_whitespace()
        .flat_map(|word| {
            let (name, which) = word.split_once(':').unwrap_or((word, ""));
            let fault = demo::find(name).unwrap_or_else(|| panic!("no fault `{name}`"));
            let wanted = move |system: &System| match which {
                "" => true,
                "broken" => !system.healthy,
                "healthy" => system.healthy,
                other => panic!("`{word}`: neither `broken` nor `healthy` but `{other}`"),
            };
            both(fault).filter(wanted).collect::<Vec<_>>()
        })
        .collect()
}

/// The ways to them that are asked for.
fn chosen_ways() -> Vec<Way> {
    let wanted = std::env::var("KNEEPOINT_LAB_WAYS").unwrap_or_else(|_| Way::Here.name().into());
    match wanted.as_str() {
        "all" => Way::ALL.to_vec(),
        _ => wanted.split_whitespace().map(Way::find).collect(),
    }
}

/// How many systems run side by side for each core: each keeps less than a tenth of one busy.
const LANES_PER_CORE: usize = 3;

/// One run of a system.
struct Task {
    system: System,
    seed: u64,
}

impl Task {
    fn run(&self, bench: &Bench) -> Scored {
        let (report, alone) = bench.diagnose(&self.system, self.seed);
        let fault = self.system.fault.name;
        let alone = || alone.expect("measured where the knee depends on it");
        let name = self.system.to_string();
        let scored = Scored::new(name, fault, self.seed, self.system.truth(), &report, alone);
        eprintln!("{scored}");
        scored
    }
}

/// Runs the tasks, `lanes` of them at a time.
fn run_all(tasks: Vec<Task>, lanes: usize, bench: &Bench) -> Vec<Scored> {
    let waiting = Mutex::new(VecDeque::from(tasks));
    let next = || waiting.lock().expect("no lane holds it while it runs").pop_front();
    let lane = || std::iter::from_fn(next).map(|task| task.run(bench)).collect::<Vec<_>>();
    thread::scope(|scope| {
        let lanes: Vec<_> = (0..lanes).map(|_| scope.spawn(lane)).collect();
        let joined = lanes.into_iter().map(|lane| lane.join());
        joined.flat_map(|scored| scored.unwrap_or_else(|panic| resume_unwind(panic))).collect()
    })
}

// One test for all: two systems that fill cores would take each other's CPU.
#[test]
fn causes_are_named_and_the_healthy_are_not_accused() {
    let seeds = std::env::var("KNEEPOINT_LAB_SEEDS").map_or(1, |text| text.parse().expect("seeds"));
    let cores = thread::available_parallelism().map_or(1, NonZero::get);
    let lanes = std::env::var("KNEEPOINT_LAB_LANES")
        .map_or(cores * LANES_PER_CORE, |text| text.parse().expect("lanes"));
    let bench = Bench::new();
    let mut tasks = Vec::new();
    for system in chosen() {
        let lacking = demo::lacking(system.fault);
        match lacking.or_else(|| system.way.lacking().map(str::to_owned)) {
            Some(why) => eprintln!("{system}: left out: {why}"),
            None => tasks.extend((1..=seeds).map(|seed| Task { system, seed })),
        }
    }
    eprintln!("{}", Scored::heading());
    let (alone, beside): (Vec<Task>, _) =
        tasks.into_iter().partition(|task| task.system.fault.fills_cores());
    let mut all = run_all(beside, lanes, &bench);
    all.extend(run_all(alone, 1, &bench));
    for score in Score::ALL {
        let count = all.iter().filter(|scored| scored.score == score).count();
        eprintln!("{count:>4} {score}");
    }
    let knees: Vec<bool> = all.iter().filter_map(Scored::is_sharp).collect();
    let sharp = knees.iter().filter(|sharp| **sharp).count();
    eprintln!("{sharp:>4} of {} knees known to within 8 %", knees.len());
    let failures = failures(&all, MAY_BE_SILENT);
    assert!(failures.is_empty(), "{}", failures.join("\n\n"));
}
