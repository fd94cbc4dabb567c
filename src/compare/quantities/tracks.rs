//! Every quantity of each of many runs, for a history of them.

use super::*;
use crate::compare::options::Options;
use crate::compare::sample::Runs;

/// One quantity over the runs of a history.
#[derive(Clone, Debug, PartialEq)]
pub struct Track {
    /// What it is about.
    pub subject: Subject,
    /// What was measured.
    pub measure: Measure,
    /// The value of each run, in the order of the runs; `None` where it has none.
    pub values: Vec<Option<f64>>,
}

/// The quantities of runs of one plan, at the loads that all of them held below their knee.
pub fn tracks(samples: &[Sample]) -> Vec<Track> {
    let options = Options::default();
    let runs = Runs { base: samples, candidate: &[] };
    let levels = Levels::of(runs);
    let design = Design::of(runs, &options);
    let quantities = Quantities::new(&design, &levels, 0);
    let mut tracks = quantities.of_times(&Subject::All);
    tracks.push(quantities.of_errors(&Subject::All));
    tracks.extend(quantities.of_runs());
    for subject in quantities.subjects() {
        tracks.extend(quantities.of_times(&subject));
        tracks.push(quantities.of_errors(&subject));
    }
    tracks.retain(|track| track.values.iter().any(Option::is_some));
    tracks
}

impl Quantities<'_> {
    fn each<T>(&self, of: impl Fn(usize) -> T) -> Vec<T> {
        (0..self.samples.len()).map(of).collect()
    }

    fn of_times(&self, subject: &Subject) -> Vec<Track> {
        let shares = QUANTILES.each_ref().map(|measure| measure.quantile().unwrap_or(0.5));
        let tallies = self.each(|run| self.tally(run, subject));
        let quantiles: Vec<Vec<Option<f64>>> =
            tallies.iter().map(|tally| tally.quantiles(&shares)).collect();
        let of = |(index, measure): (usize, Measure)| {
            let value = |run: usize| {
                let above = tallies[run].count() as f64 * (1.0 - shares[index]);
                quantiles[run][index].filter(|_| above >= FEWEST_ABOVE)
            };
            Track { subject: subject.clone(), measure, values: self.each(value) }
        };
        QUANTILES.into_iter().enumerate().map(of).collect()
    }

    fn of_errors(&self, subject: &Subject) -> Track {
        let value = |run: usize| {
            let wanted = self.samples[run].indices(subject);
            let sum = failures(&self.slots(run).concat(), &wanted);
            (sum.completed > 0.0).then(|| sum.failed / sum.completed)
        };
        Track { subject: subject.clone(), measure: Measure::ErrorRatio, values: self.each(value) }
    }

    /// What a run has once: knee, capacity, resources.
    fn of_runs(&self) -> Vec<Track> {
        let track = |measure: Measure, values: Vec<Option<f64>>| Track {
            subject: Subject::All,
            measure,
            values,
        };
        let knee = |of: &dyn Fn(&Sample) -> Option<Bracket>| {
            self.each(|run| of(self.samples[run]).filter(|it| it.high.is_some()).map(|it| it.rate))
        };
        let mut tracks = vec![
            track(Measure::Knee, knee(&|sample| sample.knee)),
            track(Measure::Capacity, knee(&|sample| sample.capacity)),
        ];
        let stages = |run: usize| self.stages(run);
        let measures: BTreeSet<Measure> = (0..self.samples.len())
            .flat_map(stages)
            .flat_map(|(_, stage)| stage.resources.keys().cloned())
            .collect();
        for measure in measures {
            let value = |run: usize| {
                let levels = self.levels.matched.iter();
                let levels: Vec<(f64, Measured)> =
                    levels.filter_map(|level| self.resource_at(run, level, &measure)).collect();
                Some(pooled(&levels).ln.exp()).filter(|value| value.is_finite() && *value > 0.0)
            };
            let values = self.each(value);
            tracks.push(track(measure, values));
        }
        let floor = |run: usize| {
            let floors: Vec<f64> =
                self.stages(run).filter_map(|(_, stage)| stage.memory_floor).collect();
            stats::mean(&floors)
        };
        tracks.push(track(Measure::MemoryFloor, self.each(floor)));
        tracks
    }
}
