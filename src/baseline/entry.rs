//! What is kept of one run.

use serde::{Deserialize, Serialize};

use super::key::Key;
use crate::compare::Sample;

/// Grows by one when a field changes its meaning or goes away.
pub(super) const FORMAT: u32 = 1;
/// Slots of a kept run, at most: blocks of 15 s of an hour, which is what a comparison draws again.
const SLOTS: usize = 240;

/// One run in a store.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Entry {
    /// Version of the form of this file.
    pub(super) kneepoint_baseline: u32,
    /// With which runs it may be compared.
    pub key: Key,
    /// Where it comes from.
    pub origin: Origin,
    /// Set where this run begins a new baseline.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub accepted: Option<Acceptance>,
    /// What the run came to.
    pub sample: Sample,
}

/// Where a run comes from.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origin {
    /// The commit that was built, if known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commit: Option<String>,
    /// The sitting in which it was made: runs of one sitting share it.
    pub session: String,
}

/// That a change is intended: runs before it are history, and no longer the baseline.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Acceptance {
    /// Why, in the words of whoever accepted it.
    pub reason: String,
}

impl Entry {
    /// An entry for a run, with less detail than the run has.
    pub fn new(key: Key, origin: Origin, sample: Sample) -> Self {
        let started = sample.environment().started_unix;
        let commit = origin.commit.as_deref().unwrap_or("unknown commit");
        let name = format!("{} {commit} {}", key.branch, date(started));
        let sample = sample.condensed(SLOTS).named(&name).in_session(&origin.session);
        Self { kneepoint_baseline: FORMAT, key, origin, accepted: None, sample }
    }

    /// The same as the begin of a new baseline.
    pub fn accepted(self, reason: &str) -> Self {
        Self { accepted: Some(Acceptance { reason: reason.to_owned() }), ..self }
    }

    /// When the run began, such as `2026-11-29 14:05 UTC`.
    pub fn date(&self) -> String {
        date(self.started_unix())
    }

    /// Seconds since 1970 at which the run began.
    pub fn started_unix(&self) -> f64 {
        self.sample.environment().started_unix
    }
}

/// `2026-11-29 14:05 UTC`.
pub(super) fn date(unix: f64) -> String {
    match jiff::Timestamp::from_second(unix as i64) {
        Ok(at) => at.strftime("%Y-%m-%d %H:%M UTC").to_string(),
        Err(_) => "at an unknown time".to_owned(),
    }
}
