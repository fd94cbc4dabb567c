//! Hours of looks and ticks, condensed.

use std::time::Duration;

use super::*;
use crate::timeline::{
    EndpointTick, Histogram, JourneyTick, Labels, Reading, ResponseClass, StageRole, Unit, Window,
};

const MOST: usize = 1000;

fn at(second: f64) -> Moment {
    Moment::from_secs_f64(second)
}

fn stage(begin: f64, end: f64) -> Stage {
    let window = Window::new(at(begin), at(end));
    Stage::constant(StageRole::Ramp, window, 10.0)
}

fn reading(metric: &str, kind: Kind, value: f64) -> Reading {
    Reading { key: SeriesKey::bare(metric), unit: Unit::Count, kind, value }
}

fn look(second: f64, readings: Vec<Reading>) -> Batch {
    let window = Window::new(at(second), at(second));
    Batch { collector: "host".to_owned(), window, readings }
}

fn tick(second: f64) -> LoadTick {
    let mut response_time = Histogram::new();
    (0..5).for_each(|index| response_time.record(Duration::from_millis(4 + index)));
    LoadTick {
        journeys: JourneyTick::default(),
        window: Window::new(at(second), at(second + 1.0)),
        generator: "here".to_owned(),
        offered: 5,
        sent: 5,
        held_back: 0,
        in_flight: second % 2.0,
        backlog: second as u64,
        lateness: Histogram::new(),
        connect_time: Histogram::new(),
        phases: Default::default(),
        connects: 1,
        failures: Vec::new(),
        endpoints: vec![EndpointTick {
            endpoint: "/".to_owned(),
            class: ResponseClass::Status(200),
            service_time: response_time.clone(),
            response_time,
        }],
    }
}

/// One stage of `hours` with one look per second, whose readings `readings` gives.
fn hours(hours: u32, readings: impl Fn(u32) -> Vec<Reading>) -> Timeline {
    let seconds = hours * 3600;
    let mut timeline = Timeline::default();
    timeline.stages.push(stage(0.0, f64::from(seconds)));
    let mut condenser = Condenser::new(MOST);
    for second in 0..seconds {
        let begin = f64::from(second);
        condenser.push_batch(&mut timeline, look(begin + 0.25, readings(second)));
        condenser.push_tick(&mut timeline, tick(begin));
        assert!(timeline.readings["host"].len() <= 2 * MOST);
        assert!(timeline.ticks.len() <= 2 * MOST);
    }
    condenser.finish(&mut timeline);
    timeline
}

fn values(timeline: &Timeline, metric: &str) -> Vec<f64> {
    let points = &timeline.series[&SeriesKey::bare(metric)].points;
    points.iter().map(|point| point.value).collect()
}

#[test]
fn a_day_keeps_sums_means_and_one_cadence() {
    let day = hours(24, |second| {
        let mut readings = vec![
            reading("gauge", Kind::Gauge, f64::from(second % 32)),
            reading("limit", Kind::Gauge, 0.1),
            reading("counter", Kind::Counter, f64::from(second) * 3.0),
        ];
        if second % 4 == 0 {
            readings.push(reading("census", Kind::Census, 8.0));
        }
        readings
    });
    let whole = day.stages[0].window;
    // 86,400 looks in slots of 64 s; each result is the mean of 128 values or fewer.
    assert_eq!(day.readings["host"].len(), 86_400 / 64);
    let gaps: Vec<_> = day.readings["host"].windows(2).map(|pair| pair[1].since(pair[0])).collect();
    assert!(gaps.iter().all(|gap| *gap == Duration::from_secs(64)), "one cadence");
    assert_eq!(values(&day, "gauge"), vec![15.5; 1350]);
    assert_eq!(values(&day, "limit"), vec![0.1; 1350]);
    assert_eq!(values(&day, "census"), vec![2.0; 1350], "absence is none");
    let counter = &day.series[&SeriesKey::bare("counter")];
    assert_eq!(counter.rate(whole), Some(3.0));
    let census = &day.series[&SeriesKey::bare("census")].points;
    assert!(census.iter().map(|point| point.at).eq(day.readings["host"].iter().copied()));

    assert_eq!(day.ticks.len(), 1350);
    assert_eq!(day.ticks.iter().map(|tick| tick.offered).sum::<u64>(), 5 * 86_400);
    assert_eq!(day.ticks.iter().map(LoadTick::completed).sum::<u64>(), 5 * 86_400);
    assert!(day.ticks.iter().all(|tick| tick.in_flight == 0.5));
    assert!(day.ticks.windows(2).all(|pair| pair[0].window.end == pair[1].window.begin));
    assert_eq!(day.ticks[0].backlog, 63, "that at its end");
}

#[test]
fn what_stays_below_the_bound_is_not_touched() {
    let mut timeline = Timeline::default();
    timeline.stages.push(stage(0.0, 2000.0));
    let mut plain = timeline.clone();
    let mut condenser = Condenser::new(MOST);
    for second in 0..2 * MOST {
        let begin = second as f64;
        let batch = || look(begin, vec![reading("gauge", Kind::Gauge, begin)]);
        condenser.push_batch(&mut timeline, batch());
        condenser.push_tick(&mut timeline, tick(begin));
        plain.push_batch(batch());
        plain.ticks.push(tick(begin));
    }
    condenser.finish(&mut timeline);
    assert_eq!(timeline, plain);
}

#[test]
fn short_stages_and_their_edges_keep_every_look() {
    let mut timeline = Timeline::default();
    let mut condenser = Condenser::new(MOST);
    // Three hours, with steps of a minute before and after them.
    let mut begin = 0.0;
    for minutes in [1, 1, 180, 1, 1] {
        let end = begin + 60.0 * f64::from(minutes);
        timeline.stages.push(stage(begin, end));
        while begin < end {
            let readings = vec![reading("gauge", Kind::Gauge, begin)];
            condenser.push_batch(&mut timeline, look(begin, readings));
            // Each reaches half a second into the next.
            condenser.push_tick(&mut timeline, tick(begin + 0.5));
            begin += 1.0;
        }
    }
    condenser.finish(&mut timeline);
    let in_stage = |index: usize| timeline.looks("host", timeline.stages[index].window);
    assert_eq!([0, 1, 3, 4].map(in_stage), [60; 4]);
    assert!((MOST / 2..2 * MOST).contains(&in_stage(2)), "{}", in_stage(2));
    let ticks = |index: usize| timeline.ticks_within(timeline.stages[index].window).count();
    // The middle of the tick on an edge lies on the edge, so the tick belongs to the stage after
    // it.
    assert_eq!([0, 1, 3, 4].map(ticks), [59, 60, 60, 60]);
    assert!(timeline.ticks.iter().any(|tick| tick.window.begin == at(119.5)));
    assert!(timeline.ticks.iter().any(|tick| tick.window.end == at(120.5)));
}

#[test]
fn stages_too_short_to_condense_are_not_looked_at_over_and_over() {
    let mut timeline = Timeline::default();
    let mut condenser = Condenser::new(MOST);
    for step in 0..200 {
        let begin = f64::from(step) * 30.0;
        timeline.stages.push(stage(begin, begin + 30.0));
        for second in 0..30 {
            let readings = vec![reading("gauge", Kind::Gauge, 1.0)];
            condenser.push_batch(&mut timeline, look(begin + f64::from(second), readings));
        }
    }
    assert_eq!(timeline.readings["host"].len(), 6000);
    assert!(condenser.looks["host"].due > 6000);
}

#[test]
fn a_restart_stays_visible_whenever_it_comes() {
    for restart in (20_000..20_070).step_by(7) {
        let since = |second: u32| if second < restart { second + 7 } else { second - restart };
        let started = |second: u32| if second < restart { 1e9 } else { 1e9 + 20_000.0 };
        let timeline = hours(6, |second| {
            vec![
                reading("calls", Kind::Counter, f64::from(since(second))),
                reading("process.start_time", Kind::Gauge, started(second)),
            ]
        });
        let calls = &timeline.series[&SeriesKey::bare("calls")];
        let falls = calls.points.windows(2).filter(|pair| pair[1].value < pair[0].value).count();
        assert_eq!(falls, 1, "restart at {restart}");
        let (increase, _) = calls.increase(timeline.stages[0].window).unwrap();
        assert!((increase - 21_600.0).abs() < 20.0, "restart at {restart}: {increase}");
        let times = values(&timeline, "process.start_time");
        assert!(times.iter().all(|time| *time == 1e9 || *time == 1e9 + 20_000.0));
    }
}

#[test]
fn a_fall_is_seen_though_the_counter_has_outgrown_it() {
    let points = |values: &[f64]| -> Vec<Point> {
        let point = |(index, value): (usize, &f64)| Point { at: at(index as f64), value: *value };
        values.iter().enumerate().map(point).collect()
    };
    let kept = |before: Option<f64>, values: &[f64]| -> Vec<f64> {
        let kept = counter(before, &points(values));
        kept.into_iter().flatten().map(|point| point.value).collect()
    };
    assert_eq!(kept(None, &[1.0, 2.0, 3.0]), [3.0]);
    assert_eq!(kept(Some(9.0), &[9.0, 10.0]), [10.0]);
    assert_eq!(kept(Some(9.0), &[10.0, 2.0, 5.0]), [10.0, 5.0]);
    assert_eq!(kept(Some(9.0), &[10.0, 2.0, 50.0]), [10.0, 2.0, 50.0]);
    assert_eq!(kept(Some(9.0), &[2.0, 50.0]), [2.0, 50.0]);
    assert_eq!(kept(Some(9.0), &[2.0, 5.0]), [5.0]);
    assert_eq!(kept(Some(9.0), &[10.0, 2.0]), [10.0, 2.0]);
}

#[test]
fn nothing_is_made_of_a_time_that_nobody_measured() {
    let mut timeline = Timeline::default();
    timeline.stages.push(stage(0.0, 20_000.0));
    let mut condenser = Condenser::new(MOST);
    // The middle four of every ten seconds are missing.
    for second in (0..20_000).filter(|second| !(3..7).contains(&(second % 10))) {
        condenser.push_tick(&mut timeline, tick(f64::from(second)));
    }
    condenser.finish(&mut timeline);
    let measured: f64 = timeline.ticks.iter().map(|tick| tick.window.secs()).sum();
    assert_eq!(measured, 12_000.0);
    assert!(timeline.ticks.len() < 6000, "{}", timeline.ticks.len());
}

#[test]
fn two_generators_stay_two() {
    let mut timeline = Timeline::default();
    timeline.stages.push(stage(0.0, 10_000.0));
    let mut condenser = Condenser::new(MOST);
    for second in 0..10_000 {
        for generator in ["a", "b"] {
            let generator = generator.to_owned();
            condenser.push_tick(&mut timeline, LoadTick { generator, ..tick(f64::from(second)) });
        }
    }
    condenser.finish(&mut timeline);
    let of = |name: &str| timeline.ticks.iter().filter(|tick| tick.generator == name).count();
    assert_eq!(of("a"), of("b"));
    assert!(of("a") <= MOST && of("a") > MOST / 4, "{}", of("a"));
}

#[test]
fn labels_do_not_matter() {
    let labelled = SeriesKey::new("x_created", Labels::none().with("le", "1"));
    assert_eq!(Merging::of(&labelled, Kind::Gauge), Merging::Stamp);
}
