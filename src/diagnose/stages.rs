//! Each stage as numbers.

use crate::recording::{PlanSummary, Recording};
use crate::timeline::Timeline;

use super::StageSummary;

/// Summarises every stage of a recording, in the order they were held.
pub fn summarize(recording: &Recording) -> Vec<StageSummary> {
    summarize_timeline(&recording.timeline, &recording.plan)
}

/// The same of a timeline that is still growing.
pub fn summarize_timeline(_timeline: &Timeline, _plan: &PlanSummary) -> Vec<StageSummary> {
    Vec::new()
}
