//! Whether the runs of both builds met the objectives of the plan.
//!
//! A run is judged at the loads that both builds carry: beyond its knee every build breaks an
//! objective, and how far the knee lies is another question.

use super::levels::Levels;
use super::model::{Met, ObjectiveChange};
use super::sample::{Regime, Runs, Sample, StageSample};
use crate::diagnose::stats;

/// Every objective that any run measured, in the order in which the plans write them.
pub fn of(runs: Runs<'_>, levels: &Levels) -> Vec<ObjectiveChange> {
    let mut texts: Vec<&String> = Vec::new();
    for text in runs.all().flat_map(|sample| &sample.objectives) {
        if !texts.contains(&text) {
            texts.push(text);
        }
    }
    texts.into_iter().map(|text| change(text, runs, levels)).collect()
}

fn change(text: &str, runs: Runs<'_>, levels: &Levels) -> ObjectiveChange {
    let base = Outcomes::of(text, runs.base, 0, levels);
    let candidate = Outcomes::of(text, runs.candidate, runs.base.len(), levels);
    ObjectiveChange {
        text: text.to_owned(),
        base_met: base.met,
        candidate_met: candidate.met,
        base_up_to: base.up_to(),
        candidate_up_to: candidate.up_to(),
    }
}

/// What an objective came to in the runs of one build.
#[derive(Default)]
struct Outcomes {
    met: Met,
    /// Highest load that met it, of each run; zero where even the lowest load broke it.
    loads: Vec<f64>,
}

impl Outcomes {
    /// Of runs of which the first has the index `first` among all runs.
    fn of(text: &str, samples: &[Sample], first: usize, levels: &Levels) -> Self {
        let mut outcomes = Self::default();
        for (index, sample) in samples.iter().enumerate() {
            if !sample.objectives.iter().any(|known| known == text) || sample.stages.is_empty() {
                continue;
            }
            let is_broken = |stage: &&StageSample| stage.broken.iter().any(|it| it == text);
            let judged = judged(first + index, sample, levels);
            outcomes.met.of += 1;
            outcomes.met.met += u64::from(!judged.iter().any(is_broken));
            let by_load = by_load(sample);
            let met = by_load.iter().take_while(|stage| !is_broken(stage));
            outcomes.loads.push(met.last().map_or(0.0, |stage| stage.offered));
        }
        outcomes
    }

    fn up_to(&self) -> Option<f64> {
        stats::median(&self.loads).filter(|load| *load > 0.0)
    }
}

/// The stages in which a run is judged: those at the compared loads; without any those below its
/// knee, and without these the lowest load.
fn judged<'s>(run: usize, sample: &'s Sample, levels: &Levels) -> Vec<&'s StageSample> {
    let matched: Vec<_> =
        levels.matched.iter().flat_map(|level| level.stages_of(run, sample)).collect();
    if !matched.is_empty() {
        return matched;
    }
    let below: Vec<_> =
        sample.stages.iter().filter(|stage| stage.regime == Regime::Below).collect();
    if !below.is_empty() {
        return below;
    }
    by_load(sample).into_iter().take(1).collect()
}

fn by_load(sample: &Sample) -> Vec<&StageSample> {
    let mut stages: Vec<&StageSample> = sample.stages.iter().collect();
    stages.sort_by(|a, b| a.offered.total_cmp(&b.offered));
    stages
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compare::simulated::{Machine, Simulator};

    const P95: &str = "p(95) < 300ms";
    const MACHINE: Machine =
        Machine { level: 0.04, run_to_run: 0.0, seconds: 20, rate: 50, failing: 0.0 };

    /// Runs of 50, 100 and 150 requests/s that break the objective from `from` on.
    fn runs(simulator: &mut Simulator, count: usize, from: f64) -> Vec<Sample> {
        let mut samples: Vec<Sample> =
            (0..count).map(|_| simulator.ramp(MACHINE, 1.0, 3)).collect();
        for sample in &mut samples {
            sample.objectives = vec![P95.to_owned()];
            for stage in sample.stages.iter_mut().filter(|stage| stage.offered >= from) {
                stage.broken = vec![P95.to_owned()];
            }
        }
        samples
    }

    fn outcome(base: &[Sample], candidate: &[Sample]) -> ObjectiveChange {
        let runs = Runs { base, candidate };
        let mut all = of(runs, &Levels::of(runs));
        assert_eq!(all.len(), 1);
        all.remove(0)
    }

    #[test]
    fn an_objective_that_the_candidate_breaks_is_counted_by_run() {
        let mut simulator = Simulator::new(1);
        let base = runs(&mut simulator, 3, f64::INFINITY);
        let mut candidate = runs(&mut simulator, 3, 100.0);
        let change = outcome(&base, &candidate);
        assert_eq!((change.base_met, change.candidate_met), (met(3, 3), met(0, 3)));
        assert_eq!((change.base_up_to, change.candidate_up_to), (Some(150.0), Some(50.0)));
        assert!(change.candidate_met.is_mostly_broken());
        candidate[0].objectives.clear();
        assert_eq!(outcome(&base, &candidate).candidate_met, met(0, 2), "it was not measured");
    }

    fn met(met: u64, of: u64) -> Met {
        Met { met, of }
    }

    #[test]
    fn what_lies_beyond_the_knee_does_not_break_an_objective() {
        let mut simulator = Simulator::new(2);
        let base = runs(&mut simulator, 1, 150.0);
        let mut candidate = runs(&mut simulator, 1, 150.0);
        for sample in &mut candidate {
            sample.stages[2].regime = Regime::Beyond;
        }
        assert_eq!(outcome(&base, &candidate).candidate_met, met(1, 1));
        // No load in common: each run below its own knee.
        candidate[0].stages.iter_mut().for_each(|stage| stage.load *= 1.5);
        assert_eq!(outcome(&base, &candidate).candidate_met, met(1, 1));
        candidate[0].stages.retain(|stage| stage.regime == Regime::Beyond);
        let change = outcome(&base, &candidate);
        assert_eq!((change.candidate_met, change.candidate_up_to), (met(0, 1), None));
    }
}
