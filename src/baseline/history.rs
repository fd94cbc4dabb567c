//! The runs of one key over time: since when they are alike, and how much they differ.

use std::collections::BTreeMap;

use super::entry::Entry;
use super::key::Key;
use super::store::Kept;
use crate::compare::{
    ChangePoint, DriftOptions, Measure, Sample, Subject, Track, by_session, change_points, noise,
    tracks,
};

/// Sittings that a candidate is compared with, at most: older ones say less of today's machine.
const MOST_SITTINGS: usize = 20;

/// The runs of one key in the order of their start.
#[derive(Clone, Debug)]
pub struct History {
    /// What they have in common.
    pub key: Key,
    /// The runs.
    pub runs: Vec<Kept>,
}

/// A quantity over the sittings of a history.
#[derive(Clone, Debug)]
pub struct Series {
    /// What it is about.
    pub subject: Subject,
    /// What was measured.
    pub measure: Measure,
    /// The value of each sitting that has one: the index of the sitting, and the mean of its runs.
    pub values: Vec<(usize, f64)>,
    /// Where it moved for good; `index` counts the values.
    pub changes: Vec<ChangePoint>,
    /// The standard deviation from sitting to sitting in logs; `None` where too few were there.
    pub noise: Option<f64>,
}

impl History {
    /// The histories of a store, by key.
    pub fn all(kept: Vec<Kept>) -> Vec<Self> {
        let mut histories: BTreeMap<Key, Vec<Kept>> = BTreeMap::new();
        for run in kept {
            histories.entry(run.entry.key.clone()).or_default().push(run);
        }
        histories.into_iter().map(|(key, runs)| Self { key, runs }).collect()
    }

    /// The runs since somebody last accepted a change, with the run that was accepted first.
    pub fn since_accepted(&self) -> &[Kept] {
        let last = self.runs.iter().rposition(|kept| kept.entry.accepted.is_some());
        let Some(last) = last else { return &self.runs };
        // The whole sitting was accepted.
        let session = &self.runs[last].entry.origin.session;
        let first = self.runs.iter().position(|kept| kept.entry.origin.session == *session);
        &self.runs[first.unwrap_or(last)..]
    }

    /// What a candidate is compared with: the runs since the last change, accepted or seen, and not
    /// more of them than matter. `series` are those of this history.
    pub fn baseline(&self, series: &[Series]) -> Vec<Sample> {
        let runs = self.since_accepted();
        let sittings = sittings(runs);
        let moved = series.iter().filter_map(Series::newest_change);
        let first = moved.max().unwrap_or(0).max(sittings.len().saturating_sub(MOST_SITTINGS));
        let wanted = sittings.get(first..).unwrap_or_default().concat();
        wanted.into_iter().map(|run| runs[run].entry.sample.clone()).collect()
    }

    /// The sittings that count, oldest first, each by its first run.
    pub fn sittings(&self) -> Vec<&Entry> {
        let runs = self.since_accepted();
        let first = |group: Vec<usize>| group.first().map(|run| &runs[*run].entry);
        sittings(runs).into_iter().filter_map(first).collect()
    }

    /// Every quantity over the sittings since somebody last accepted a change.
    pub fn series(&self) -> Vec<Series> {
        series(self.since_accepted())
    }
}

impl Series {
    /// The sitting in which it last moved for good.
    pub fn newest_change(&self) -> Option<usize> {
        let change = self.changes.last()?;
        self.values.get(change.index).map(|(sitting, _)| *sitting)
    }
}

/// The runs of each sitting by index.
fn sittings(runs: &[Kept]) -> Vec<Vec<usize>> {
    by_session(runs.iter().map(|kept| Some(kept.entry.origin.session.as_str())))
}

fn series(runs: &[Kept]) -> Vec<Series> {
    let samples: Vec<Sample> = runs.iter().map(|kept| kept.entry.sample.clone()).collect();
    let sittings = sittings(runs);
    tracks(&samples).into_iter().map(|track| one_series(track, &sittings)).collect()
}

fn one_series(track: Track, sittings: &[Vec<usize>]) -> Series {
    // Shares of failures can be zero, which has no logarithm.
    let is_share = track.measure == Measure::ErrorRatio;
    let to = |value: f64| if is_share { value } else { value.ln() };
    let from = |value: f64| if is_share { value } else { value.exp() };
    let mut values = Vec::new();
    for (sitting, group) in sittings.iter().enumerate() {
        let runs: Vec<f64> = group
            .iter()
            .filter_map(|run| track.values[*run].map(to).filter(|value| value.is_finite()))
            .collect();
        if !runs.is_empty() {
            values.push((sitting, from(runs.iter().sum::<f64>() / runs.len() as f64)));
        }
    }
    let plain: Vec<f64> = values.iter().map(|(_, value)| *value).collect();
    let changes = change_points(&plain, &DriftOptions::default());
    let logs: Vec<f64> = plain.iter().map(|value| to(*value)).collect();
    let noise = if is_share { None } else { noise(&logs) };
    Series { subject: track.subject, measure: track.measure, values, changes, noise }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::baseline::Origin;
    use crate::compare::simulated::{Machine, Simulator};

    /// Nights of three runs each, at these speeds.
    fn nights(factors: &[f64]) -> Vec<Kept> {
        let machine =
            Machine { level: 0.04, run_to_run: 0.01, seconds: 20, rate: 60, failing: 0.0 };
        let mut simulator = Simulator::new(7);
        let mut kept = Vec::new();
        for (night, factor) in factors.iter().enumerate() {
            let session = format!("night {night:02}");
            for sample in simulator.sitting(machine, *factor, 3, (0.02, &session)) {
                let origin = Origin { commit: Some(session.clone()), session: session.clone() };
                let key = Key::of(sample.plan(), sample.environment(), "main", None);
                let entry = Entry::new(key, origin, sample);
                kept.push(Kept { path: format!("{}.json", kept.len()).into(), entry });
            }
        }
        kept
    }

    fn history(kept: Vec<Kept>) -> History {
        let mut all = History::all(kept);
        assert_eq!(all.len(), 1);
        all.remove(0)
    }

    fn nights_in(samples: &[Sample]) -> usize {
        samples.len() / 3
    }

    #[test]
    fn a_candidate_is_compared_with_what_came_since_the_last_change() {
        let steady = history(nights(&[1.0; 12]));
        assert_eq!(nights_in(&steady.baseline(&steady.series())), 12);
        let p95 = |history: &History| {
            let series = history.series();
            series.into_iter().find(|one| one.measure == Measure::P95).unwrap()
        };
        assert!(p95(&steady).changes.is_empty(), "{:?}", p95(&steady).changes);
        let noise = p95(&steady).noise.unwrap();
        assert!((0.008..0.04).contains(&noise), "made with 2 %: {noise}");
        let moved = history(nights(&[[1.0; 10], [1.3; 10]].concat()));
        let change = p95(&moved).newest_change().unwrap();
        assert!((9..=11).contains(&change), "{change}");
        assert_eq!(nights_in(&moved.baseline(&moved.series())), 20 - change);
    }

    #[test]
    fn what_somebody_accepted_begins_a_new_baseline_with_its_whole_sitting() {
        let mut kept = nights(&[1.0; 6]);
        let accepted = kept[13].entry.clone().accepted("a new index");
        kept[13].entry = accepted;
        let history = history(kept);
        assert_eq!(history.sittings().len(), 2);
        assert_eq!(history.baseline(&history.series()).len(), 6);
        assert_eq!(history.sittings()[0].origin.session, "night 04");
    }

    #[test]
    fn a_kept_run_says_the_same_as_the_run() {
        let kept = nights(&[1.0]);
        let text = serde_json::to_string(&kept[0].entry).unwrap();
        let read: Entry = serde_json::from_str(&text).unwrap();
        let of = |entry: &Entry| {
            tracks(std::slice::from_ref(&entry.sample)).into_iter().map(|track| track.values)
        };
        assert!(of(&read).eq(of(&kept[0].entry)));
    }
}
