//! At which loads runs can be compared: those that every run held, below its knee, and at which
//! all of them answered as much.

use std::ops::Range;

use super::bootstrap::{FEWEST_BLOCKS, SHORTEST_BLOCK};
use super::model::MatchedLoad;
use super::sample::{Regime, Runs, Sample, Slot, StageSample};
use crate::diagnose::{stats, wording};

/// Loads that differ by no more than this share are one: less than the steps of any search.
const EQUAL_LOAD: f64 = 0.05;
/// A level that is held for so many seconds has four blocks of the shortest length, and shows its
/// own noise. Where there is one, shorter ones are left out.
const LONG_SECONDS: f64 = FEWEST_BLOCKS as f64 * SHORTEST_BLOCK;

/// A load that every run held.
#[derive(Clone)]
pub struct Level {
    /// Requests per second; of virtual users their number.
    pub load: f64,
    pub is_closed: bool,
    /// Seconds that every run has.
    pub seconds: f64,
    /// The stages of each run by index, those of the base first.
    stages: Vec<Vec<usize>>,
}

/// The loads that every run held.
pub struct Levels {
    /// Those at which response times are compared, by load.
    pub matched: Vec<Level>,
    /// Whether they are long enough to show the noise within a run.
    pub are_long: bool,
    /// All, whatever side of the knee and whatever was answered, of virtual users.
    pub closed: Vec<Level>,
    /// Loads that cannot be compared, and why, in words.
    pub differences: Vec<String>,
}

impl Levels {
    pub fn of(runs: Runs<'_>) -> Self {
        let held = held_by_all(runs);
        let mut levels = Self {
            matched: Vec::new(),
            are_long: false,
            closed: Vec::new(),
            differences: Vec::new(),
        };
        let mut unequal = Vec::new();
        let mut carried_by_one = None;
        for level in held {
            if level.is_closed {
                levels.closed.push(level.clone());
            }
            levels.differences.extend(level.regimes_apart(runs));
            if !level.is_below_knee(runs) {
                let is_told = !level.is_closed && level.is_carried_by_one(runs);
                let first = is_told.then_some(level);
                carried_by_one = carried_by_one.or(first);
                continue;
            }
            match level.unequal(runs) {
                Some(text) => unequal.push(text),
                None => levels.matched.push(level),
            }
        }
        // A gate holds one load. That a build does not carry it is what it should tell.
        if let Some(level) = carried_by_one
            && levels.matched.is_empty()
            && unequal.is_empty()
        {
            levels.differences.push(level.not_carried(runs));
            levels.matched.push(level);
        }
        levels.differences.extend(unequal);
        levels.are_long = levels.matched.iter().any(|level| level.seconds >= LONG_SECONDS);
        if levels.are_long {
            levels.matched.retain(|level| level.seconds >= LONG_SECONDS);
        }
        if levels.matched.is_empty() {
            levels.differences.push(nothing_in_common(runs));
        }
        levels
    }

    /// The matched loads in groups, by index, each of which was held for long enough not to
    /// resemble the next.
    pub fn units(&self) -> Vec<Range<usize>> {
        let mut units: Vec<Range<usize>> = Vec::new();
        let (mut begin, mut seconds) = (0, 0.0);
        for (index, level) in self.matched.iter().enumerate() {
            seconds += level.seconds;
            // What is held for less than a block resembles its neighbours.
            if seconds >= SHORTEST_BLOCK {
                units.push(begin..index + 1);
                (begin, seconds) = (index + 1, 0.0);
            }
        }
        // What is left is too short alone.
        match units.last_mut() {
            Some(last) => last.end = self.matched.len(),
            None => units.push(0..self.matched.len()),
        }
        units
    }

    /// The matched loads as a comparison shows them.
    pub fn facts(&self, runs: Runs<'_>) -> Vec<MatchedLoad> {
        let split = runs.base.len();
        let fact = |level: &Level| {
            let mean = |of: &dyn Fn(&StageSample) -> f64, from: usize, to: usize| {
                let runs: Vec<&Sample> = runs.all().collect();
                let values: Vec<f64> =
                    (from..to).flat_map(|run| level.stages_of(run, runs[run])).map(of).collect();
                stats::mean(&values).unwrap_or(0.0)
            };
            let all = split + runs.candidate.len();
            MatchedLoad {
                offered: mean(&|stage| stage.offered, 0, all),
                base: mean(&|stage| stage.throughput, 0, split),
                candidate: mean(&|stage| stage.throughput, split, all),
                seconds: level.seconds,
            }
        };
        self.matched.iter().map(fact).collect()
    }
}

impl Level {
    /// The stages of one run at this load.
    pub fn stages_of<'s>(
        &self,
        run: usize,
        sample: &'s Sample,
    ) -> impl Iterator<Item = &'s StageSample> {
        let indices = self.stages.get(run).cloned().unwrap_or_default();
        indices.into_iter().filter_map(|index| sample.stages.get(index))
    }

    /// The slots of one run that are compared: as many seconds as every run has, so that no load
    /// weighs more in one of them.
    pub fn slots_of<'s>(&self, run: usize, sample: &'s Sample) -> Vec<&'s Slot> {
        let mut left = self.seconds;
        let mut slots = Vec::new();
        for stage in self.stages_of(run, sample) {
            let most = (left / stage.slot_seconds).round().max(0.0) as usize;
            slots.extend(stage.slots.iter().take(most));
            left -= stage.slots.len().min(most) as f64 * stage.slot_seconds;
        }
        slots
    }
    fn is_below_knee(&self, runs: Runs<'_>) -> bool {
        let mut stages =
            runs.all().enumerate().flat_map(|(run, sample)| self.stages_of(run, sample));
        stages.all(|stage| stage.regime == Regime::Below)
    }

    /// Whether one of the builds carries it in most of its runs.
    fn is_carried_by_one(&self, runs: Runs<'_>) -> bool {
        self.is_mostly(Regime::Below, runs.base, 0)
            || self.is_mostly(Regime::Below, runs.candidate, runs.base.len())
    }

    /// In how many runs each build does not carry it.
    fn not_carried(&self, runs: Runs<'_>) -> String {
        let count = |samples: &[Sample], first: usize| {
            let is_not = |(index, sample): &(usize, &Sample)| {
                self.stages_of(first + index, sample).any(|stage| stage.regime != Regime::Below)
            };
            format!(
                "{} of {}",
                samples.iter().enumerate().filter(is_not).count(),
                wording::plural(samples.len() as u64, "run", "runs")
            )
        };
        format!(
            "{} is not carried in {} of the base and in {} of the candidate: where a queue grows, \
             response times depend on how long a run lasts",
            self.tell(),
            count(runs.base, 0),
            count(runs.candidate, runs.base.len())
        )
    }

    /// On which side of the knee most runs of a build are at this load.
    fn is_mostly(&self, wanted: Regime, samples: &[Sample], first: usize) -> bool {
        let is = |(index, sample): &(usize, &Sample)| {
            self.stages_of(first + index, sample).all(|stage| stage.regime == wanted)
        };
        samples.iter().enumerate().filter(is).count() * 2 > samples.len()
    }

    /// That one build carries this load and the other does not.
    fn regimes_apart(&self, runs: Runs<'_>) -> Option<String> {
        let is = |wanted| {
            (
                self.is_mostly(wanted, runs.base, 0),
                self.is_mostly(wanted, runs.candidate, runs.base.len()),
            )
        };
        let (below, beyond) = (is(Regime::Below), is(Regime::Beyond));
        let load = self.tell();
        if below.0 && beyond.1 {
            Some(format!("at {load} the candidate is beyond its knee and the base is not"))
        } else if below.1 && beyond.0 {
            Some(format!("at {load} the base is beyond its knee and the candidate is not"))
        } else {
            None
        }
    }

    /// That the builds answered unlike amounts at this load, as a closed system does that slows.
    fn unequal(&self, runs: Runs<'_>) -> Option<String> {
        let mut answered: Vec<Vec<f64>> = vec![Vec::new(), Vec::new()];
        for (run, sample) in runs.all().enumerate() {
            let side = usize::from(run >= runs.base.len());
            answered[side].extend(self.stages_of(run, sample).map(|stage| stage.throughput));
        }
        // A single run may have answered what the seconds before left.
        let (base, candidate) = (stats::median(&answered[0])?, stats::median(&answered[1])?);
        (base.max(candidate) > base.min(candidate) * (1.0 + EQUAL_LOAD)).then(|| {
            format!(
                "at {} the base answers {} and the candidate {}: response times at this load are \
                 not compared",
                self.tell(),
                wording::rate(base),
                wording::rate(candidate)
            )
        })
    }

    fn tell(&self) -> String {
        match self.is_closed {
            true => format!("{} virtual users", wording::number(self.load)),
            false => wording::rate(self.load),
        }
    }
}

/// The loads that every run held, by load.
fn held_by_all(runs: Runs<'_>) -> Vec<Level> {
    let mut levels = held_by_any(runs.all());
    levels.retain(|level| level.stages.iter().all(|stages| !stages.is_empty()));
    for level in &mut levels {
        let seconds = |(run, sample): (usize, &Sample)| -> f64 {
            let stages = level.stages_of(run, sample);
            stages.map(|stage| stage.slots.len() as f64 * stage.slot_seconds).sum()
        };
        level.seconds = runs.all().enumerate().map(seconds).reduce(f64::min).unwrap_or(0.0);
    }
    levels
}

/// The loads that any of these runs held, by load, without the seconds that they have in common.
pub fn held_by_any<'s>(samples: impl Iterator<Item = &'s Sample>) -> Vec<Level> {
    let mut stages: Vec<(bool, f64, usize, usize)> = Vec::new();
    let mut count = 0;
    for (run, sample) in samples.enumerate() {
        count = run + 1;
        for (index, stage) in sample.stages.iter().enumerate() {
            stages.push((stage.is_closed, stage.load, run, index));
        }
    }
    stages.sort_by(|a, b| (a.0.cmp(&b.0)).then(a.1.total_cmp(&b.1)).then(a.2.cmp(&b.2)));
    let mut levels: Vec<Level> = Vec::new();
    for (is_closed, load, run, index) in stages {
        let open = levels.last_mut().filter(|level| {
            level.is_closed == is_closed && load <= level.load * (1.0 + EQUAL_LOAD)
        });
        match open {
            Some(level) => level.stages[run].push(index),
            None => {
                let mut stages = vec![Vec::new(); count];
                stages[run].push(index);
                levels.push(Level { load, is_closed, seconds: 0.0, stages });
            }
        }
    }
    levels
}

/// That no load was held by all below the knee.
fn nothing_in_common(runs: Runs<'_>) -> String {
    let loads = |samples: &[Sample]| {
        let below = samples
            .iter()
            .flat_map(|sample| &sample.stages)
            .filter(|stage| stage.regime == Regime::Below)
            .map(|stage| stage.offered);
        let (low, high) = below.fold((f64::INFINITY, 0.0), |(low, high), load| {
            (f64::min(low, load), f64::max(high, load))
        });
        match low <= high {
            true if low == high => wording::rate(low),
            true => format!("{} to {}", wording::number(low), wording::rate(high)),
            false => "no load".to_owned(),
        }
    };
    format!(
        "no load was held by every run below its knee (base: {}; candidate: {}), so response times \
         are not compared; run both builds with the same plan",
        loads(runs.base),
        loads(runs.candidate)
    )
}
