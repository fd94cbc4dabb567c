//! What a run does when generators are lost: it ends, or the others take over.

use std::time::Duration;

use crate::recording::StopReason;
use crate::timeline::Moment;

/// How long the run goes on after a generator was lost for good: the others report two more seconds, so
/// that the recording shows which seconds one did not report.
const AFTER_LOSS: Duration = Duration::from_secs(2);

/// The generators that were lost so far.
#[derive(Debug, Default)]
pub(super) struct Losses {
    /// When the load was no longer what was asked for, and why.
    end: Option<(Moment, String)>,
    /// From when on others make everything that was lost.
    whole_from: Option<Moment>,
}

impl Losses {
    /// The run has to end. `false` if that is known.
    pub(super) fn end(&mut self, now: Moment, why: &str) -> bool {
        let is_new = self.end.is_none();
        self.end.get_or_insert_with(|| (now, why.to_owned()));
        is_new
    }

    /// Why the run ends, once the recording shows which generator is missing.
    pub(super) fn stop(&self, now: Moment) -> Option<StopReason> {
        let (since, why) = self.end.as_ref()?;
        (now.since(*since) >= AFTER_LOSS).then(|| StopReason::Failed(why.clone()))
    }

    /// The load stopped. Why it did, if that is known.
    pub(super) fn why(&self) -> Option<String> {
        self.end.as_ref().map(|(_, why)| why.clone())
    }

    /// Others make what was lost, from then on.
    pub(super) fn refill(&mut self, from: Moment) {
        self.whole_from = self.whole_from.max(Some(from));
    }

    /// When the load is whole, for a stage that begins before.
    pub(super) fn pending(&self, begin: Moment) -> Option<Moment> {
        self.whole_from.filter(|from| begin < *from)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stage_that_begins_before_the_load_is_whole_waits_for_the_latest_refill() {
        let at = Moment::from_secs_f64;
        let mut losses = Losses::default();
        assert_eq!(losses.pending(at(1.0)), None);
        losses.refill(at(9.0));
        losses.refill(at(7.0));
        assert_eq!(losses.pending(at(8.0)), Some(at(9.0)));
        assert_eq!(losses.pending(at(9.0)), None);
        assert_eq!(losses.stop(at(99.0)), None);
        assert!(losses.end(at(100.0), "gone") && !losses.end(at(101.0), "another"));
        assert_eq!(losses.stop(at(101.0)), None);
        assert_eq!(losses.stop(at(102.0)), Some(StopReason::Failed("gone".to_owned())));
    }
}
