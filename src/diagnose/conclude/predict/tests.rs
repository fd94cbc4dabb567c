use super::*;
use crate::diagnose::diagnose;
use crate::diagnose::simulated::{Picture, record};

fn resource(name: &str, demand: f64, limit: f64) -> Resource {
    Resource {
        kind: Kind::Pool,
        name: name.to_owned(),
        demand,
        low: None,
        difference_error: 0.0,
        limit,
        unit: Unit::Count,
    }
}

/// Menascé, Almeida and Dowdy: Capacity Planning and Performance Modeling (1994), example 3.9.
fn server() -> Vec<Resource> {
    vec![
        resource("CPU", 0.092, 1.0),
        resource("disk 1", 0.079, 1.0),
        resource("disk 2", 0.108, 1.0),
        resource("disk 3", 0.142, 1.0),
    ]
}

#[test]
fn the_largest_demand_bounds_the_throughput() {
    let all = server();
    let first = bottleneck(&all).unwrap();
    assert_eq!(first.name, "disk 3");
    assert!((first.carries() - 7.04).abs() < 0.005);
    // Utilization at 3.8 transactions per second: 35, 30, 41 and 54 %.
    let used: Vec<_> = all.iter().map(|it| (380.0 * it.demand).round()).collect();
    assert_eq!(used, [35.0, 30.0, 41.0, 54.0]);
}

#[test]
fn a_disk_twice_as_fast_brings_a_third_more_and_not_twice() {
    let all = server();
    let own = bottleneck(&all).unwrap().carries();
    let next = bottleneck(&all[..3]).unwrap();
    match halved(own, Some(next)).unwrap() {
        Counterfactual::Halved { carries, next: Some(next), .. } => {
            assert!((carries - 9.26).abs() < 0.005, "{carries}");
            assert!((carries / own - 1.31).abs() < 0.005, "{carries}");
            assert_eq!(next.name, "disk 2");
        }
        other => panic!("{other:?}"),
    }
    let far = resource("CPU", 0.01, 1.0);
    match halved(own, Some(&far)).unwrap() {
        Counterfactual::Halved { carries, next: None, .. } => {
            assert!((carries - 2.0 * own).abs() < 1e-9);
        }
        other => panic!("{other:?}"),
    }
}

fn pool(hold: f64, low: f64, limit: f64) -> Resource {
    Resource { low: Some(low), ..resource("the pool", hold, limit) }
}

#[test]
fn a_pool_that_is_used_up_gets_the_size_that_carries_the_load() {
    let resource = pool(0.040, 0.039, 8.0);
    let answer = pool_answer(&Pool { resource: &resource, used: 7.9, rate: 400.0, database: None });
    match answer.unwrap() {
        Counterfactual::Needed { count, now, wait_p99: Some(p99), assumption, .. } => {
            assert_eq!((count, now), (20, 8.0));
            assert!((p99 - 0.032).abs() < 0.0005, "{p99}");
            assert!(assumption.contains("Erlang C") && assumption.contains("40 ms"));
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_pool_in_which_callers_queue_but_connections_are_free_is_not_too_small() {
    // Oracle's figures as HikariCP's page on pool sizes quotes them: 9,600 threads that think
    // for 550 ms and wait for 33 ms and 77 ms use 1,120 of 2,048 connections.
    let throughput: f64 = 9600.0 / (0.55 + 0.110);
    let used = throughput * 0.077;
    assert!((used - 1120.0).abs() < 1.0, "{used}");
    let resource = pool(0.077, 0.002, 2048.0);
    let rate = throughput;
    assert_eq!(pool_answer(&Pool { resource: &resource, used, rate, database: None }), None);
}

#[test]
fn a_larger_pool_does_not_help_where_connections_are_held_longer_or_the_database_is_full() {
    let why = |resource: &Resource, database| match pool_answer(&Pool {
        resource,
        used: 8.0,
        rate: 400.0,
        database,
    })
    .unwrap()
    {
        Counterfactual::NoHelp { why, .. } => why,
        other => panic!("{other:?}"),
    };
    assert!(why(&pool(0.040, 0.020, 8.0), None).contains("20 ms at low load and for 40 ms"));
    assert!(why(&pool(0.040, 0.040, 8.0), Some((3.6, 4.0))).contains("3.6 of 4 cores"));
}

/// Carries 190 requests per second: four render slots, of which a request holds one for 21 ms.
fn render_farm(rate: f64) -> Picture {
    const KNEE: f64 = 190.0;
    let load = (rate / KNEE).min(1.0);
    let waiting = if rate > 170.0 { 128.0 } else { 0.0 };
    Picture {
        goodput: rate.min(KNEE),
        failures: Vec::new(),
        response: 0.025,
        levels: vec![
            ("threads.in{class=other}", 4.0 * load),
            ("process.cpu.time{process=target}", 0.2 * load),
            ("process.cpu.allowed{process=target}", 2.0),
            ("tcp.accept_queue{port=8080}", waiting),
            ("tcp.accept_queue.limit{port=8080}", 128.0),
        ],
    }
}

const RENDER_SLOTS: &str = r#"id = "render-slots"
title = "all render slots are in use"
what = "Whether all render slots are in use."
why = "A page waits for a slot."
next = "Add slots."
disproved_by = "Free slots."
add = "add [collect.threads]"
resource = { own = "render slots" }
layer = "workers"

[[require]]
says = "{value} render slots are in use"
signal = { value = "threads.in{class=other}" }
at_least = 3.6
predict = { busy = "threads.in{class=other}", limit = 4 }
"#;

#[test]
fn a_rule_with_a_resource_of_its_own_gets_an_order_and_predictions() {
    let own = RuleSet::parse(&[("render-slots.toml", RENDER_SLOTS)]).unwrap();
    let rates = [20.0, 40.0, 80.0, 120.0, 160.0, 180.0, 200.0, 240.0, 300.0, 400.0];
    let diagnosis = diagnose(&record(&rates, &render_farm), &RuleSet::builtin().with(own));
    let first = &diagnosis.findings[0];
    assert_eq!((first.rule.as_str(), &first.role), ("render-slots", &FindingRole::Cause));
    assert!((first.predicted_capacity.unwrap() - 190.0).abs() < 5.0, "{first:#?}");
    let gone = first.counterfactuals.iter().find_map(|answer| match answer {
        Counterfactual::Gone { carries, next, .. } => Some((*carries, next.name.as_str())),
        _ => None,
    });
    let (carries, next) = gone.unwrap();
    assert_eq!(next, "the target's CPU");
    assert!((carries - 1900.0).abs() < 50.0, "{carries}");
    let queue = diagnosis.findings.iter().find(|finding| finding.rule == "accept-queue-full");
    let of = "render-slots".to_owned();
    assert_eq!(queue.unwrap().role, FindingRole::Consequence { of });
}
