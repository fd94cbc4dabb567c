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
//! | `KNEEPOINT_LAB_SEEDS` | how many runs of each, with another seed for the load (1) |
//! | `KNEEPOINT_LAB_KEEP` | directory for the recordings; what is there already is diagnosed and not run again |
//! | `KNEEPOINT_BIN` | the program to run, such as a release build |
#![expect(clippy::print_stderr, reason = "the table is for whoever runs the tests by hand")]

mod score;
mod system;

use kneepoint::demo::{self, FAULTS};

use score::{Score, Scored, failures};
use system::{Bench, System};

/// The fault that runs by default: it needs no database and takes a few minutes.
const SHORT: &str = "single-thread";

/// In how many runs of a lab a fault may be left without a cause. A fault that is not listed must
/// get one in every run; an entry says why the cause cannot be told.
const MAY_BE_SILENT: &[(&str, usize)] = &[];

/// The systems that are asked for.
fn chosen() -> Vec<System> {
    let wanted = std::env::var("KNEEPOINT_LAB").unwrap_or_else(|_| SHORT.to_owned());
    let both = |fault: &'static demo::Fault| {
        let twin = fault.has_twin().then_some(System { fault, healthy: true });
        [Some(System { fault, healthy: false }), twin].into_iter().flatten()
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

// One test for all: two systems at the same time would take each other's CPU.
#[test]
fn causes_are_named_and_the_healthy_are_not_accused() {
    let seeds = std::env::var("KNEEPOINT_LAB_SEEDS").map_or(1, |text| text.parse().expect("seeds"));
    let bench = Bench::new();
    let mut all: Vec<Scored> = Vec::new();
    eprintln!("{}", Scored::heading());
    for system in chosen() {
        if let Some(why) = demo::lacking(system.fault) {
            eprintln!("{system}: left out: {why}");
            continue;
        }
        for seed in 1..=seeds {
            let (report, alone) = bench.diagnose(&system, seed);
            let (name, fault, truth) = (system.to_string(), system.fault.name, system.truth());
            let alone = || alone.expect("measured where the knee depends on it");
            let scored = Scored::new(name, fault, seed, truth, &report, alone);
            eprintln!("{scored}");
            all.push(scored);
        }
    }
    for score in Score::ALL {
        let count = all.iter().filter(|scored| scored.score == score).count();
        eprintln!("{count:>4} {score}");
    }
    let failures = failures(&all, MAY_BE_SILENT);
    assert!(failures.is_empty(), "{}", failures.join("\n\n"));
}
