//! The kind of a value, so that it can be written with its unit.

use crate::timeline::Unit;

/// The kind of a value, so that it can be written with its unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Measure {
    /// In a unit of the timeline.
    In(Unit),
    /// A unit per second.
    PerSecond(Unit),
    /// A multiple of the value at baseline.
    Times,
}

impl Measure {
    /// The nearest unit of the timeline.
    pub fn unit(self) -> Unit {
        match self {
            Measure::In(unit) => unit,
            Measure::PerSecond(Unit::Seconds) => Unit::Cores,
            Measure::PerSecond(unit) => unit,
            Measure::Times => Unit::Times,
        }
    }
}
