//! The order in which runs of two builds are made.

use std::fmt;

/// One of two builds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// The build that was there before.
    Base,
    /// The build that is judged.
    Candidate,
}

impl Side {
    /// The other build.
    pub fn other(self) -> Self {
        match self {
            Side::Base => Side::Candidate,
            Side::Candidate => Side::Base,
        }
    }
}

impl fmt::Display for Side {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Side::Base => "base",
            Side::Candidate => "candidate",
        })
    }
}

/// So many runs of each build, in pairs that begin with the one and the other in turn. A machine
/// that grows slower all the time then slows both builds alike (an AB-BA crossover).
pub fn alternating(pairs: usize) -> impl Iterator<Item = (Side, usize)> {
    (0..pairs).flat_map(|pair| {
        let first = if pair % 2 == 0 { Side::Base } else { Side::Candidate };
        [(first, pair), (first.other(), pair)]
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_drift_in_a_straight_line_cancels() {
        let runs: Vec<(Side, usize)> = alternating(4).collect();
        let at = |side| {
            let mine = runs.iter().enumerate().filter(move |(_, run)| run.0 == side);
            mine.map(|(at, _)| at).sum::<usize>()
        };
        assert_eq!(at(Side::Base), at(Side::Candidate));
        assert_eq!(runs.len(), 8);
        assert!(runs.chunks(2).all(|pair| pair[0].1 == pair[1].1 && pair[0].0 != pair[1].0));
    }
}
