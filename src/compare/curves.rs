//! What each build does at each load that it held: response times, answers and errors, on either
//! side of the knee. They are for charts. Nothing is judged by them, because the loads of the two
//! builds need not be the same.

use super::bracket;
use super::levels::{self, Level};
use super::model::{BuildCurve, CurvePoint, Curves, KneeRange, Spread};
use super::sample::{Bracket, Runs, Sample, StageSample};
use super::tally::{Counts, Tally};
use crate::diagnose::stats;

/// The quantiles of a curve, in rising order.
const QUANTILES: [f64; 3] = [0.5, 0.95, 0.99];

/// The curves of both builds.
pub fn of(runs: Runs<'_>) -> Curves {
    Curves { base: build(runs.base), candidate: build(runs.candidate) }
}

fn build(samples: &[Sample]) -> BuildCurve {
    let levels = levels::held_by_any(samples.iter());
    let mut points: Vec<CurvePoint> =
        levels.iter().filter_map(|level| point(level, samples)).collect();
    points.sort_by(|a, b| a.offered.total_cmp(&b.offered));
    BuildCurve { points, knee: knee(samples) }
}

fn knee(samples: &[Sample]) -> Option<KneeRange> {
    let brackets: Vec<Bracket> = samples.iter().map(|sample| sample.knee).collect::<Option<_>>()?;
    let Bracket { rate, low, high } = bracket::together(&brackets)?;
    Some(KneeRange { rate, low, high })
}

/// What the runs of a build came to at one load.
fn point(level: &Level, samples: &[Sample]) -> Option<CurvePoint> {
    let runs: Vec<RunPoint> = samples
        .iter()
        .enumerate()
        .filter_map(|(run, sample)| RunPoint::of(&level.stages_of(run, sample).collect::<Vec<_>>()))
        .collect();
    let quantile = |index: usize| spread(runs.iter().filter_map(|run| run.quantiles[index]));
    Some(CurvePoint {
        offered: stats::mean(&runs.iter().map(|run| run.offered).collect::<Vec<_>>())?,
        users: level.is_closed.then_some(level.load),
        runs: runs.len() as u64,
        answered: spread(runs.iter().map(|run| run.answered))?,
        error_ratio: spread(runs.iter().map(|run| run.error_ratio))?,
        p50: quantile(0),
        p95: quantile(1),
        p99: quantile(2),
    })
}

/// What one run came to at one load.
struct RunPoint {
    offered: f64,
    answered: f64,
    error_ratio: f64,
    quantiles: Vec<Option<f64>>,
}

impl RunPoint {
    /// The stages together, each by its length; `None` without any.
    fn of(stages: &[&StageSample]) -> Option<Self> {
        let seconds = |stage: &StageSample| stage.slots.len() as f64 * stage.slot_seconds;
        let all: f64 = stages.iter().map(|stage| seconds(stage)).sum();
        if all <= 0.0 {
            return None;
        }
        let mean = |of: fn(&StageSample) -> f64| {
            stages.iter().map(|stage| seconds(stage) * of(stage)).sum::<f64>() / all
        };
        let requests: Vec<_> =
            stages.iter().flat_map(|stage| &stage.slots).flat_map(|slot| &slot.requests).collect();
        let completed: u64 = requests.iter().map(|requests| requests.completed).sum();
        let failed: u64 = requests.iter().map(|requests| requests.failed).sum();
        let times: Vec<&Counts> = requests.iter().map(|requests| &requests.times).collect();
        Some(Self {
            offered: mean(|stage| stage.offered),
            answered: mean(|stage| stage.throughput),
            error_ratio: failed as f64 / completed.max(1) as f64,
            quantiles: Tally::of(&[vec![times]]).quantiles(&QUANTILES),
        })
    }
}

/// The median of values with the lowest and the highest; `None` without any.
fn spread(values: impl Iterator<Item = f64>) -> Option<Spread> {
    let values: Vec<f64> = values.collect();
    Some(Spread {
        median: stats::median(&values)?,
        low: values.iter().copied().reduce(f64::min)?,
        high: values.iter().copied().reduce(f64::max)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compare::sample::Regime;
    use crate::compare::simulated::{Machine, Simulator};

    const MACHINE: Machine =
        Machine { level: 0.04, run_to_run: 0.1, seconds: 10, rate: 50, failing: 0.0 };

    #[test]
    fn a_curve_has_every_load_and_the_range_of_the_runs() {
        let mut simulator = Simulator::new(1);
        let mut base: Vec<Sample> = (0..3).map(|_| simulator.ramp(MACHINE, 1.0, 4)).collect();
        // One run went on past the knee.
        base[1].stages[3].regime = Regime::Beyond;
        base[2].stages.truncate(2);
        let curve = build(&base);
        let offered: Vec<f64> = curve.points.iter().map(|point| point.offered).collect();
        assert_eq!(offered, [50.0, 100.0, 150.0, 200.0]);
        let runs: Vec<u64> = curve.points.iter().map(|point| point.runs).collect();
        assert_eq!(runs, [3, 3, 2, 2]);
        for point in &curve.points {
            assert_eq!(point.answered.median, point.offered);
            let (p50, p99) = (point.p50.unwrap(), point.p99.unwrap());
            assert!(p50.low < p50.median || point.runs == 2, "{point:?}");
            assert!(p50.median < p50.high && p50.high < p99.high, "{point:?}");
        }
        assert_eq!(curve.knee, None, "no run looked for it");
    }

    #[test]
    fn a_single_run_has_no_range_and_failures_are_shares() {
        let failing = Machine { failing: 0.2, ..MACHINE };
        let curve = build(&[Simulator::new(2).run(failing, 1.0)]);
        let [point] = &curve.points[..] else { panic!("one load") };
        assert_eq!(point.error_ratio.low, point.error_ratio.high);
        assert!((0.1..0.3).contains(&point.error_ratio.median), "{point:?}");
        let none = build(&[]);
        assert_eq!(none, BuildCurve::default());
    }

    #[test]
    fn runs_of_which_one_found_no_knee_have_none_at_the_upper_end() {
        let mut samples = Simulator::new(3).runs(MACHINE, 1.0, 2);
        samples[0].knee = Some(Bracket { rate: 90.0, low: 80.0, high: Some(100.0) });
        assert_eq!(knee(&samples), None, "the other says nothing");
        samples[1].knee = Some(Bracket { rate: 90.0, low: 85.0, high: Some(99.0) });
        let both = knee(&samples).unwrap();
        assert_eq!((both.low, both.high), (80.0, Some(100.0)));
        samples[1].knee = Some(Bracket { rate: 200.0, low: 200.0, high: None });
        assert_eq!(knee(&samples).and_then(|knee| knee.high), None);
    }
}
