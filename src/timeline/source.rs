//! Where metrics come from, as plain data: the diagnosis names what to add to a plan without
//! knowing a collector.

use super::MetricSpec;

/// A collector, or a table of the plan that works like one.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Source {
    /// Its name in recordings.
    pub name: &'static str,
    /// What it emits.
    pub metrics: &'static [MetricSpec],
    /// What to add to a plan to have it, such as `[collect.tcp] on the machine the target runs on`.
    pub hint: &'static str,
}

impl Source {
    /// Whether it emits `metric`.
    pub fn emits(&self, metric: &str) -> bool {
        self.metrics.iter().any(|spec| spec.name == metric)
    }
}
