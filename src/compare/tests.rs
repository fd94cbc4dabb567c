//! What a comparison says of builds of which the truth is known.

use std::time::Duration;

use super::design::Design;
use super::engine::of_design;
use super::model::{Answer, Comparison, Measure, Method, Subject, Verdict};
use super::options::{MeasuredNoise, Noise, Options};
use super::sample::{Bracket, Cause, Regime, Runs, Sample};
use super::simulated::{Machine, Simulator, place};
use super::{compare, levels};
use crate::recording::{RecordedMeasure, RecordedObjective};
use crate::timeline::Histogram;

/// The columns of the table in which methods were compared: a quiet and a noisy machine, and how
/// much its runs differ.
const COLUMNS: [(&str, f64, f64); 5] = [
    ("quiet", QUIET, 0.0),
    ("quiet, 3 % from run to run", QUIET, 0.03),
    ("quiet, 8 % from run to run", QUIET, 0.08),
    ("noisy", NOISY, 0.0),
    ("noisy, 3 % from run to run", NOISY, 0.03),
];
const QUIET: f64 = 0.04;
/// As in the table, two of three runs of one build then differ by more than 10 %.
const NOISY: f64 = 0.5;
/// Draws of a bootstrap here: the standard error is then known to 6 %.
const DRAWS: usize = 120;
/// A share of false alarms that a gate may have.
const FALSE_ALARMS: f64 = 0.05;

fn machine(level: f64, run_to_run: f64) -> Machine {
    Machine { level, run_to_run, seconds: 60, rate: 100, failing: 0.0 }
}

/// How often each verdict came.
#[derive(Debug, Default, PartialEq)]
struct Tally {
    of: u32,
    worse: u32,
    better: u32,
    same: u32,
    cannot_tell: u32,
    /// How often any of the quantiles was called the same.
    any_same: u32,
}

impl Tally {
    fn take(&mut self, comparison: &Comparison) {
        self.of += 1;
        // A build that is like the other is not better either.
        let is = |wanted| comparison.answered(wanted).next().is_some();
        let mut same = comparison.answered(Verdict::Same);
        self.any_same += u32::from(same.any(|it| it.measure.quantile().is_some()));
        match comparison.verdict {
            Verdict::Worse => self.worse += 1,
            _ if is(Verdict::Better) => self.better += 1,
            Verdict::Same | Verdict::Better => self.same += 1,
            Verdict::CannotTell => self.cannot_tell += 1,
        }
    }

    fn share(&self, count: u32) -> f64 {
        f64::from(count) / f64::from(self.of)
    }
}

/// Compares so many runs of each build, again and again.
fn repeat(machine: Machine, factor: f64, runs: usize, noise: &Noise, times: u32) -> Tally {
    let options = Options { noise: noise.clone(), ..Options::default() };
    repeat_with(machine, factor, runs, &options, times)
}

fn repeat_with(machine: Machine, factor: f64, runs: usize, options: &Options, times: u32) -> Tally {
    let mut simulator = Simulator::new(11);
    let mut tally = Tally::default();
    for _ in 0..times {
        let base = simulator.runs(machine, 1.0, runs);
        let candidate = simulator.runs(machine, factor, runs);
        let mut design = Design::of(Runs { base: &base, candidate: &candidate }, options);
        design.draws = DRAWS;
        tally.take(&of_design(&design));
    }
    tally
}

#[track_caller]
fn assert_few_alarms(tally: &Tally, column: &str) {
    let alarms = tally.share(tally.worse + tally.better);
    assert!(alarms <= FALSE_ALARMS, "{column}: {tally:?}");
}

#[test]
fn five_runs_of_one_build_twice_are_no_alarm() {
    for (column, level, run_to_run) in COLUMNS {
        let tally = repeat(machine(level, run_to_run), 1.0, 5, &Noise::Unknown, 200);
        assert_few_alarms(&tally, column);
        if level == NOISY {
            assert!(tally.share(tally.cannot_tell) > 0.9, "{column}: {tally:?}");
        }
    }
}

#[test]
fn one_run_of_one_build_twice_is_no_alarm_where_the_noise_is_known() {
    for (column, level, run_to_run) in COLUMNS {
        let machine = Machine { seconds: 300, rate: 30, ..machine(level, run_to_run) };
        let tally = repeat(machine, 1.0, 1, &Noise::Share(run_to_run), 200);
        assert_few_alarms(&tally, column);
    }
}

/// A search for the knee holds each load for seconds; the loads that both runs held then show the
/// noise.
#[test]
fn two_searches_of_one_build_are_no_alarm() {
    for (column, level, run_to_run) in COLUMNS {
        let machine = Machine { seconds: 10, rate: 30, ..machine(level, run_to_run) };
        let mut simulator = Simulator::new(21);
        let options = Options { noise: Noise::Share(run_to_run), ..Options::default() };
        let mut tally = Tally::default();
        for _ in 0..200 {
            let base = [simulator.ramp(machine, 1.0, 8)];
            let candidate = [simulator.ramp(machine, 1.0, 8)];
            let mut design = Design::of(Runs { base: &base, candidate: &candidate }, &options);
            design.draws = DRAWS;
            let comparison = of_design(&design);
            assert_eq!(comparison.loads.len(), 8);
            tally.take(&comparison);
        }
        assert_few_alarms(&tally, column);
        if level == QUIET && run_to_run == 0.0 {
            assert!(tally.share(tally.any_same) > 0.5, "80 s of each are enough: {tally:?}");
        }
    }
}

/// Nights differ by more than the runs of one night: against eight nights, five runs of tonight are
/// one more night, and no five.
#[test]
fn tonight_is_one_sitting_among_others() {
    let machine = Machine { seconds: 30, rate: 60, ..machine(QUIET, 0.01) };
    let mut simulator = Simulator::new(31);
    let nights = |simulator: &mut Simulator, factor: f64| {
        let base: Vec<Sample> = (0..8)
            .flat_map(|night| simulator.sitting(machine, 1.0, 3, (0.04, &format!("night {night}"))))
            .collect();
        let candidate = simulator.sitting(machine, factor, 5, (0.04, "tonight"));
        // Almost nothing is allowed, so that the alarms are those of the interval alone.
        let options = Options { budget: 0.001, ..Options::default() };
        compare(&base, &candidate, &options)
    };
    let mut alike = Tally::default();
    for _ in 0..200 {
        let comparison = nights(&mut simulator, 1.0);
        assert_eq!(comparison.sittings, Some((8, 1)));
        alike.take(&comparison);
    }
    assert_few_alarms(&alike, "nights");
    let mut slower = Tally::default();
    for _ in 0..30 {
        slower.take(&nights(&mut simulator, 1.3));
    }
    assert!(slower.share(slower.worse) >= 0.8, "{slower:?}");
}

/// The objective of a plan may allow less than the rest.
#[test]
fn an_objective_sets_its_own_budget() {
    let machine = Machine { seconds: 60, rate: 60, ..machine(QUIET, 0.0) };
    let mut simulator = Simulator::new(5);
    let base = simulator.runs(machine, 1.0, 8);
    let mut candidate = simulator.runs(machine, 1.07, 8);
    let answer = |comparison: &Comparison| quantity(comparison, &Measure::P95).verdict();
    let options = Options::default();
    assert_eq!(answer(&compare(&base, &candidate, &options)), Verdict::Same);
    for sample in &mut candidate {
        sample.plan.objectives.push(RecordedObjective {
            measure: RecordedMeasure::ResponseTimeQuantile(0.95),
            max_worse: Some(0.01),
            ..RecordedObjective::default()
        });
    }
    let comparison = compare(&base, &candidate, &options);
    assert_eq!(answer(&comparison), Verdict::Worse);
    assert_eq!(quantity(&comparison, &Measure::P50).verdict(), Verdict::Same);
}

#[test]
fn one_run_each_without_known_noise_is_never_an_answer() {
    for factor in [1.0, 1.5] {
        let machine = Machine { seconds: 120, ..machine(QUIET, 0.0) };
        let tally = repeat(machine, factor, 1, &Noise::Unknown, 20);
        assert_eq!((tally.cannot_tell, tally.any_same), (20, 0), "{factor}: {tally:?}");
    }
    let mut simulator = Simulator::new(3);
    let machine = Machine { seconds: 120, ..machine(QUIET, 0.0) };
    let (base, candidate) = (simulator.run(machine, 1.0), simulator.run(machine, 1.5));
    let comparison = compare(&[base], &[candidate], &Options::default());
    assert_eq!(comparison.method, Method::OneRunEach);
    let p99 = quantity(&comparison, &Measure::P99);
    assert!(
        matches!(p99, Answer::CannotTell { further_runs: Some(4), exceeds_noise: true, .. }),
        "{p99:?}"
    );
}

/// Twice the budget is seen by five runs each where runs differ little; where they differ much,
/// nothing is said, and at no time that it is the same.
#[test]
fn twice_the_budget_is_seen_where_five_runs_suffice() {
    for (column, level, run_to_run) in COLUMNS {
        let machine = Machine { seconds: 200, rate: 60, ..machine(level, run_to_run) };
        let tally = repeat(machine, 1.2, 5, &Noise::Unknown, 60);
        assert_eq!((tally.any_same, tally.better), (0, 0), "{column}: {tally:?}");
        if level == QUIET && run_to_run <= 0.03 {
            assert!(tally.share(tally.worse) >= 0.8, "{column}: {tally:?}");
        }
    }
}

/// The whole table with long runs; minutes.
#[test]
#[ignore = "takes minutes; prints the table of false alarms and power"]
#[expect(clippy::print_stdout, reason = "the table is what it is for")]
fn the_table() {
    let row = |tally: &Tally| {
        [tally.worse, tally.better, tally.same, tally.cannot_tell]
            .map(|count| format!("{:5.1}", 100.0 * tally.share(count)))
            .join(" ")
    };
    println!("{:30} {:26} worse better same cannot tell (%)", "", "");
    for (column, level, run_to_run) in COLUMNS {
        let machine = Machine { seconds: 300, rate: 200, ..machine(level, run_to_run) };
        let minute = Machine { seconds: 60, ..machine };
        let known = Noise::Share(run_to_run);
        for (name, machine, factor, runs, noise) in [
            ("1+1 alike, noise known", machine, 1.0, 1, &known),
            ("1+1 +20 %, noise known", machine, 1.2, 1, &known),
            ("1+1 +30 %, noise known", machine, 1.3, 1, &known),
            ("5+5 of 60 s alike", minute, 1.0, 5, &Noise::Unknown),
            ("5+5 of 60 s +20 %", minute, 1.2, 5, &Noise::Unknown),
            ("5+5 alike", machine, 1.0, 5, &Noise::Unknown),
            ("5+5 +20 %", machine, 1.2, 5, &Noise::Unknown),
            ("5+5 +30 %", machine, 1.3, 5, &Noise::Unknown),
            ("3+3 +20 %, noise known", machine, 1.2, 3, &known),
        ] {
            let tally = repeat(machine, factor, runs, noise, 200);
            println!("{column:30} {name:26} {}", row(&tally));
        }
        // A budget of next to nothing shows the intervals alone.
        for (name, machine, runs, noise) in [
            ("1+1 alike, budget 1 %", machine, 1, &known),
            ("5+5 alike, budget 1 %", minute, 5, &Noise::Unknown),
        ] {
            let options = Options { budget: 0.01, noise: noise.clone() };
            let tally = repeat_with(machine, 1.0, runs, &options, 200);
            println!("{column:30} {name:26} {}", row(&tally));
        }
    }
}

fn quantity(comparison: &Comparison, measure: &Measure) -> Answer {
    let mut all = comparison.quantities.iter();
    let found = all.find(|it| it.subject == Subject::All && it.measure == *measure);
    found.map(|it| it.answer.clone()).expect("it was measured")
}

#[test]
fn the_same_runs_give_the_same_bytes() {
    let comparison = || {
        let mut simulator = Simulator::new(5);
        let machine = machine(QUIET, 0.03);
        let (base, candidate) = (simulator.run(machine, 1.0), simulator.run(machine, 1.1));
        let options = Options { noise: Noise::Share(0.03), ..Options::default() };
        serde_json::to_string(&compare(&[base], &[candidate], &options)).unwrap()
    };
    assert_eq!(comparison(), comparison());
}

#[test]
fn noise_that_was_measured_raises_what_is_allowed() {
    let mut simulator = Simulator::new(9);
    let loud = machine(QUIET, 0.2);
    let (first, second) = (simulator.runs(loud, 1.0, 5), simulator.runs(loud, 1.0, 5));
    let calibration = compare(&first, &second, &Options::default());
    let earlier = MeasuredNoise { from: "two weeks ago".into(), sigmas: calibration.run_to_run() };
    let noise = Noise::Measured(Box::new(earlier));
    let sigma = noise.sigma(&Subject::All, &Measure::P99).unwrap();
    assert!((0.1..0.35).contains(&sigma), "{sigma}");
    let options = Options { noise, ..Options::default() };
    let comparison = compare(&first[..1], &second[..1], &options);
    assert_eq!(comparison.method, Method::KnownNoise);
    let p99 = comparison.quantities.iter().find(|it| it.measure == Measure::P99).unwrap();
    // 1.5 * 1.96 * sigma * sqrt(2).
    assert!((p99.allowed.ln_1p() - 4.158 * sigma).abs() < 0.001 * sigma, "{p99:?}");
    assert_eq!(comparison.noise.as_deref(), Some("two weeks ago"));
    assert!(comparison.run_to_run().iter().all(|it| it.1 != Measure::P99));
}

#[test]
fn errors_that_come_are_worse_and_few_requests_are_refused() {
    let mut simulator = Simulator::new(2);
    let calm = machine(QUIET, 0.02);
    let base = simulator.runs(calm, 1.0, 5);
    let candidate = simulator.runs(Machine { failing: 0.01, ..calm }, 1.0, 5);
    let comparison = compare(&base, &candidate, &Options::default());
    assert_eq!(quantity(&comparison, &Measure::ErrorRatio), Answer::Worse);
    assert_eq!(comparison.verdict, Verdict::Worse);
    let calm = compare(&base, &base, &Options::default());
    assert_eq!(quantity(&calm, &Measure::ErrorRatio), Answer::Same, "30,000 requests");
    let few = Machine { rate: 2, ..machine(QUIET, 0.02) };
    let (base, candidate) = (simulator.runs(few, 1.0, 5), simulator.runs(few, 1.0, 5));
    let comparison = compare(&base, &candidate, &Options::default());
    let Answer::CannotTell { why, .. } = quantity(&comparison, &Measure::P99) else {
        panic!("a p99 of 120 requests");
    };
    assert!(why.contains("p99 needs 2000"), "{why}");
    assert!(
        matches!(
            quantity(&comparison, &Measure::ErrorRatio),
            Answer::CannotTell { further_runs: Some(_), .. }
        ),
        "600 requests hide an error ratio of 0.1 %"
    );
}

#[test]
fn runs_are_compared_only_at_loads_that_both_carry() {
    let mut simulator = Simulator::new(4);
    let calm = machine(QUIET, 0.02);
    let at = |rate: usize, regime: Regime, simulator: &mut Simulator| {
        let mut sample = simulator.run(Machine { rate, ..calm }, 1.0);
        sample.stages[0].regime = regime;
        sample.stages.remove(0)
    };
    let mut base = simulator.run(calm, 1.0);
    let mut candidate = simulator.run(calm, 1.0);
    base.stages.push(at(200, Regime::Below, &mut simulator));
    candidate.stages.push(at(200, Regime::Beyond, &mut simulator));
    base.stages.push(at(150, Regime::Below, &mut simulator));
    let (base, candidate) = ([base], [candidate]);
    let comparison = compare(&base, &candidate, &Options::default());
    assert_eq!(comparison.loads.len(), 1);
    assert_eq!(comparison.loads[0].offered, 100.0);
    assert!(
        comparison.differences[0].contains("at 200 requests/s the candidate is beyond its knee"),
        "{:?}",
        comparison.differences
    );
    let apart = [simulator.run(Machine { rate: 50, ..calm }, 1.0)];
    let comparison = compare(&base, &apart, &Options::default());
    assert_eq!(comparison.verdict, Verdict::CannotTell);
    assert!(comparison.differences[0].contains("no load was held by every run"));
    let none = compare(&[], &[], &Options::default());
    assert_eq!((none.verdict, none.quantities.len()), (Verdict::CannotTell, 0));
}

#[test]
fn virtual_users_that_get_less_answered_are_worse_and_not_faster() {
    let mut simulator = Simulator::new(6);
    let calm = machine(QUIET, 0.0);
    let users = |rate: usize, simulator: &mut Simulator| -> Vec<Sample> {
        let mut samples = simulator.runs(Machine { rate, ..calm }, 1.0, 5);
        for sample in &mut samples {
            let stage = &mut sample.stages[0];
            (stage.is_closed, stage.load) = (true, 20.0);
        }
        samples
    };
    let (base, candidate) = (users(100, &mut simulator), users(80, &mut simulator));
    let comparison = compare(&base, &candidate, &Options::default());
    assert_eq!(quantity(&comparison, &Measure::Throughput), Answer::Worse);
    assert!(comparison.loads.is_empty());
    let told = &comparison.differences[0];
    assert!(told.contains("at 20 virtual users the base answers 100 requests/s"), "{told}");
}

#[test]
fn a_knee_that_falls_and_a_cause_that_comes_are_told() {
    let mut simulator = Simulator::new(8);
    let calm = machine(QUIET, 0.0);
    let with_knee = |bracket: Bracket, causes: &[&str], simulator: &mut Simulator| {
        let mut sample = simulator.run(calm, 1.0);
        sample.knee = Some(bracket);
        let cause = |rule: &&str| Cause {
            rule: (*rule).to_owned(),
            title: format!("about {rule}"),
            code: Vec::new(),
        };
        sample.causes = causes.iter().map(cause).collect();
        sample
    };
    let high = Bracket { rate: 400.0, low: 400.0, high: None };
    let low = Bracket { rate: 300.0, low: 294.0, high: Some(306.0) };
    let base = [with_knee(high, &["memory-leak"], &mut simulator)];
    let candidate = [with_knee(low, &["memory-leak", "db-pool-too-small"], &mut simulator)];
    let comparison = compare(&base, &candidate, &Options::default());
    assert_eq!(quantity(&comparison, &Measure::Knee), Answer::Worse);
    let causes: Vec<(&str, super::Fate)> =
        comparison.why.causes.iter().map(|it| (it.rule.as_str(), it.fate)).collect();
    assert_eq!(
        causes,
        [("db-pool-too-small", super::Fate::Came), ("memory-leak", super::Fate::Stayed)]
    );
    let back = compare(&candidate, &base, &Options::default());
    assert_eq!(quantity(&back, &Measure::Knee), Answer::Better);
}

#[test]
fn alternating_runs_are_pairs() {
    let mut simulator = Simulator::new(12);
    let short = Machine { seconds: 20, ..machine(QUIET, 0.0) };
    let mut sides = [simulator.runs(short, 1.0, 8), simulator.runs(short, 1.0, 8)];
    for (side, samples) in sides.iter_mut().enumerate() {
        for (index, sample) in samples.iter_mut().enumerate() {
            sample.environment.started_unix = 100.0 + (10 * index + 5 * side) as f64;
        }
    }
    let method =
        |[base, candidate]: &[Vec<Sample>; 2]| compare(base, candidate, &Options::default()).method;
    assert_eq!(method(&sides), Method::Pairs);
    sides[0][3].environment.started_unix = 101.0;
    assert_eq!(method(&sides), Method::Runs);
}

#[test]
fn places_are_those_of_the_histogram() {
    for micros in [1u64, 255, 256, 1000, 20_000, 33_333, 1_000_000] {
        let mut histogram = Histogram::new();
        histogram.record(Duration::from_micros(micros));
        histogram.counters(|found, _| assert_eq!(found, place(micros)));
    }
    assert!(levels::Levels::of(Runs { base: &[], candidate: &[] }).matched.is_empty());
}

#[test]
fn a_build_that_does_not_carry_the_only_load_is_compared_at_it() {
    let machine = machine(QUIET, 0.03);
    let saturated = |simulator: &mut Simulator, factor: f64, beyond: usize| {
        let mut runs = simulator.runs(machine, factor, 5);
        for run in runs.iter_mut().take(beyond) {
            run.stages[0].regime = Regime::Beyond;
        }
        runs
    };
    let mut simulator = Simulator::new(31);
    let base = saturated(&mut simulator, 1.0, 0);
    for beyond in [1, 5] {
        let candidate = saturated(&mut simulator, 3.0, beyond);
        let told = compare(&base, &candidate, &Options::default());
        assert_eq!(told.verdict, Verdict::Worse, "{:?}", told.differences);
        let says = format!("{beyond} of 5 runs of the candidate");
        let is_told = told.differences.iter().any(|text| text.contains(&says));
        assert!(is_told, "{:?}", told.differences);
    }
    // A load that neither carries says nothing of either.
    let both = saturated(&mut simulator, 1.0, 4);
    let told = compare(&both, &saturated(&mut simulator, 3.0, 4), &Options::default());
    assert_eq!(told.verdict, Verdict::CannotTell);
}

/// A backup, or a neighbour on the machine, for the length of one run.
#[test]
fn one_disturbed_run_of_ten_raises_no_alarm_and_hides_no_change() {
    let machine = Machine { seconds: 30, rate: 60, ..machine(QUIET, 0.02) };
    let mut simulator = Simulator::new(41);
    let compared = |simulator: &mut Simulator, factor: f64, time: usize| {
        let mut base = simulator.runs(machine, 1.0, 5);
        let mut candidate = simulator.runs(machine, factor, 5);
        let (side, own) =
            if time.is_multiple_of(2) { (&mut base, 1.0) } else { (&mut candidate, factor) };
        side[time % 5] = simulator.run(machine, 1.7 * own).named("the disturbed one");
        compare(&base, &candidate, &Options::default())
    };
    let (mut alike, mut slower) = (Tally::default(), Tally::default());
    for time in 0..100 {
        alike.take(&compared(&mut simulator, 1.0, time));
        let comparison = compared(&mut simulator, 1.25, time);
        let mut told = comparison.differences.iter();
        assert!(told.any(|text| text.contains("the disturbed one` was disturbed")), "{told:?}");
        slower.take(&comparison);
    }
    assert_few_alarms(&alike, "disturbed");
    assert!(slower.share(slower.worse) >= 0.8, "{slower:?}");
    assert_eq!((slower.any_same, slower.better), (0, 0), "{slower:?}");
}

/// One run answered what the seconds before had left, or less than it was offered.
#[test]
fn a_single_run_with_another_rate_keeps_no_load_from_being_compared() {
    let machine = Machine { seconds: 30, ..machine(QUIET, 0.02) };
    let mut simulator = Simulator::new(43);
    let base = simulator.runs(machine, 1.0, 5);
    let mut candidate = simulator.runs(machine, 1.5, 5);
    candidate[2].stages[0].throughput *= 1.08;
    let comparison = compare(&base, &candidate, &Options::default());
    assert_eq!(comparison.loads.len(), 1, "{:?}", comparison.differences);
    assert_eq!(comparison.verdict, Verdict::Worse);
    for sample in &mut candidate {
        sample.stages[0].throughput = 1.08 * 100.0;
    }
    let comparison = compare(&base, &candidate, &Options::default());
    assert!(comparison.loads.is_empty(), "{:?}", comparison.differences);
}
