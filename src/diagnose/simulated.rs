//! Recordings of simulated systems, to hold the whole diagnosis against known faults.

#[cfg(test)]
mod calls;
#[cfg(test)]
pub mod closed;
pub mod queue;

use std::time::Duration;

use crate::diagnose::conclude::engine::diagnose;
use crate::diagnose::rules::ruleset::RuleSet;
use crate::diagnose::terms::model::{Diagnosis, StageSummary};
use crate::recording::{CollectorNote, Environment, PlanSummary, Recording, Stop, StopReason};
use crate::timeline::{
    Batch, BatchBuilder, EndpointTick, Histogram, JourneyTick, Labels, LoadTick, Moment,
    ResponseClass, Selector, SeriesKey, Stage, StageRole, Timeline, Window, names,
};

/// Length of each stage in seconds.
const HOLD: u64 = 10;
/// Looks of a collector in a second.
const LOOKS: u64 = 10;

/// What a simulated system shows at one offered load.
pub struct Picture {
    /// Successful responses per second.
    pub goodput: f64,
    /// Failed responses per second, by status.
    pub failures: Vec<(u16, f64)>,
    /// Response time in seconds at the begin of the stage; where throughput falls behind the
    /// offered load, the queue adds to it.
    pub response: f64,
    /// Levels by selector; the growth per second for counters.
    pub levels: Vec<(&'static str, f64)>,
}

/// A stage in which every request that was offered was answered.
pub fn held(role: StageRole, window: Window, offered: f64) -> StageSummary {
    StageSummary {
        role,
        window,
        offered,
        vus: None,
        throughput: offered,
        goodput: offered,
        error_ratio: 0.0,
        errors: Vec::new(),
        response: None,
        service: None,
        failures: None,
        in_flight: 0.0,
        in_flight_slope: (0.0, 0.0, 0.0),
        held_back: 0,
        lateness_p99: 0.0,
        broken_objectives: Vec::new(),
        invalid: None,
    }
}

/// Holds each of `rates` before `system`, and writes down what it shows.
pub fn record(rates: &[f64], system: &dyn Fn(f64) -> Picture) -> Recording {
    let mut timeline = Timeline::default();
    let mut totals = std::collections::BTreeMap::new();
    for (index, rate) in rates.iter().enumerate() {
        let begin = Moment::START + Duration::from_secs(HOLD * index as u64);
        let window = Window::new(begin, begin + Duration::from_secs(HOLD));
        let role = if index == 0 { StageRole::Baseline } else { StageRole::Ramp };
        timeline.stages.push(Stage::constant(role, window, *rate));
        let picture = system(*rate);
        let done = picture.goodput + picture.failures.iter().map(|it| it.1).sum::<f64>();
        let mut queue = 0.0;
        for second in 0..HOLD {
            queue += (rate - done).max(0.0);
            timeline.ticks.push(tick(begin + Duration::from_secs(second), *rate, queue, &picture));
        }
        for look in 0..HOLD * LOOKS {
            let at = begin + Duration::from_millis(1000 / LOOKS * look + 50);
            push_levels(&mut timeline, at, &picture, &mut totals);
        }
    }
    let at = timeline.end();
    let has_database = timeline.series.keys().any(|key| key.metric.starts_with("db."));
    let database = CollectorNote {
        name: "postgres".to_owned(),
        instance: "postgres".to_owned(),
        watches: "PostgreSQL 15 at `127.0.0.1:54321`".to_owned(),
        interval_secs: 0.1,
    };
    Recording {
        plan: PlanSummary { name: "simulated".to_owned(), ..PlanSummary::default() },
        environment: Environment {
            collectors: has_database.then_some(database).into_iter().collect(),
            ..Environment::default()
        },
        timeline,
        events: Vec::new(),
        stop: Some(Stop { at, reason: StopReason::Completed }),
    }
}

/// What `count` requests of a tick came to, each of which took `seconds_of` its number.
pub fn answered(status: u16, count: u64, seconds_of: impl Fn(u64) -> f64) -> EndpointTick {
    let mut response_time = Histogram::new();
    for index in 0..count {
        response_time.record(Duration::from_secs_f64(seconds_of(index)));
    }
    EndpointTick {
        endpoint: "page".to_owned(),
        class: ResponseClass::Status(status),
        service_time: response_time.clone(),
        response_time,
    }
}

/// The lateness of a generator that keeps its schedule.
fn on_time(requests: u64) -> Histogram {
    let mut lateness = Histogram::new();
    for _ in 0..requests {
        lateness.record(Duration::from_micros(80));
    }
    lateness
}

fn tick(begin: Moment, rate: f64, queue: f64, picture: &Picture) -> LoadTick {
    let done = picture.goodput + picture.failures.iter().map(|it| it.1).sum::<f64>();
    let response = picture.response + queue / done.max(1.0);
    // A spread of half the mean, so that quantiles differ.
    let share = |index: u64| 0.75 + 0.5 * (index % 20) as f64 / 20.0;
    let endpoint = |status, per_second: f64, seconds: f64| {
        answered(status, per_second.round() as u64, |index| seconds * share(index))
    };
    let mut endpoints = vec![endpoint(200, picture.goodput, response)];
    for (status, per_second) in &picture.failures {
        endpoints.push(endpoint(*status, *per_second, 0.000_8));
    }
    LoadTick {
        journeys: JourneyTick::default(),
        window: Window::new(begin, begin + Duration::from_secs(1)),
        generator: "local".to_owned(),
        offered: rate.round() as u64,
        sent: rate.round() as u64,
        held_back: 0,
        in_flight: picture.response * picture.goodput + queue,
        backlog: 0,
        lateness: on_time(rate as u64),
        connect_time: Histogram::new(),
        phases: Default::default(),
        connects: 0,
        endpoints,
        failures: Vec::new(),
    }
}

/// One reading of every collector whose levels the picture has; a collector is named after the
/// first part of its metrics.
fn push_levels(
    timeline: &mut Timeline,
    at: Moment,
    picture: &Picture,
    totals: &mut std::collections::BTreeMap<&'static str, f64>,
) {
    let mut batches: std::collections::BTreeMap<String, BatchBuilder> = Default::default();
    for (text, level) in &picture.levels {
        let selector: Selector = text.parse().unwrap();
        let of_target = selector.metric.strip_prefix(names::CHAIN).unwrap_or(&selector.metric);
        let spec = names::find(&selector.metric).or_else(|| names::find(of_target));
        let spec = spec.unwrap_or_else(|| panic!("no metric `{text}`"));
        let family = selector.metric.split('.').next().unwrap().to_owned();
        let batch = batches.entry(family).or_default();
        let mut labels = Labels::none();
        for (name, value) in selector.labels.iter() {
            labels = labels.with(name, value);
        }
        let value = if spec.kind == crate::timeline::Kind::Counter {
            let total = totals.entry(text).or_insert(0.0);
            *total += level / LOOKS as f64;
            *total
        } else {
            *level
        };
        let key = SeriesKey::new(selector.metric.as_str(), labels);
        batch.push_foreign(key, spec.unit, spec.kind, value);
    }
    for (collector, batch) in batches {
        let window = Window::new(at, at + Duration::from_millis(1));
        timeline.push_batch(Batch { collector, window, readings: batch.finish() });
    }
}

/// Rates of a ramp with its refinement, up to twice the knee.
const RATES: [f64; 10] = [20.0, 40.0, 80.0, 120.0, 160.0, 180.0, 200.0, 240.0, 300.0, 400.0];
/// Where the simulated systems bend.
const KNEE: f64 = 190.0;

/// A system that carries [`KNEE`] requests per second in 20 ms each.
fn bent(rate: f64, levels: Vec<(&'static str, f64)>) -> Picture {
    let goodput = rate.min(KNEE);
    let load = (rate / KNEE).min(0.95);
    Picture { goodput, failures: Vec::new(), response: 0.02 + 0.004 * load / (1.0 - load), levels }
}

fn said(rates: &[f64], system: &dyn Fn(f64) -> Picture) -> Diagnosis {
    diagnose(&record(rates, system), RuleSet::builtin())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnose::conclude::rank;
    use crate::diagnose::measure::facts::Facts;
    use crate::diagnose::rules::ruling;
    use crate::diagnose::terms::model::{Confidence, FindingRole, Knee, Outcome};

    /// How full the system is, up to 1.
    fn load(rate: f64) -> f64 {
        (rate / KNEE).min(1.0)
    }

    /// A machine of two cores on which the target leaves plenty.
    fn idle(rate: f64) -> Vec<(&'static str, f64)> {
        vec![
            ("system.cpu.utilization", 0.05 + 0.15 * load(rate)),
            ("system.cpu.cores", 2.0),
            ("process.cpu.time{process=target}", 0.2 * load(rate)),
            ("process.cpu.allowed{process=target}", 2.0),
            ("process.thread.busiest{process=target}", 0.1 * load(rate)),
            ("process.cpu.busiest{process=target}", 0.2 * load(rate)),
            ("process.run_queue.time{process=target}", 0.01 * load(rate)),
        ]
    }

    fn sessions(executing: f64, idle_in_transaction: f64, locked: f64) -> Vec<(&'static str, f64)> {
        let mut sessions = vec![("db.connections.limit", 97.0), ("db.cpu.time", 0.05)];
        for (name, level) in [
            ("db.sessions{app=shop,state=active,wait_event=none,wait_type=none}", executing),
            (
                "db.sessions{app=shop,state=idle in transaction,wait_event=ClientRead,\
                 wait_type=Client}",
                idle_in_transaction,
            ),
            ("db.sessions{app=shop,state=active,wait_event=transactionid,wait_type=Lock}", locked),
        ] {
            if level > 0.0 {
                sessions.push((name, level));
            }
        }
        sessions
    }

    #[track_caller]
    fn blames(diagnosis: &Diagnosis, rule: &str) {
        assert_eq!(diagnosis.outcome, Outcome::Knee, "{diagnosis:#?}");
        let first = diagnosis.findings.first().unwrap_or_else(|| panic!("{diagnosis:#?}"));
        assert_eq!(first.rule, rule, "{:#?}", diagnosis.findings);
        assert_eq!(first.role, FindingRole::Cause);
        for other in &diagnosis.findings[1..] {
            assert_ne!(other.role, FindingRole::Cause);
        }
    }

    #[test]
    fn a_full_processor_is_named() {
        let diagnosis = said(&RATES, &|rate| {
            let mut levels = idle(rate);
            levels.retain(|(name, _)| name.starts_with("system.cpu.cores"));
            levels.extend([
                ("system.cpu.utilization", 0.99 * load(rate)),
                ("process.cpu.time{process=target}", 1.95 * load(rate)),
                ("process.cpu.allowed{process=target}", 2.0),
                ("process.thread.busiest{process=target}", 0.5 * load(rate)),
                ("process.cpu.busiest{process=target}", 1.95 * load(rate)),
                ("process.run_queue.time{process=target}", if rate > KNEE { 20.0 } else { 0.05 }),
            ]);
            bent(rate, levels)
        });
        blames(&diagnosis, "cpu-saturated");
        assert_eq!(diagnosis.findings[0].confidence, Confidence::High, "{:#?}", diagnosis.findings);
    }

    #[test]
    fn one_event_loop_is_told_from_a_full_machine() {
        let diagnosis = said(&RATES, &|rate| {
            let mut levels = idle(rate);
            levels.retain(|(name, _)| name.starts_with("system."));
            levels.extend([
                ("process.cpu.time{process=target}", 1.03 * load(rate)),
                ("process.cpu.allowed{process=target}", 2.0),
                ("process.thread.busiest{process=target}", 0.99 * load(rate)),
                ("process.cpu.busiest{process=target}", 1.03 * load(rate)),
            ]);
            bent(rate, levels)
        });
        blames(&diagnosis, "single-thread-saturated");
        assert!(diagnosis.ruled_out.iter().any(|out| out.rule == "cpu-saturated"));
    }

    #[test]
    fn a_small_pool_slow_queries_and_held_connections_are_told_apart() {
        let small = said(&RATES, &|rate| {
            bent(rate, [idle(rate), sessions(3.0 * load(rate), 0.0, 0.0)].concat())
        });
        blames(&small, "db-pool-too-small");
        let held = said(&RATES, &|rate| {
            bent(rate, [idle(rate), sessions(0.1, 4.9 * load(rate), 0.0)].concat())
        });
        blames(&held, "db-connections-held");
        let slow = said(&RATES, &|rate| {
            let mut levels = idle(rate);
            levels.retain(|(name, _)| *name != "system.cpu.utilization");
            let mut database =
                sessions(if rate > KNEE { 10.0 } else { 2.0 * load(rate) }, 0.0, 0.0);
            database.retain(|(name, _)| *name != "db.cpu.time");
            levels.extend([
                ("system.cpu.utilization", 0.98 * load(rate)),
                ("db.cpu.time", 1.7 * load(rate)),
            ]);
            bent(rate, [levels, database].concat())
        });
        blames(&slow, "db-queries-slow");
    }

    #[test]
    fn waiting_for_locks_outranks_the_exhausted_pool() {
        let diagnosis = said(&RATES, &|rate| {
            let waiting = if rate > KNEE { 8.5 } else { 0.2 };
            let mut levels = [idle(rate), sessions(0.5, 0.9 * load(rate), waiting)].concat();
            levels.push((
                "pool.connections{pool=main,state=used}",
                if rate > KNEE { 10.0 } else { 1.6 },
            ));
            levels.push(("pool.limit{pool=main}", 10.0));
            if rate > KNEE {
                levels.push(("db.root_blockers{state=idle in transaction}", 0.9));
            }
            bent(rate, levels)
        });
        blames(&diagnosis, "db-lock-wait");
        assert!(diagnosis.findings[0].predicted_capacity.is_some(), "{:#?}", diagnosis.findings);
        assert!(diagnosis.findings[0].next.contains("idle in its transaction"));
    }

    #[test]
    fn a_slow_peer_is_named_by_its_address_and_the_database_is_not_a_peer() {
        let diagnosis = said(&RATES, &|rate| {
            let queue = (rate - KNEE).max(0.0) * 5.0;
            let mut levels = [idle(rate), sessions(0.2, 0.1, 0.0)].concat();
            levels.extend([
                ("tcp.calls{peer=127.0.0.1:9100}", 0.015 * rate.min(KNEE) + queue),
                ("tcp.calls{peer=127.0.0.1:54321}", 0.3),
                ("tcp.requests{port=8080}", 0.02 * rate.min(KNEE) + queue),
            ]);
            bent(rate, levels)
        });
        blames(&diagnosis, "downstream-wait");
        assert_eq!(diagnosis.findings[0].subject.as_deref(), Some("127.0.0.1:9100"));
        assert!(diagnosis.findings[0].title.contains("127.0.0.1:9100"));
        let gains = &diagnosis.attribution.as_ref().unwrap().growth;
        assert_eq!(gains[0].name, "waiting for 127.0.0.1:9100", "{gains:#?}");
    }

    #[test]
    fn a_neighbour_that_delays_nothing_is_not_the_cause() {
        let diagnosis = said(&RATES, &|rate| {
            let queue = (rate - KNEE).max(0.0) * 5.0;
            let mut levels = idle(rate);
            levels.retain(|(name, _)| *name != "system.cpu.utilization");
            levels.extend([
                ("system.cpu.utilization", 1.0),
                ("system.cpu.time{mode=user}", 1.9),
                ("system.cpu.time{mode=system}", 0.1),
                ("tcp.calls{peer=127.0.0.1:9100 (payments)}", 0.015 * rate.min(KNEE) + queue),
                ("tcp.requests{port=8080}", 0.02 * rate.min(KNEE) + queue),
            ]);
            bent(rate, levels)
        });
        blames(&diagnosis, "downstream-wait");
        let stolen = diagnosis.findings.iter().find(|finding| finding.rule == "cpu-stolen");
        assert!(stolen.is_none_or(|it| it.confidence == Confidence::Low), "{stolen:#?}");
    }

    #[test]
    fn a_rate_limit_is_no_lack_of_resources() {
        let diagnosis = said(&RATES, &|rate| Picture {
            goodput: rate.min(KNEE),
            failures: vec![(429, (rate - KNEE).max(0.0))],
            response: 0.02,
            levels: idle(rate),
        });
        blames(&diagnosis, "rate-limited");
    }

    #[test]
    fn nothing_is_accused_below_the_knee() {
        let diagnosis = said(&RATES[..6], &|rate| Picture {
            goodput: rate,
            failures: Vec::new(),
            response: 0.02,
            levels: idle(rate),
        });
        assert!(matches!(diagnosis.outcome, Outcome::NotReached { .. }), "{diagnosis:#?}");
        assert!(diagnosis.findings.is_empty(), "{:#?}", diagnosis.findings);
        let unseen = diagnosis.not_checked.iter().find(|it| it.rule == "db-lock-wait").unwrap();
        assert!(unseen.add.contains("[collect.postgres]"), "{}", unseen.add);
    }

    #[test]
    fn a_knee_without_collectors_accuses_nobody_and_says_what_to_add() {
        let diagnosis = said(&RATES, &|rate| bent(rate, Vec::new()));
        assert_eq!(diagnosis.outcome, Outcome::Knee);
        assert!(diagnosis.findings.is_empty(), "{:#?}", diagnosis.findings);
        assert!(diagnosis.caveats.iter().any(|text| text.contains("not enough evidence")));
        assert!(diagnosis.not_checked.len() > 5);
    }

    #[test]
    fn only_a_collector_that_did_not_run_is_asked_for() {
        let mut recording = record(&RATES, &|rate| bent(rate, Vec::new()));
        recording.environment.collectors.push(crate::recording::CollectorNote {
            name: "host".to_owned(),
            instance: "host".to_owned(),
            watches: String::new(),
            interval_secs: 1.0,
        });
        let rules = crate::run::rules();
        let diagnosis = diagnose(&recording, &rules);
        let unseen = |id: &str| diagnosis.not_checked.iter().find(|it| it.rule == id).unwrap();
        let disk = &unseen("disk-bound").add;
        assert!(disk.contains("[collect.threads]") && !disk.contains("[collect.host]"), "{disk}");
        let pool = &unseen("db-pool-too-small").add;
        assert!(pool.contains("[collect.postgres]"), "{pool}");
    }

    #[test]
    fn what_is_not_seen_of_a_target_elsewhere_is_told_first() {
        let mut recording = record(&RATES, &|rate| bent(rate, Vec::new()));
        let mut first = |ran: &str| {
            recording.environment.collectors.push(CollectorNote {
                name: ran.to_owned(),
                instance: ran.to_owned(),
                watches: String::new(),
                interval_secs: 1.0,
            });
            diagnose(&recording, &crate::run::rules()).caveats.first().cloned().unwrap_or_default()
        };
        let told = first("generator");
        assert!(told.starts_with("the target runs on another machine"), "{told}");
        assert!(told.contains("as root") && told.contains("--metrics"), "{told}");
        assert!(!first("prometheus").contains("--metrics"));
        assert!(!first("process").contains("another machine"));
    }

    #[test]
    fn an_exhausted_pool_alone_leaves_its_three_rivals() {
        let diagnosis = said(&RATES, &|rate| {
            let pool = [
                ("pool.connections{pool=main,state=used}", 4.0 * load(rate)),
                ("pool.limit{pool=main}", 4.0),
            ];
            bent(rate, [idle(rate), pool.to_vec()].concat())
        });
        assert!(diagnosis.findings.iter().all(|it| it.confidence == Confidence::Low));
        let text = diagnosis.caveats.iter().find(|text| text.contains("cannot be told apart"));
        assert!(text.is_some_and(|text| text.contains("[collect.postgres]")), "{diagnosis:#?}");
    }

    #[test]
    fn a_prediction_that_the_knee_contradicts_rules_a_finding_out() {
        let diagnosis = said(&RATES, &|rate| {
            let mut levels = idle(rate);
            levels.retain(|(name, _)| name.starts_with("system."));
            levels.extend([
                ("process.cpu.time{process=target}", 1.03 * load(rate)),
                ("process.cpu.allowed{process=target}", 2.0),
                ("process.thread.busiest{process=target}", 0.99 * load(rate)),
                ("process.cpu.busiest{process=target}", 1.03 * load(rate)),
            ]);
            // The loop is late to give its connections back, of which it has plenty below.
            let busy = if rate > KNEE { 10.0 } else { 0.4 * load(rate) };
            bent(rate, [levels, sessions(busy, 0.0, 0.0)].concat())
        });
        blames(&diagnosis, "single-thread-saturated");
        let pool = |rule: &str| rule == "db-pool-too-small";
        assert!(!diagnosis.findings.iter().any(|it| pool(&it.rule)), "{:#?}", diagnosis.findings);
        let out = diagnosis.ruled_out.iter().find(|it| pool(&it.rule)).unwrap();
        let because = out.because.last().unwrap();
        assert!(because.text.contains("where the curve bent"), "{out:#?}");
    }

    #[test]
    fn a_knee_that_is_known_only_roughly_confirms_nothing() {
        let recording = record(&RATES, &|rate| {
            bent(rate, [idle(rate), sessions(3.0 * load(rate), 0.0, 0.0)].concat())
        });
        let diagnosis = diagnose(&recording, RuleSet::builtin());
        let facts = Facts::new(&recording, &diagnosis.windows);
        let rules = RuleSet::builtin().rules();
        let rulings: Vec<_> = rules.iter().flat_map(|rule| ruling::rule_on(rule, &facts)).collect();
        let sure = |knee: &Knee| {
            rank::rank(&rulings, Some(knee), &Default::default()).findings.remove(0).confidence
        };
        let knee = diagnosis.knee.unwrap();
        assert_eq!(sure(&knee), Confidence::High);
        let rough = Knee { low: 0.8 * knee.rate, high: 1.2 * knee.rate, ..knee };
        assert_eq!(sure(&rough), Confidence::Medium);
    }

    #[test]
    fn a_target_that_went_away_is_no_all_clear() {
        let mut recording = record(&RATES[..6], &|rate| bent(rate, idle(rate)));
        let outcome = |recording: &Recording| diagnose(recording, RuleSet::builtin()).outcome;
        assert!(matches!(outcome(&recording), Outcome::NotReached { .. }));
        let reason = StopReason::TargetGone("no connection could be made".to_owned());
        recording.stop = Some(Stop { at: recording.timeline.end(), reason });
        match outcome(&recording) {
            Outcome::InsufficientData { missing } => assert!(missing[0].contains("no connection")),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_same_recording_gives_the_same_bytes() {
        let recording = record(&RATES, &|rate| {
            bent(rate, [idle(rate), sessions(3.0 * load(rate), 0.0, 0.0)].concat())
        });
        let json = || serde_json::to_string(&diagnose(&recording, RuleSet::builtin())).unwrap();
        assert_eq!(json(), json());
    }
}
