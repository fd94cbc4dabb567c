//! Waits for another service that look alike, and whose causes differ: the service is slow, the
//! target limits its calls or its workers, or each request asks more often.

use super::{KNEE, Picture, RATES, bent, said};
use crate::diagnose::terms::model::{Confidence, Diagnosis, FindingRole};

/// Seconds of a call that is as quick as ever.
const CALL: f64 = 3.0 / KNEE;
const CALLS: &str = "tcp.calls{peer=10.0.3.7:8443}";
const SENT: &str = "tcp.calls.sent{peer=10.0.3.7:8443}";
const CONNECTIONS: &str = "tcp.calls.connections{peer=10.0.3.7:8443}";
const SERVED: &str = "tcp.requests.served{port=8080}";

/// Requests that wait beyond the knee, on average over a stage.
fn queue(rate: f64) -> f64 {
    (rate - KNEE).max(0.0) * 5.0
}

/// An idle target with so many calls in flight and sent per second, and so many requests in work.
fn picture(rate: f64, calls: f64, sent: f64, served: f64) -> Picture {
    let levels = vec![
        ("system.cpu.utilization", 0.1),
        ("system.cpu.cores", 2.0),
        ("process.cpu.time{process=target}", 0.001 * rate.min(KNEE)),
        ("process.cpu.allowed{process=target}", 2.0),
        ("process.thread.busiest{process=target}", 0.05),
        ("process.run_queue.time{process=target}", 0.01),
        (CALLS, calls),
        (SENT, sent),
        (CONNECTIONS, 0.1),
        (SERVED, served),
    ];
    bent(rate, levels)
}

#[track_caller]
fn blames(diagnosis: &Diagnosis, rule: &str, title: &str) {
    let first = diagnosis.findings.first().unwrap_or_else(|| panic!("{diagnosis:#?}"));
    assert_eq!((first.rule.as_str(), &first.role), (rule, &FindingRole::Cause), "{first:#?}");
    assert!(first.title.contains(title), "{}", first.title);
}

/// Whether a rule is among the findings.
fn is_named(diagnosis: &Diagnosis, rule: &str) -> bool {
    diagnosis.findings.iter().any(|finding| finding.rule == rule)
}

#[test]
fn a_service_whose_answers_slow_down_is_slow() {
    let slow = said(&RATES, &|rate| {
        let calls = CALL * rate.min(KNEE) + queue(rate);
        picture(rate, calls, rate, calls + 1.0)
    });
    blames(&slow, "downstream-wait", "whose answers slow down");
    assert!(
        !is_named(&slow, "downstream-calls-limited") && !is_named(&slow, "retry-amplification")
    );
}

#[test]
fn calls_that_stay_at_three_and_are_as_quick_as_ever_are_limited_by_the_target() {
    let limited = said(&RATES, &|rate| {
        let through = rate.min(KNEE);
        picture(rate, CALL * through, through, 0.02 * through + queue(rate))
    });
    blames(&limited, "downstream-calls-limited", "too few calls to 10.0.3.7:8443 at a time");
    assert_eq!(limited.findings[0].confidence, Confidence::High);
    let predicted = limited.findings[0].predicted_capacity.unwrap();
    assert!((predicted - KNEE).abs() < 2.0, "{predicted}");
    assert!(!is_named(&limited, "downstream-wait"));
}

#[test]
fn three_calls_in_place_of_one_are_not_a_slow_service() {
    let retried = said(&RATES, &|rate| {
        let each = if rate < KNEE { 1.0 } else { 3.0 };
        let sent = each * rate;
        picture(rate, CALL * sent, sent, 0.02 * rate.min(KNEE) + CALL * sent + queue(rate))
    });
    blames(&retried, "retry-amplification", "each request makes more calls to 10.0.3.7:8443");
    assert!(!is_named(&retried, "downstream-wait"), "{:#?}", retried.findings);
}

#[test]
fn workers_are_to_blame_unless_what_they_wait_for_got_slow() {
    let workers = said(&RATES, &|rate| {
        let through = rate.min(KNEE);
        let mut picture = picture(rate, CALL * through, through, CALL * through + queue(rate));
        picture.levels.push(("threads.in{class=socket}", CALL * through));
        picture.levels.push(("threads.in{class=poll}", 1.0));
        picture
    });
    blames(
        &workers,
        "worker-exhaustion",
        "wait for 10.0.3.7:8443, which is as quick as at low load",
    );
    assert!(!is_named(&workers, "downstream-wait"), "{:#?}", workers.findings);
    // Nine workers are held by calls that take three times as long.
    let slow = said(&RATES, &|rate| {
        let calls = if rate < KNEE { CALL * rate } else { 9.0 };
        let mut picture = picture(rate, calls, rate.min(KNEE), calls + queue(rate));
        picture.levels.push(("threads.in{class=socket}", calls));
        picture.levels.push(("threads.in{class=poll}", 1.0));
        picture
    });
    blames(&slow, "downstream-wait", "whose answers slow down");
    // By what a request needs below the knee, nine workers would carry three times as much.
    let cause = |rule: &str| {
        slow.findings.iter().any(|it| it.rule == rule && it.role == FindingRole::Cause)
    };
    assert!(!cause("worker-exhaustion"), "{:#?}", slow.findings);
}
