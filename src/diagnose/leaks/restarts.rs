//! When what holds a resource began anew.

use crate::diagnose::measure::facts::Facts;
use crate::diagnose::terms::operand::bare;
use crate::timeline::{Moment, names};

/// Moments at which the target's process was replaced, or one of its workers was killed for want of
/// memory while the process above it went on.
pub fn restarts(facts: &Facts) -> Vec<Moment> {
    let mut moments = facts.restarts();
    moments.extend(facts.changed_at(&bare(&names::CGROUP_OOM_KILLS), &[]));
    moments.sort_unstable();
    moments.dedup();
    moments
}
