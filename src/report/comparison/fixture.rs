//! A comparison in which everything occurs once, for the tests of the formats.

use crate::compare::{
    Answer, BuildCurve, CauseChange, Change, Comparison, CurvePoint, Curves, EndpointChange, Fate,
    KneeRange, LimitChange, MatchedLoad, Measure, Met, Method, ObjectiveChange, PartChange,
    Quantity, RunFacts, Spread, Subject, Verdict, Why,
};

fn ratio(estimate: f64, low: f64, high: f64) -> Option<Change> {
    Some(Change { estimate, low: Some(low), high: Some(high), is_difference: false })
}

fn cannot_tell(why: &str, further_runs: Option<u64>, exceeds_noise: bool) -> Answer {
    Answer::CannotTell { why: why.to_owned(), further_runs, exceeds_noise }
}

fn quantity(
    (subject, measure): (Subject, Measure),
    (base, candidate): (f64, f64),
    change: Option<Change>,
    answer: Answer,
) -> Quantity {
    let allowed = if measure == Measure::ErrorRatio { 0.001 } else { 0.1 };
    let (base, candidate) = (Some(base), Some(candidate));
    let (run_to_run, is_at_equal_speed) = (Some(0.03), false);
    Quantity {
        subject,
        measure,
        base,
        candidate,
        change,
        allowed,
        is_raised_by_noise: false,
        run_to_run,
        is_at_equal_speed,
        answer,
    }
}

fn quantities() -> Vec<Quantity> {
    let all = |measure| (Subject::All, measure);
    let order = || Subject::Request("order".to_owned());
    let errors = Change { is_difference: true, ..ratio(0.0004, -0.0001, 0.0009).unwrap() };
    let fell = Change { high: Some(-0.2), low: None, ..ratio(-0.3, 0.0, 0.0).unwrap() };
    vec![
        quantity(all(Measure::P50), (0.0101, 0.0102), ratio(0.01, -0.02, 0.04), Answer::Same),
        quantity(
            all(Measure::P95),
            (0.021, 0.026),
            ratio(0.24, -0.05, 0.6),
            cannot_tell("the runs differ by 12 %", Some(7), true),
        ),
        quantity(all(Measure::P99), (0.031, 0.0428), ratio(0.38, 0.3, 0.46), Answer::Worse),
        quantity(all(Measure::ErrorRatio), (0.0002, 0.0006), Some(errors), Answer::Same),
        quantity(all(Measure::Knee), (300.0, 210.0), Some(fell), Answer::Worse),
        quantity(
            all(Measure::CpuPerRequest),
            (0.004, 0.003),
            ratio(-0.25, -0.3, -0.2),
            Answer::Better,
        ),
        quantity(
            all(Measure::CallsPerRequest("payments:8080".to_owned())),
            (2.0, 2.0),
            ratio(0.0, -0.01, 0.01),
            Answer::Same,
        ),
        quantity(
            all(Measure::Restarts),
            (0.0, 1.0),
            None,
            cannot_tell("one restart is no trend", None, false),
        ),
        quantity((order(), Measure::P99), (0.05, 0.09), ratio(0.8, 0.6, 1.02), Answer::Worse),
        quantity((order(), Measure::P50), (0.012, 0.012), ratio(0.0, -0.02, 0.02), Answer::Same),
    ]
}

fn run(name: &str, knee: Option<f64>, causes: &[&str]) -> RunFacts {
    RunFacts {
        name: name.to_owned(),
        started_unix: 1_795_251_600.0,
        knee,
        causes: causes.iter().map(|rule| (*rule).to_owned()).collect(),
    }
}

fn curve(factor: f64, knee: KneeRange) -> BuildCurve {
    let point = |step: u32| {
        let offered = f64::from(50 * step);
        let slow = factor * (1.0 + f64::from(step * step) / 10.0);
        let spread = |value: f64| Spread { median: value, low: 0.9 * value, high: 1.15 * value };
        CurvePoint {
            offered,
            users: None,
            runs: 2,
            answered: spread(offered.min(knee.rate)),
            error_ratio: spread(if offered > knee.rate { 0.02 } else { 0.0 }),
            p50: Some(spread(0.01 * slow)),
            p95: Some(spread(0.02 * slow)),
            p99: Some(spread(0.03 * slow)),
        }
    };
    BuildCurve { points: (1..=7).map(point).collect(), knee: Some(knee) }
}

fn why() -> Why {
    let part = |name: &str, kind: &str, base, candidate| PartChange {
        name: name.to_owned(),
        kind: kind.to_owned(),
        base,
        candidate,
        error: 0.0002,
    };
    let cause = |fate, rule: &str, title: &str, in_base, in_candidate| CauseChange {
        fate,
        rule: rule.to_owned(),
        title: title.to_owned(),
        in_base,
        in_candidate,
        code: Vec::new(),
    };
    Why {
        response: Some((0.0121, 0.0164)),
        parts: vec![
            part("PostgreSQL waiting for locks", "db_lock_wait", 0.0008, 0.006),
            part("app CPU", "app_cpu", 0.004, 0.003),
            part("PostgreSQL executing", "db_executing", 0.005, 0.0051),
            part("accept queue", "accept_queue", 0.000_01, 0.000_02),
            part("unexplained", "unexplained", 0.0022, 0.0022),
        ],
        endpoints: vec![
            EndpointChange { name: "order".to_owned(), base: 0.02, candidate: 0.034, adds: 0.0042 },
            EndpointChange { name: "page".to_owned(), base: 0.01, candidate: 0.01, adds: 0.0 },
        ],
        causes: vec![
            CauseChange {
                code: vec!["app/ledger.py:88 holds the lock".to_owned()],
                ..cause(Fate::Came, "db-lock-wait", "sessions wait for row locks", 0, 2)
            },
            cause(Fate::Went, "cpu-saturated", "the CPU is full", 2, 0),
            cause(Fate::Stayed, "memory-leak", "memory grows without end", 2, 2),
        ],
        limits: Vec::new(),
    }
}

/// A pool of connections that has other limits in both builds.
pub fn limit(base: f64, candidate: f64, most_in_candidate: f64) -> LimitChange {
    LimitChange {
        places: "connections".to_owned(),
        pool: "catalogue".to_owned(),
        base,
        candidate,
        most_in_base: 2.0,
        most_in_candidate,
    }
}

/// Two runs of each build, of which the candidate is worse.
pub fn comparison() -> Comparison {
    let matched =
        |offered| MatchedLoad { offered, base: offered, candidate: offered, seconds: 60.0 };
    let base = KneeRange { rate: 300.0, low: 290.0, high: Some(311.0) };
    let candidate = KneeRange { rate: 210.0, low: 204.0, high: Some(217.0) };
    Comparison {
        verdict: Verdict::Worse,
        budget: 0.1,
        sittings: None,
        method: Method::Runs,
        noise: None,
        base: vec![
            run("main/1", Some(300.0), &["cpu-saturated", "memory-leak"]),
            run("main/2", Some(301.0), &["cpu-saturated", "memory-leak"]),
        ],
        candidate: vec![
            run("branch/1", Some(211.0), &["db-lock-wait", "memory-leak"]),
            run("branch/2", None, &["db-lock-wait", "memory-leak"]),
        ],
        loads: vec![matched(50.0), matched(100.0)],
        differences: vec!["the kernels differ: 6.1 and 6.12".to_owned()],
        quantities: quantities(),
        why: why(),
        curves: Curves { base: curve(1.0, base), candidate: curve(1.4, candidate) },
        objectives: vec![
            ObjectiveChange {
                text: "p(95) < 25ms".to_owned(),
                base_met: Met { met: 2, of: 2 },
                candidate_met: Met { met: 0, of: 2 },
                base_up_to: Some(250.0),
                candidate_up_to: None,
            },
            ObjectiveChange {
                text: "rate < 1%".to_owned(),
                base_met: Met { met: 2, of: 2 },
                candidate_met: Met { met: 2, of: 2 },
                base_up_to: Some(300.0),
                candidate_up_to: Some(300.0),
            },
        ],
    }
}

/// Nothing to compare.
pub fn empty() -> Comparison {
    Comparison {
        verdict: Verdict::CannotTell,
        budget: 0.1,
        sittings: None,
        method: Method::OneRunEach,
        noise: None,
        base: Vec::new(),
        candidate: Vec::new(),
        loads: Vec::new(),
        differences: Vec::new(),
        quantities: Vec::new(),
        why: Why::default(),
        curves: Curves::default(),
        objectives: Vec::new(),
    }
}

/// The same as [`comparison`], with `evil` wherever a text comes from outside.
pub fn hostile(evil: &str) -> Comparison {
    let mut comparison = comparison();
    let text = || evil.to_owned();
    comparison.base[0].name = text();
    comparison.candidate[0].causes = vec![text()];
    comparison.differences = vec![text()];
    comparison.quantities[2].subject = Subject::Request(text());
    comparison.quantities[6].measure = Measure::CallsPerRequest(text());
    comparison.quantities[9].subject = Subject::Tag(text());
    comparison.quantities[1].answer = cannot_tell(evil, None, true);
    comparison.why.parts[0].name = text();
    comparison.why.endpoints[0].name = text();
    comparison.why.causes[0].rule = text();
    comparison.why.causes[0].title = text();
    comparison.why.causes[0].code = vec![text()];
    comparison.objectives[0].text = text();
    comparison.noise = Some(text());
    comparison.why.limits = vec![LimitChange { pool: text(), ..limit(16.0, 2.0, 1.0) }];
    comparison
}
