//! Which generator makes which part of a load, and who takes over what a lost one made. Pure.

use std::time::Duration;

use crate::load::Share;
use crate::remote::StageMessage;
use crate::timeline::Moment;

/// Users may have become faster since the last report, so that they used more rows.
const FASTER: f64 = 2.0;

/// The parts of each generator.
#[derive(Debug)]
pub(super) struct Parts {
    /// By generator; empty for those that were lost.
    of_each: Vec<Vec<Share>>,
    /// How many were lost.
    pub(super) rounds: u32,
    /// Rows of sequential data before this one may have been used by those.
    first_row: u64,
}

impl Parts {
    /// One of `count` equal parts for each.
    pub(super) fn of(count: usize) -> Self {
        let own = |index| Share::new(index, count).into_iter().collect();
        Self { of_each: (0..count).map(own).collect(), rounds: 0, first_row: 0 }
    }

    /// Deals out what a lost generator made: equal pieces for those that are left. Returns who gets what.
    pub(super) fn lose(&mut self, lost: usize) -> Vec<(usize, Share)> {
        self.rounds += 1;
        let parts = self.of_each.get_mut(lost).map(std::mem::take).unwrap_or_default();
        let left: Vec<usize> =
            (0..self.of_each.len()).filter(|index| !self.of_each[*index].is_empty()).collect();
        let mut dealt = Vec::new();
        for part in parts {
            for (piece, generator) in left.iter().enumerate() {
                dealt.extend(part.piece(piece, left.len()).map(|share| (*generator, share)));
            }
        }
        for (generator, share) in &dealt {
            self.of_each[*generator].push(*share);
        }
        dealt
    }

    /// The first row that no lost generator can have used: the one that was lost now had told `rows`,
    /// and the others take over at `from`.
    pub(super) fn first_row(
        &mut self,
        rows: &RowsSeen,
        stages: &[StageMessage],
        from: Moment,
    ) -> u64 {
        let first = match rows.used {
            0 => 0,
            used => used.saturating_add(rows.unseen(stages, from, self.of_each.len())),
        };
        self.first_row = self.first_row.max(first);
        self.first_row
    }
}

/// What a generator has told of the rows of sequential data that it used.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct RowsSeen {
    /// The first row after them.
    used: u64,
    /// When it said so.
    at: Moment,
    /// Most rows from one report to the next.
    fastest: u64,
    /// Journeys that waited for a connection.
    backlog: u64,
}

impl RowsSeen {
    pub(super) fn told(&mut self, used: u64, at: Moment) {
        self.fastest = self.fastest.max(used.saturating_sub(self.used));
        (self.used, self.at) = (used, at);
    }

    pub(super) fn waits(&mut self, backlog: u64) {
        self.backlog = backlog;
    }

    /// Most rows that it can have used after its last report. Rows are dealt out in turn, so each of its
    /// journeys moves it on by as many rows as there are generators.
    fn unseen(&self, stages: &[StageMessage], from: Moment, generators: usize) -> u64 {
        let is_held =
            |it: &&StageMessage| it.stage.window.begin < from && self.at < it.stage.window.end;
        let held = || stages.iter().filter(is_held);
        let flows = held().map(|it| it.flow).max().map_or(0, |last| last + 1);
        let of_flow = |flow: u32| {
            let of_it = held().filter(|it| it.flow == flow);
            of_it.map(|it| it.stage.rate_from.max(it.stage.rate_to)).fold(0.0, f64::max)
        };
        let planned: f64 = (0..flows).map(of_flow).sum();
        // Reports come once a second.
        let secs = (from.since(self.at) + Duration::from_secs(1)).as_secs_f64();
        let rows = planned.max(FASTER * self.fastest as f64) * secs;
        (rows.ceil() as u64).saturating_add(self.backlog.saturating_mul(generators as u64))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::timeline::{Stage, StageRole, Window};

    /// Which of the numbers below 720 each generator has.
    fn numbers(parts: &Parts) -> Vec<Vec<usize>> {
        let has = |shares: &[Share], number: usize| {
            shares.iter().filter(|share| number % share.of() == share.index()).count()
        };
        let of =
            |shares: &Vec<Share>| (0..720).filter(|number| has(shares, *number) == 1).collect();
        parts.of_each.iter().map(of).collect()
    }

    #[test]
    fn what_a_lost_generator_made_is_dealt_out_in_equal_parts() {
        let mut parts = Parts::of(4);
        for (lost, each) in [(1, 240), (3, 360), (0, 720)] {
            let dealt = parts.lose(lost);
            assert!(!dealt.is_empty());
            let numbers = numbers(&parts);
            let mut all: Vec<usize> = numbers.concat();
            all.sort_unstable();
            assert_eq!(all, (0..720).collect::<Vec<_>>(), "after {lost}");
            assert!(numbers.iter().all(|own| own.is_empty() || own.len() == each), "after {lost}");
        }
        assert_eq!((parts.lose(2), parts.rounds), (vec![], 4));
        assert_eq!(parts.lose(2), []);
    }

    #[test]
    fn no_row_that_may_have_been_used_is_used_again() {
        let at = Moment::from_secs_f64;
        let window = Window::new(at(0.0), at(60.0));
        let stage = Stage::constant(StageRole::Ramp, window, 30.0);
        let stages = [StageMessage { flow: 0, stage }];
        let mut rows = RowsSeen::default();
        let mut parts = Parts::of(3);
        assert_eq!(parts.first_row(&rows, &stages, at(9.0)), 0, "none is used");
        for second in 1..=5u32 {
            rows.told(u64::from(second) * 30, at(second.into()));
        }
        // 30 rows a second could have been used until 9 s, users may have become twice as fast.
        let first = parts.first_row(&rows, &stages, at(9.0));
        assert_eq!(first, 150 + 5 * 60);
        // Another one is lost that had told of fewer.
        assert_eq!(parts.first_row(&RowsSeen::default(), &stages, at(10.0)), first);
        rows.waits(7);
        assert_eq!(parts.first_row(&rows, &stages, at(9.0)), first + 3 * 7);
    }
}
