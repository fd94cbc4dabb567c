//! What users felt, and since when: lasting changes for the worse of errors, response times and
//! throughput.

use super::bins::{Bins, LoadBin};
use super::model::{Onset, Symptom, SymptomKind};
use super::shift::{self, FEWEST};
use crate::diagnose::stats;
use crate::timeline::Moment;

/// Failures are worse where their share rises by this much, what common objectives allow,
const MORE_ERRORS: f64 = 0.01;
/// and to this many times what it was.
const TIMES_ERRORS: f64 = 2.0;
/// Response times are worse from this many times on.
const SLOWER: f64 = 1.5;
/// Throughput is worse where this share of it is left, and falls so within a few scrapes: traffic
/// that ends for the night falls for hours.
const LEFT: f64 = 0.5;
/// Nothing left of it is this many times as bad as what is just worth a word: not beyond all measure, or
/// it would hide what came before it.
const WORST: f64 = 10.0;
/// A change is larger than this many robust standard deviations of the time before.
const CLEAR: f64 = 4.0;
/// Smallest standard deviation, as a share of the level: a level that does not vary is rare luck.
const LEAST_SPREAD: f64 = 0.05;
/// Values that are searched together. A longer time is searched where it looks bad,
const PIECE: usize = 1500;
/// which is where a few values in a row are this close to what is worth a word.
const NEARLY: f64 = 0.8;
/// The time before the symptom that it is compared with, in seconds.
pub(super) const BASELINE: f64 = 3600.0;

/// A bad time in bins: its first, and the one after its last.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Episode {
    pub(super) kind: SymptomKind,
    pub(super) from: usize,
    pub(super) to: usize,
    /// Medians before it and during it.
    pub(super) before: f64,
    pub(super) during: f64,
    /// How bad it is: how many times what is just worth a word.
    pub(super) weight: f64,
}

impl Episode {
    /// How bad it is, for how long: neither a short peak nor a long trifle comes first.
    pub(super) fn harm(&self) -> f64 {
        self.weight * ((self.to - self.from) as f64).sqrt()
    }
}

/// One quantity of the load: the bins that have it, and its values there.
pub(super) struct Track {
    kind: SymptomKind,
    bins: Vec<usize>,
    values: Vec<f64>,
}

/// The quantities of the load that users feel.
pub(super) fn tracks(load: &[LoadBin]) -> Vec<Track> {
    let of = |kind: SymptomKind| {
        let value = |bin: &LoadBin| match kind {
            SymptomKind::Errors => bin.errors(),
            SymptomKind::MeanTime => bin.mean_time(),
            SymptomKind::P99 => bin.p99(),
            SymptomKind::Throughput => bin.rate(),
        };
        let known = load.iter().enumerate().filter_map(|(at, bin)| Some((at, value(bin)?)));
        let (bins, values) = known.unzip();
        Track { kind, bins, values }
    };
    SymptomKind::ALL.into_iter().map(of).collect()
}

impl Track {
    /// Every lasting change for the worse, until it is undone. A long time is searched only where a
    /// few values in a row are bad: the search for levels takes time with the square of its length.
    pub(super) fn episodes(&self, bins: &Bins) -> Vec<Episode> {
        let mut episodes: Vec<Episode> = Vec::new();
        for (from, to) in self.pieces(bins) {
            for episode in self.episodes_within(from, to, bins) {
                // Pieces may share values.
                let is_known = |known: &Episode| episode.from < known.to;
                if !episodes.last().is_some_and(is_known) {
                    episodes.push(episode);
                }
            }
        }
        episodes
    }

    /// The parts of the values that are searched, in order.
    fn pieces(&self, bins: &Bins) -> Vec<(usize, usize)> {
        let count = self.values.len();
        if count <= PIECE {
            return vec![(0, count)];
        }
        let hour = ((BASELINE / bins.step).ceil() as usize).clamp(FEWEST, PIECE / 3);
        let mut pieces: Vec<(usize, usize)> = Vec::new();
        let mut base = None;
        for at in (FEWEST..count).step_by(FEWEST) {
            let before = self.hour_before(at, bins);
            // The level before changes slowly.
            if self.kind == SymptomKind::Throughput {
                base = self.usual(at, bins).map(|level| (at, level));
            } else if base.is_none_or(|(known, _)| at >= known + hour / 8) {
                base = self.median(before, at).map(|level| (at, level));
            }
            let Some((_, level)) = base else { continue };
            let Some(now) = self.median(at, (at + FEWEST).min(count)) else { continue };
            if self.weight(level, now) < NEARLY {
                continue;
            }
            let (from, to) = (at.saturating_sub(hour), (at + hour).min(count));
            match pieces.last_mut() {
                Some(last) if from <= last.1 && to - last.0 <= PIECE => last.1 = to,
                _ => pieces.push((from, to)),
            }
        }
        pieces
    }

    fn median(&self, from: usize, to: usize) -> Option<f64> {
        stats::median(self.values.get(from..to)?)
    }

    fn episodes_within(&self, begin: usize, end: usize, bins: &Bins) -> Vec<Episode> {
        let values = self.values.get(begin..end).unwrap_or_default();
        let begins: Vec<usize> =
            shift::levels(values).into_iter().map(|place| begin + place).collect();
        let ends = begins.iter().skip(1).copied().chain([end]);
        let levels: Vec<(usize, usize, f64)> = begins
            .iter()
            .copied()
            .zip(ends)
            .filter_map(|(from, to)| Some((from, to, self.median(from, to)?)))
            .collect();
        let mut episodes = Vec::new();
        let mut next = 1;
        while next < levels.len() {
            let (from, _, during) = levels[next];
            let before = self.before(from, bins);
            let Some(middle) = self.usual(from, bins) else { break };
            if !self.is_worse(before, middle, during) || self.is_slow_fall(from, middle) {
                next += 1;
                continue;
            }
            // It lasts until at least half of it is undone.
            let half = f64::midpoint(middle, during);
            let is_bad = |level: f64| match self.kind {
                SymptomKind::Throughput => level < half,
                _ => level > half,
            };
            let last = levels[next..].iter().take_while(|(_, _, level)| is_bad(*level)).count();
            let mut to = levels[next + last - 1].1;
            while to == end || (to > end && to < self.values.len()) {
                // It goes on behind the piece.
                let later = (to + FEWEST).min(self.values.len());
                match self.median(to, later) {
                    Some(level) if is_bad(level) => to = later,
                    _ => break,
                }
            }
            let bad = self.values.get(from..to).unwrap_or_default();
            let during = stats::median(bad).unwrap_or(during);
            episodes.push(Episode {
                kind: self.kind,
                from: self.bins[from],
                to: self.bins[to - 1] + 1,
                before: middle,
                during,
                weight: self.weight(middle, during),
            });
            next += last;
        }
        episodes
    }

    /// The values that those from `at` on are compared with. Throughput follows the hours of the day,
    /// so it is compared with the last few before.
    fn before(&self, at: usize, bins: &Bins) -> &[f64] {
        let from = match self.kind {
            SymptomKind::Throughput => at.saturating_sub(4 * FEWEST),
            _ => self.hour_before(at, bins),
        };
        self.values.get(from..at).unwrap_or_default()
    }

    /// The level before `at`. A load that was high for a while and is as before again is no fall.
    fn usual(&self, at: usize, bins: &Bins) -> Option<f64> {
        let near = stats::median(self.before(at, bins))?;
        let hour = self.median(self.hour_before(at, bins), at)?;
        Some(if self.kind == SymptomKind::Throughput { near.min(hour) } else { near })
    }

    /// The first value within the time before `at` that it is compared with.
    fn hour_before(&self, at: usize, bins: &Bins) -> usize {
        let earliest = self.bins[at] as f64 - BASELINE / bins.step;
        let earliest = self.bins.partition_point(|bin| (*bin as f64) < earliest);
        earliest.max(at.saturating_sub(PIECE / 2))
    }

    fn is_worse(&self, before: &[f64], middle: f64, during: f64) -> bool {
        if before.len() < FEWEST {
            return false;
        }
        let spread = shift::spread(before).unwrap_or(0.0).max(LEAST_SPREAD * middle.abs());
        let is_clear = (during - middle).abs() > CLEAR * spread;
        is_clear && self.weight(middle, during) >= 1.0
    }

    /// How many times what is just worth a word.
    fn weight(&self, before: f64, during: f64) -> f64 {
        match self.kind {
            SymptomKind::Errors => {
                let more = (during - before) / MORE_ERRORS;
                more.min(if before > 0.0 { during / before / TIMES_ERRORS } else { more })
            }
            SymptomKind::MeanTime | SymptomKind::P99 if before > 0.0 => during / before / SLOWER,
            SymptomKind::Throughput if during > 0.0 => (LEFT * before / during).min(WORST),
            SymptomKind::Throughput if before > 0.0 => WORST,
            _ => 0.0,
        }
    }

    /// Whether throughput went down little by little.
    fn is_slow_fall(&self, from: usize, before: f64) -> bool {
        if self.kind != SymptomKind::Throughput {
            return false;
        }
        let near = |range: std::ops::Range<usize>| {
            stats::median(self.values.get(range).unwrap_or_default())
        };
        let just_before = near(from.saturating_sub(FEWEST)..from).unwrap_or(before);
        let just_after = near(from..(from + FEWEST).min(self.values.len())).unwrap_or(0.0);
        just_after > LEFT * just_before
    }

    /// The values in the bins from one up to another one.
    pub(super) fn between(&self, from: usize, to: usize) -> &[f64] {
        let begin = self.bins.partition_point(|bin| *bin < from);
        let end = self.bins.partition_point(|bin| *bin < to).max(begin);
        self.values.get(begin..end).unwrap_or_default()
    }

    /// Each bin that has a value, with it.
    pub(super) fn known(&self) -> impl Iterator<Item = (usize, f64)> {
        self.bins.iter().copied().zip(self.values.iter().copied())
    }

    /// The symptom of an episode, with the interval of its begin.
    pub(super) fn symptom(&self, episode: &Episode, bins: &Bins) -> Symptom {
        let first = self.bins.partition_point(|bin| *bin < episode.from);
        let from = match self.kind {
            SymptomKind::Throughput => first.saturating_sub(4 * FEWEST),
            _ => self.hour_before(first.min(self.bins.len().saturating_sub(1)), bins),
        };
        let most = first + ((BASELINE / bins.step).ceil() as usize).clamp(FEWEST, PIECE / 2);
        let to = self.bins.partition_point(|bin| *bin < episode.to).min(most);
        let values = self.values.get(from..to).unwrap_or_default();
        let found = shift::place(values, episode.from as u64);
        let (at, low, high) = found.unwrap_or((first - from, first - from, first - from));
        let bin = |place: usize| self.bins.get(from + place).copied().unwrap_or(episode.from);
        Symptom {
            kind: self.kind,
            before: episode.before,
            during: episode.during,
            onset: onset(bins, bin(at), bin(low), bin(high)),
        }
    }

    /// The symptom of a bad time that somebody names; `None` where it does not show.
    pub(super) fn within(&self, from: usize, to: usize, bins: &Bins) -> Option<Symptom> {
        let begin = self.bins.partition_point(|bin| *bin < from);
        let end = self.bins.partition_point(|bin| *bin < to);
        if begin >= end {
            return None;
        }
        let before = self.before(begin, bins);
        let middle = stats::median(before)?;
        let during = stats::median(self.values.get(begin..end)?)?;
        let found = self.is_worse(before, middle, during);
        found.then(|| Symptom {
            kind: self.kind,
            before: middle,
            during,
            onset: onset(bins, from, from, from),
        })
    }

    /// What this quantity is.
    pub(super) fn kind(&self) -> SymptomKind {
        self.kind
    }
}

/// A moment on the grid. A change may lie anywhere in the bin before the first that shows it.
pub(super) fn onset(bins: &Bins, at: usize, low: usize, high: usize) -> Onset {
    Onset {
        at: bins.begin(at),
        low: earlier(bins.begin(low), bins.step),
        high: later(bins.begin(high), bins.step),
    }
}

fn earlier(moment: Moment, seconds: f64) -> Moment {
    Moment::from_secs_f64(moment.secs() - seconds)
}

fn later(moment: Moment, seconds: f64) -> Moment {
    Moment::from_secs_f64(moment.secs() + seconds)
}
