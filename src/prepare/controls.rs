//! What somebody who watches a run may ask of it while it goes on.

use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicBool, Ordering};

/// Marks that may wait to be recorded; somebody who presses a key more often has been heard.
const MOST_MARKS: usize = 100;
/// Longest text of a mark in characters.
const LONGEST_MARK: usize = 200;

/// Wishes of those who watch a run. The run looks at them about twenty times a second.
#[derive(Debug, Default)]
pub struct Controls {
    pause: AtomicBool,
    marks: Mutex<Vec<String>>,
}

impl Controls {
    /// Holds the stage that is held, or lets the search go on.
    pub fn set_paused(&self, is_paused: bool) {
        self.pause.store(is_paused, Ordering::Relaxed);
    }

    /// Whether the stage is to be held.
    pub fn is_paused(&self) -> bool {
        self.pause.load(Ordering::Relaxed)
    }

    /// Marks this moment with a text; an empty one is a mark too.
    pub fn mark(&self, text: &str) {
        let mut marks = self.marks.lock().unwrap_or_else(PoisonError::into_inner);
        if marks.len() < MOST_MARKS {
            let fit = |c: char| if c.is_control() { ' ' } else { c };
            marks.push(text.trim().chars().map(fit).take(LONGEST_MARK).collect());
        }
    }

    /// The marks since the last call.
    pub fn take_marks(&self) -> Vec<String> {
        std::mem::take(&mut *self.marks.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
