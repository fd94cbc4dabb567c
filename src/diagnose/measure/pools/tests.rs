//! A pool is recognised by its behaviour, and what only looks like one is not.

use std::time::Duration;

use super::*;
use crate::diagnose::terms::model::Windows;
use crate::timeline::{Batch, BatchBuilder, Moment, Timeline};

/// Seconds of a run: low load, a rise, the knee and what lies beyond it.
const SECONDS: u64 = 60;

fn window(from: u64, to: u64) -> Window {
    let at = |seconds| Moment::START + Duration::from_secs(seconds);
    Window::new(at(from), at(to))
}

fn windows() -> Windows {
    Windows {
        baseline: vec![window(0, 10)],
        approach: vec![window(10, 20), window(20, 30), window(30, 40)],
        knee: vec![window(40, 50)],
        beyond: vec![window(50, 60)],
        recovery: Vec::new(),
    }
}

/// What is in use of `most` at a second: it rises with the load, and falls for a moment again and
/// again until all are in use.
fn lent(second: u64, most: f64) -> f64 {
    let mean = (most * (second as f64 + 2.0) / 40.0).min(most);
    let wobble = if second < 40 { [0.0, 1.0, -1.0][(second % 3) as usize] } else { 0.0 };
    (mean.floor() + wobble).clamp(0.0, most)
}

type Level<'l> = (&'l str, &'l dyn Fn(u64) -> f64);

/// A run with these series; one with a dot in its name is a shared one.
fn run(levels: &[Level]) -> Timeline {
    let mut timeline = Timeline::default();
    for second in 0..SECONDS {
        for (collector, is_shared) in [("prometheus", false), ("tcp", true)] {
            let mut batch = BatchBuilder::new();
            for (text, level) in levels {
                let selector: Selector = text.parse().unwrap();
                let key = SeriesKey::new(&selector.metric, selector.labels);
                match names::find(&key.metric) {
                    Some(spec) if is_shared => {
                        batch.push_labelled(spec, key.labels, level(second));
                    }
                    None if !is_shared => {
                        batch.push_foreign(key, Unit::Unknown, Kind::Gauge, level(second));
                    }
                    _ => {}
                }
            }
            let at = Moment::START + Duration::from_millis(second * 1000 + 500);
            let window = Window::new(at, at);
            let readings = batch.finish();
            timeline.push_batch(Batch { collector: collector.into(), window, readings });
        }
    }
    timeline
}

/// The pools of a run: the shared metric and the sentence.
fn pools(levels: &[Level]) -> Vec<(String, &'static str, String)> {
    let (timeline, windows) = (run(levels), windows());
    let facts = with_pools(Facts::of_timeline(&timeline, &windows));
    facts.shaped_pools().iter().map(|it| (it.pool.clone(), it.metric, it.how.clone())).collect()
}

#[test]
fn an_unknown_pool_is_recognised_and_added_under_the_shared_names() {
    let levels: [Level; 3] = [
        ("orders_db_checked_out", &|second| lent(second, 8.0)),
        ("orders_db_size", &|_| 8.0),
        ("orders_db_waiting", &|second| if second < 40 { 0.0 } else { 12.0 }),
    ];
    let (timeline, windows) = (run(&levels), windows());
    let facts = with_pools(Facts::of_timeline(&timeline, &windows));
    let at = |text: &str, span| {
        facts.level_of(&text.parse().unwrap(), Over::Sum, &facts.windows(span), &[])
    };
    assert_eq!(at("pool.connections{pool=orders_db,state=used}", Span::Knee), Some(8.0));
    assert_eq!(at("pool.limit{pool=orders_db}", Span::Knee), Some(8.0));
    assert_eq!(at("pool.pending{pool=orders_db}", Span::Knee), Some(12.0));
    let how = &facts.shaped_pools()[0].how;
    assert!(how.contains("`orders_db_checked_out` never exceeds `orders_db_size`"), "{how}");
}

#[test]
fn what_a_pool_holds_follows_from_what_moves_with_it() {
    let used = |second| lent(second, 8.0);
    let of_pool: [Level; 2] =
        [("store_handles_in_use", &|second| lent(second, 8.0)), ("store_handles_max", &|_| 8.0)];
    let with = |more: Level| {
        let all: Vec<Level> = of_pool.iter().copied().chain([more]).collect();
        pools(&all).remove(0)
    };
    let database = with(("tcp.calls{peer=10.0.0.5:5432}", &used));
    assert_eq!(database.1, "pool.connections");
    assert!(database.2.contains("as many calls to the database"), "{}", database.2);
    let service = with(("tcp.calls{peer=10.0.0.5:8443}", &used));
    assert_eq!(service.1, "slots.used");
    assert!(service.2.contains("calls to 10.0.0.5:8443"), "{}", service.2);
    let nothing = with(("tcp.calls{peer=10.0.0.5:8443}", &|_| 0.1));
    assert_eq!(nothing.1, "slots.used");
    assert!(nothing.2.contains("unknown"), "{}", nothing.2);
    // Idle at the knee, as connections are that are held: there are as many as the pool has.
    let sockets =
        with(("tcp.sockets{peer=10.0.0.5:5432,role=outbound,state=established}", &|_| 8.0));
    assert_eq!(sockets.1, "pool.connections");
    let workers: [Level; 2] =
        [("render_workers_busy", &|second| lent(second, 4.0)), ("render_workers_total", &|_| 4.0)];
    assert_eq!(pools(&workers)[0].1, "workers.busy");
}

#[test]
fn only_free_places_are_exported() {
    let levels: [Level; 2] =
        [("db_pool_idle", &|second| 8.0 - lent(second, 8.0)), ("db_pool_size", &|_| 8.0)];
    let found = pools(&levels);
    assert_eq!(found[0].1, "pool.connections");
    assert!(found[0].2.contains("`db_pool_size` less `db_pool_idle`"), "{}", found[0].2);
}

#[test]
fn what_is_no_pool_does_not_become_one() {
    let grows = |second: u64| (second as f64 / 2.0).floor().min(20.0);
    let saw = |second: u64| (second % 7) as f64 * 1e6 + 3e6;
    let cases: [(&str, Level, Level); 9] = [
        ("what is kept only grows", ("x_used", &grows), ("x_capacity", &|_| 20.0)),
        ("a level that never moves", ("y_pool_used", &|_| 3.0), ("y_pool_size", &|_| 8.0)),
        ("full without load", ("z_in_use", &|s| 20.0 - (s % 2) as f64), ("z_max", &|_| 20.0)),
        ("bytes by another name", ("slab_used", &saw), ("slab_total", &|_| 1e7)),
        ("memory", ("memory_used", &|s| lent(s, 8.0)), ("memory_max", &|_| 8.0)),
        ("descriptors", ("process_fds_used", &|s| lent(s, 8.0)), ("process_fds_max", &|_| 8.0)),
        ("an entry cache", ("cache_used", &|s| lent(s, 8.0)), ("cache_size", &|_| 8.0)),
        ("a limit that moves", ("w_used", &|s| lent(s, 8.0)), ("w_size", &|s| 8.0 + s as f64)),
        ("no constant is reached", ("v_used", &|s| lent(s, 8.0)), ("v_size", &|_| 7.0)),
    ];
    for (what, level, limit) in cases {
        let found = pools(&[level, limit]);
        assert!(found.is_empty(), "{what}: {found:?}");
    }
    let others: [Level; 2] =
        [("a_threads_active", &|second| lent(second, 4.0)), ("a_cpu_count", &|_| 4.0)];
    assert!(pools(&others).is_empty(), "threads and processors are no siblings");
}

#[test]
fn a_pool_that_a_table_of_names_knows_is_not_counted_twice() {
    let used = |second| lent(second, 8.0);
    let levels: [Level; 4] = [
        ("hikaricp_connections_active{pool=a}", &used),
        ("hikaricp_connections_max{pool=a}", &|_| 8.0),
        ("pool.connections{pool=a,state=used}", &used),
        ("pool.limit{pool=a}", &|_| 8.0),
    ];
    assert!(pools(&levels).is_empty());
}
