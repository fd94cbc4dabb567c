//! Nights of the lab: a fault of the sample shop sets in while a real Prometheus scrapes the shop, its
//! machine and its database, an nginx in front of it writes an access log, and nobody makes a test.
//! `import prometheus` and `incident` have to say since when and why, with the log and without it.
//!
//! The clock runs fifteen times as fast as in a real night: a scrape each second. By default one
//! fault is run, in a short night. Environment variables ask for more:
//!
//! | variable | what it does |
//! |---|---|
//! | `KNEEPOINT_NIGHTS` | faults to run, `ten`, or `others`, in long nights |
//! | `KNEEPOINT_NIGHTS_LANES` | how many run side by side (3) |
//! | `KNEEPOINT_NIGHTS_KEEP` | directory for what Prometheus and nginx wrote and the recordings of it; what is there is looked at again, without load |
//! | `KNEEPOINT_WEEKS` | all made weeks, not every tenth of them |
//! | `KNEEPOINT_BIN` | the program to run, such as a release build |
#![allow(clippy::unwrap_used, reason = "a test that cannot start its servers has failed")]
#![expect(clippy::print_stderr, reason = "the table is for whoever runs the tests by hand")]

mod capacity;
mod http;
mod load;
mod night;
mod planted;
#[path = "../program/mod.rs"]
mod program;
mod score;
mod servers;
mod weeks;

use std::collections::VecDeque;
use std::num::NonZero;
use std::sync::Mutex;
use std::thread;

use kneepoint::demo::{self, Fault};

use night::Bench;
use score::{Score, Scored};

/// The fault that runs by default: it needs no database.
const SHORT: &str = "rate-limit";
/// The faults of the table, chosen before any was run: what history can see of them is what the
/// usual exporters show.
const TEN: [&str; 10] = [
    "pool-small",
    "held-connections",
    "row-lock",
    "slow-query",
    "too-many-clients",
    "downstream",
    "downstream-errors",
    "downstream-limit",
    "rate-limit",
    "worker-pool",
];
/// Other faults whose limit a load passes, which the method was not made for. Of these no cause may
/// be wrong; what the usual exporters do not show has no right answer.
const OTHERS: [&str; 25] = [
    "accept-pauses",
    "app-lock",
    "behind-proxy",
    "behind-proxy-pool",
    "behind-proxy-workers",
    "blocked-loop",
    "blocked-threads",
    "call-limit",
    "client-pool",
    "compute",
    "downstream-in-transaction",
    "few-at-a-time",
    "file-lock",
    "heavy-report",
    "peer-few-at-a-time",
    "pooler-small",
    "queue-timeout",
    "quick-retries",
    "retry-storm",
    "shedding",
    "single-thread",
    "slow-bank",
    "slow-commits",
    "two-limits",
    "unnamed-pool",
];
/// How many of ten must be right; the others must be honest.
const RIGHT_OF_TEN: usize = 8;
const LANES: usize = 3;

fn chosen() -> Vec<&'static Fault> {
    let wanted = std::env::var("KNEEPOINT_NIGHTS").unwrap_or_else(|_| SHORT.to_owned());
    let names: Vec<&str> = match wanted.as_str() {
        "ten" => TEN.to_vec(),
        "others" => OTHERS.to_vec(),
        names => names.split_whitespace().collect(),
    };
    let find = |name: &str| demo::find(name).unwrap_or_else(|| panic!("no fault `{name}`"));
    names.into_iter().map(find).collect()
}

#[test]
fn the_cause_of_a_night_is_named_with_its_moment() {
    let faults = chosen();
    if let Some(lacking) = servers::lacking() {
        eprintln!("SKIPPED: there is no `{lacking}` here: install it, or run `tests/run`");
        return;
    }
    let is_asked = std::env::var_os("KNEEPOINT_NIGHTS").is_some();
    let bench = Bench::new(if is_asked { load::LONG } else { load::SHORT });
    let lanes: usize = std::env::var("KNEEPOINT_NIGHTS_LANES")
        .map_or(LANES, |lanes| lanes.parse::<NonZero<usize>>().unwrap().get());
    let left: Mutex<VecDeque<&Fault>> = Mutex::new(faults.iter().copied().collect());
    let done: Mutex<Vec<Scored>> = Mutex::new(Vec::new());
    eprintln!("{}", Scored::heading());
    thread::scope(|scope| {
        for _ in 0..lanes.min(faults.len()) {
            scope.spawn(|| {
                loop {
                    let Some(fault) = left.lock().unwrap().pop_front() else { break };
                    for night in bench.night(fault) {
                        let scored = Scored::of(fault, &night);
                        eprintln!("{scored}");
                        done.lock().unwrap().push(scored);
                    }
                }
            });
        }
    });
    let done = done.into_inner().unwrap();
    assert_eq!(done.len(), 2 * faults.len(), "a night did not end");
    let wrong: Vec<String> =
        done.iter().filter(|it| it.score == Score::Wrong).map(ToString::to_string).collect();
    assert!(wrong.is_empty(), "a wrong cause is named:\n{}", wrong.join("\n"));
    // What follows is asked of the faults of the table.
    let of_table = |it: &&Scored| TEN.contains(&it.fault);
    let table: Vec<&Scored> = done.iter().filter(of_table).filter(|it| it.has_log).collect();
    let late: Vec<String> =
        table.iter().filter(|it| !it.is_in_time()).map(ToString::to_string).collect();
    assert!(late.is_empty(), "an onset is more than two scrapes away:\n{}", late.join("\n"));
    let right = table.iter().filter(|it| it.score == Score::Right).count();
    let wanted = (table.len() * RIGHT_OF_TEN).div_ceil(TEN.len());
    assert!(right >= wanted, "{right} of {} causes are right", table.len());
}
