use super::*;
use crate::diagnose::terms::model::Windows;
use crate::timeline::{Batch, BatchBuilder, Labels, LoadTick, Timeline};
use std::time::Duration;

/// Ten seconds with what `at` reads in each, and so many requests in flight.
fn watched(in_flight: f64, at: &dyn Fn(f64, &mut BatchBuilder)) -> Timeline {
    let mut timeline = Timeline::default();
    for second in 0..10_u32 {
        let moment = |second| Moment::START + Duration::from_secs(u64::from(second));
        let window = Window::new(moment(second), moment(second + 1));
        let mut builder = BatchBuilder::new();
        at(f64::from(second), &mut builder);
        let collector = "process".to_owned();
        timeline.push_batch(Batch { collector, window, readings: builder.finish() });
        timeline.ticks.push(LoadTick { in_flight, offered: 1, ..LoadTick::empty(window, "test") });
    }
    timeline
}

fn rest_of(timeline: &Timeline, metric: &str, value: f64) -> f64 {
    let windows = Windows::default();
    let facts = Facts::of_timeline(timeline, &windows);
    let window = Window::new(Moment::START, timeline.end());
    let held = Held::of(&facts, metric, None, window);
    held.rest(&[Point { at: Moment::from_secs_f64(5.0), value }])[0].value
}

#[test]
fn the_sockets_of_clients_are_not_the_targets_own_descriptors() {
    let sockets = |batch: &mut BatchBuilder, state: &str, count: f64| {
        let labels = Labels::none().with("role", "inbound").with("port", "80").with("state", state);
        batch.push_labelled(&names::TCP_SOCKETS, labels, count);
    };
    let timeline = watched(3.0, &|_, batch| {
        sockets(batch, "established", 400.0);
        sockets(batch, "close_wait", 50.0);
        batch.push_labelled(&names::TCP_ACCEPT_QUEUE, Labels::none().with("port", "80"), 100.0);
    });
    // 300 are accepted and open; those in CLOSE_WAIT are the target's to close.
    assert_eq!(rest_of(&timeline, "process.open_fds", 500.0), 200.0);
    assert_eq!(rest_of(&timeline, "process.memory.anonymous", 500.0), 500.0);
    let few = watched(3.0, &|_, batch| {
        sockets(batch, "established", 400.0);
        let socket = Labels::none().with("type", "socket").with("process", "shop");
        batch.push_labelled(&names::PROCESS_FDS, socket, 20.0);
    });
    assert_eq!(rest_of(&few, "process.open_fds", 500.0), 480.0, "it has no more sockets");
}

#[test]
fn a_connection_of_a_pool_is_held_by_a_request_or_by_nobody() {
    let timeline = watched(4.0, &|_, batch| {
        let feed = Labels::none().with("websocket", "feed");
        batch.push_labelled(&names::WEBSOCKET_SESSIONS, feed, 3.0);
    });
    assert_eq!(rest_of(&timeline, "pool.connections", 20.0), 13.0);
    assert_eq!(rest_of(&timeline, "pool.connections", 5.0), 0.0);
}
