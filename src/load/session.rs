//! What one user knows within one journey: drawn values, captured values, cookies.

use super::cookies::Jar;
use super::review::{Review, ReviewOutcome};

/// One user within one journey.
#[derive(Debug, Default)]
pub(super) struct Session {
    /// Index of the journey.
    pub(super) journey: usize,
    /// Its position in the journey.
    pub(super) cursor: Cursor,
    /// The row of the trace that it replays.
    pub(super) row: Option<u64>,
    pub(super) jar: Jar,
    /// Drawn values, by data source.
    drawn: Vec<Option<u64>>,
    /// Captured values, by slot.
    captured: Vec<Option<String>>,
}

impl Session {
    /// Begins a new journey. Drops everything except the drawn values for which `is_kept` holds, by
    /// data source.
    pub(super) fn begin(
        &mut self,
        journey: usize,
        row: Option<u64>,
        is_kept: impl Fn(usize) -> bool,
    ) {
        (self.journey, self.row) = (journey, row);
        self.cursor.reset();
        self.jar.clear();
        self.captured.clear();
        for (source, drawn) in self.drawn.iter_mut().enumerate() {
            if !is_kept(source) {
                *drawn = None;
            }
        }
    }

    /// The value drawn from a source.
    pub(super) fn drawn(&self, source: usize) -> Option<u64> {
        self.drawn.get(source).copied().flatten()
    }

    /// Stores a drawn value.
    pub(super) fn keep_drawn(&mut self, source: usize, value: u64) {
        if self.drawn.len() <= source {
            self.drawn.resize(source + 1, None);
        }
        self.drawn[source] = Some(value);
    }

    /// The value captured into a slot.
    pub(super) fn captured(&self, slot: usize) -> Option<&str> {
        self.captured.get(slot)?.as_deref()
    }

    /// Stores a captured value.
    pub(super) fn capture(&mut self, slot: usize, value: String) {
        if self.captured.len() <= slot {
            self.captured.resize(slot + 1, None);
        }
        self.captured[slot] = Some(value);
    }

    /// Stores cookies and captured values of a response to a request of `target`. Returns what was
    /// not as the plan expects.
    pub(super) fn take_in(
        &mut self,
        review: &mut Review<'_>,
        target: &str,
        is_https: bool,
    ) -> Missed {
        for cookie in review.cookies.iter().filter(|_| review.keeps_cookies) {
            self.jar.set(cookie, target, is_https);
        }
        let ReviewOutcome { failed, captured } = review.conclude();
        let mut missed = Missed { checks: failed, captures: Vec::new() };
        for (slot, value) in captured {
            match value {
                Some(value) => self.capture(slot, value),
                None => missed.captures.push(slot),
            }
        }
        missed
    }
}

/// How a response differed from the plan.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Missed {
    /// The failed checks, by index.
    pub(super) checks: Vec<usize>,
    /// Slots for which nothing was found.
    pub(super) captures: Vec<usize>,
}

impl Missed {
    /// Whether everything is as expected.
    pub(super) fn is_empty(&self) -> bool {
        self.checks.is_empty() && self.captures.is_empty()
    }
}

/// The position of one user in a program.
#[derive(Debug, Default)]
pub(super) struct Cursor {
    /// Index of the next operation.
    pub(super) at: usize,
    /// How many times each loop was done.
    pub(super) counters: Vec<u32>,
}

impl Cursor {
    /// Goes back to the start.
    pub(super) fn reset(&mut self) {
        self.at = 0;
        self.counters.clear();
    }
}
