//! The share of one generator where several make one load together. Pure.
//!
//! Shares are cut where workers are: generator `i` of `n`, with `w` workers each, has the workers
//! `i`, `i + n`, `i + 2n` … of `n·w`. Workers share arrivals, virtual users, rows of data, traces
//! and random draws without overlap, whatever process they run in. So two generators make exactly
//! the arrivals that one makes, and a row that may be used once is used once.

/// Which part of a load this process makes: part `index` out of `of`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Share {
    index: usize,
    of: usize,
}

impl Share {
    /// All of it.
    pub const WHOLE: Share = Share { index: 0, of: 1 };

    /// Part `index` out of `of`, counted from zero. `None` if there is no such part.
    pub fn new(index: usize, of: usize) -> Option<Self> {
        (index < of).then_some(Self { index, of })
    }

    /// Piece `piece` of `pieces` equal ones of this part: what it has, dealt out again. `None` if there
    /// is no such piece.
    pub fn piece(self, piece: usize, pieces: usize) -> Option<Self> {
        let of = self.of.checked_mul(pieces)?;
        if piece < pieces { Self::new(self.index + self.of * piece, of) } else { None }
    }

    /// Which part it is, counted from zero.
    pub fn index(self) -> usize {
        self.index
    }

    /// How many parts there are.
    pub fn of(self) -> usize {
        self.of
    }

    /// The number of a worker among those of all parts.
    pub(super) fn worker(self, own: usize) -> usize {
        self.index + self.of * own
    }

    /// How many workers all parts have, if each has so many.
    pub(super) fn workers(self, own: usize) -> usize {
        self.of.saturating_mul(own)
    }

    /// The largest part of `whole` that any share has.
    pub(super) fn largest(self, whole: usize) -> usize {
        whole.div_ceil(self.of)
    }

    /// Things before part `index`, if `whole` things are dealt out one by one: as workers share
    /// virtual users.
    fn before(self, index: usize, whole: u64) -> u64 {
        let (index, of) = (index as u64, self.of as u64);
        whole / of * index + (whole % of).min(index)
    }

    /// Which of `whole` things are this part, as the first and the one after the last.
    pub(super) fn range(self, whole: u64) -> (u64, u64) {
        (self.before(self.index, whole), self.before(self.index + 1, whole))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shares(of: usize) -> Vec<Share> {
        (0..of).filter_map(|index| Share::new(index, of)).collect()
    }

    #[test]
    fn every_worker_has_a_number_of_its_own() {
        for (of, own) in [(1, 1), (1, 4), (2, 1), (3, 2), (20, 3)] {
            let mut numbers: Vec<usize> = shares(of)
                .iter()
                .flat_map(|share| (0..own).map(|worker| share.worker(worker)))
                .collect();
            numbers.sort_unstable();
            let all: Vec<usize> = (0..shares(of)[0].workers(own)).collect();
            assert_eq!(numbers, all, "{of} generators with {own} workers each");
        }
        assert_eq!(Share::new(2, 2), None);
    }

    #[test]
    fn the_pieces_of_a_part_have_what_the_part_had() {
        // Rows, arrivals and users have numbers, and worker `a` of `b` has those that are `a` modulo `b`.
        let numbers = |share: Share, own: usize| -> Vec<usize> {
            let has =
                |worker: usize, number: usize| number % share.workers(own) == share.worker(worker);
            (0..720).filter(|number| (0..own).any(|worker| has(worker, *number))).collect()
        };
        for (of, pieces, own) in [(3, 2, 1), (3, 2, 2), (4, 3, 1), (2, 1, 3)] {
            let lost = Share::new(of - 1, of).unwrap();
            let all =
                |share: Share| (0..pieces).filter_map(move |piece| share.piece(piece, pieces));
            let mut found: Vec<usize> = all(lost).flat_map(|piece| numbers(piece, own)).collect();
            found.sort_unstable();
            assert_eq!(found, numbers(lost, own), "{of} generators, {pieces} pieces");
            // The one that took over may be lost, too.
            let again = lost.piece(0, pieces).unwrap();
            let mut found: Vec<usize> = all(again).flat_map(|piece| numbers(piece, own)).collect();
            found.sort_unstable();
            assert_eq!(found, numbers(again, own));
        }
        assert_eq!(Share::WHOLE.piece(2, 2), None);
    }
}
