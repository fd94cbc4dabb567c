use std::time::Duration;

use super::*;
use crate::diagnose::curve::stages::summarize_timeline;
use crate::diagnose::terms::model::Windows;
use crate::recording::PlanSummary;
use crate::timeline::{Batch, BatchBuilder, EndpointTick, Histogram, Labels, ResponseClass, Stage};

/// A run over these loads, ten seconds each, in which `succeeds` tells of each second whether its
/// requests do, by their rate and by how many succeeded before; `read` is what a collector reads.
fn run(
    rates: &[u64],
    succeeds: &dyn Fn(u64, u64) -> bool,
    read: &dyn Fn(u64, &mut BatchBuilder),
) -> Timeline {
    let mut timeline = Timeline::default();
    let moment = |second: usize| Moment::START + Duration::from_secs(second as u64);
    let mut done = 0;
    for (index, rate) in rates.iter().enumerate() {
        for second in 10 * index..10 * (index + 1) {
            let window = Window::new(moment(second), moment(second + 1));
            let good = succeeds(*rate, done);
            done += if good { *rate } else { 0 };
            let mut times = Histogram::new();
            (0..*rate).for_each(|_| times.record(Duration::from_millis(10)));
            let class = ResponseClass::Status(if good { 200 } else { 503 });
            timeline.ticks.push(LoadTick {
                offered: *rate,
                sent: *rate,
                in_flight: if good { 1.0 } else { 40.0 },
                endpoints: vec![EndpointTick {
                    endpoint: "GET /".to_owned(),
                    class,
                    response_time: times.clone(),
                    service_time: times,
                }],
                ..LoadTick::empty(window, "test")
            });
            let mut builder = BatchBuilder::new();
            read(done, &mut builder);
            let collector = "process".to_owned();
            timeline.push_batch(Batch { collector, window, readings: builder.finish() });
        }
        let window = Window::new(moment(10 * index), moment(10 * (index + 1)));
        timeline.stages.push(Stage::constant(StageRole::Ramp, window, *rate as f64));
    }
    timeline
}

fn found(timeline: &Timeline, has_knee: bool) -> Option<Outcome> {
    let stages = summarize_timeline(timeline, &PlanSummary::default());
    let windows = Windows::default();
    find(timeline, &stages, &Facts::of_timeline(timeline, &windows), has_knee)
}

const RATES: [u64; 6] = [20, 40, 60, 80, 10, 60];

/// A pool of twenty of which one connection is lost with every hundredth request, and whose
/// connections do nothing otherwise.
fn pool(done: u64, batch: &mut BatchBuilder) {
    let used = Labels::none().with("pool", "main").with("state", "used");
    batch.push_labelled(&names::POOL_CONNECTIONS, used, (done / 100).min(20) as f64);
    batch.push_labelled(&names::POOL_LIMIT, Labels::none().with("pool", "main"), 20.0);
    let calls = Labels::none().with("peer", "10.0.0.5:5432");
    batch.push_labelled(&names::TCP_CALLS, calls, 0.2);
}

fn nothing(_: u64, _: &mut BatchBuilder) {}

#[test]
fn a_pool_that_is_never_given_back_fails_after_so_many_requests_at_any_rate() {
    for has_knee in [false, true] {
        let timeline = run(&RATES, &|_, done| done < 1_900, &|done, batch| pool(done + 100, batch));
        let Some(Outcome::FailsForGood { after_requests, also_at, ran_out, .. }) =
            found(&timeline, has_knee)
        else {
            panic!("not found")
        };
        assert_eq!((after_requests, also_at), (1_920, Some(10.0)));
        assert!(ran_out[0].contains("pool `main`"), "{ran_out:?}");
    }
}

#[test]
fn what_fails_at_a_load_that_was_carried_is_told_without_a_reason_too_but_not_beside_a_knee() {
    let timeline = run(&RATES, &|_, done| done < 1_900, &nothing);
    assert!(matches!(
        found(&timeline, false),
        Some(Outcome::FailsForGood { also_at: Some(_), ran_out, .. }) if ran_out.is_empty()
    ));
    assert_eq!(found(&timeline, true), None);
}

#[test]
fn overload_that_passes_and_a_process_that_ends_are_told_otherwise() {
    let overload = run(&RATES, &|rate, _| rate < 80, &pool);
    assert_eq!(found(&overload, false), None);
    // All of the highest loads fail, and nothing lower follows.
    let rising = run(&[20, 40, 60, 80, 100], &|rate, _| rate < 80, &nothing);
    assert_eq!(found(&rising, false), None);
    let crash = run(&RATES, &|_, done| done < 1_900, &|done, batch| {
        pool(done, batch);
        let start = if done < 1_900 { 1e9 } else { 1e9 + 60.0 };
        batch.push_labelled(
            &names::PROCESS_START_TIME,
            Labels::none().with("process", "shop"),
            start,
        );
    });
    assert_eq!(found(&crash, false), None);
}
