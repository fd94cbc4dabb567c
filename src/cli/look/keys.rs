//! What those who see a run may ask of it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::hub::Hub;
use crate::live::Seen;
use crate::prepare::Controls;
use crate::viewer::Control;

/// Passes wishes on to the run.
pub(super) struct Steering {
    pub(super) interrupt: Arc<AtomicBool>,
    pub(super) controls: Arc<Controls>,
    /// Whether the run chooses its stages as it goes, so that it can wait with the next one. Where the
    /// plan has fixed the stages, their times are what the plan tests: one that is held longer would be
    /// another test, and could not be compared with the plan's other runs.
    pub(super) can_pause: bool,
    pub(super) hub: Arc<Hub>,
}

impl Steering {
    pub(super) fn is_paused(&self) -> bool {
        self.controls.is_paused()
    }
}

impl Control for Steering {
    fn can_pause(&self) -> bool {
        self.can_pause
    }

    fn end(&self) {
        self.interrupt.store(true, Ordering::Relaxed);
    }

    fn pause(&self, is_paused: bool) {
        if !self.can_pause {
            let why = "the stages of this plan are fixed: there is nothing to pause";
            self.hub.give(Seen::Event(why.to_owned()));
            return;
        }
        self.controls.set_paused(is_paused);
        self.hub.give(Seen::Paused(is_paused));
    }

    fn mark(&self, text: &str) {
        self.controls.mark(text);
    }
}
