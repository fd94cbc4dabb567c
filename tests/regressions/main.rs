//! Changes of the sample shop in front of a gate: whether it finds each, names the right part of
//! the system, and leaves two equal builds alone.
//!
//! The table of changes is the sample shop's own, and each says what a right comparison shows, see
//! `src/demo/changes/`. For every gate the command `kneepoint gate` starts the shop before and after
//! the change in turn, as it would start anybody's builds. The test fails when
//!
//! - two equal builds are told apart more often than [`MAY_CRY_WOLF`] allows,
//! - a change is found, with the right part named, less often than [`MUST_FIND`] asks.
//!
//! By default one change that is easily seen is run with few short runs. Environment variables ask
//! for more:
//!
//! | variable | what it does |
//! |---|---|
//! | `KNEEPOINT_REGRESSIONS` | the changes, or `all`; with `=20` behind a name, so many gates of it |
//! | `KNEEPOINT_REGRESSIONS_TIMES` | how many gates of each without a number (1) |
//! | `KNEEPOINT_REGRESSIONS_LANES` | how many gates run side by side (1) |
//! | `KNEEPOINT_REGRESSIONS_RUNS`, `…_SECONDS` | runs of each build (5), and how long each is (8) |
//! | `KNEEPOINT_REGRESSIONS_KEEP` | directory for the recordings; what is there already is compared and not run again |
//! | `KNEEPOINT_BIN` | the program to run, such as a release build |
#![expect(clippy::print_stderr, reason = "the table is for whoever runs the tests by hand")]

mod bench;
mod judged;
#[path = "../program/mod.rs"]
mod program;

use std::collections::VecDeque;
use std::panic::resume_unwind;
use std::sync::Mutex;
use std::thread;

use kneepoint::demo::{self, CHANGES, Change};

use bench::{Bench, Length};
use judged::{Judged, Outcome};

/// The change that runs by default.
const SHORT: &str = "added-wait";
/// Runs of each build and seconds of each run by default: a change that doubles response times shows.
const SHORT_LENGTH: Length = Length { runs: 3, seconds: 4 };
/// The length of the gate of a plan that says nothing.
const USUAL_LENGTH: Length = Length { runs: 5, seconds: 8 };

/// In one of so many gates two equal builds may be told apart: the 5 % of its intervals.
const MAY_CRY_WOLF: usize = 20;
/// A change must be found in at least 8 of 10 gates.
const MUST_FIND: (usize, usize) = (8, 10);

fn number(name: &str) -> Option<usize> {
    let text = std::env::var(format!("KNEEPOINT_REGRESSIONS_{name}")).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("KNEEPOINT_REGRESSIONS_{name}: not a number")))
}

/// The changes that are asked for, each with the number of its gates.
fn chosen() -> Vec<(&'static Change, usize)> {
    let wanted = std::env::var("KNEEPOINT_REGRESSIONS").unwrap_or_else(|_| SHORT.to_owned());
    let times = number("TIMES").unwrap_or(1);
    if wanted == "all" {
        return CHANGES.iter().map(|change| (*change, times)).collect();
    }
    let one = |word: &str| {
        let (name, times) = match word.split_once('=') {
            Some((name, times)) => (name, times.parse().expect("a number of gates")),
            None => (word, times),
        };
        (demo::find_change(name).unwrap_or_else(|| panic!("no change `{name}`")), times)
    };
    wanted.split_whitespace().map(one).collect()
}

fn length() -> Length {
    let usual = match std::env::var_os("KNEEPOINT_REGRESSIONS") {
        Some(_) => USUAL_LENGTH,
        None => SHORT_LENGTH,
    };
    Length {
        runs: number("RUNS").unwrap_or(usual.runs),
        seconds: number("SECONDS").unwrap_or(usual.seconds),
    }
}

/// Runs the gates, `lanes` of them at a time.
fn run_all(tasks: Vec<(&'static Change, usize)>, lanes: usize, bench: &Bench) -> Vec<Judged> {
    let waiting = Mutex::new(VecDeque::from(tasks));
    let next = || waiting.lock().expect("no lane holds it while it runs").pop_front();
    let lane = |lane: usize| {
        std::iter::from_fn(next)
            .map(|(change, time)| {
                let judged = Judged::new(change, time, &bench.gate(change, time, lane));
                eprintln!("{judged}");
                judged
            })
            .collect::<Vec<_>>()
    };
    thread::scope(|scope| {
        let lanes: Vec<_> = (0..lanes).map(|index| scope.spawn(move || lane(index))).collect();
        let joined = lanes.into_iter().map(|lane| lane.join());
        joined.flat_map(|judged| judged.unwrap_or_else(|panic| resume_unwind(panic))).collect()
    })
}

/// What is wrong with the gates of one change, in words.
fn failure(change: &Change, judged: &[&Judged]) -> Option<String> {
    let count = |outcome: Outcome| judged.iter().filter(|one| one.outcome == outcome).count();
    let (name, all) = (change.shop.name, judged.len());
    let (found, alarms) = (count(Outcome::Found), count(Outcome::Alarm));
    eprintln!("{name:14} {all:>3} gates: {found} found, {alarms} false alarms");
    if !change.shows.anything() {
        let is_wrong = alarms > all.div_ceil(MAY_CRY_WOLF);
        return is_wrong.then(|| format!("{name}: {alarms} of {all} gates cry wolf"));
    }
    let (least, of) = MUST_FIND;
    (found * of < all * least).then(|| format!("{name}: found in {found} of {all} gates"))
}

#[test]
fn changes_are_found_and_equal_builds_are_not_told_apart() {
    let bench = Bench::new(length());
    let lanes = number("LANES").unwrap_or(1);
    let chosen = chosen();
    if let Some(why) = chosen.iter().find_map(|(change, _)| demo::lacking(&change.shop)) {
        eprintln!("left out: {why}");
        return;
    }
    let gates = |(change, times): &(&'static Change, usize)| {
        let change = *change;
        (1..=*times).map(move |time| (change, time))
    };
    let judged = run_all(chosen.iter().flat_map(gates).collect(), lanes, &bench);
    let failures: Vec<String> = chosen
        .iter()
        .filter_map(|(change, _)| {
            let of = |one: &&Judged| std::ptr::eq(one.change, *change);
            failure(change, &judged.iter().filter(of).collect::<Vec<_>>())
        })
        .collect();
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}
