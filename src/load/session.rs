//! What one user knows within one journey: values, what was captured, cookies.

use super::cookies::Jar;
use super::review::{Review, ReviewOutcome};

/// One user within one journey.
#[derive(Debug, Default)]
pub(super) struct Session {
    /// Index of the journey.
    pub(super) journey: usize,
    /// Where it is in it.
    pub(super) cursor: Cursor,
    /// The row of a trace that it replays.
    pub(super) row: Option<u64>,
    pub(super) jar: Jar,
    /// What was drawn, by data source.
    drawn: Vec<Option<u64>>,
    /// What was captured, by slot.
    captured: Vec<Option<String>>,
}

impl Session {
    /// A new journey: everything is forgotten but what `is_kept`, by data source.
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

    /// What was drawn of a source.
    pub(super) fn drawn(&self, source: usize) -> Option<u64> {
        self.drawn.get(source).copied().flatten()
    }

    /// Keeps what was drawn.
    pub(super) fn keep_drawn(&mut self, source: usize, value: u64) {
        if self.drawn.len() <= source {
            self.drawn.resize(source + 1, None);
        }
        self.drawn[source] = Some(value);
    }

    /// What was captured into a slot.
    pub(super) fn captured(&self, slot: usize) -> Option<&str> {
        self.captured.get(slot)?.as_deref()
    }

    /// Keeps what was captured.
    pub(super) fn capture(&mut self, slot: usize, value: String) {
        if self.captured.len() <= slot {
            self.captured.resize(slot + 1, None);
        }
        self.captured[slot] = Some(value);
    }

    /// Keeps what a response to a request of `target` says: cookies, and what is captured. Returns
    /// what was not as the plan expects it.
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

/// What a response was not.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Missed {
    /// Checks that failed, by their index.
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

/// Where one user is in a program.
#[derive(Debug, Default)]
pub(super) struct Cursor {
    /// Index of the next operation.
    pub(super) at: usize,
    /// How often each loop was done.
    pub(super) counters: Vec<u32>,
}

impl Cursor {
    /// Back to the begin.
    pub(super) fn reset(&mut self) {
        self.at = 0;
        self.counters.clear();
    }
}
