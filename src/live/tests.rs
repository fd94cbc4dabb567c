//! A run as a viewer sees it.

use std::sync::Arc;
use std::time::Duration;

use super::*;
use crate::timeline::{
    Batch, BatchBuilder, EndpointTick, FailureCount, FailureKind, Gap, Histogram, Labels, LoadTick,
    Moment, Quote, ResponseClass, SeriesKey, Stage, StageRole, Window, names,
};

fn moment(second: f64) -> Moment {
    Moment::from_secs_f64(second)
}

fn window(begin: f64, end: f64) -> Window {
    Window::new(moment(begin), moment(end))
}

fn stage(begin: f64, end: f64, rate: f64) -> Stage {
    Stage::constant(StageRole::Ramp, window(begin, end), rate)
}

/// A second of a generator: so many requests of a class, each of so many milliseconds.
fn tick(generator: &str, begin: u64, ended: &[(ResponseClass, u64, u64)]) -> LoadTick {
    let endpoint = |(class, count, millis): &(ResponseClass, u64, u64)| {
        let mut times = Histogram::new();
        times.record_many(Duration::from_millis(*millis), *count);
        EndpointTick {
            endpoint: "cart".to_owned(),
            class: *class,
            response_time: times.clone(),
            service_time: times,
        }
    };
    LoadTick {
        offered: ended.iter().map(|(_, count, _)| count).sum(),
        in_flight: 2.0,
        backlog: 1,
        endpoints: ended.iter().map(endpoint).collect(),
        ..LoadTick::empty(window(begin as f64, begin as f64 + 1.0), generator)
    }
}

fn value(live: &Live, id: &str) -> Option<f64> {
    live.now().number(id).and_then(|row| row.shown.value)
}

fn running() -> Live {
    let mut live = Live::new(About::default());
    live.see(Seen::Begins(stage(1.0, 11.0, 100.0)));
    live
}

#[test]
fn a_second_shows_what_its_tick_says() {
    let mut live = running();
    let (good, bad) = (ResponseClass::Status(200), ResponseClass::Status(503));
    let tick = tick("here", 1, &[(good, 90, 20), (bad, 10, 5)]);
    let p99 = tick.successes().next().and_then(|times| times.quantile(0.99));
    live.see(Seen::Tick(Box::new(tick)));
    let now = live.now();
    assert_eq!(now.second, Some((1.0, 2.0)));
    assert_eq!(value(&live, "offered"), Some(100.0));
    assert_eq!(value(&live, "completed"), Some(100.0));
    assert_eq!(value(&live, "succeeded"), Some(90.0));
    assert_eq!(value(&live, "failed"), Some(10.0));
    assert_eq!(value(&live, "p99"), p99);
    assert_eq!((value(&live, "in_flight"), value(&live, "backlog")), (Some(2.0), Some(1.0)));
    assert_eq!(now.number("offered").unwrap().shown.text, "100 requests/s");
    let [error] = &now.errors[..] else { panic!("one kind: {:?}", now.errors) };
    assert_eq!((error.class.as_str(), error.total, error.rate.value), ("503", 10, Some(10.0)));
}

#[test]
fn two_generators_are_one_load() {
    let mut live = running();
    let good = ResponseClass::Status(200);
    let of = |live: &Live| value(live, "offered");
    // The second one is not known yet: its part of the second is added.
    live.see(Seen::Tick(Box::new(tick("a", 1, &[(good, 10, 5)]))));
    live.see(Seen::Tick(Box::new(tick("b", 1, &[(good, 30, 5)]))));
    live.see(Seen::Tick(Box::new(tick("a", 2, &[(good, 10, 5)]))));
    live.see(Seen::Tick(Box::new(tick("b", 2, &[(good, 30, 5)]))));
    assert_eq!(of(&live), Some(40.0));
    assert_eq!(live.now().second, Some((2.0, 3.0)));
    // From then on a second is shown when both have told it, or when the next one begins.
    live.see(Seen::Tick(Box::new(tick("a", 3, &[(good, 10, 5)]))));
    assert_eq!(live.now().second, Some((2.0, 3.0)));
    live.see(Seen::Tick(Box::new(tick("a", 4, &[(good, 10, 5)]))));
    assert_eq!((live.now().second, of(&live)), (Some((3.0, 4.0)), Some(10.0)));
}

#[test]
fn stages_are_done_held_or_ahead() {
    let planned = vec![stage(0.0, 10.0, 10.0), stage(10.0, 20.0, 20.0), stage(20.0, 30.0, 30.0)];
    let mut live = Live::new(About { planned, ..About::default() });
    assert_eq!(live.now().state, State::Starting);
    live.see(Seen::Begins(stage(1.0, 11.0, 10.0)));
    live.see(Seen::Ended(stage(1.0, 11.0, 10.0)));
    live.see(Seen::Begins(stage(11.0, 21.0, 20.0)));
    live.see(Seen::Tick(Box::new(tick("here", 15, &[]))));
    let now = live.now();
    let states: Vec<_> = now.stages.iter().map(|stage| stage.state).collect();
    assert_eq!(states, [StageState::Done, StageState::Now, StageState::Ahead]);
    let held = now.stage.unwrap();
    assert_eq!((held.number, held.of, held.share), (2, Some(3), 0.5));
    live.see(Seen::Over("as planned".to_owned()));
    assert_eq!(live.now().state, State::Over);
    assert!(live.now().state_text.contains("as planned"));
}

#[test]
fn a_pause_is_shown_only_while_load_is_made() {
    let mut live = Live::new(About::default());
    live.see(Seen::Paused(true));
    assert_eq!(live.now().state, State::Starting);
    live.see(Seen::Begins(stage(1.0, 11.0, 10.0)));
    live.see(Seen::Paused(true));
    assert_eq!(live.now().state, State::Paused);
    live.see(Seen::Paused(false));
    assert_eq!(live.now().state, State::Running);
}

fn batch(at: f64, fill: impl FnOnce(&mut BatchBuilder)) -> Batch {
    let mut builder = BatchBuilder::new();
    fill(&mut builder);
    Batch { collector: "x".to_owned(), window: window(at, at), readings: builder.finish() }
}

#[test]
fn counters_are_rates_and_pools_have_their_limit() {
    let mut live = running();
    let pool = || Labels::none().with("pool", "main");
    for (at, cpu) in [(1.0, 10.0), (2.0, 11.5)] {
        live.see(Seen::Batch(batch(at, |builder| {
            builder.push(&names::PROCESS_CPU_TIME, cpu);
            builder.push_labelled(&names::POOL_CONNECTIONS, pool().with("state", "used"), 8.0);
            builder.push_labelled(&names::POOL_CONNECTIONS, pool().with("state", "idle"), 2.0);
            builder.push_labelled(&names::POOL_LIMIT, pool(), 10.0);
            builder.push_labelled(&names::POOL_PENDING, pool(), 3.0);
        })));
    }
    let rows = live.now().levels;
    let row = |name: &str| rows.iter().find(|row| row.name == name).unwrap();
    assert_eq!(row("target").used.value, Some(1.5));
    let pool = row("pool main");
    assert_eq!((pool.used.value, pool.share), (Some(8.0), Some(0.8)));
    assert_eq!(pool.limit.as_ref().and_then(|limit| limit.value), Some(10.0));
    assert_eq!(pool.waiting, "3 wait");
    // What was read long ago says nothing of now.
    live.see(Seen::Tick(Box::new(tick("here", 60, &[]))));
    assert!(live.now().levels.is_empty(), "{:?}", live.now().levels);
}

#[test]
fn absence_from_a_census_is_none() {
    let mut live = running();
    let active = || Labels::none().with("state", "active");
    live.see(Seen::Batch(batch(1.0, |it| it.push_labelled(&names::DB_SESSIONS, active(), 4.0))));
    live.see(Seen::Batch(batch(2.0, |_| {})));
    let rows = live.now().levels;
    let sessions = rows.iter().find(|row| row.name == "active database sessions").unwrap();
    assert_eq!(sessions.used.value, Some(0.0));
}

#[test]
fn the_same_words_count_up_and_cannot_drive_a_terminal() {
    let mut live = running();
    let failure = |count| FailureCount {
        kind: Arc::new(FailureKind {
            endpoint: "cart".to_owned(),
            class: ResponseClass::Status(503),
            template: String::new(),
            example: "no\u{1b}[2J more".to_owned(),
            headers: Vec::new(),
            is_rest: false,
        }),
        count,
    };
    for (second, count) in [(1, 5), (2, 7)] {
        let failures = vec![failure(count)];
        live.see(Seen::Tick(Box::new(LoadTick { failures, ..tick("here", second, &[]) })));
        live.see(Seen::Event(format!("event {second}")));
    }
    let gap =
        Gap { collector: "db".to_owned(), window: window(2.0, 3.0), reason: "gone".to_owned() };
    live.see(Seen::Gap(gap));
    let lines = live.now().lines;
    let texts: Vec<_> = lines.iter().map(|line| (line.text.as_str(), line.count)).collect();
    assert_eq!(
        texts,
        [("event 1", 1), ("cart 503: no [2J more", 12), ("event 2", 1), ("db: gone", 1)]
    );
}

#[test]
fn logs_are_told_in_their_first_words() {
    let mut live = running();
    let labels = |level| Labels::none().with("level", level).with("template", "order # failed");
    let key = SeriesKey::new(names::LOG_TEMPLATE_LINES.name, labels("error"));
    live.see(Seen::Quote(Quote {
        at: moment(1.0),
        collector: "logs".to_owned(),
        key,
        text: "order 17 failed".to_owned(),
    }));
    for (at, count) in [(1.0, 2.0), (2.0, 2.0), (3.0, 5.0)] {
        live.see(Seen::Batch(batch(at, |it| {
            it.push_labelled(&names::LOG_TEMPLATE_LINES, labels("error"), count);
            it.push_labelled(&names::LOG_TEMPLATE_LINES, labels("info"), count);
        })));
    }
    let lines = live.now().lines;
    let [line] = &lines[..] else { panic!("one line: {lines:?}") };
    assert_eq!((line.text.as_str(), line.count), ("error: order 17 failed", 5));
}

#[test]
fn a_day_has_as_many_points_as_a_page_can_draw() {
    let mut live = running();
    let good = ResponseClass::Status(200);
    for second in 0..5000 {
        live.see(Seen::Tick(Box::new(tick("here", second, &[(good, 10, 5)]))));
    }
    let past = live.past();
    assert!(past.points.len() <= 1200 && past.points.len() > 600, "{}", past.points.len());
    assert_eq!(past.step, 8.0);
    assert!(past.points.windows(2).all(|pair| pair[0].at < pair[1].at));
    // A wider point has the same rate, not the sum.
    assert!(past.points.iter().all(|point| point.values[0] == Some(10.0)));
    let lines: usize = PANELS.iter().map(|panel| panel.lines.len()).sum();
    assert!(past.points.iter().all(|point| point.values.len() == lines));
    assert_eq!(live.now().points, (past.points.len(), past.step));
    assert_eq!(live.now().point.as_ref(), past.points.last());
}
