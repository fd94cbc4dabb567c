//! How many virtual users are active. Pure: nanoseconds in, numbers out, no clock.

use std::collections::VecDeque;

use crate::timeline::Stage;

use super::pacer::NEVER;

/// The virtual users of one worker in every stage: each `of`-th of them.
#[derive(Debug)]
pub(super) struct Crew {
    worker: u64,
    of: u64,
    stages: VecDeque<Span>,
    /// By number: whether the user is active.
    at_work: Vec<bool>,
    /// By number: whether the user has done all its work.
    is_done: Vec<bool>,
}

#[derive(Clone, Copy, Debug)]
struct Span {
    begin: u64,
    secs: f64,
    from: f64,
    to: f64,
}

impl Span {
    /// Virtual users of all workers at `now`: the nearest whole number on the straight line. After
    /// the end of the stage the number stays as it was there, until another stage takes over.
    fn wanted(&self, now: u64) -> f64 {
        let secs = now.saturating_sub(self.begin) as f64 / 1e9;
        let share = if self.secs > 0.0 { (secs / self.secs).min(1.0) } else { 1.0 };
        (self.from + (self.to - self.from) * share + 0.5).floor()
    }

    /// When the number changes next.
    fn next_change(&self, now: u64) -> u64 {
        let slope = (self.to - self.from) / self.secs;
        if slope == 0.0 || !slope.is_finite() {
            return NEVER;
        }
        let wanted = self.wanted(now);
        let bound = if slope > 0.0 { wanted + 0.5 } else { wanted - 0.5 };
        let secs = (bound - self.from) / slope;
        if secs > self.secs {
            return NEVER;
        }
        // Always after `now`: if rounding put the time at `now`, the caller would come back for
        // ever.
        self.begin.saturating_add((secs * 1e9) as u64 + 1).max(now + 1)
    }
}

impl Crew {
    /// The share of worker `worker` out of `of`.
    pub(super) fn new(worker: usize, of: usize) -> Self {
        let (worker, of) = (worker as u64, of.max(1) as u64);
        let (stages, at_work, is_done) = (VecDeque::new(), Vec::new(), Vec::new());
        Self { worker, of, stages, at_work, is_done }
    }

    /// Adds a stage. It takes over from earlier ones at its start.
    pub(super) fn push(&mut self, stage: &Stage) {
        let begin = stage.window.begin.nanos();
        self.stages.retain(|span| span.begin < begin);
        let tame = |vus: f64| if vus.is_finite() { vus.max(0.0) } else { 0.0 };
        let (from, to) = (tame(stage.vus_from), tame(stage.vus_to));
        self.stages.push_back(Span { begin, secs: stage.window.secs(), from, to });
    }

    /// Ends all virtual users.
    pub(super) fn clear(&mut self) {
        self.stages.clear();
    }

    /// How many users there should be at `now`.
    pub(super) fn wanted(&self, now: u64) -> usize {
        let span = self.stages.iter().rev().find(|span| span.begin <= now);
        let all = span.map_or(0.0, |span| span.wanted(now)) as u64;
        ((all + self.of - 1).saturating_sub(self.worker) / self.of) as usize
    }

    /// When that number may change next.
    pub(super) fn next_change(&self, now: u64) -> u64 {
        let begins = self.stages.iter().map(|span| span.begin).filter(|begin| *begin > now).min();
        let span = self.stages.iter().rev().find(|span| span.begin <= now);
        let change = span.map_or(NEVER, |span| span.next_change(now));
        begins.unwrap_or(NEVER).min(change)
    }

    /// The numbers of the users who begin work at `now`.
    pub(super) fn muster(&mut self, now: u64) -> Vec<usize> {
        let wanted = self.wanted(now);
        if self.at_work.len() < wanted {
            self.at_work.resize(wanted, false);
            self.is_done.resize(wanted, false);
        }
        let missing: Vec<usize> =
            (0..wanted).filter(|number| !self.at_work[*number] && !self.is_done[*number]).collect();
        for number in &missing {
            self.at_work[*number] = true;
        }
        missing
    }

    /// Whether user `number` continues at `now`. If not, it has left.
    pub(super) fn goes_on(&mut self, number: usize, now: u64) -> bool {
        let goes_on = number < self.wanted(now);
        if !goes_on {
            self.at_work[number] = false;
        }
        goes_on
    }

    /// User `number` has done all its work.
    pub(super) fn done(&mut self, number: usize) {
        self.at_work[number] = false;
        self.is_done[number] = true;
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::timeline::{Moment, StageRole, Window};

    const S: u64 = 1_000_000_000;

    fn stage(begin: u64, secs: u64, from: f64, to: f64) -> Stage {
        let begin = Moment::from_nanos(begin * S);
        let window = Window::new(begin, begin + Duration::from_secs(secs));
        Stage { vus_from: from, vus_to: to, ..Stage::constant(StageRole::Ramp, window, 0.0) }
    }

    #[test]
    fn numbers_follow_the_line_and_change_when_they_say() {
        let mut crew = Crew::new(0, 1);
        crew.push(&stage(0, 10, 0.0, 5.0));
        crew.push(&stage(10, 10, 5.0, 1.0));
        // The nearest whole number on the line: up at 1, 3, 5, 7 and 9 s, down at 11.25 s and so
        // on.
        let mut now = 0;
        let mut seen = Vec::new();
        for _ in 0..20 {
            seen.push((now / (S / 100), crew.wanted(now)));
            now = crew.next_change(now);
            if now == NEVER {
                break;
            }
        }
        let up = [(0, 0), (100, 1), (300, 2), (500, 3), (700, 4), (900, 5), (1000, 5)];
        let down = [(1125, 4), (1375, 3), (1625, 2), (1875, 1)];
        assert_eq!(seen, [&up[..], &down[..]].concat());
        assert_eq!(crew.wanted(99 * S), 1, "the last number stays until told otherwise");
        crew.push(&stage(100, 1, 0.0, 0.0));
        assert_eq!(crew.wanted(100 * S), 0);
    }

    #[test]
    fn workers_share_the_users() {
        for vus in [0, 1, 2, 3, 7, 100] {
            let shares: Vec<usize> = (0..3)
                .map(|worker| {
                    let mut crew = Crew::new(worker, 3);
                    crew.push(&stage(0, 10, f64::from(vus), f64::from(vus)));
                    crew.wanted(S)
                })
                .collect();
            assert_eq!(shares.iter().sum::<usize>(), vus as usize);
            assert!(shares[0] - shares[2] <= 1, "{shares:?}");
        }
    }

    #[test]
    fn who_left_comes_back_and_who_is_done_does_not() {
        let mut crew = Crew::new(0, 1);
        crew.push(&stage(0, 10, 3.0, 3.0));
        assert_eq!(crew.muster(0), [0, 1, 2]);
        assert_eq!(crew.muster(S), [0; 0]);
        crew.push(&stage(10, 10, 1.0, 1.0));
        assert!(crew.goes_on(0, 11 * S));
        assert!(!crew.goes_on(2, 11 * S));
        crew.push(&stage(20, 10, 3.0, 3.0));
        // User 1 did not check in between, and continues as if nothing had happened.
        assert_eq!(crew.muster(21 * S), [2]);
        crew.done(1);
        assert_eq!(crew.muster(22 * S), [0; 0]);
    }
}
