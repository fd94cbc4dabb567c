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
}
