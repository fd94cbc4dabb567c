use crate::diagnose::conclude::engine::diagnose;
use crate::diagnose::rules::ruleset::RuleSet;
use crate::diagnose::simulated::{Picture, record};
use crate::diagnose::terms::model::{Confidence, Diagnosis, FindingRole, Outcome};
use crate::recording::CollectorNote;
use crate::timeline::{Source, names};

const RATES: [f64; 10] = [20.0, 40.0, 80.0, 120.0, 160.0, 180.0, 200.0, 240.0, 300.0, 400.0];
const KNEE: f64 = 190.0;

fn load(rate: f64) -> f64 {
    (rate / KNEE).min(1.0)
}

/// Requests that wait while a stage is held: they grow by what is offered beyond the knee.
fn waiting(rate: f64) -> f64 {
    5.0 * (rate - KNEE).max(0.0)
}

type Levels = Vec<(&'static str, f64)>;

/// A gateway on a machine of two cores that carries what is behind it: 190 requests/s of 20 ms.
fn gateway(rate: f64, cpu: f64, behind: Levels) -> Picture {
    let mut levels = vec![
        ("system.cpu.utilization", (0.1 + cpu / 2.0).min(1.0)),
        ("system.cpu.cores", 2.0),
        ("system.cpu.time{mode=user}", 0.15 + cpu),
        ("system.cpu.time{mode=system}", 0.03),
        ("process.cpu.time{process=gateway}", 0.1 * load(rate)),
        ("process.cpu.allowed{process=gateway}", 2.0),
        ("process.thread.busiest{process=gateway}", 0.1 * load(rate)),
        ("process.cpu.busiest{process=gateway}", 0.1 * load(rate)),
        ("process.run_queue.time{process=gateway}", 0.01 * load(rate)),
    ];
    levels.extend(behind);
    let load = load(rate).min(0.95);
    let response = 0.02 + 0.004 * load / (1.0 - load);
    Picture { goodput: rate.min(KNEE), failures: Vec::new(), response, levels }
}

fn said(system: &dyn Fn(f64) -> Picture) -> Diagnosis {
    diagnose(&record(&RATES, system), RuleSet::builtin())
}

/// Workers behind the gateway, four of them, each of which waits 21 ms for something.
fn workers(rate: f64) -> Levels {
    let busy = 3.99 * load(rate);
    vec![
        ("tcp.calls{peer=127.0.0.1:9000 (app),service=app}", busy + waiting(rate)),
        ("tcp.requests.served{port=80}", busy + waiting(rate)),
        ("tcp.requests{port=80}", busy + waiting(rate)),
        ("chain.service{hop=app (127.0.0.1:9000),address=127.0.0.1:9000,kind=service}", 1.0),
        ("chain.tcp.requests{hop=app (127.0.0.1:9000),port=9000}", busy),
        ("chain.tcp.requests.served{hop=app (127.0.0.1:9000),port=9000}", busy),
        ("chain.tcp.accept_queue{hop=app (127.0.0.1:9000),port=9000}", waiting(rate)),
        ("chain.process.cpu.time{hop=app (127.0.0.1:9000),process=app}", 0.1 * load(rate)),
        ("chain.process.cpu.allowed{hop=app (127.0.0.1:9000),process=app}", 2.0),
        ("chain.process.thread.busiest{hop=app (127.0.0.1:9000),process=app}", 0.05),
        ("chain.process.run_queue.time{hop=app (127.0.0.1:9000),process=app}", 0.01),
        ("chain.process.count{hop=app (127.0.0.1:9000),process=app}", 4.0),
    ]
}

#[test]
fn the_cause_is_named_at_the_service_behind_the_gateway() {
    let diagnosis = said(&|rate| gateway(rate, 0.2, workers(rate)));
    let first = &diagnosis.findings[0];
    assert_eq!(first.rule, "worker-exhaustion", "{:#?}", diagnosis.findings);
    assert_eq!(first.service.as_deref(), Some("app (127.0.0.1:9000)"));
    assert_eq!(first.role, FindingRole::Cause);
    assert_eq!(first.confidence, Confidence::High, "{first:#?}");
    assert_eq!(first.title, "app (127.0.0.1:9000): all workers are busy waiting");
    assert!(!format!("{first:?}").contains("the target"), "{first:#?}");
    let wait = diagnosis.findings.iter().find(|it| it.rule == "downstream-wait").unwrap();
    assert_eq!(wait.role, FindingRole::Consequence { of: "worker-exhaustion".to_owned() });
    assert!(diagnosis.ruled_out.iter().all(|out| out.rule != "worker-exhaustion"));
    let chain = diagnosis.chain.unwrap();
    let hops: Vec<_> = chain.hops.iter().map(|hop| (hop.service.as_str(), hop.depth)).collect();
    assert_eq!(hops, [("the target", 0), ("app (127.0.0.1:9000)", 1)]);
    assert!(chain.hops[1].is_followed);
    assert_eq!(chain.ends, "the time lies in app (127.0.0.1:9000), not in what it calls");
}

/// The same without what shows why: the wait stays the cause, with what is known of the service.
#[test]
fn a_service_that_shows_nothing_leaves_the_wait_as_the_cause() {
    let diagnosis = said(&|rate| {
        let mut levels = workers(rate);
        for (name, level) in &mut levels {
            if name.starts_with("chain.tcp.") {
                *level =
                    if name.contains("accept") { 0.0 } else { 4.0 * load(rate) + waiting(rate) };
            }
        }
        gateway(rate, 0.2, levels)
    });
    let first = &diagnosis.findings[0];
    assert_eq!(first.rule, "downstream-wait", "{:#?}", diagnosis.findings);
    let texts: Vec<&str> = first.evidence.iter().map(|it| it.text.as_str()).collect();
    assert!(texts.iter().any(|text| text.contains("app (127.0.0.1:9000) uses")), "{texts:#?}");
    assert!(first.next.contains("app (127.0.0.1:9000): requests wait inside it"), "{first:#?}");
}

#[test]
fn the_cpu_of_a_peer_is_the_chains_and_its_sessions_are_offered() {
    let diagnosis = said(&|rate| {
        let calls = 3.99 * load(rate) + waiting(rate);
        let run_queue = if rate > KNEE { 1.5 } else { 0.05 };
        let mut levels = vec![
            ("tcp.calls{peer=127.0.0.1:5432 (postgres),service=postgres}", calls),
            ("tcp.requests.served{port=80}", calls),
            ("tcp.requests{port=80}", calls),
            ("process.run_queue.time{process=other}", run_queue),
            ("generator.cpu.time", 0.05),
        ];
        let hop = "hop=postgres (127.0.0.1:5432)";
        let leak = |text: String| -> &'static str { Box::leak(text.into_boxed_str()) };
        levels.extend([
            (leak(format!("chain.service{{{hop},address=127.0.0.1:5432,kind=database}}")), 1.0),
            (leak(format!("chain.tcp.requests{{{hop},port=5432}}")), calls),
            (leak(format!("chain.tcp.requests.served{{{hop},port=5432}}")), calls),
            (leak(format!("chain.process.cpu.time{{{hop}}}")), 1.75 * load(rate)),
            (leak(format!("chain.process.cpu.allowed{{{hop}}}")), 2.0),
            (leak(format!("chain.process.count{{{hop}}}")), 9.0),
        ]);
        gateway(rate, 1.75 * load(rate), levels)
    });
    assert!(
        diagnosis.findings.iter().all(|it| it.rule != "cpu-stolen"),
        "{:#?}",
        diagnosis.findings
    );
    let first = &diagnosis.findings[0];
    let all = format!("{first:#?}");
    assert!(all.contains("postgres (127.0.0.1:5432)"), "{all}");
    assert!(all.contains("1.75 cores"), "{all}");
    assert!(
        first.next.contains("`--postgres postgres://USER@127.0.0.1:5432/DATABASE`"),
        "{}",
        first.next
    );
}

/// The queue for a pool of four lies inside the target, and is as long as the slow calls make it.
#[test]
fn a_pool_full_of_slow_calls_leads_to_the_service_that_is_slow() {
    let diagnosis = said(&|rate| {
        let calls = if rate > KNEE { 3.99 } else { 0.01 * rate };
        let mut levels = workers(rate);
        for (name, level) in &mut levels {
            if name.starts_with("tcp.calls{") || name.starts_with("chain.tcp.requests") {
                *level = calls;
            } else if name.contains("accept_queue") {
                *level = 0.0;
            }
        }
        levels.extend([
            ("tcp.calls.sent{peer=127.0.0.1:9000 (app),service=app}", rate.min(KNEE)),
            ("tcp.calls.connections{peer=127.0.0.1:9000 (app),service=app}", 0.0),
        ]);
        gateway(rate, 0.2, levels)
    });
    let first = &diagnosis.findings[0];
    assert_eq!(first.rule, "downstream-wait", "{:#?}", diagnosis.findings);
    let chain = diagnosis.chain.unwrap();
    assert!(chain.hops[1].is_followed, "{chain:#?}");
}

/// All calls go through one connection, one after the other, to a service of one thread. The queue
/// for it lies inside the target, and each call is as quick as at low load.
#[test]
fn one_connection_to_a_service_without_cpu_leads_to_that_service() {
    let diagnosis = said(&|rate| {
        let busy = 0.99 * load(rate);
        let mut levels = workers(rate);
        for (name, level) in &mut levels {
            if name.starts_with("tcp.calls{") || name.starts_with("chain.tcp.requests") {
                // Looks count whole calls: from the knee on each of them finds one.
                *level = load(rate);
            } else if name.contains("accept_queue") {
                *level = 0.0;
            } else if name.contains("thread.busiest") || name.contains("cpu.time") {
                *level = busy;
            } else if name.contains("process.count") {
                *level = 1.0;
            }
        }
        levels.extend([
            ("tcp.calls.sent{peer=127.0.0.1:9000 (app),service=app}", rate.min(KNEE)),
            ("tcp.calls.connections{peer=127.0.0.1:9000 (app),service=app}", 0.0),
        ]);
        gateway(rate, 0.5, levels)
    });
    let first = &diagnosis.findings[0];
    assert_eq!(first.rule, "single-thread-saturated", "{:#?}", diagnosis.findings);
    assert_eq!(first.service.as_deref(), Some("app (127.0.0.1:9000)"));
    let limit = diagnosis.findings.iter().find(|it| it.rule == "downstream-calls-limited");
    let of = "single-thread-saturated".to_owned();
    assert_eq!(limit.map(|it| &it.role), Some(&FindingRole::Consequence { of }));
}

#[test]
fn a_peer_elsewhere_ends_the_chain_and_is_named_with_what_would_open_it() {
    let diagnosis = said(&|rate| {
        let calls = 3.99 * load(rate) + waiting(rate);
        let levels = vec![
            ("tcp.calls{peer=10.0.3.7:8443}", calls),
            ("tcp.requests.served{port=80}", calls),
            ("tcp.requests{port=80}", calls),
        ];
        gateway(rate, 0.2, levels)
    });
    let first = &diagnosis.findings[0];
    assert_eq!(first.rule, "downstream-wait", "{:#?}", diagnosis.findings);
    assert!(first.next.contains("10.0.3.7:8443 was not looked into"), "{}", first.next);
    assert_eq!(diagnosis.chain, None, "there is nothing to show");
}

#[test]
fn a_healthy_chain_accuses_nobody() {
    let rates = [20.0, 40.0, 80.0, 120.0, 150.0];
    let recording = record(&rates, &|rate| gateway(rate, 0.2, workers(rate)));
    let diagnosis = diagnose(&recording, RuleSet::builtin());
    assert!(matches!(diagnosis.outcome, Outcome::NotReached { .. }), "{:?}", diagnosis.outcome);
    assert!(diagnosis.findings.is_empty(), "{:#?}", diagnosis.findings);
    let chain = diagnosis.chain.unwrap();
    assert_eq!(chain.hops.len(), 2);
    assert!(chain.ends.is_empty());
}

/// The levels of [`workers`] that the kernel tells where the gateway calls over a UNIX socket: how many
/// connections are open, and how many were opened.
fn over_a_unix_socket(rate: f64, open: f64, opened: f64) -> Levels {
    let told = workers(rate).into_iter().filter(|(name, _)| {
        !name.starts_with("tcp.calls")
            && !name.starts_with("chain.tcp.requests")
            && !name.contains("address=127")
            && !name.contains("accept_queue")
    });
    let mut levels: Levels = told.collect();
    let accepted = (open - waiting(rate)).max(0.0);
    levels.extend([
        (
            "tcp.sockets{peer=unix:/run/my app.sock (app),role=outbound,service=app,state=established}",
            open,
        ),
        ("tcp.calls.connections{peer=unix:/run/my app.sock (app),service=app}", opened),
        (
            "chain.service{hop=app (127.0.0.1:9000),address=unix:/run/my app.sock,kind=service}",
            1.0,
        ),
        (
            "chain.tcp.sockets{hop=app (127.0.0.1:9000),port=unix:/run/my app.sock,role=inbound,\
             state=established}",
            accepted,
        ),
        (
            "chain.tcp.requests.connections{hop=app (127.0.0.1:9000),port=unix:/run/my app.sock}",
            opened,
        ),
        (
            "chain.tcp.accept_queue{hop=app (127.0.0.1:9000),port=unix:/run/my app.sock}",
            waiting(rate),
        ),
    ]);
    levels
}

#[test]
fn a_connection_for_each_call_leads_over_a_unix_socket() {
    let diagnosis = said(&|rate| {
        let open = 3.99 * load(rate) + waiting(rate);
        gateway(rate, 0.2, over_a_unix_socket(rate, open, rate.min(KNEE)))
    });
    let first = &diagnosis.findings[0];
    assert_eq!(first.rule, "worker-exhaustion", "{:#?}", diagnosis.findings);
    assert_eq!(first.service.as_deref(), Some("app (127.0.0.1:9000)"));
    let wait = diagnosis.findings.iter().find(|it| it.rule == "downstream-wait").unwrap();
    assert_eq!(wait.subject.as_deref(), Some("unix:/run/my app.sock (app)"));
    assert_eq!(wait.role, FindingRole::Consequence { of: "worker-exhaustion".to_owned() });
}

#[test]
fn calls_over_kept_unix_connections_are_not_taken_for_none() {
    let picture = |rate| gateway(rate, 0.2, over_a_unix_socket(rate, 40.0, 0.0));
    let mut recording = record(&RATES, &picture);
    recording.environment.collectors.push(CollectorNote {
        name: "tcp".to_owned(),
        instance: "tcp".to_owned(),
        watches: "the sockets of 1 process".to_owned(),
        interval_secs: 0.1,
    });
    let metrics = &[names::TCP_CALLS, names::TCP_REQUESTS_SERVED];
    let tcp = Source { name: "tcp", metrics, hint: "[collect.tcp]" };
    let diagnosis = diagnose(&recording, &RuleSet::builtin().clone().with_sources(vec![tcp]));
    let open = diagnosis.not_checked.iter().find(|it| it.rule == "internal-wait").unwrap();
    assert!(open.add.starts_with("calls to unix:/run/my app.sock (app) cannot"), "{}", open.add);
    let rules: Vec<&str> = diagnosis.findings.iter().map(|it| it.rule.as_str()).collect();
    assert!(!rules.contains(&"internal-wait") && !rules.contains(&"downstream-wait"), "{rules:?}");
    let chain = diagnosis.chain.unwrap();
    assert!(chain.ends.contains("unix:/run/my app.sock (app) cannot be counted"), "{}", chain.ends);
    assert_eq!(chain.hops[1].knee, None, "nor how long a request is in it");
    let told = diagnosis.caveats.iter().any(|it| it.contains("unix:/run/my app.sock"));
    assert!(told, "{:#?}", diagnosis.caveats);
}

/// A service that was found late: nothing is known of it at low load.
#[test]
fn a_service_that_was_found_late_is_followed_by_what_it_waits_for() {
    let behind = |rate: f64| {
        let low = if rate < 100.0 { None } else { Some(3.99 * load(rate) + waiting(rate)) };
        let hop = "hop=proxy (127.0.0.1:7000)";
        let leak = |text: String| -> &'static str { Box::leak(text.into_boxed_str()) };
        let mut levels: Levels = workers(rate)
            .into_iter()
            .filter(|(name, _)| !name.starts_with("tcp.calls") && rate >= 100.0)
            .collect();
        levels.push((
            "tcp.calls{peer=127.0.0.1:7000 (proxy),service=proxy}",
            3.99 * load(rate) + waiting(rate),
        ));
        if let Some(waits) = low {
            levels.extend([
                (leak(format!("chain.service{{{hop},address=127.0.0.1:7000,kind=service}}")), 1.0),
                (leak(format!("chain.tcp.requests{{{hop},port=7000}}")), waits),
                (leak(format!("chain.tcp.requests.served{{{hop},port=7000}}")), waits),
                (
                    leak(format!("chain.tcp.calls{{{hop},peer=127.0.0.1:9000 (app),service=app}}")),
                    waits,
                ),
            ]);
        }
        gateway(rate, 0.2, levels)
    };
    let diagnosis = said(&behind);
    let chain = diagnosis.chain.unwrap();
    let followed: Vec<&str> =
        chain.hops.iter().filter(|hop| hop.is_followed).map(|hop| hop.service.as_str()).collect();
    assert_eq!(followed, ["the target", "proxy (127.0.0.1:7000)", "app (127.0.0.1:9000)"]);
    assert!(chain.ends.starts_with("the time lies in app (127.0.0.1:9000)"), "{}", chain.ends);
}
