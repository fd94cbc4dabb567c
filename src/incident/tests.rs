//! Histories that are made up, each with a known answer.

use std::time::Duration;

use super::*;
use crate::diagnose::RuleSet;
use crate::diagnose::stats::Random;
use crate::diagnose::{FindingRole, bounds};
use crate::recording::{Environment, PlanSummary, Recording, Stop, StopReason};
use crate::timeline::{
    Batch, BatchBuilder, EndpointTick, Histogram, Labels, LoadTick, MetricSpec, Moment,
    ResponseClass, Timeline, Window, names,
};

/// Seconds between two scrapes.
const STEP: u64 = 15;
/// Requests per second of an ordinary hour.
const USUAL: f64 = 40.0;

/// What is true at one moment.
#[derive(Clone, Debug)]
struct State {
    rate: f64,
    time: f64,
    errors: f64,
    /// Values by metric.
    levels: Vec<(&'static MetricSpec, Labels, f64)>,
}

fn usual(random: &mut Random) -> State {
    State {
        rate: USUAL * (1.0 + 0.05 * random.normal()),
        time: 0.05 * (1.0 + 0.05 * random.normal()),
        errors: 0.0,
        levels: Vec::new(),
    }
}

/// A recording of so many scrapes, each as `state` says.
fn recorded(scrapes: u64, mut state: impl FnMut(u64, &mut Random) -> State) -> Recording {
    let mut random = Random::new(16);
    let mut timeline = Timeline::default();
    let at = |scrape: u64| Moment::START + Duration::from_secs(scrape * STEP);
    for scrape in 0..scrapes {
        let now = state(scrape, &mut random);
        let window = Window::new(at(scrape), at(scrape + 1));
        let count = (now.rate * STEP as f64).round().max(0.0) as u64;
        let failed = (count as f64 * now.errors).round() as u64;
        let ended =
            [(ResponseClass::Status(200), count - failed), (ResponseClass::Status(500), failed)];
        let endpoints = ended.into_iter().filter(|(_, count)| *count > 0).map(|(class, count)| {
            let mut times = Histogram::new();
            times.record_many(Duration::from_secs_f64(now.time.max(1e-4)), count);
            EndpointTick {
                endpoint: "GET /".to_owned(),
                class,
                response_time: times.clone(),
                service_time: times,
            }
        });
        timeline.ticks.push(LoadTick {
            offered: count,
            sent: count,
            in_flight: now.rate * now.time,
            endpoints: endpoints.collect(),
            ..LoadTick::empty(window, "observed")
        });
        let mut batch = BatchBuilder::new();
        for (metric, labels, value) in now.levels {
            batch.push_labelled(metric, labels, value);
        }
        let window = Window::new(at(scrape + 1), at(scrape + 1));
        let readings = batch.finish();
        timeline.push_batch(Batch { collector: "prometheus".to_owned(), window, readings });
    }
    Recording {
        plan: PlanSummary::default(),
        environment: Environment { started_unix: 1.8e9, ..Environment::default() },
        stop: Some(Stop { at: timeline.end(), reason: StopReason::Completed }),
        timeline,
        events: Vec::new(),
    }
}

fn asked(recording: &Recording) -> Incident {
    incident(recording, RuleSet::builtin(), &Asked::default())
}

fn near(moment: Moment, scrape: u64) -> bool {
    (moment.secs() - (scrape * STEP) as f64).abs() <= 2.0 * STEP as f64
}

/// The places of a pool that is no database's, and who waits for one.
fn pool(used: f64, waiting: f64) -> Vec<(&'static MetricSpec, Labels, f64)> {
    let of = || Labels::none().with("pool", "render").with("endpoint", "shop:80");
    vec![
        (&names::SLOTS_USED, of(), used),
        (&names::SLOTS_LIMIT, of(), 8.0),
        (&names::SLOTS_WAITING, of(), waiting),
    ]
}

fn cause(incident: &Incident) -> Option<&str> {
    let cause = incident.findings.iter().find(|it| it.finding.role == FindingRole::Cause);
    cause.map(|it| it.finding.rule.as_str())
}

/// A pool of eight places, each held for 50 ms, that more requests want than it lets through.
fn pool_incident() -> Recording {
    recorded(400, |scrape, random| {
        let bad = (240..320).contains(&scrape);
        let noise = 1.0 + 0.02 * random.normal();
        let usual = usual(random);
        match bad {
            true => State {
                rate: 160.0 * noise,
                time: 0.4 * noise,
                levels: pool(8.0, 56.0 * noise),
                ..usual
            },
            false => State { levels: pool(2.0 * noise, 0.0), ..usual },
        }
    })
}

#[test]
fn a_pool_that_fills_is_found_with_its_moment() {
    let found = asked(&pool_incident());
    let onset = found.onset.expect("an onset");
    assert!(near(onset.at, 240), "{onset:?}");
    assert!(onset.low <= onset.at && onset.at <= onset.high);
    assert!(found.end.is_some_and(|end| near(end, 320)), "{:?}", found.end);
    assert_eq!(cause(&found), Some("pool-exhausted"), "{:#?}", found.findings);
    let waiting = found.shifts.iter().find(|it| it.series.starts_with("slots.waiting"));
    assert_eq!(waiting.map(|it| it.order), Some(Order::Together));
    assert!(found.coverage.examined > 0 && found.coverage.examined < found.coverage.rules);
    assert!(bounds::FULL_POOL.value <= 1.0);
}

#[test]
fn the_same_recording_gives_the_same_incident() {
    let recording = pool_incident();
    assert_eq!(asked(&recording), asked(&recording));
}

#[test]
fn a_cause_that_starts_after_the_symptom_is_a_consequence() {
    let recording = recorded(400, |scrape, random| {
        let usual = usual(random);
        let (slow, full) = (scrape >= 240, scrape >= 290);
        State {
            rate: if full { 160.0 } else { usual.rate },
            time: if slow { 0.4 * usual.time / 0.05 } else { usual.time },
            levels: if full { pool(8.0, 56.0) } else { pool(2.0, 0.0) },
            ..usual
        }
    });
    let found = asked(&recording);
    assert!(found.onset.is_some_and(|onset| near(onset.at, 240)), "{:?}", found.onset);
    assert_ne!(cause(&found), Some("pool-exhausted"));
    let pool = found.findings.iter().find(|it| it.finding.rule == "pool-exhausted");
    if let Some(pool) = pool {
        assert_eq!(pool.order, Order::After);
        assert!(matches!(pool.finding.role, FindingRole::Consequence { .. }));
    }
    let used = found.shifts.iter().find(|it| it.series.starts_with("slots.used"));
    assert_eq!(used.map(|it| it.order), Some(Order::After), "{:#?}", found.shifts);
}

#[test]
fn failures_are_a_symptom_with_their_own_onset() {
    let recording = recorded(300, |scrape, random| {
        let usual = usual(random);
        let errors = if (200..260).contains(&scrape) { 0.2 } else { 0.001 };
        State { errors, ..usual }
    });
    let found = asked(&recording);
    let first = found.symptoms.first().expect("a symptom");
    assert_eq!(first.kind, SymptomKind::Errors);
    assert!(near(first.onset.at, 200), "{first:?}");
    assert_eq!(cause(&found), None, "nothing was recorded that could be the cause");
}

#[test]
fn restarts_and_limits_stand_in_the_order_of_what_changed() {
    let recording = recorded(300, |scrape, random| {
        let usual = usual(random);
        let process = |name: &str| Labels::none().with("process", name);
        let start = if scrape < 190 { 1.7e9 } else { 1.8e9 + 190.0 * STEP as f64 - 3.0 };
        let limit = if scrape < 195 { 20.0 } else { 8.0 };
        State {
            time: if scrape >= 200 { 0.3 } else { usual.time },
            levels: vec![
                (&names::PROCESS_START_TIME, process("a"), start),
                (&names::PROCESS_START_TIME, process("b"), start + 1.0),
                (&names::SLOTS_LIMIT, Labels::none().with("pool", "render"), limit),
            ],
            ..usual
        }
    });
    let found = asked(&recording);
    let told: Vec<&str> = found.changes.iter().map(|change| change.what.as_str()).collect();
    assert_eq!(told, ["2 of 2 processes restarted", "`slots.limit{pool=render}` 20 -> 8"]);
    assert_eq!(found.changes[0].order, Order::Before);
}

/// Days on which nothing is wrong.
#[test]
fn healthy_days_accuse_nobody() {
    type Day = fn(u64, &mut Random) -> State;
    let days: [(&str, Day); 5] = [
        ("a quiet day", |_, random| usual(random)),
        ("a peak of the load", |scrape, random| {
            let usual = usual(random);
            let peak = 1.0 + (-((scrape as f64 - 350.0) / 80.0).powi(2)).exp();
            State { rate: usual.rate * peak, time: usual.time * (0.9 + 0.1 * peak), ..usual }
        }),
        ("a deploy", |scrape, random| {
            let usual = usual(random);
            let process = Labels::none().with("process", "a");
            let start = if scrape < 300 { 1.7e9 } else { 1.8e9 + 4500.0 };
            let slow = if (300..302).contains(&scrape) { 8.0 } else { 1.0 };
            State {
                time: usual.time * slow,
                levels: vec![(&names::PROCESS_START_TIME, process, start)],
                ..usual
            }
        }),
        ("a night", |scrape, random| {
            let usual = usual(random);
            let day = 1.0 + 0.8 * (scrape as f64 / 700.0 * std::f64::consts::TAU).sin();
            State { rate: usual.rate * day, ..usual }
        }),
        ("a nightly job", |scrape, random| {
            let usual = usual(random);
            let slow = if (200..280).contains(&scrape) { 1.25 } else { 1.0 };
            State { time: usual.time * slow, levels: pool(2.0 * slow, 0.0), ..usual }
        }),
    ];
    for (name, day) in days {
        let found = asked(&recorded(700, day));
        assert_eq!(cause(&found), None, "{name}: {:#?}", found.findings);
        assert!(found.onset.is_none(), "{name}: {:#?}", found.symptoms);
        assert!(!found.caveats.is_empty(), "{name}: it says why");
    }
}

#[test]
fn a_recording_without_load_says_what_is_missing() {
    let mut recording = recorded(50, |_, random| usual(random));
    recording.timeline.ticks.clear();
    let found = asked(&recording);
    assert_eq!(found.onset, None);
    assert!(found.caveats[0].contains("no load"), "{:?}", found.caveats);
}

#[test]
fn a_time_that_somebody_names_is_looked_at() {
    let recording = pool_incident();
    let at = |scrape: u64| Some(Moment::START + Duration::from_secs(scrape * STEP));
    let named = Asked { from: at(240), to: at(320), at: None };
    let found = incident(&recording, RuleSet::builtin(), &named);
    assert_eq!(cause(&found), Some("pool-exhausted"));
    let quiet = Asked { from: at(100), to: at(140), at: None };
    let nothing = incident(&recording, RuleSet::builtin(), &quiet);
    assert!(nothing.symptoms.is_empty());
    assert_eq!(cause(&nothing), None, "{:#?}", nothing.findings);
    let inside = Asked { at: at(300), ..Asked::default() };
    let same = incident(&recording, RuleSet::builtin(), &inside);
    assert!(same.onset.is_some_and(|onset| near(onset.at, 240)));
}
