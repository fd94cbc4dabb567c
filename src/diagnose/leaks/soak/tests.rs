use super::*;
use crate::timeline::{Batch, BatchBuilder, LoadTick, StageRole};
use crate::timeline::{EndpointTick, Histogram, Labels, ResponseClass};
use std::time::Duration;

const SECONDS: u64 = 600;

/// A soak of ten minutes in which the metrics come to what `at` gives for each second.
fn soaked(at: &dyn Fn(f64, &mut BatchBuilder)) -> (Timeline, Stage) {
    let mut timeline = Timeline::default();
    let second = |index: u64| Moment::START + Duration::from_secs(index);
    for index in 0..SECONDS {
        let mut builder = BatchBuilder::new();
        at(index as f64, &mut builder);
        let window = Window::new(second(index), second(index + 1));
        let collector = "process".to_owned();
        timeline.push_batch(Batch { collector, window, readings: builder.finish() });
        let mut times = Histogram::new();
        for request in 0..50 {
            times.record(Duration::from_micros(9_000 + 40 * request));
        }
        timeline.ticks.push(LoadTick {
            offered: 50,
            sent: 50,
            in_flight: 0.5,
            endpoints: vec![EndpointTick {
                endpoint: "GET /".to_owned(),
                class: ResponseClass::Status(200),
                response_time: times.clone(),
                service_time: times,
            }],
            ..LoadTick::empty(window, "test")
        });
    }
    let window = Window::new(second(0), second(SECONDS));
    let stage = Stage::constant(StageRole::Ramp, window, 50.0);
    timeline.stages.push(stage);
    (timeline, stage)
}

fn answered(at: &dyn Fn(f64, &mut BatchBuilder)) -> Soak {
    let (timeline, stage) = soaked(at);
    let windows = Windows::default();
    let plan = PlanSummary { executor: EXECUTOR.to_owned(), ..PlanSummary::default() };
    answer(&Facts::of_timeline(&timeline, &windows), &plan, &stage)
}

fn of(process: &str) -> Labels {
    Labels::none().with("process", process)
}

/// Some noise that repeats: a whole number of steps around nothing.
fn noise(second: f64) -> f64 {
    ((second * 7.0) % 11.0) - 5.0
}

#[test]
fn a_leak_is_named_with_its_pace_and_the_time_that_is_left() {
    let soak = answered(&|second, batch| {
        let bytes = 1e8 + 1e5 * second + 2e4 * noise(second);
        batch.push_labelled(&names::PROCESS_MEMORY_ANONYMOUS, of("shop"), bytes);
        batch.push_labelled(&names::PROCESS_MEMORY_RSS, of("shop"), bytes + 5e6);
        batch.push_labelled(&names::PROCESS_OPEN_FDS, of("shop"), 40.0);
        batch.push(&names::SYSTEM_MEMORY_TOTAL, 1e9);
    });
    assert_eq!(soak.verdict, SoakVerdict::Leak);
    let first = &soak.trends[0];
    assert_eq!((first.kind, first.subject.as_deref()), (ResourceKind::Memory, Some("shop")));
    let pace = first.pace.unwrap();
    assert!((pace.slope / 1e5 - 1.0).abs() < 0.02, "{pace:?}");
    assert!(pace.low <= 1e5 && 1e5 <= pace.high, "{pace:?}");
    let left = (1e9 - 1e8 - 1e5 * 600.0) / 1e5;
    assert!((pace.runs_out.unwrap().expected / left - 1.0).abs() < 0.05, "{pace:?}");
    assert!(first.confirmed_by.as_deref().unwrap().contains("rss"));
    assert!(soak.trends.iter().any(|trend| {
        trend.kind == ResourceKind::Descriptors
            && matches!(trend.verdict, TrendVerdict::NoLeak { .. })
    }));
}

#[test]
fn what_stays_is_no_leak_and_what_nobody_watched_is_said() {
    let soak = answered(&|second, batch| {
        let bytes = 1e8 + 2e4 * noise(second);
        batch.push_labelled(&names::PROCESS_MEMORY_ANONYMOUS, of("shop"), bytes);
        batch.push(&names::SYSTEM_MEMORY_TOTAL, 1e10);
    });
    assert_eq!(soak.verdict, SoakVerdict::NoLeak);
    assert!(soak.not_watched.iter().any(|text| text.contains("[collect.tcp]")));
    let nothing = answered(&|_, batch| batch.push(&names::SYSTEM_MEMORY_TOTAL, 1e10));
    assert!(matches!(nothing.verdict, SoakVerdict::Undecided { more_seconds: None, .. }));
}

#[test]
fn a_pool_that_fills_to_its_limit_is_used_up() {
    let soak = answered(&|second, batch| {
        let used = (second / 20.0).floor().min(10.0);
        let labels = Labels::none().with("state", "used");
        batch.push_labelled(&names::POOL_CONNECTIONS, labels, used);
        batch.push(&names::POOL_LIMIT, 10.0);
    });
    assert_eq!(soak.verdict, SoakVerdict::Leak);
    assert_eq!(soak.trends[0].verdict, TrendVerdict::Exhausted);
}

#[test]
fn a_runtime_that_may_still_collect_is_not_accused() {
    let growing = |major: f64| {
        answered(&move |second, batch: &mut BatchBuilder| {
            let bytes = 1e8 + 1e5 * second + 2e4 * noise(second);
            batch.push_labelled(&names::PROCESS_MEMORY_ANONYMOUS, of("shop"), bytes);
            batch.push(&names::SYSTEM_MEMORY_TOTAL, 1e9);
            let labels = |kind| Labels::none().with("pid", "1").with("kind", kind);
            batch.push_labelled(&names::JVM_GC_COUNT, labels("minor"), second);
            batch.push_labelled(&names::JVM_GC_COUNT, labels("major"), (major * second).floor());
        })
    };
    assert!(matches!(growing(0.0).verdict, SoakVerdict::Undecided { .. }));
    assert_eq!(growing(0.1).verdict, SoakVerdict::Leak);
}

#[test]
fn of_what_is_open_that_is_named_which_grew() {
    let soak = answered(&|second, batch| {
        let bytes = 1e8 + 1e5 * second;
        if second % 20.0 == 0.0 {
            batch.push_labelled(&names::PROCESS_MEMORY_ANONYMOUS, of("shop"), bytes);
        }
        // Looked at less often, so that it takes longer to tell.
        if second % 50.0 == 0.0 {
            batch.push_labelled(&names::PROCESS_THREADS, of("shop"), 8.0);
        }
    });
    let open = |trend: &&Trend| matches!(trend.verdict, TrendVerdict::Undecided { .. });
    assert_eq!(soak.trends.iter().filter(open).count(), 2, "{soak:?}");
    let SoakVerdict::Undecided { why, more_seconds } = &soak.verdict else { panic!("{soak:?}") };
    assert!(why.starts_with("anonymous memory"), "{why}");
    let of_all = soak.trends.iter().filter_map(|trend| match trend.verdict {
        TrendVerdict::Undecided { more_seconds, .. } => Some(more_seconds),
        _ => None,
    });
    assert_eq!(*more_seconds, of_all.reduce(f64::max));
}

#[test]
fn work_that_grows_with_each_request_drifts() {
    let soak = answered(&|second, batch| {
        let seconds = 50.0 * (0.004 * second + 0.5 * 0.000_01 * second * second);
        batch.push_labelled(&names::PROCESS_CPU_TIME, of("shop"), seconds);
        batch.push_labelled(&names::PROCESS_OPEN_FDS, of("shop"), 40.0);
    });
    let drift = soak.trends.iter().find(|trend| trend.kind == ResourceKind::CpuPerRequest).unwrap();
    assert_eq!(drift.verdict, TrendVerdict::Leak, "{drift:?}");
    assert_eq!(soak.verdict, SoakVerdict::NoLeak, "a drift runs nothing out");
}

#[test]
fn a_log_that_fills_its_disk_is_told_with_the_disk_and_one_that_does_not_is_no_leak() {
    let logged = |limit: f64| {
        answered(&move |second, batch: &mut BatchBuilder| {
            let written = 1e6 * second;
            let on = |mount| of("shop").with("mount", mount);
            for (mount, used, limit) in [("/", 5e9, 9e12), ("/var", 4e9 + written, limit)] {
                batch.push_labelled(&names::DISK_USED, on(mount), used);
                batch.push_labelled(&names::DISK_USED_LIMIT, on(mount), limit);
            }
            batch.push_labelled(&names::DISK_WRITTEN, of("shop"), written);
        })
    };
    let full = logged(1e10);
    assert_eq!(full.verdict, SoakVerdict::Leak);
    let disk = &full.trends[0];
    assert_eq!((disk.kind, disk.subject.as_deref()), (ResourceKind::Disk, Some("/var")));
    assert_eq!(disk.limit, Some(1e10), "the limit is that of the same disk");
    assert_eq!(disk.confirmed_by.as_deref(), Some("disk.written"));
    let left = (1e10 - 4e9 - 6e8) / 1e6;
    assert!((disk.seconds_left().unwrap() / left - 1.0).abs() < 0.05, "{disk:?}");
    assert_eq!(logged(9e12).verdict, SoakVerdict::NoLeak);
}

#[test]
fn a_leak_of_connections_names_the_peer_and_the_state() {
    let soak = answered(&|second, batch| {
        let socket = |role, label, whom, state, count| {
            let labels = Labels::none().with("role", role).with(label, whom).with("state", state);
            (labels, count)
        };
        let grown = (second / 20.0).floor();
        for (labels, count) in [
            socket("outbound", "peer", "10.0.0.5:8443 (payments)", "established", 4.0 + grown),
            socket("outbound", "peer", "10.0.0.5:8443 (payments)", "close_wait", 1.0),
            socket("outbound", "peer", "10.0.0.6:5432 (postgres)", "established", 9.0),
            socket("inbound", "port", "8080", "established", 20.0),
        ] {
            batch.push_labelled(&names::TCP_SOCKETS, labels, count);
        }
        let port = Labels::none().with("port", "8080");
        batch.push_labelled(&names::TCP_CLOSE_WAIT, port, 2.0 * grown);
    });
    let leaks: Vec<_> = soak.trends.iter().filter(|trend| trend.is_running_out()).collect();
    let told: Vec<_> = leaks.iter().map(|trend| (trend.kind, trend.subject.as_deref())).collect();
    let (unclosed, connections) = (ResourceKind::Unclosed, ResourceKind::Connections);
    let payments = Some("10.0.0.5:8443 (payments), established");
    assert_eq!(told, [(unclosed, Some("8080")), (connections, payments)], "{leaks:?}");
    let judged = soak.trends.iter().filter(|trend| trend.kind == connections).count();
    assert_eq!(judged, 3, "each peer and state by itself");
}

#[test]
fn a_second_series_that_would_have_shown_the_growth_and_does_not_leaves_it_open() {
    let beside = |noise_of: f64, resident: f64| {
        answered(&move |second, batch: &mut BatchBuilder| {
            let bytes = 1e8 + 1e5 * second + 2e4 * noise(second);
            batch.push_labelled(&names::PROCESS_MEMORY_ANONYMOUS, of("shop"), bytes);
            let all = 3e8 + resident * second + noise_of * noise(second * second);
            batch.push_labelled(&names::PROCESS_MEMORY_RSS, of("shop"), all);
            batch.push(&names::SYSTEM_MEMORY_TOTAL, 1e9);
        })
    };
    let step = |soak: &Soak| soak.trends[0].steps.last().unwrap().clone();
    let agrees = beside(2e4, 1e5);
    assert_eq!(agrees.verdict, SoakVerdict::Leak);
    assert!(step(&agrees).holds == Some(true) && step(&agrees).text.contains("agrees"));
    let disagrees = beside(2e4, 0.0);
    assert!(matches!(disagrees.verdict, SoakVerdict::Undecided { .. }), "{disagrees:?}");
    assert!(step(&disagrees).holds == Some(false), "{:?}", step(&disagrees));
    // One that shakes by more than the growth has nothing to say.
    let shaken = beside(4e8, 0.0);
    assert_eq!(shaken.verdict, SoakVerdict::Leak);
    assert_eq!(step(&shaken).holds, None, "{:?}", step(&shaken));
}

#[test]
fn memory_of_the_tool_itself_is_told_and_never_held_against_the_target() {
    let soak = answered(&|second, batch| {
        batch.push(&names::GENERATOR_MEMORY_RSS, 1e8 + 1e5 * second + 2e4 * noise(second));
        batch.push_labelled(&names::PROCESS_OPEN_FDS, of("shop"), 40.0);
    });
    assert_eq!(soak.verdict, SoakVerdict::NoLeak);
    let own = soak.trends.iter().find(|trend| trend.kind == ResourceKind::OwnMemory).unwrap();
    assert_eq!(own.verdict, TrendVerdict::Leak, "{own:?}");
}

fn sockets(batch: &mut BatchBuilder, state: &str, count: f64) {
    let labels = Labels::none().with("role", "inbound").with("port", "80").with("state", state);
    batch.push_labelled(&names::TCP_SOCKETS, labels, count);
}

#[test]
fn descriptors_that_run_out_within_the_first_minute_are_named_and_not_what_follows() {
    let soak = answered(&|second, batch| {
        let open = (20.0 + 30.0 * second).min(700.0);
        batch.push_labelled(&names::PROCESS_OPEN_FDS, of("shop"), open);
        batch.push_labelled(&names::PROCESS_OPEN_FDS_LIMIT, of("shop"), 700.0);
        sockets(batch, "established", 8.0);
        // Nobody accepts or closes any more.
        let unclosed = (second - 40.0).max(0.0).floor();
        let port = Labels::none().with("port", "80");
        batch.push_labelled(&names::TCP_CLOSE_WAIT, port, unclosed);
    });
    assert_eq!(soak.verdict, SoakVerdict::Leak);
    let bad: Vec<_> = soak.trends.iter().filter(|trend| trend.is_running_out()).collect();
    assert_eq!(bad.len(), 1, "{bad:?}");
    assert_eq!(bad[0].kind, ResourceKind::Descriptors);
    assert_eq!(bad[0].verdict, TrendVerdict::Exhausted);
}

#[test]
fn descriptors_of_clients_that_wait_are_not_a_leak_even_at_the_limit() {
    let queue = |seconds: f64| {
        answered(&move |second, batch: &mut BatchBuilder| {
            let waiting = (680.0 * second / seconds).min(680.0).floor();
            batch.push_labelled(&names::PROCESS_OPEN_FDS, of("shop"), 20.0 + waiting);
            batch.push_labelled(&names::PROCESS_OPEN_FDS_LIMIT, of("shop"), 700.0);
            sockets(batch, "established", waiting);
        })
    };
    for seconds in [30.0, 600.0] {
        let soak = queue(seconds);
        assert_ne!(soak.verdict, SoakVerdict::Leak, "{seconds}: {:?}", soak.trends);
    }
}

#[test]
fn a_soak_in_which_most_requests_fail_is_not_passed() {
    let (mut timeline, stage) = soaked(&|_, batch| {
        batch.push_labelled(&names::PROCESS_OPEN_FDS, of("shop"), 40.0);
        batch.push_labelled(&names::PROCESS_OPEN_FDS_LIMIT, of("shop"), 1024.0);
    });
    let verdict_on = |timeline: &Timeline| {
        let windows = Windows::default();
        let facts = Facts::of_timeline(timeline, &windows);
        answer(&facts, &PlanSummary::default(), &stage).verdict
    };
    assert_eq!(verdict_on(&timeline), SoakVerdict::NoLeak);
    for tick in timeline.ticks.iter_mut().skip(20) {
        tick.endpoints[0].class = ResponseClass::Status(500);
    }
    let SoakVerdict::Undecided { why, .. } = verdict_on(&timeline) else { panic!("passed") };
    assert!(why.contains("96.7 % of the requests fail") && why.contains("from 20 s on"), "{why}");
    for tick in timeline.ticks.iter_mut().skip(20) {
        tick.endpoints.clear();
    }
    let SoakVerdict::Undecided { why, .. } = verdict_on(&timeline) else { panic!("passed") };
    assert!(why.contains("not answered"), "{why}");
}
