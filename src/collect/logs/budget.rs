//! How much of a core may go into parsing lines, and which lines are parsed where that is too
//! little.

use std::time::Duration;

/// Share of one core that parsing may use. Reading and counting lines comes on top: a thirtieth of
/// a core for 100,000 lines a second.
const MOST_PARSING: f64 = 0.12;
/// So much of the time between two looks may be used in one look, even if the last one came late.
const LONGEST: Duration = Duration::from_secs(5);
/// The first look has nothing before it, and is taken for one that comes after this long.
const FIRST: Duration = Duration::from_secs(1);
/// The clock is read once in this many parsed lines.
const LINES_PER_CHECK: u32 = 64;

/// Chooses the lines that are parsed: every line, or evenly every n-th.
pub(super) struct Budget {
    /// Every how many lines one is parsed.
    every: u32,
    /// Lines since the last parsed one.
    skipped: u32,
    /// Lines of this look.
    lines: u64,
    parsed: u64,
    /// Parsed lines until the clock is read again.
    unchecked: u32,
    /// Seconds of the processor that this look may use, and when it began on that clock.
    allowed: f64,
    began: Option<f64>,
    is_spent: bool,
    is_told: bool,
}

impl Budget {
    pub(super) fn new() -> Self {
        Self {
            every: 1,
            skipped: 0,
            lines: 0,
            parsed: 0,
            unchecked: 0,
            allowed: 0.0,
            began: None,
            is_spent: false,
            is_told: false,
        }
    }

    /// A look begins, `since` after the last one.
    pub(super) fn begin(&mut self, since: Duration, cpu: Option<f64>) {
        let since = if self.began.is_none() { since.max(FIRST) } else { since };
        self.allowed = since.min(LONGEST).as_secs_f64() * MOST_PARSING;
        self.began = cpu;
        (self.lines, self.parsed, self.unchecked) = (0, 0, 0);
        self.is_spent = false;
    }

    /// Whether the next line is parsed. `clock` is the processor time of this thread.
    pub(super) fn wants(&mut self, clock: impl FnOnce() -> Option<f64>) -> bool {
        self.lines += 1;
        self.skipped += 1;
        if self.is_spent || self.skipped < self.every {
            return false;
        }
        self.skipped = 0;
        self.parsed += 1;
        self.unchecked += 1;
        if self.unchecked >= LINES_PER_CHECK {
            self.unchecked = 0;
            let spent = clock().zip(self.began).map(|(now, began)| now - began);
            self.is_spent = spent.is_some_and(|spent| spent > self.allowed);
        }
        true
    }

    /// For how many lines a parsed one stands.
    pub(super) fn weight(&self) -> u32 {
        self.every
    }

    /// A look is over: chooses the lines of the next by what these have cost. Returns what a reader
    /// should know.
    pub(super) fn end(&mut self, cpu: Option<f64>) -> Option<String> {
        let spent = cpu.zip(self.began).map_or(0.0, |(now, began)| now - began);
        if self.parsed < u64::from(LINES_PER_CHECK) || self.allowed <= 0.0 {
            self.every = 1;
            return None;
        }
        // What reading costs is part of the cost of a parsed line here: it errs on the safe side.
        let needed = spent / self.parsed as f64 * self.lines as f64;
        self.every = (needed / self.allowed).ceil().clamp(1.0, 1e6) as u32;
        if self.every == 1 || self.is_told {
            return None;
        }
        self.is_told = true;
        Some(format!(
            "{} lines in one look are more than {:.0} % of a core can parse: from now on some lines \
             are only counted, and each parsed line stands for several",
            self.lines,
            MOST_PARSING * 100.0
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One look at `lines` lines that cost `each` seconds to parse; how many were parsed.
    fn look(budget: &mut Budget, lines: u32, each: f64) -> (u32, Option<String>) {
        budget.begin(Duration::from_secs(1), Some(0.0));
        let mut parsed = 0;
        for _ in 0..lines {
            parsed += u32::from(budget.wants(|| Some(f64::from(parsed) * each)));
        }
        (parsed, budget.end(Some(f64::from(parsed) * each)))
    }

    #[test]
    fn a_quiet_log_is_parsed_wholly() {
        let mut budget = Budget::new();
        for _ in 0..3 {
            assert_eq!(look(&mut budget, 1000, 1e-6), (1000, None));
            assert_eq!(budget.weight(), 1);
        }
    }

    #[test]
    fn a_flood_is_thinned_evenly_and_told_once() {
        let mut budget = Budget::new();
        let (parsed, told) = look(&mut budget, 1_000_000, 1e-6);
        assert!((120_000..=120_100).contains(&parsed), "{parsed}");
        assert!(told.is_some_and(|told| told.contains("12 % of a core")));
        let (parsed, told) = look(&mut budget, 1_000_000, 1e-6);
        assert!((110_000..=120_000).contains(&parsed) && told.is_none(), "{parsed}");
        assert_eq!(budget.weight(), 9);
        look(&mut budget, 1000, 1e-6);
        assert_eq!(budget.weight(), 1, "it recovers");
    }
}
