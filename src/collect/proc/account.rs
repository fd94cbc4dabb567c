//! Running totals over a process tree whose processes start and end, and a ranking of the busiest.

use std::collections::HashMap;
use std::time::{Duration, Instant};

/// How much one process has used of a resource whose counter only grows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Used {
    /// Process id.
    pub pid: u32,
    /// Process id of the parent.
    pub ppid: u32,
    /// Together with the id, it identifies the process.
    pub start_ticks: u64,
    /// Whether it started during the watch, so that everything it used belongs to the total.
    pub is_fresh: bool,
    /// Used by the process itself.
    pub own: u64,
    /// Used by its children that have ended and were waited for, as summed by the kernel.
    pub waited: u64,
}

/// A total over a tree that never falls. What a process used stays counted after it ends. What
/// short-lived children used between two looks is counted through their parent.
#[derive(Debug, Default)]
pub struct TreeTotal {
    total: u64,
    known: HashMap<u32, Used>,
    /// By parent: what its ended children had used when last seen. The same amount appears in the
    /// parent's `waited` once it waits for them, and must not count twice.
    owed: HashMap<u32, u64>,
}

impl TreeTotal {
    /// Takes one look at all processes of the tree; returns the total since the first look.
    pub fn add(&mut self, tree: impl Iterator<Item = Used>) -> u64 {
        let before = std::mem::take(&mut self.known);
        self.known = tree.map(|used| (used.pid, used)).collect();
        let same = |one: &Used, other: Option<&Used>| {
            other.is_some_and(|other| other.start_ticks == one.start_ticks)
        };
        for last in before.values().filter(|last| !same(last, self.known.get(&last.pid))) {
            *self.owed.entry(last.ppid).or_default() += last.own + last.waited;
        }
        for used in self.known.values() {
            match before.get(&used.pid).filter(|last| same(used, Some(last))) {
                Some(last) => {
                    let grown = used.waited.saturating_sub(last.waited);
                    let owed = self.owed.entry(used.pid).or_default();
                    let again = grown.min(*owed);
                    *owed -= again;
                    self.total += used.own.saturating_sub(last.own) + (grown - again);
                }
                None if used.is_fresh => self.total += used.own + used.waited,
                None => {}
            }
        }
        let known = &self.known;
        self.owed.retain(|parent, owed| *owed > 0 && known.contains_key(parent));
        self.total
    }
}

/// Ranks processes or threads by use per second since an earlier look.
#[derive(Debug, Default)]
pub struct Busiest {
    since: Option<Instant>,
    base: HashMap<u32, u64>,
}

/// Spans shorter than this are not compared. The kernel updates the times of a running thread once
/// per tick, and two looks may be very close together.
const SHORTEST_SPAN: Duration = Duration::from_millis(150);

impl Busiest {
    /// The ids and their use per second since the last ranking, busiest first, without those that
    /// used nothing. `None` at the first look and if too little time has passed.
    ///
    /// A new id counts from the next ranking on.
    pub fn rank(
        &mut self,
        now: Instant,
        used: impl Iterator<Item = (u32, u64)>,
    ) -> Option<Vec<(u32, f64)>> {
        let span = self.since.map(|since| now.saturating_duration_since(since));
        if span.is_some_and(|span| span < SHORTEST_SPAN) {
            return None;
        }
        let mut base = HashMap::with_capacity(self.base.len());
        let mut ranking = Vec::new();
        for (id, value) in used {
            base.insert(id, value);
            let grown = self.base.get(&id).map_or(0, |before| value.saturating_sub(*before));
            if let (Some(span), true) = (span, grown > 0) {
                ranking.push((id, grown as f64 / span.as_secs_f64()));
            }
        }
        self.base = base;
        self.since = Some(now);
        ranking.sort_by(|one, other| other.1.total_cmp(&one.1).then(one.0.cmp(&other.0)));
        span.map(|_| ranking)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn used(pid: u32, ppid: u32, own: u64, waited: u64) -> Used {
        Used { pid, ppid, start_ticks: 1, is_fresh: true, own, waited }
    }

    fn old(pid: u32, own: u64) -> Used {
        Used { is_fresh: false, ..used(pid, 1, own, 0) }
    }

    #[test]
    fn the_total_counts_from_the_first_look_and_stays_when_a_child_ends() {
        let mut total = TreeTotal::default();
        assert_eq!(total.add([old(10, 500)].into_iter()), 0);
        assert_eq!(total.add([old(10, 510), used(11, 10, 30, 0)].into_iter()), 40);
        // The child ends after using 10 more; the parent has not waited for it yet.
        assert_eq!(total.add([old(10, 510)].into_iter()), 40);
        // Now it has: the child used 40 in total, of which 30 are counted already.
        let waited = Used { waited: 40, ..old(10, 510) };
        assert_eq!(total.add([waited].into_iter()), 50);
        assert_eq!(total.add([waited].into_iter()), 50);
    }

    #[test]
    fn children_that_lived_between_two_looks_count_through_their_parent() {
        let mut total = TreeTotal::default();
        total.add([old(10, 0)].into_iter());
        assert_eq!(total.add([Used { waited: 25, ..old(10, 5) }].into_iter()), 30);
    }

    #[test]
    fn a_restart_does_not_make_the_total_fall() {
        let mut total = TreeTotal::default();
        total.add([used(10, 1, 0, 0)].into_iter());
        assert_eq!(total.add([used(10, 1, 100, 0)].into_iter()), 100);
        let again = Used { start_ticks: 9, ..used(10, 1, 7, 0) };
        assert_eq!(total.add([again].into_iter()), 107);
        assert_eq!(total.add([used(12, 1, 3, 0)].into_iter()), 110);
    }

    #[test]
    fn an_old_process_that_joins_brings_nothing_from_before() {
        let mut total = TreeTotal::default();
        total.add([old(10, 0)].into_iter());
        assert_eq!(total.add([old(10, 1), old(20, 9000)].into_iter()), 1);
        assert_eq!(total.add([old(10, 1), old(20, 9002)].into_iter()), 3);
    }

    #[test]
    fn the_busiest_come_first_and_short_spans_are_not_compared() {
        let mut busiest = Busiest::default();
        let start = Instant::now();
        let after = |millis| start + Duration::from_millis(millis);
        assert_eq!(busiest.rank(start, [(1, 5), (2, 5)].into_iter()), None);
        assert_eq!(busiest.rank(after(20), [(1, 6), (2, 9)].into_iter()), None);
        let ranking = busiest.rank(after(500), [(1, 6), (2, 9), (3, 7), (4, 0)].into_iter());
        assert_eq!(ranking, Some(vec![(2, 8.0), (1, 2.0)]));
        assert_eq!(busiest.rank(after(1000), [(1, 6)].into_iter()), Some(vec![]));
    }
}
