use super::*;
use crate::diagnose::conclude::generator;
use crate::diagnose::curve::knee;
use crate::diagnose::terms::invalid::{GeneratorFault, Invalid};
use crate::diagnose::terms::model::GeneratorHealth;
use crate::recording::Environment;
use crate::recording::{RecordedMeasure, RecordedObjective};
use crate::timeline::{
    BatchBuilder, EndpointTick, Histogram, LoadTick, Moment, ResponseClass, StageRole, names,
};

fn blames_generator(stage: &StageSummary) -> bool {
    stage.invalid.as_ref().is_some_and(Invalid::is_generator)
}

fn health(recording: &Recording, stages: &[StageSummary]) -> GeneratorHealth {
    generator::health(recording, stages, &knee::find(stages, &recording.timeline))
}

fn limited(recording: &Recording, stages: &[StageSummary]) -> Option<generator::Limited> {
    generator::limited(stages, &knee::find(stages, &recording.timeline))
}

/// One second of one stage, before it is put on the clock.
#[derive(Clone)]
struct Second {
    offered: u64,
    sent: u64,
    held_back: u64,
    backlog: u64,
    answered: u64,
    failed: u64,
    response: f64,
    late: f64,
    /// Of the response time, for a connection.
    waited: f64,
    in_flight: f64,
}

impl Second {
    fn at(rate: u64) -> Self {
        Self {
            offered: rate,
            sent: rate,
            held_back: 0,
            backlog: 0,
            answered: rate,
            failed: 0,
            response: 0.010,
            late: 0.0001,
            waited: 0.0,
            in_flight: rate as f64 * 0.010,
        }
    }
}

fn histogram(count: u64, seconds: f64) -> Histogram {
    let mut histogram = Histogram::new();
    (0..count).for_each(|_| histogram.record(Duration::from_secs_f64(seconds)));
    histogram
}

fn hold(timeline: &mut Timeline, role: StageRole, seconds: &[Second]) {
    let begin = timeline.end();
    let rate = seconds.iter().map(|second| second.offered as f64).sum::<f64>();
    let rate = rate / seconds.len() as f64;
    let window = Window::new(begin, begin + span(seconds.len() as f64));
    timeline.stages.push(Stage::constant(role, window, rate));
    for (index, second) in seconds.iter().enumerate() {
        let from = begin + span(index as f64);
        let response = |class, count| EndpointTick {
            endpoint: "get".into(),
            class,
            response_time: histogram(count, second.response),
            service_time: histogram(count, second.response - second.late - second.waited),
        };
        let mut endpoints = vec![response(ResponseClass::Status(200), second.answered)];
        if second.failed > 0 {
            endpoints.push(response(ResponseClass::Status(503), second.failed));
        }
        timeline.ticks.push(LoadTick {
            offered: second.offered,
            sent: second.sent,
            held_back: second.held_back,
            in_flight: second.in_flight,
            backlog: second.backlog,
            lateness: histogram(second.sent, second.late),
            endpoints,
            ..LoadTick::empty(Window::new(from, from + span(1.0)), "g")
        });
    }
}

fn summaries(timeline: &Timeline) -> Vec<StageSummary> {
    summarize_timeline(timeline, &PlanSummary::default())
}

fn recording(timeline: Timeline) -> Recording {
    Recording {
        plan: PlanSummary::default(),
        environment: Environment::default(),
        timeline,
        events: Vec::new(),
        stop: None,
    }
}

#[test]
fn the_settling_time_is_left_out_and_short_stages_keep_two_ticks() {
    let mut timeline = Timeline::default();
    let mut seconds = vec![Second::at(100); 10];
    seconds[0].response = 5.0;
    seconds[1].response = 5.0;
    hold(&mut timeline, StageRole::Ramp, &seconds);
    hold(&mut timeline, StageRole::Ramp, &vec![Second::at(100); 2]);
    hold(&mut timeline, StageRole::Recovery, &vec![Second::at(0); 4]);
    let got = summaries(&timeline);
    assert_eq!(got.len(), 3);
    assert!((got[0].window.secs() - 8.5).abs() < 1e-6);
    assert_eq!(got[1].window.secs(), 2.0);
    // The second tick's middle is where the settling time ends.
    assert!(got[0].response.unwrap().p50 < 0.011);
    assert_eq!((got[0].offered, got[0].goodput), (100.0, 100.0));
    assert_eq!(got[2].role, StageRole::Recovery);
    assert_eq!(got[2].response, None);
}

#[test]
fn errors_and_objectives_are_counted_by_stage() {
    let mut timeline = Timeline::default();
    let mut failing = Second::at(100);
    (failing.answered, failing.failed) = (80, 20);
    hold(&mut timeline, StageRole::Ramp, &vec![Second::at(100); 6]);
    hold(&mut timeline, StageRole::Ramp, &vec![failing; 6]);
    let objective = |text: &str, measure, bound| RecordedObjective {
        text: text.into(),
        endpoint: None,
        measure,
        bound,
        good_below: true,
        ..Default::default()
    };
    let plan = PlanSummary {
        objectives: vec![
            objective("failures", RecordedMeasure::FailureRatio, 0.05),
            objective("slow", RecordedMeasure::ResponseTimeQuantile(0.95), 0.005),
        ],
        ..PlanSummary::default()
    };
    let got = summarize_timeline(&timeline, &plan);
    assert_eq!(got[0].broken_objectives, ["slow"]);
    assert_eq!(got[1].broken_objectives, ["failures", "slow"]);
    assert!((got[1].error_ratio - 0.2).abs() < 1e-9);
    assert_eq!(got[1].errors, [("503".to_string(), 100)]);
    let value = super::objectives::value(&timeline, got[1].window, &plan.objectives[0]);
    assert!((value.unwrap() - 0.2).abs() < 1e-9);
}

#[test]
fn several_generators_add_up() {
    let mut timeline = Timeline::default();
    hold(&mut timeline, StageRole::Ramp, &vec![Second::at(100); 6]);
    let other: Vec<LoadTick> = timeline.ticks.clone();
    for (index, mut tick) in other.into_iter().enumerate() {
        tick.generator = "h".into();
        timeline.ticks.insert(2 * index + 1, tick);
    }
    let got = &summaries(&timeline)[0];
    assert_eq!((got.offered, got.goodput, got.in_flight), (200.0, 200.0, 2.0));
}

#[test]
fn a_ramp_is_cut_into_slices_whose_queue_is_judged_against_the_climb() {
    let mut timeline = Timeline::default();
    let seconds: Vec<Second> = (0..60).map(|second| Second::at(100 + 10 * second)).collect();
    hold(&mut timeline, StageRole::Ramp, &seconds);
    // Once declared as it is, once as a constant stage that an importer did not know better.
    for (from, to) in [(100.0, 700.0), (400.0, 400.0)] {
        timeline.stages[0].rate_from = from;
        timeline.stages[0].rate_to = to;
        let got = summaries(&timeline);
        assert_eq!(got.len(), 12);
        for pair in got.windows(2) {
            assert!((pair[1].offered - pair[0].offered - 50.0).abs() < 1.0);
            assert!(pair[0].in_flight_slope.0.abs() < 0.02, "{:?}", pair[0].in_flight_slope);
        }
    }
}

#[test]
fn a_stage_that_works_off_a_backlog_does_not_count() {
    let mut timeline = Timeline::default();
    let mut working_off = Second::at(100);
    working_off.answered = 130;
    hold(&mut timeline, StageRole::Ramp, &vec![Second::at(100); 8]);
    hold(&mut timeline, StageRole::Ramp, &vec![working_off; 8]);
    let got = summaries(&timeline);
    assert_eq!(got[0].invalid, None);
    let why = got[1].invalid.clone().unwrap();
    assert!(matches!(why, Invalid::WorkedOff { .. }), "{why}");
    assert!(why.to_string().contains("backlog"), "{why}");
}

#[test]
fn a_full_flight_is_the_targets_slowness_and_a_missed_schedule_the_generators() {
    let mut timeline = Timeline::default();
    hold(&mut timeline, StageRole::Ramp, &vec![Second::at(100); 8]);
    // All connections taken: what is due waits, then is given up.
    let full: Vec<Second> = (0..8)
        .map(|second| Second {
            sent: 150,
            answered: 150,
            backlog: 40 * (second + 1),
            held_back: 10,
            response: 0.5,
            ..Second::at(200)
        })
        .collect();
    hold(&mut timeline, StageRole::Ramp, &full);
    let missing = Second { sent: 280, answered: 280, ..Second::at(300) };
    hold(&mut timeline, StageRole::Ramp, &vec![missing; 8]);
    let got = summaries(&timeline);
    assert_eq!(got[1].invalid, None, "{:?}", got[1].invalid);
    assert!(blames_generator(&got[2]), "{:?}", got[2].invalid);
    let recording = recording(timeline);
    let health = health(&recording, &got);
    assert!(!health.healthy && health.remarks.iter().any(|remark| remark.contains("given up")));
    assert!((limited(&recording, &got).unwrap().from_rate - 300.0).abs() < 1.0);
}

#[test]
fn a_pool_that_is_too_small_is_the_clients_own_bottleneck() {
    // 150 of 200 requests a second come through; the others wait, as the ticks say.
    let held = |response: f64, waited: f64| {
        let mut timeline = Timeline::default();
        hold(&mut timeline, StageRole::Ramp, &vec![Second::at(100); 8]);
        let full: Vec<Second> = (0..8)
            .map(|second| Second {
                sent: 150,
                answered: 150,
                backlog: 50 * (second + 1),
                response,
                waited,
                in_flight: 150.0 * (response - waited),
                ..Second::at(200)
            })
            .collect();
        hold(&mut timeline, StageRole::Ramp, &full);
        summaries(&timeline).remove(1).invalid
    };
    let why = held(1.011, 1.0).unwrap();
    assert!(matches!(why, Invalid::Generator(GeneratorFault::NoConnection { .. })), "{why}");
    let why = why.to_string();
    assert!(why.contains("had no free connection") && why.contains("`max_connections`"), "{why}");
    assert_eq!(held(1.060, 1.0), None, "a target that takes six times as long has itself to blame");
}

#[test]
fn requests_whose_connection_the_target_does_not_take_are_not_missed() {
    let mut timeline = Timeline::default();
    hold(&mut timeline, StageRole::Ramp, &vec![Second::at(100); 8]);
    // Each second 80 more are due than come through; the SYNs of half of them are dropped.
    let dropped: Vec<Second> = (0..8)
        .map(|second| Second {
            sent: 160,
            answered: 120,
            response: 0.5,
            in_flight: 40.0 + 80.0 * f64::from(second),
            ..Second::at(200)
        })
        .collect();
    hold(&mut timeline, StageRole::Ramp, &dropped);
    let got = summaries(&timeline);
    assert_eq!(got[1].invalid, None, "{:?}", got[1].invalid);
    assert_eq!(limited(&recording(timeline), &got), None);
}

#[test]
fn lateness_counts_only_where_it_is_material() {
    let late = |late: f64, response: f64| {
        let mut timeline = Timeline::default();
        hold(&mut timeline, StageRole::Baseline, &vec![Second::at(100); 8]);
        hold(
            &mut timeline,
            StageRole::Ramp,
            &vec![Second { late, response, ..Second::at(100) }; 8],
        );
        summaries(&timeline)[1].invalid.clone()
    };
    // A saturated target on the same machine makes the generator late by a little.
    assert_eq!(late(0.030, 0.800), None);
    assert_eq!(late(0.004, 0.010), None);
    assert!(late(0.030, 0.060).is_some());
    assert!(late(0.300, 0.400).is_some());
}

#[test]
fn lateness_is_the_targets_where_the_target_has_filled_the_machine() {
    let blamed = |targets_cores: f64| {
        let mut timeline = Timeline::default();
        hold(&mut timeline, StageRole::Baseline, &vec![Second::at(100); 8]);
        let late = Second { late: 0.080, response: 0.120, ..Second::at(200) };
        hold(&mut timeline, StageRole::Ramp, &vec![late; 8]);
        for second in 0..16 {
            let mut batch = BatchBuilder::new();
            batch.push(&names::SYSTEM_CPU_UTILIZATION, 0.99);
            batch.push(&names::SYSTEM_CPU_CORES, 2.0);
            batch.push(&names::PROCESS_CPU_TIME, targets_cores * f64::from(second));
            let at = Moment::START + span(f64::from(second) + 0.5);
            timeline.push_batch(crate::timeline::Batch {
                collector: "host".into(),
                window: Window::new(at, at),
                readings: batch.finish(),
            });
        }
        let got = summaries(&timeline);
        let health = health(&recording(timeline), &got);
        (blames_generator(&got[1]), health.remarks.iter().any(|it| it.contains("target's limit")))
    };
    assert_eq!(blamed(1.7), (false, true));
    assert_eq!(blamed(0.3), (true, false));
}

#[test]
fn a_quota_that_stops_the_generator_condemns_a_stage_unless_it_stops_the_target_too() {
    let stopped = |generator: f64, target: f64| {
        let mut timeline = Timeline::default();
        hold(&mut timeline, StageRole::Ramp, &vec![Second::at(100); 8]);
        for second in 0..=8 {
            let mut batch = BatchBuilder::new();
            batch.push(&names::GENERATOR_THROTTLED_TIME, generator * f64::from(second));
            batch.push(&names::CGROUP_CPU_THROTTLED_TIME, target * f64::from(second));
            let at = Moment::START + span(f64::from(second));
            timeline.push_batch(crate::timeline::Batch {
                collector: "self".into(),
                window: Window::new(at, at),
                readings: batch.finish(),
            });
        }
        summaries(&timeline)[0].invalid.clone()
    };
    assert_eq!(stopped(0.04, 0.0), None);
    let Some(Invalid::Generator(GeneratorFault::Throttled { share })) = stopped(0.2, 0.0) else {
        panic!("{:?}", stopped(0.2, 0.0));
    };
    assert!((share - 0.2).abs() < 1e-9, "{share}");
    assert_eq!(stopped(0.2, 0.2), None);
}

#[test]
fn a_busy_thread_or_no_descriptors_condemn_a_stage() {
    for (metric, value) in
        [(names::GENERATOR_THREAD_BUSIEST, 0.99), (names::GENERATOR_OPEN_FDS, 1020.0)]
    {
        let mut timeline = Timeline::default();
        hold(&mut timeline, StageRole::Ramp, &vec![Second::at(100); 8]);
        for second in 0..8 {
            let mut batch = BatchBuilder::new();
            batch.push(&metric, value);
            batch.push(&names::GENERATOR_OPEN_FDS_LIMIT, 1024.0);
            let at = Moment::START + span(f64::from(second));
            timeline.push_batch(crate::timeline::Batch {
                collector: "self".into(),
                window: Window::new(at, at),
                readings: batch.finish(),
            });
        }
        assert!(blames_generator(&summaries(&timeline)[0]), "{}", metric.name);
    }
}

#[test]
fn a_tick_that_goes_on_into_the_next_stage_counts_for_neither() {
    let mut timeline = Timeline::default();
    // Stages change 0.54 s into a tick, as they do in a live run.
    let rates = [20.0, 32.0, 51.0, 82.0, 100.0, 0.0];
    let change = |index: usize| Moment::START + span(0.54 + 4.0 * index as f64);
    for (index, rate) in rates.into_iter().enumerate() {
        let role = if rate > 0.0 { StageRole::Ramp } else { StageRole::Recovery };
        let window = Window::new(change(index), change(index + 1));
        timeline.stages.push(Stage::constant(role, window, rate));
    }
    for second in 0..24_usize {
        let (now, before) = (second / 4, second.saturating_sub(1) / 4);
        let offered = if second % 4 == 0 {
            0.54 * if second == 0 { 0.0 } else { rates[before] } + 0.46 * rates[now]
        } else {
            rates[now]
        };
        let mut one = Timeline::default();
        hold(&mut one, StageRole::Ramp, &[Second::at(offered.round() as u64)]);
        let mut tick = one.ticks.remove(0);
        let begin = Moment::START + span(second as f64);
        tick.window = Window::new(begin, begin + span(1.0));
        timeline.ticks.push(tick);
    }
    let got: Vec<f64> = summaries(&timeline).iter().map(|stage| stage.offered).collect();
    assert_eq!(got, rates);
}

#[test]
fn a_queue_of_two_ticks_has_a_slope_and_no_certainty() {
    let mut timeline = Timeline::default();
    let mut seconds = vec![Second::at(200); 3];
    for (index, second) in seconds.iter_mut().enumerate() {
        second.in_flight = 60.0 * index as f64;
    }
    hold(&mut timeline, StageRole::Ramp, &seconds);
    let got = summaries(&timeline);
    assert_eq!(got[0].in_flight_slope, (60.0, f64::NEG_INFINITY, f64::INFINITY));
}

#[test]
fn what_a_collapse_left_says_nothing_of_the_load() {
    let failing = |rate: u64| Second { answered: 0, failed: rate, ..Second::at(rate) };
    let invalid = |drained: &Second| {
        let mut timeline = Timeline::default();
        hold(&mut timeline, StageRole::Baseline, &vec![Second::at(20); 6]);
        hold(&mut timeline, StageRole::Ramp, &vec![Second::at(100); 6]);
        hold(&mut timeline, StageRole::Ramp, &vec![failing(150); 6]);
        hold(&mut timeline, StageRole::Drain, &vec![drained.clone(); 6]);
        hold(&mut timeline, StageRole::Refine, &vec![failing(100); 6]);
        hold(&mut timeline, StageRole::Refine, &vec![Second::at(110); 6]);
        let got = summaries(&timeline);
        got.iter().map(|it| it.invalid.is_some()).collect::<Vec<_>>()
    };
    assert_eq!(invalid(&failing(20)), [false, false, false, false, true, false]);
    assert_eq!(invalid(&Second::at(20)), [false; 6]);
}

#[test]
fn what_fails_again_after_a_quieter_drain_counts() {
    let failing = |rate: u64| Second { answered: 0, failed: rate, ..Second::at(rate) };
    let mut timeline = Timeline::default();
    hold(&mut timeline, StageRole::Baseline, &vec![Second::at(20); 6]);
    hold(&mut timeline, StageRole::Ramp, &vec![failing(150); 6]);
    hold(&mut timeline, StageRole::Drain, &vec![failing(20); 6]);
    hold(&mut timeline, StageRole::Drain, &vec![Second::at(5); 6]);
    hold(&mut timeline, StageRole::Refine, &vec![failing(130); 6]);
    assert!(summaries(&timeline).iter().all(|it| it.invalid.is_none()));
}
