//! When the target's runtimes collected all of their heaps: what they have not collected may be
//! garbage.

use crate::diagnose::measure::facts::Facts;
use crate::diagnose::terms::operand::{Over, bare};
use crate::timeline::{Labels, Moment, Selector, Window, names};

/// Whether a runtime owns the target's memory that was not seen to collect all of it in `windows`.
pub fn is_uncollected(facts: &Facts, windows: &[Window]) -> bool {
    let collections = facts
        .level_of(&major_collections(), Over::Sum, windows, &[])
        .or_else(|| facts.metric(&names::RUNTIME_GC_COUNT, windows));
    collections.map_or(facts.is_lazy_runtime(), |rate| rate == 0.0)
}

/// Moments in `window` by which a runtime had collected all of its heap once more.
pub fn collections(facts: &Facts, window: Window) -> Vec<Moment> {
    let major = major_collections();
    let told = if facts.is_read(&major, &[]) { major } else { bare(&names::RUNTIME_GC_COUNT) };
    let mut moments = facts.changed_at(&told, &[]);
    moments.retain(|at| window.contains(*at));
    moments.sort_unstable();
    moments
}

/// Young collections come soon and say nothing of what is old.
fn major_collections() -> Selector {
    let kind = Labels::none().with("kind", "major");
    Selector { labels: kind, ..bare(&names::JVM_GC_COUNT) }
}
