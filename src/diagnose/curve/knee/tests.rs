//! The knee against simulated systems whose capacity is known.

use std::time::Duration;

use super::*;
use crate::diagnose::curve::stages::summarize_timeline;
use crate::diagnose::simulated::queue::{Simulation, System, ramp};
use crate::recording::PlanSummary;
use crate::timeline::{Batch, BatchBuilder, MetricSpec, StageRole, Window, names};

impl Simulation {
    fn verdict(&self) -> KneeVerdict {
        find(&summarize_timeline(&self.timeline, &PlanSummary::default()), &self.timeline)
    }
}

fn found(verdict: &KneeVerdict) -> &Knee {
    match verdict {
        KneeVerdict::Found(knee) => knee,
        other => panic!("no knee: {other:?}"),
    }
}

#[track_caller]
fn assert_near(knee: &Knee, rate: f64, tolerance: f64) {
    assert!((knee.rate / rate - 1.0).abs() <= tolerance, "{rate}: {knee:?}");
    assert!(knee.low <= knee.rate && knee.rate <= knee.high, "{knee:?}");
}

#[test]
fn no_knee_below_capacity_and_the_right_one_beyond() {
    for servers in [1, 8, 64] {
        for seed in 0..20 {
            let system = System::new(200.0, servers);
            // So near to its capacity a queue can be so long by chance that no load is proven good.
            let near = ramp(&system, 0.95, 40, 8, seed).verdict();
            assert!(!matches!(near, KneeVerdict::Found(_)), "{servers} {seed}: {near:?}");
            for end in [0.5, 0.8, 0.9] {
                let verdict = ramp(&system, end, 40, 8, seed).verdict();
                let KneeVerdict::NotReached { proven_rate } = verdict else {
                    panic!("servers {servers}, seed {seed}, end {end}: {verdict:?}");
                };
                assert!((proven_rate - 200.0 * end).abs() < 2.0, "{proven_rate}");
            }
            for end in [1.1, 1.2, 1.5, 2.0, 3.0, 4.0] {
                let verdict = ramp(&system, end, 40, 8, seed).verdict();
                let KneeVerdict::Found(knee) = &verdict else {
                    panic!("servers {servers}, seed {seed}, end {end}: {verdict:?}");
                };
                assert!(
                    (knee.rate / 200.0 - 1.0).abs() <= 0.05,
                    "servers {servers}, seed {seed}, end {end}: {knee:?}"
                );
            }
        }
    }
}

#[test]
fn random_arrivals_and_departures_make_no_knee() {
    let (mut missed, mut outside) = (0, 0);
    for seed in 0..40 {
        let mut system = System::new(100.0, 4);
        system.poisson = true;
        for end in [0.5, 0.8, 0.95] {
            let verdict = ramp(&system, end, 16, 8, seed).verdict();
            assert!(!matches!(verdict, KneeVerdict::Found(_)), "{seed} {end}: {verdict:?}");
        }
        match ramp(&system, 2.0, 16, 8, seed).verdict() {
            // Each stage's goodput scatters by 4 %.
            KneeVerdict::Found(knee) => {
                assert_near(&knee, 100.0, 0.2);
                outside += usize::from(knee.low > 100.0 || knee.high < 100.0);
            }
            _ => missed += 1,
        }
    }
    assert_eq!(missed, 0);
    assert!(outside <= 6, "{outside} of 40 intervals of 95 % miss the capacity");
}

#[test]
fn the_point_where_the_ramp_is_cut_does_not_matter() {
    let system = System::new(500.0, 8);
    for seed in 0..5 {
        let rates: Vec<f64> = (1..=60).map(|step| 25.0 * f64::from(step)).collect();
        let cut = |end: f64| {
            let mut run = Simulation::new(&system, seed);
            rates
                .iter()
                .take_while(|rate| **rate <= end * 500.0)
                .for_each(|rate| run.hold(StageRole::Ramp, *rate, 8));
            found(&run.verdict()).clone()
        };
        let whole = cut(3.0);
        assert_near(&whole, 500.0, 0.05);
        for end in [1.2, 1.5, 2.0] {
            let part = cut(end);
            assert_eq!(part.kind, whole.kind);
            assert!((part.rate / whole.rate - 1.0).abs() < 0.03, "{part:?} {whole:?}");
        }
    }
}

#[test]
fn step_count_noise_unit_and_offset_change_nothing() {
    for seed in 0..10 {
        let system = System::new(300.0, 8);
        let doubled = System { noise: 0.02, ..system.clone() };
        let offset = System { latency: 0.5, ..system.clone() };
        let thousandfold = System::new(3000.0, 8);
        for count in [12, 24, 48] {
            assert_near(found(&ramp(&system, 2.0, count, 8, seed).verdict()), 300.0, 0.05);
        }
        let noisy = ramp(&doubled, 2.0, 40, 8, seed).verdict();
        assert_near(found(&noisy), 300.0, 0.08);
        let below = ramp(&doubled, 0.9, 40, 8, seed).verdict();
        assert!(matches!(below, KneeVerdict::NotReached { .. }), "{below:?}");
        assert_near(found(&ramp(&offset, 2.0, 40, 8, seed).verdict()), 300.0, 0.05);
        assert_near(found(&ramp(&thousandfold, 2.0, 20, 4, seed).verdict()), 3000.0, 0.05);
    }
}

#[test]
fn a_limiter_is_an_error_knee_at_its_limit() {
    for seed in 0..10 {
        let system = System { limit: 120.0, ..System::new(1000.0, 8) };
        let verdict = ramp(&system, 0.3, 20, 8, seed).verdict();
        let knee = found(&verdict);
        assert_eq!(knee.kind, KneeKind::Errors);
        assert_near(knee, 120.0, 0.03);
        assert_eq!(knee.latency, None);
        assert!(!knee.retrograde);
    }
}

#[test]
fn errors_make_a_knee_while_throughput_follows() {
    for seed in 0..10 {
        let system = System { failing: (150.0, 0.08), ..System::new(1000.0, 8) };
        let verdict = ramp(&system, 0.3, 20, 8, seed).verdict();
        let knee = found(&verdict);
        assert_eq!((knee.kind, knee.throughput, knee.latency), (KneeKind::Errors, None, None));
        assert!((150.0..=165.0).contains(&knee.high), "{knee:?}");
    }
}

/// A search whose coarse stages bend between 101 and 152, and whose fine ones are few and short.
fn few_fine_stages(system: &System, seed: u64) -> Simulation {
    let mut run = Simulation::new(system, seed);
    for rate in [30.0, 45.0, 67.0, 101.0, 152.0] {
        run.hold(StageRole::Ramp, rate, 4);
    }
    for rate in [101.0, 114.0, 127.0, 139.0] {
        run.hold(StageRole::Refine, rate, 5);
    }
    for rate in [152.0, 175.0, 205.0] {
        run.hold(StageRole::Beyond, rate, 5);
    }
    run
}

/// The first stage beyond a limit fails a few requests, too few to be a knee alone.
#[test]
fn the_errors_of_the_first_stage_beyond_a_limit_end_the_interval() {
    for seed in 0..20 {
        let system = System { limit: 137.5, ..System::new(1000.0, 8) };
        let verdict = few_fine_stages(&system, seed).verdict();
        let knee = found(&verdict);
        assert!(knee.low <= 137.5 && knee.high <= 140.0, "{seed}: {knee:?}");
        assert!(knee.high / knee.rate < 1.08 && knee.low / knee.rate > 0.92, "{seed}: {knee:?}");
    }
}

/// Where everything fails from some load on, two lines that meet would put the knee far below loads
/// that were carried whole.
#[test]
fn a_collapse_lies_between_the_last_load_that_was_carried_and_the_first_that_was_not() {
    for seed in 0..20 {
        let system = System { failing: (120.0, 1.0), ..System::new(1000.0, 8) };
        let verdict = few_fine_stages(&system, seed).verdict();
        let knee = found(&verdict);
        assert!((113.0..=120.0).contains(&knee.low), "{seed}: {knee:?}");
        assert!((120.0..=128.0).contains(&knee.high), "{seed}: {knee:?}");
        // The same where what fails waits in a queue before.
        let queueing = System { failing: (145.0, 0.95), ..System::new(148.0, 8) };
        let verdict = few_fine_stages(&queueing, seed).verdict();
        let knee = found(&verdict);
        assert!((138.0..=145.0).contains(&knee.low), "{seed}: {knee:?}");
        assert!((145.0..=153.0).contains(&knee.high), "{seed}: {knee:?}");
    }
}

#[test]
fn throughput_that_falls_is_retrograde() {
    for seed in 0..10 {
        let system = System { collapse: 0.3, ..System::new(200.0, 8) };
        let verdict = ramp(&system, 2.0, 24, 8, seed).verdict();
        let knee = found(&verdict);
        assert_near(knee, 200.0, 0.05);
        assert!(knee.retrograde, "{knee:?}");
        let flat = ramp(&System::new(200.0, 8), 2.0, 24, 8, seed).verdict();
        assert!(!found(&flat).retrograde);
    }
}

#[test]
fn the_first_of_two_knees_wins() {
    for seed in 0..10 {
        let system = System { second: 0.3, ..System::new(200.0, 8) };
        for end in [1.5, 2.5, 4.0] {
            let verdict = ramp(&system, end, 40, 8, seed).verdict();
            assert_near(found(&verdict), 200.0, 0.06);
        }
    }
}

/// What the conductor does: a geometric rise to the first sign, a drain, a refinement from the
/// last good load to beyond the sign, and one stage further beyond.
fn breakpoint(system: &System, start: f64, max: f64, hold: u64, seed: u64) -> Simulation {
    let plan = PlanSummary::default();
    let mut run = Simulation::new(system, seed);
    run.hold(StageRole::Baseline, start, hold);
    let mut rate = start;
    while rate <= max {
        run.hold(StageRole::Ramp, rate, hold);
        if let LiveSign::Sign { at_rate, last_good_rate, .. } = live(&run.timeline, &plan) {
            run.hold(StageRole::Drain, 0.3 * last_good_rate, 15);
            run.queue = 0.0;
            for step in 0..5 {
                let share = f64::from(step) / 4.0;
                let from = 0.9 * last_good_rate;
                run.hold(StageRole::Refine, from + share * (1.02 * at_rate - from), hold);
                if step > 2 {
                    run.queue = 0.0;
                }
            }
            if live(&run.timeline, &plan) != LiveSign::None {
                run.hold(StageRole::Beyond, 1.2 * at_rate, hold);
                run.hold(StageRole::Recovery, 0.0, 10);
                return run;
            }
        }
        rate *= 1.5;
    }
    run
}

#[test]
fn the_order_of_a_live_run_gives_the_same_knee() {
    for seed in 0..10 {
        for capacity in [47.0, 160.0, 900.0] {
            let run = breakpoint(&System::new(capacity, 4), 10.0, 4000.0, 8, seed);
            let verdict = run.verdict();
            let knee = found(&verdict);
            assert_near(knee, capacity, 0.08);
            let crossed = System { room: 30.0, ..System::new(capacity, 4) };
            assert_near(
                found(&breakpoint(&crossed, 10.0, 4000.0, 8, seed).verdict()),
                capacity,
                0.1,
            );
        }
        let free = breakpoint(&System::new(1e5, 4), 10.0, 1000.0, 6, seed);
        assert!(matches!(free.verdict(), KneeVerdict::NotReached { .. }), "{:?}", free.verdict());
    }
}

#[test]
fn a_false_sign_is_cleared_by_later_stages_at_its_load() {
    let plan = PlanSummary::default();
    let mut run = Simulation::new(&System::new(1000.0, 4), 1);
    for rate in [20.0, 20.0, 30.0, 45.0] {
        run.hold(StageRole::Ramp, rate, 8);
        assert_eq!(live(&run.timeline, &plan), LiveSign::None);
    }
    // A neighbour takes the machine for a while.
    run.system.capacity = 40.0;
    run.hold(StageRole::Ramp, 67.0, 8);
    run.system.capacity = 1000.0;
    let LiveSign::Sign { at_rate, last_good_rate, .. } = live(&run.timeline, &plan) else {
        panic!("a stage that lost a third of its requests shows no sign");
    };
    assert!((at_rate - 67.0).abs() < 1.5 && (last_good_rate - 45.0).abs() < 1.5);
    run.hold(StageRole::Drain, 10.0, 8);
    for rate in [50.0, 58.0, 68.0] {
        run.hold(StageRole::Refine, rate, 8);
    }
    assert_eq!(live(&run.timeline, &plan), LiveSign::None);
}

#[test]
fn a_highest_load_that_is_carried_whenever_it_is_held_again_is_no_knee() {
    let held = |again: &[f64]| {
        let mut run = Simulation::new(&System::new(1000.0, 4), 1);
        for rate in [20.0, 20.0, 30.0, 45.0, 67.0, 100.0, 150.0] {
            run.hold(StageRole::Ramp, rate, 8);
        }
        run.system.capacity = 140.0;
        run.hold(StageRole::Ramp, 200.0, 8);
        run.system.capacity = 1000.0;
        run.hold(StageRole::Drain, 40.0, 8);
        for rate in [[160.0, 170.0, 180.0, 190.0].as_slice(), again].concat() {
            run.hold(StageRole::Refine, rate, 8);
        }
        run
    };
    let passed = held(&[197.5, 198.5, 199.5]);
    let KneeVerdict::NotReached { proven_rate } = passed.verdict() else {
        panic!("{:?}", passed.verdict())
    };
    assert!(proven_rate > 196.0, "{proven_rate}");
    let mut stages = summarize_timeline(&passed.timeline, &PlanSummary::default());
    leave_out_passed(&mut stages, &passed.timeline);
    let left_out: Vec<f64> =
        stages.iter().filter(|stage| stage.invalid.is_some()).map(|stage| stage.offered).collect();
    assert!(matches!(left_out[..], [load] if (load - 200.0).abs() < 2.0), "{left_out:?}");
    let once = held(&[199.5]).verdict();
    assert!(!matches!(once, KneeVerdict::NotReached { .. }), "{once:?}");
    let mut stays = held(&[197.5, 198.5]);
    stays.system.capacity = 140.0;
    stays.hold(StageRole::Refine, 199.5, 8);
    let stays = stays.verdict();
    assert!(!matches!(stays, KneeVerdict::NotReached { .. }), "{stays:?}");
}

#[test]
fn a_coarse_ramp_does_not_drag_the_knee_down() {
    for seed in 0..20 {
        // Only three stages lie beyond the knee when it is first believed.
        for capacity in [150.0, 185.0, 200.0] {
            let mut run = Simulation::new(&System::new(capacity, 4), seed);
            for rate in [20.0, 32.0, 51.0, 82.0, 131.0, 210.0, 336.0, 537.0, 800.0] {
                run.hold(StageRole::Ramp, rate, 4);
            }
            let verdict = run.verdict();
            assert_near(found(&verdict), capacity, 0.06);
        }
    }
}

type Level<'l> = (&'l MetricSpec, &'l dyn Fn(u64) -> f64);

/// Adds readings, one a second, to the stage that was held last.
fn watch(run: &mut Simulation, levels: &[Level]) {
    let Some(window) = run.timeline.stages.last().map(|stage| stage.window) else { return };
    for second in 0..window.secs() as u64 {
        let mut batch = BatchBuilder::new();
        for (metric, level) in levels {
            let labels = crate::timeline::Labels::none().with("port", "8080");
            batch.push_labelled(metric, labels, level(second));
        }
        let at = window.begin + Duration::from_secs(second);
        let (window, readings) = (Window::new(at, at), batch.finish());
        run.timeline.push_batch(Batch { collector: "host".into(), window, readings });
    }
}

#[test]
fn no_load_is_proven_good_that_is_turned_away_or_takes_much_longer() {
    let missing = |change: &dyn Fn(&mut System), levels: &[Level]| {
        let mut run = ramp(&System::new(400.0, 4), 0.4, 5, 8, 1);
        change(&mut run.system);
        run.hold(StageRole::Ramp, 180.0, 8);
        watch(&mut run, levels);
        match run.verdict() {
            KneeVerdict::NotReached { .. } => String::new(),
            KneeVerdict::Inconclusive { missing } => missing.join("; "),
            KneeVerdict::Found(knee) => panic!("{knee:?}"),
        }
    };
    let same = |_: &mut System| {};
    assert_eq!(missing(&same, &[]), "");
    let drops: Level = (&names::SYSTEM_TCP_LISTEN_DROPS, &|second| 42.0 * second as f64);
    assert_eq!(missing(&same, &[drops]), "", "no request of the load was dropped");
    let text = missing(&|system| system.tail = SENT_AGAIN, &[drops]);
    assert!(text.contains("begins to bend") && text.contains("drops 42 connections"), "{text}");
    let queue: Level = (&names::TCP_ACCEPT_QUEUE, &|_| 5.9);
    let text = missing(&same, &[queue, (&names::TCP_ACCEPT_QUEUE_LIMIT, &|_| 5.0)]);
    assert!(text.contains("6 connections wait in an accept queue of 5"), "{text}");
    assert_eq!(missing(&same, &[queue, (&names::TCP_ACCEPT_QUEUE_LIMIT, &|_| 128.0)]), "");
    let text = missing(&|system| system.latency = 2.0, &[]);
    assert!(text.contains("10 % of the responses take more than"), "{text}");
    // One request in a hundred, too few for a queue that grows.
    let text = missing(&|system| system.room = -221.0, &[]);
    assert!(text.contains("given up"), "{text}");
}

/// Of 200 requests one takes a second longer, as one does whose SYN was dropped.
const SENT_AGAIN: (f64, f64, f64) = (0.0, 0.005, 1.0);

#[test]
fn drops_of_another_service_of_the_machine_say_nothing_of_the_target() {
    let proven = |most: f64, tail| {
        let system = System { tail, ..System::new(400.0, 4) };
        let mut run = ramp(&system, 0.4, 5, 8, 1);
        run.hold(StageRole::Ramp, 180.0, 30);
        let queue = |second: u64| if second == 20 { most } else { 0.0 };
        watch(
            &mut run,
            &[
                (&names::SYSTEM_TCP_LISTEN_DROPS, &|second| 42.0 * second as f64),
                (&names::TCP_ACCEPT_QUEUE, &queue),
                (&names::TCP_ACCEPT_QUEUE_LIMIT, &|_| 128.0),
            ],
        );
        matches!(run.verdict(), KneeVerdict::NotReached { .. })
    };
    assert!(proven(3.0, SENT_AGAIN));
    assert!(!proven(70.0, SENT_AGAIN), "it may have overflowed between two looks");
    assert!(
        proven(70.0, System::new(400.0, 4).tail),
        "no request of the load waited for a second try"
    );
}

#[test]
fn dropped_connections_are_a_queue_that_grows() {
    let mut run = ramp(&System::new(400.0, 4), 0.4, 5, 8, 1);
    // Dropped connections come back a second later: slow, and no queue in sight.
    run.system.latency = 1.0;
    for rate in [180.0, 200.0, 220.0] {
        run.hold(StageRole::Ramp, rate, 8);
        watch(&mut run, &[(&names::SYSTEM_TCP_LISTEN_DROPS, &|second| 40.0 * second as f64)]);
    }
    let verdict = run.verdict();
    let knee = found(&verdict);
    assert_eq!(knee.kind, KneeKind::Latency);
    assert!((159.0..181.0).contains(&knee.low) && knee.high < 181.0, "{knee:?}");
}

#[test]
fn too_little_is_said_to_be_too_little() {
    let missing = |verdict: KneeVerdict| match verdict {
        KneeVerdict::Inconclusive { missing } => missing.join("; "),
        other => panic!("{other:?}"),
    };
    let none = find(&[], &Timeline::default());
    assert!(missing(none).contains("none was held"));
    let mut low = Simulation::new(&System::new(100.0, 4), 1);
    low.hold(StageRole::Ramp, 150.0, 8);
    low.hold(StageRole::Ramp, 200.0, 8);
    assert!(missing(low.verdict()).contains("start lower"));
    let mut bent = Simulation::new(&System::new(100.0, 4), 1);
    for rate in [20.0, 40.0, 60.0, 150.0] {
        bent.hold(StageRole::Ramp, rate, 8);
    }
    assert!(missing(bent.verdict()).contains("beyond the knee"));
    let mut short = Simulation::new(&System::new(100.0, 4), 1);
    short.hold(StageRole::Ramp, 3.0, 5);
    assert!(missing(short.verdict()).contains("requests per stage"));
    let broken = System { failing: (0.0, 1.0), ..System::new(100.0, 4) };
    assert!(missing(ramp(&broken, 0.5, 8, 8, 1).verdict()).contains("not one request"));
}

#[test]
fn a_tail_that_bends_over_three_stages_is_a_knee_of_the_tail() {
    for seed in 0..10 {
        let system = System { tail: (170.0, 0.04, 1.0), ..System::new(1000.0, 8) };
        let verdict = ramp(&system, 0.3, 12, 8, seed).verdict();
        let knee = found(&verdict);
        assert_eq!((knee.kind, knee.throughput, knee.latency), (KneeKind::Tail, None, None));
        assert!(knee.low <= 170.0 && knee.high >= 170.0 && knee.rate > knee.low, "{knee:?}");
        let tail = knee.tail.unwrap();
        assert!(tail.to > 1.0 && tail.from < 0.1 && tail.median_to < 2.0 * tail.median_from);
        // One stage or two are too few to be sure, and too many for an all-clear.
        let short = System { tail: (270.0, 0.04, 1.0), ..System::new(1000.0, 8) };
        let KneeVerdict::Inconclusive { missing } = ramp(&short, 0.3, 12, 8, seed).verdict() else {
            panic!("{seed}");
        };
        assert!(missing.join("; ").contains("the tail bends"), "{missing:?}");
    }
}

/// Drops that become more from stage to stage, until one request in ten is slow: no stage has
/// certainly more slow ones than those below it together.
#[test]
fn a_tail_that_grows_slowly_bends_where_it_begins_to() {
    for seed in 0..10 {
        let mut run = Simulation::new(&System::new(1000.0, 8), seed);
        for rate in [20.0, 30.0, 45.0, 67.0, 101.0, 111.0, 121.0] {
            run.hold(StageRole::Ramp, rate, 6);
        }
        for step in 1..=8 {
            let share = 0.016 * f64::from(step);
            run.system.tail = (0.0, share, 1.0);
            run.hold(StageRole::Ramp, 122.0 + 10.0 * f64::from(step), 6);
        }
        let verdict = run.verdict();
        let knee = found(&verdict);
        assert_eq!(knee.kind, KneeKind::Tail, "{seed}: {knee:?}");
        assert!(knee.low >= 111.0 && knee.high <= 153.0, "{seed}: {knee:?}");
    }
}

#[test]
fn a_tail_below_the_knee_is_told_beside_it() {
    let system = System { tail: (120.0, 0.03, 3.0), ..System::new(300.0, 8) };
    let knee = found(&ramp(&system, 2.0, 24, 8, 1).verdict()).clone();
    assert_near(&knee, 300.0, 0.05);
    assert!((115.0..160.0).contains(&knee.tail.unwrap().rate), "{knee:?}");
}

#[test]
fn chance_and_pauses_that_come_at_low_load_too_are_no_bend_of_the_tail() {
    for seed in 0..20 {
        let is_clear = |system: &System, end: f64, seconds: u64| {
            let verdict = ramp(system, end, 12, seconds, seed).verdict();
            matches!(verdict, KneeVerdict::NotReached { .. })
        };
        let plain = System::new(1000.0, 8);
        // A collector of garbage, a checkpoint: every few seconds, at any load.
        for every in [2, 5, 11] {
            let paused = System { pause: (every, 0.5, 0.4), ..plain.clone() };
            assert!(is_clear(&paused, 0.3, 8), "{seed}: every {every} s");
        }
        // A dozen requests a stage: one slow one is a p99.
        let few = System { pause: (29, 0.3, 1.0), ..System::new(60.0, 8) };
        assert!(is_clear(&few, 0.5, 8), "{seed}: few");
        // Queues for 64 servers have a longer tail before they have a longer median.
        let many = System { poisson: true, ..System::new(1000.0, 64) };
        assert!(is_clear(&many, 0.85, 8), "{seed}: many servers");
    }
}
