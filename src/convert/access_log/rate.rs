//! How many requests came per second.

use std::collections::BTreeMap;

use crate::convert::artifact::Artifact;

/// Seconds that are counted at once. Lines are in the order of the responses, so that a slow
/// request comes late; one that is older than this no longer counts for its second.
const OPEN_SECONDS: usize = 600;

/// Requests by second.
#[derive(Debug, Default)]
pub(super) struct RequestRate {
    open: BTreeMap<i64, u64>,
    total: u64,
    peak: u64,
    ends: Option<(i64, i64)>,
}

impl RequestRate {
    /// Counts a request.
    pub(super) fn count(&mut self, second: i64) {
        self.total += 1;
        let (first, last) = self.ends.get_or_insert((second, second));
        (*first, *last) = ((*first).min(second), (*last).max(second));
        let count = self.open.entry(second).or_default();
        *count += 1;
        self.peak = self.peak.max(*count);
        if self.open.len() > OPEN_SECONDS {
            self.open.pop_first();
        }
    }

    /// Requests in the busiest second.
    pub(super) fn peak(&self) -> u64 {
        self.peak
    }

    /// Seconds from the first to the last request, at least one.
    fn seconds(&self) -> f64 {
        self.ends.map_or(1.0, |(first, last)| (last.saturating_sub(first) as f64) + 1.0)
    }

    /// Requests per second.
    pub(super) fn mean(&self) -> f64 {
        self.total as f64 / self.seconds()
    }

    pub(super) fn tell(&self, artifact: &mut Artifact<'_>) {
        let seconds = self.seconds() as u64;
        let (hours, minutes) = (seconds / 3600, seconds / 60 % 60);
        artifact.seen.push(format!(
            "{:.2} requests/s over {hours} h {minutes} min {} s, {} in the busiest second",
            self.mean(),
            seconds % 60,
            self.peak
        ));
    }
}
