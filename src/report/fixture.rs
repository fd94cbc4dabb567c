//! A run that never was, with the shape of a real one: a service whose pool of four database
//! connections carries 212 requests per second. Tests render it in every format.

mod soak_and_overload;

use super::model::Report;
use crate::diagnose::simulated::queue::{Simulation, System};
use crate::diagnose::stages::summarize;
use crate::diagnose::*;
use crate::recording::*;
use crate::timeline::names::*;
use crate::timeline::*;

pub(super) use soak_and_overload::soak;
use soak_and_overload::{overload, recovery};

const CAPACITY: f64 = 212.0;
const POOL: f64 = 4.0;

fn span(from: u64, to: u64) -> Window {
    Window::new(Moment::from_nanos(from * 1_000_000_000), Moment::from_nanos(to * 1_000_000_000))
}

/// Role, rate and seconds of each stage.
const STAGES: [(StageRole, f64, u64); 14] = [
    (StageRole::Baseline, 20.0, 15),
    (StageRole::Ramp, 40.0, 10),
    (StageRole::Ramp, 60.0, 10),
    (StageRole::Ramp, 90.0, 10),
    (StageRole::Ramp, 135.0, 10),
    (StageRole::Ramp, 200.0, 10),
    (StageRole::Ramp, 300.0, 10),
    (StageRole::Drain, 20.0, 12),
    (StageRole::Refine, 180.0, 12),
    (StageRole::Refine, 200.0, 12),
    (StageRole::Refine, 206.0, 12),
    (StageRole::Refine, 220.0, 12),
    (StageRole::Beyond, 260.0, 15),
    (StageRole::Recovery, 0.0, 15),
];

/// The load: stages and ticks.
fn load() -> Timeline {
    let system =
        System { failing: (250.0, 0.04), noise: 0.002, ..System::new(CAPACITY, POOL as u32) };
    let mut run = Simulation::new(&system, 1);
    for (role, rate, seconds) in STAGES {
        run.hold(role, rate, seconds);
    }
    run.timeline
}

/// A repeatable wobble between -1 and 1.
fn wobble(n: u64) -> f64 {
    ((n.wrapping_mul(2_654_435_761) >> 7) % 2001) as f64 / 1000.0 - 1.0
}

fn readings(second: u64, rate: f64, busy: f64, totals: &mut [f64; 4]) -> Vec<Reading> {
    let mut batch = BatchBuilder::new();
    let served = rate.min(CAPACITY);
    let use_ = [served * 0.004, served * 0.0021, served * 0.0007, 0.15];
    for (total, cores) in totals.iter_mut().zip(use_) {
        *total += cores * (1.0 + 0.05 * wobble(second));
    }
    let shop = Labels::none().with("process", "shop");
    batch.push_labelled(&PROCESS_CPU_TIME, shop.clone(), totals[0]);
    batch.push_labelled(&PROCESS_CPU_ALLOWED, shop.clone(), 2.0);
    batch.push_labelled(&PROCESS_THREAD_BUSIEST, shop.clone(), use_[0] * 0.6);
    batch.push(&DB_CPU_TIME, totals[1]);
    batch.push(&GENERATOR_CPU_TIME, totals[2]);
    for (mode, index) in [("user", 0), ("system", 1), ("irq", 3)] {
        batch.push_labelled(&SYSTEM_CPU_TIME, Labels::none().with("mode", mode), totals[index]);
    }
    batch.push(&SYSTEM_CPU_CORES, 4.0);
    let mib = 1024.0 * 1024.0;
    let rss = 84.0 * mib + 0.15 * mib * second as f64 + served * 0.1 * mib;
    batch.push_labelled(&PROCESS_MEMORY_RSS, shop.clone(), rss);
    batch.push_labelled(&PROCESS_MEMORY_ANONYMOUS, shop, rss - 30.0 * mib);
    let session = |state: &str, wait: &str| {
        Labels::none().with("app", "shop").with("state", state).with("wait_type", wait)
    };
    let active = busy * 0.55;
    batch.push_labelled(&DB_SESSIONS, session("active", "none"), active);
    if busy > 3.0 {
        batch.push_labelled(&DB_SESSIONS, session("active", "Lock"), 0.3);
    }
    batch.push_labelled(&DB_SESSIONS, session("idle in transaction", "Client"), busy * 0.35);
    batch.push_labelled(&DB_SESSIONS, session("idle", "Client"), POOL - busy * 0.95);
    batch.push_labelled(&POOL_LIMIT, Labels::none().with("pool", "main"), POOL);
    batch.finish()
}

/// The recording.
pub(super) fn recording() -> Recording {
    let mut timeline = load();
    let mut totals = [0.0; 4];
    for stage in timeline.stages.clone() {
        for second in stage.window.begin.secs() as u64..stage.window.end.secs() as u64 {
            let busy = (stage.rate() / CAPACITY).min(1.0) * POOL;
            // Ten seconds in which the database did not answer.
            if (45..55).contains(&second) {
                continue;
            }
            let at = Moment::from_secs_f64(second as f64 + 0.4);
            timeline.push_batch(Batch {
                collector: "postgres".into(),
                window: Window::new(at, at),
                readings: readings(second, stage.rate(), busy, &mut totals),
            });
        }
    }
    Recording {
        plan: PlanSummary {
            name: "shop checkout".into(),
            target: "http://127.0.0.1:8080".into(),
            requests: vec![("page".into(), 0.8), ("health".into(), 0.2)],
            executor: "breakpoint".into(),
            max_rate: 600.0,
            max_vus: 0,
            tags: Vec::new(),
            ..PlanSummary::default()
        },
        environment: Environment {
            kneepoint: "0.1.0".into(),
            host: "bench-1".into(),
            kernel: "Linux 6.1.0".into(),
            cores: 4,
            memory_bytes: 16 << 30,
            started_unix: 1_795_251_600.0,
            target: "127.0.0.1:8080, HTTP 200".into(),
            target_is_local: true,
            collectors: vec![CollectorNote {
                name: "postgres".into(),
                instance: "shop-db".into(),
                watches: "database `shop` at 127.0.0.1:5432".into(),
                interval_secs: 1.0,
            }],
            ..Environment::default()
        },
        timeline,
        events: vec![Event {
            at: Moment::from_secs_f64(65.0),
            text: "the first sign of a knee".into(),
        }],
        stop: Some(Stop { at: Moment::from_secs_f64(165.0), reason: StopReason::KneeFound }),
    }
}

fn measured(recording: &Recording) -> Vec<StageSummary> {
    summarize(recording).into_iter().filter(|stage| stage.role.is_measured()).collect()
}

fn evidence(text: &str, value: f64, baseline: Option<f64>, bound: &str, unit: Unit) -> Evidence {
    Evidence {
        text: text.into(),
        signal: "db.sessions.busy".into(),
        window: "knee".into(),
        value: Some(value),
        baseline,
        bound: bound.into(),
        unit,
        holds: Some(true),
        series: vec!["db.sessions{state=active}".into()],
    }
}

fn findings() -> Vec<Finding> {
    let pool = Finding {
        rule: "db-pool-too-small".into(),
        title: "the pool of 4 database connections is too small".into(),
        subject: None,
        endpoint: None,
        service: None,
        role: FindingRole::Cause,
        confidence: Confidence::High,
        confidence_why: "3 of 3 required and 2 of 2 supporting conditions hold".into(),
        why: "requests queue for a connection while the database itself has room".into(),
        next: "raise the pool to 7 connections, or hold each for a shorter time; then run again"
            .into(),
        disproved_by: "a larger pool that leaves the knee where it is".into(),
        evidence: vec![
            evidence(
                "4.0 of 4 pooled connections are busy",
                4.0,
                Some(0.38),
                "over 3.8",
                Unit::Count,
            ),
            evidence(
                "backends are mostly not executing",
                0.45,
                Some(0.44),
                "over 0.3",
                Unit::Ratio,
            ),
            evidence(
                "seconds per query stay flat",
                0.0104,
                Some(0.0101),
                "under 0.015",
                Unit::Seconds,
            ),
        ],
        refutations: vec![evidence(
            "the database's processor is not at its limit",
            0.44,
            Some(0.04),
            "under 1.8",
            Unit::Cores,
        )],
        predicted_capacity: Some(214.0),
        explains_growth: Some(0.91),
        code: vec!["96 of 100 threads wait for a lock at Ledger.java:57".into()],
        counterfactuals: counterfactuals(),
    };
    let leak = Finding {
        rule: "memory-leak".into(),
        title: "memory grows and is not given back".into(),
        subject: Some("shop".into()),
        endpoint: None,
        service: None,
        role: FindingRole::Apart,
        confidence: Confidence::Medium,
        next: "take a heap profile at the start and after an hour".into(),
        why: "what is never freed ends in an out-of-memory kill".into(),
        disproved_by: "a longer run in which it levels off".into(),
        evidence: vec![evidence(
            "memory grows by 0.15 MiB/s",
            157_286.0,
            None,
            "over 0",
            Unit::Bytes,
        )],
        refutations: vec![],
        predicted_capacity: None,
        explains_growth: None,
        code: vec![],
        counterfactuals: vec![],
        ..pool.clone()
    };
    vec![pool, leak]
}

fn counterfactuals() -> Vec<Counterfactual> {
    let cpu =
        NextLimit { name: "the target's CPU".into(), demand: 0.004, limit: 2.0, unit: Unit::Cores };
    let assumption = || "a request goes on needing 4 ms of the target's CPU".to_owned();
    vec![
        Counterfactual::Gone { carries: 500.0, next: cpu, assumption: assumption() },
        Counterfactual::Halved { carries: 428.0, next: None, assumption: assumption() },
        Counterfactual::Needed {
            what: "connections".into(),
            count: 11,
            now: 4.0,
            rate: 300.0,
            wait_p99: Some(0.012),
            assumption: "a request goes on holding a connection for 18.8 ms".into(),
        },
        Counterfactual::NoHelp { what: "more cores".into(), why: "they are idle".into() },
    ]
}

fn attribution(stages: &[StageSummary]) -> Attribution {
    let part = |name: &str, kind: &str, seconds| Part {
        name: name.into(),
        kind: kind.into(),
        peer: None,
        seconds,
        is_all: false,
        error: 0.0,
    };
    let parts = |stage: &StageSummary| {
        let mean = stage.response.map_or(0.0, |r| r.mean);
        let wait = (mean - 0.0125).max(0.0) * 0.93;
        let known = [0.004, 0.0045, 0.0025, wait];
        StageParts {
            offered: stage.offered,
            arrivals: stage.offered,
            completions: stage.throughput,
            balanced: stage.throughput > 0.98 * stage.offered,
            overlap: 0.0,
            response: mean,
            parts: vec![
                part("app CPU", "app_cpu", known[0]),
                part("PostgreSQL executing", "db_executing", known[1]),
                part("connection held, not querying", "db_held", known[2]),
                part("waiting for a pooled connection", "pool_wait", known[3]),
                part("unexplained", "unexplained", (mean - known.iter().sum::<f64>()).max(0.0)),
            ],
        }
    };
    let growth =
        |name: &str, baseline, knee, share| PartGrowth { name: name.into(), baseline, knee, share };
    let mut sorted: Vec<&StageSummary> = stages.iter().filter(|s| s.role.is_measured()).collect();
    sorted.sort_by(|a, b| a.offered.total_cmp(&b.offered));
    Attribution {
        baseline: sorted.first().map(|stage| parts(stage)),
        knee: sorted.iter().find(|stage| stage.offered > 212.3).map(|stage| parts(stage)),
        overlaps: vec![],
        stages: stages.iter().map(parts).collect(),
        growth: vec![
            growth("waiting for a pooled connection", 0.0001, 0.182, 0.91),
            growth("PostgreSQL executing", 0.0045, 0.0052, 0.02),
            growth("unexplained", 0.0008, 0.014, 0.07),
        ],
        unexplained: 0.07,
        broken_assumptions: vec!["in the stage at 300/s the queue still grew".into()],
    }
}

fn ruled_out() -> Vec<RuledOut> {
    let failed = |rule: &str, title: &str, text: &str, value, bound: &str| RuledOut {
        rule: rule.into(),
        title: title.into(),
        because: vec![Evidence {
            holds: Some(false),
            ..evidence(text, value, None, bound, Unit::Ratio)
        }],
    };
    vec![
        failed(
            "cpu-saturated",
            "CPU work on all the cores that the target may use",
            "the target uses its cores",
            0.42,
            "over 0.9",
        ),
        failed(
            "db-lock-wait",
            "sessions wait on PostgreSQL locks",
            "7 % of the busy sessions wait for a lock",
            0.07,
            "over 0.3",
        ),
    ]
}

fn not_checked() -> Vec<NotChecked> {
    let lacking = |rule: &str, title: &str| NotChecked {
        rule: rule.into(),
        title: title.into(),
        missing: vec!["runtime.gc.time".into()],
        add: "add `[collect.prometheus]` with the service's metrics address".into(),
    };
    vec![
        lacking("gc-pauses", "the garbage collector stops the service"),
        lacking("worker-exhaustion", "all workers wait"),
    ]
}

fn stacks() -> Stacks {
    let place = |state: &str, at: &str, held_at: Option<&str>, low, knee| ThreadPlace {
        runtime: "jvm".into(),
        state: state.into(),
        function: "com.acme.Ledger.add".into(),
        at: at.into(),
        held_at: held_at.map(str::to_owned),
        near_at: None,
        low: Some(low),
        knee,
    };
    let stack = |functions: &str, low, knee| FoldedStack {
        functions: functions.split(';').map(str::to_owned).collect(),
        low: Some(low),
        knee,
    };
    let hot = |function: &str, at: &str, low, knee| HotFunction {
        function: function.into(),
        at: at.into(),
        low: Some(low),
        knee,
    };
    Stacks {
        service: None,
        looks_low: 5,
        looks_knee: 9,
        busy_low: Some(1.4),
        busy_knee: 100.0,
        places: vec![
            place("lock", "Ledger.java:57", Some("Ledger.java:60"), 0.2, 96.0),
            place("running", "Views.java:88", None, 1.2, 4.0),
        ],
        cores_low: Some(0.5),
        cores_knee: 2.0,
        functions: vec![
            hot("render", "Views.java:88", 0.1, 1.42),
            hot("std::vec<int>&& parse<T>", "Parse.java:7", 0.4, 0.58),
        ],
        folded: vec![
            stack("java.lang.Thread.run;handle;render", 0.1, 1.2),
            stack("java.lang.Thread.run;handle;render;java.util.HashMap.get", 0.0, 0.22),
            stack("java.lang.Thread.run;handle;std::vec<int>&& parse<T>", 0.4, 0.58),
        ],
    }
}

/// The diagnosis of [`recording`].
pub(super) fn diagnosis(recording: &Recording) -> Diagnosis {
    let stages = measured(recording);
    Diagnosis {
        outcome: Outcome::Knee,
        headroom: Some(headroom()),
        knee: Some(Knee {
            rate: 212.3,
            low: 205.2,
            high: 219.0,
            kind: KneeKind::Latency,
            throughput: Some(214.0),
            latency: Some(212.3),
            errors: None,
            peak_goodput: 213.4,
            retrograde: true,
            tail: None,
            by_curve: None,
        }),
        objectives: vec![ObjectiveResult {
            text: "http_req_duration: p(95) < 300ms".into(),
            broken_at: Some(220.0),
            value: Some(0.61),
            unit: Unit::Seconds,
            bound: 0.3,
        }],
        capacity: Some(Capacity { good: 210.0, bad: Some(220.0) }),
        windows: Windows {
            baseline: vec![span(3, 15), span(18, 35)],
            approach: vec![span(48, 55)],
            knee: vec![span(126, 138), span(138, 150)],
            beyond: vec![span(68, 75), span(153, 165)],
            recovery: vec![span(165, 180)],
        },
        findings: findings(),
        ruled_out: ruled_out(),
        not_checked: not_checked(),
        attribution: Some(attribution(&stages)),
        soak: Some(soak()),
        stacks: Some(stacks()),
        overload: Some(overload()),
        chain: None,
        recovery: Some(recovery()),
        generator: GeneratorHealth {
            healthy: true,
            lateness_p99: 0.00018,
            cpu_cores: Some(0.15),
            remarks: vec!["it shares the machine with the target".into()],
        },
        overhead: vec![CollectorOverhead {
            collector: "postgres".into(),
            cores: 0.004,
            looks: 155,
            gaps: 10,
            reason: Some("cannot connect to `127.0.0.1:5432`: timed out".into()),
            from: Moment::START,
            to: Moment::from_secs_f64(180.0),
        }],
        contradictions: vec![],
        caveats: vec!["10 readings of postgres are missing from 45 s to 55 s".into()],
        stages,
    }
}

/// A recording, and its report with the run second by second.
pub(super) fn with_seconds() -> (Recording, Report) {
    let recording = recording();
    let report = Report::new(&recording, &diagnosis(&recording)).with_seconds(&recording);
    (recording, report)
}

/// What two resources carry, the one with a hostile name.
fn headroom() -> Headroom {
    let interval = |rate: f64| Interval { rate, low: 0.9 * rate, high: 1.05 * rate };
    let resource = |name: &str, demand: f64, limit: f64, unit| ResourceRoom {
        name: name.to_owned(),
        limit,
        unit,
        demand: interval(demand),
        background: 0.1,
        carries: interval((limit - 0.1) / demand),
        safe: 0.6 * limit / demand,
        per_instance: true,
        points: (2..20)
            .map(|step| (10.0 * f64::from(step), 0.1 + demand * 10.0 * f64::from(step)))
            .collect(),
    };
    let pool = resource("the pool of 3 connections `<b>&\u{1b}[31m`", 0.0137, 3.0, Unit::Count);
    Headroom {
        seen: Some((20.0, 190.0)),
        carried_well: Some(190.0),
        instances: Some(1),
        limit: Some(pool.carries),
        resources: vec![pool, resource("the target's CPU", 0.004, 2.0, Unit::Cores)],
        ..Headroom::default()
    }
}

/// A diagnosis that says nothing but its outcome.
pub(super) fn bare(outcome: Outcome) -> Diagnosis {
    Diagnosis {
        outcome,
        headroom: None,
        stages: vec![],
        knee: None,
        objectives: vec![],
        capacity: None,
        windows: Windows::default(),
        findings: vec![],
        ruled_out: vec![],
        not_checked: vec![],
        attribution: None,
        overload: None,
        chain: None,
        recovery: None,
        soak: None,
        stacks: None,
        generator: GeneratorHealth::default(),
        overhead: vec![],
        contradictions: vec![],
        caveats: vec![],
    }
}

/// A recording in which nothing was measured.
pub(super) fn empty() -> Recording {
    Recording {
        plan: PlanSummary::default(),
        environment: Environment::default(),
        timeline: Timeline::default(),
        events: vec![],
        stop: None,
    }
}

/// Every kind of outcome.
pub(super) fn outcomes() -> Vec<Outcome> {
    vec![
        Outcome::Knee,
        Outcome::NotReached { proven_rate: 300.0 },
        Outcome::GeneratorLimited { from_rate: 900.0, why: "lateness p99 was 40 ms".into() },
        Outcome::InsufficientData {
            missing: vec!["one stage only; add at least three".into(), "no baseline".into()],
        },
        Outcome::FailsForGood {
            after_requests: 1_934,
            at: Moment::from_secs_f64(41.0),
            failing: 0.99,
            also_at: Some(20.0),
            ran_out: vec!["connections of the pool are taken and never given back".into()],
        },
        Outcome::Aborted { why: "the target refused every connection".into() },
    ]
}
